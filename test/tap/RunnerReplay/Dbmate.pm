# dbmate (lib/pq)
#
# No lock.  It looks at its ledger through one connection, and migrates through
# another one.  A file is one message, in a transaction with its row in the ledger;
# without a transaction it is sent bare, and the row follows.

package RunnerReplay::Dbmate;

use strict;
use warnings;

use parent 'RunnerReplay';

my $DBMATE_LEDGER = 'public.schema_migrations';

sub up
{
	my ($self, @migrations) = @_;
	my %is_applied = map { $_ => 1 } $self->applied;
	my $applied = 0;

	$self->find_ledger;
	$self->must($self->simple("create table if not exists $DBMATE_LEDGER (version varchar primary key)"));
	foreach my $migration (@migrations)
	{
		next if $is_applied{ $migration->{version} };
		$self->run_file($migration) or last;
		$applied++;
	}
	return $applied;
}

# What the ledger has, if there is one.
sub applied
{
	my ($self) = @_;
	my $session = $self->{session};
	my @applied;

	$self->{session} =
	  WireSession->new($self->{node}, $self->{database}, 'migrator');
	$self->must($self->simple('select current_schema()'));
	$self->must($self->lib_pq('SELECT 1 FROM information_schema.tables WHERE  table_schema = $1 AND    table_name   = $2',
		'public', 'schema_migrations'));
	if (defined $self->first_row)
	{
		$self->find_ledger;
		$self->must($self->simple("select version from $DBMATE_LEDGER order by version desc"));
		@applied = @{ $self->{rows} };
	}
	$self->{session}->close;
	$self->{session} = $session;
	return @applied;
}

# It asks for the name of its ledger each time.
sub find_ledger
{
	my ($self) = @_;

	$self->must($self->simple('select current_schema()'));
	return $self->must($self->lib_pq('select quote_ident(unnest($1::text[]))', '{public,schema_migrations}'));
}

sub run_file
{
	my ($self, $migration) = @_;
	my $in_transaction = $migration->{transaction} // 1;
	my $first = '-- migrate:up' . ($in_transaction ? '' : ' transaction:false');
	my $text = "$first\n" . RunnerReplay::script(@{ $migration->{up} });

	$self->must($self->simple('BEGIN READ WRITE')) if $in_transaction;
	if (!$self->simple($text))
	{
		my ($line, $column) =
		  RunnerReplay::line_and_column($text, $self->{error}{P} // 1);

		$self->{said} = "Error: line: $line, column: $column, position: "
		  . ($self->{error}{P} // 1)
		  . ": pq: $self->{error}{M} ($self->{error}{C})";
		$self->must($self->simple('ROLLBACK')) if $in_transaction;
		return 0;
	}
	$self->find_ledger;
	$self->must($self->lib_pq("insert into $DBMATE_LEDGER (version) values (\$1)", $migration->{version}));
	$self->must($self->simple('COMMIT')) if $in_transaction;
	return 1;
}

1;
