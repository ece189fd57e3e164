# tern (pgx)
#
# A lock of the session.  The ledger is one row that is updated.  A file is one
# message in a transaction with it, or statement by statement without one.

package RunnerReplay::Tern;

use strict;
use warnings;

use parent 'RunnerReplay';

my $TERN_LOCK = '9628173550095224';

sub up
{
	my ($self, @migrations) = @_;

	return $self->migrate_to(scalar @migrations, @migrations);
}

# Up or down; returns how many were run.
sub migrate_to
{
	my ($self, $target, @migrations) = @_;
	my $run = 0;
	my $version;

	$self->ensure_ledger or return 0;
	# first without the lock
	$self->must($self->pgx('select version from public.schema_version'));
	return 0 if $self->first_row == $target;
	$self->lock or return 0;
	$self->{when_locked}->() if defined $self->{when_locked};
	$self->must($self->pgx('select version from public.schema_version'));
	$version = $self->first_row;
	while ($version != $target)
	{
		my $is_up = $version < $target;
		my $migration = $migrations[ $is_up ? $version : $version - 1 ];

		$self->run_migration($migration, $is_up) or last;
		$version += $is_up ? 1 : -1;
		$run++;
	}
	$self->unlock;
	return $run;
}

sub ensure_ledger
{
	my ($self) = @_;
	my $ledger = 'public.schema_version';

	$self->lock or return 0;
	$self->must($self->pgx('select count(*) from pg_catalog.pg_tables where schemaname=$1 and tablename=$2',
		'public', 'schema_version'));
	if ($self->first_row == 0)
	{
		$self->must($self->simple("create table if not exists $ledger(version int4 not null primary key);\n"
			  . "insert into $ledger(version) select 0 where 0=(select count(*) from $ledger);"));
	}
	else
	{
		$self->must($self->simple("do \$\$ begin if not exists (select 1 from pg_constraint where conrelid = '$ledger'::regclass and contype = 'p')"
			  . " then alter table $ledger add primary key (version); end if; end \$\$;"));
	}
	$self->unlock;
	return 1;
}

sub lock
{
	my ($self) = @_;

	return 1 if $self->pgx('select pg_advisory_lock($1)', $TERN_LOCK);
	$self->{said} = $self->{error}{M};
	return 0;
}

sub unlock
{
	my ($self) = @_;

	return $self->must($self->pgx('select pg_advisory_unlock($1)', $TERN_LOCK));
}

sub run_migration
{
	my ($self, $migration, $is_up) = @_;
	my $in_transaction = $migration->{transaction} // 1;
	my @statements = @{ $migration->{ $is_up ? 'up' : 'down' } };

	@statements = (RunnerReplay::script(@statements)) if $in_transaction;
	$self->must($self->simple('begin')) if $in_transaction;
	foreach my $statement (@statements)
	{
		next if $self->simple($statement);
		my ($line) =
		  RunnerReplay::line_and_column($statement, $self->{error}{P} // 1);

		$self->{said} = "$self->{error}{M}\nDETAIL: $self->{error}{D}\nLINE $line: $statement";
		$self->must($self->simple('rollback')) if $in_transaction;
		return 0;
	}
	$self->simple('reset all');
	$self->must($self->pgx('update public.schema_version set version=$1',
		$migration->{version} - ($is_up ? 0 : 1)));
	$self->must($self->simple('commit')) if $in_transaction;
	return 1;
}

1;
