# golang-migrate, with its driver "postgres" (lib/pq)
#
# A lock of the session is held all the time.  The ledger is one row: emptied and
# written before a file, as dirty, and after it.  A file is one message.

package RunnerReplay::GolangMigrate;

use strict;
use warnings;

use parent 'RunnerReplay';

my $LOCK = 1486364155;	# times a checksum of the names of schema, table, database

sub up
{
	my ($self, @migrations) = @_;

	return $self->locked(
		sub {
			my $applied = 0;
			my $version = $self->version // return 0;

			foreach my $migration (@migrations)
			{
				next if $migration->{version} <= $version;
				$self->run_file($migration->{version}, @{ $migration->{up} })
				  or last;
				$applied++;
			}
			return $applied;
		});
}

# The last one is taken back.
sub down
{
	my ($self, @migrations) = @_;

	return $self->locked(
		sub {
			my $version = $self->version // return 0;
			my ($last) = grep { $_->{version} == $version } @migrations;

			return $self->run_file($version - 1, @{ $last->{down} });
		});
}

# "migrate force": the version is set, whatever it was.
sub force
{
	my ($self, $version) = @_;

	return $self->locked(sub { return $self->set_version($version, 'f') });
}

# A run begins with the ledger, and then takes the lock again.
sub locked
{
	my ($self, $what) = @_;
	my $result;

	$self->must($self->simple('SELECT CURRENT_DATABASE()'));
	$self->must($self->simple('SELECT CURRENT_SCHEMA()'));
	$self->lock or return 0;
	$self->must($self->lib_pq('SELECT COUNT(1) FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2 LIMIT 1',
		'public', 'schema_migrations'));
	$self->must($self->simple('CREATE TABLE IF NOT EXISTS "public"."schema_migrations" (version bigint not null primary key, dirty boolean not null)'))
	  if $self->first_row eq '0';
	$self->unlock;

	$self->lock or return 0;
	$self->{when_locked}->() if defined $self->{when_locked};
	$result = $what->();
	$self->unlock;
	return $result;
}

sub lock
{
	my ($self) = @_;

	return 1 if $self->lib_pq('SELECT pg_advisory_lock($1)', $LOCK);
	$self->{said} = "error: try lock failed: $self->{error}{M}";
	return 0;
}

sub unlock
{
	my ($self) = @_;

	return $self->must($self->lib_pq('SELECT pg_advisory_unlock($1)', $LOCK));
}

# undef if it is dirty: then nothing is done.
sub version
{
	my ($self) = @_;

	$self->must($self->simple('SELECT version, dirty FROM "public"."schema_migrations" LIMIT 1'));
	return 0 unless defined $self->first_row;
	my ($version, $dirty) = split /\|/, $self->first_row;
	return $version if $dirty eq 'f';
	$self->{said} = "error: Dirty database version $version. Fix and force version.";
	return;
}

sub set_version
{
	my ($self, $version, $dirty) = @_;

	$self->must($self->simple('BEGIN'));
	$self->must($self->simple('TRUNCATE "public"."schema_migrations"'));
	$self->must($self->lib_pq('INSERT INTO "public"."schema_migrations" (version, dirty) VALUES ($1, $2)',
		$version, $dirty)) if $version > 0 || $dirty eq 't';
	$self->must($self->simple('COMMIT'));
	return 1;
}

# With x-multi-statement the file is divided, and each part is a message.
sub run_file
{
	my ($self, $version, @statements) = @_;
	my @messages =
	  $self->{multi_statement} ?
	  map { RunnerReplay::script($_) } @statements :
	  RunnerReplay::script(@statements);

	$self->set_version($version, 't');
	foreach my $message (@messages)
	{
		next if $self->simple($message);
		my ($line, $column) =
		  RunnerReplay::line_and_column($message, $self->{error}{P} // 1);

		$self->{said} = "error: migration failed: $self->{error}{M} (column $column)"
		  . (defined $self->{error}{D} ? ", $self->{error}{D}" : '')
		  . " in line $line: $message (details: pq: $self->{error}{M})";
		return 0;
	}
	return $self->set_version($version, 'f');
}

1;
