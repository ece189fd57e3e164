# Flyway (JDBC: no simple Query, and BEGIN goes with the first statement)
#
# Two connections.  The first one holds a lock of its transaction, for which it
# polls, and writes the ledger in it; the second one runs the migration, in a
# transaction or not.  So the two commit one after the other.
#
# The portal of what the first connection has read last is still there while the
# second one runs the migration, and with it a snapshot.  For what is to be run
# without a transaction newer versions take a lock of the session instead, as all
# do with postgresql.transactional.lock=false: the option session_lock.

package RunnerReplay::Flyway;

use strict;
use warnings;

use parent 'RunnerReplay';

my $LOCK = '77433833903597';
my $HISTORY = '"public"."flyway_schema_history"';

sub connect
{
	my ($self) = @_;

	foreach my $which ('main', 'migration')
	{
		my $session =
		  WireSession->new($self->{node}, $self->{database}, 'migrator');

		$self->{$which} = { session => $session, autocommit => 1 };
		$self->must($self->jdbc($which, 'SET extra_float_digits = 3'));
		$self->must($self->jdbc($which, q{SET application_name = 'PostgreSQL JDBC Driver'}));
		$self->must($self->jdbc($which, 'SELECT CURRENT_USER'));
		$self->must($self->jdbc($which, 'SHOW search_path'));
	}
	return;
}

sub close
{
	my ($self) = @_;

	$self->{$_}{session}->close foreach 'main', 'migration';
	return;
}

sub migrate
{
	my ($self, @migrations) = @_;
	my $applied = 0;

	$self->ensure_ledger;
	while (1)
	{
		my $did = $self->locked(
			sub {
				$self->{when_locked}->() if defined $self->{when_locked};
				return $self->migrate_next(@migrations);
			});

		return $applied unless $did;
		$applied++;
	}
}

# "flyway repair"
sub repair
{
	my ($self) = @_;

	return $self->locked(
		sub {
			return $self->jdbc('main', qq{DELETE FROM $HISTORY WHERE "success" = FALSE});
		});
}

# The next that is not in the ledger; 1 if there was one and it went well.
sub migrate_next
{
	my ($self, @migrations) = @_;
	my %state = map { split /\|/ } $self->history_rows;
	my ($failed) = grep { $state{$_} eq 'f' } keys %state;

	if (defined $failed)
	{
		$self->{said} = qq{Schema "public" contains a failed migration to version $failed !};
		return 0;
	}
	my ($next) = grep { !defined $state{ $_->{version} } } @migrations;

	return 0 unless defined $next;
	return $self->run_migration($next, 1 + keys %state);
}

sub history_rows
{
	my ($self) = @_;

	$self->must($self->jdbc('main', qq{SELECT "version", "success" FROM $HISTORY WHERE "installed_rank" > \$1 ORDER BY "installed_rank"}, -1));
	return @{ $self->{rows} };
}

sub run_migration
{
	my ($self, $migration, $rank) = @_;
	my $in_transaction = $migration->{transaction} // 1;

	$self->must($self->jdbc('migration', q{SET ROLE 'migrator'}));
	$self->must($self->jdbc('migration', q{SELECT set_config('search_path', $1, false)}, '"public", "$user"'));
	$self->{migration}{autocommit} = !$in_transaction;
	foreach my $statement (@{ $migration->{up} })
	{
		next if $self->jdbc('migration', $statement);
		$self->{said} = "Migration $migration->{name}.sql failed\nSQL State  : $self->{error}{C}\nError Code : 0\nMessage    : ERROR: $self->{error}{M}\n  Detail: $self->{error}{D}\n  Hint: $self->{error}{H}\n  Position: $self->{error}{P}";
		$self->end_transaction('migration', 'ROLLBACK');
		$self->add_row($migration, $rank, 'f') unless $in_transaction;
		return 0;
	}
	$self->end_transaction('migration', 'COMMIT');
	$self->add_row($migration, $rank, 't');
	return 1;
}

sub add_row
{
	my ($self, $migration, $rank, $success) = @_;

	$self->must($self->jdbc('main', q{SET ROLE 'migrator'}));
	return $self->must($self->jdbc(
			'main',
			qq{INSERT INTO $HISTORY ("installed_rank", "version", "description", "type", "script", "checksum", "installed_by", "execution_time", "success") VALUES (\$1, \$2, \$3, \$4, \$5, \$6, \$7, \$8, \$9)},
			$rank,
			$migration->{version},
			$migration->{name},
			'SQL',
			"V$migration->{version}__$migration->{name}.sql",
			-972957619,
			'migrator',
			7,
			$success));
}

sub ensure_ledger
{
	my ($self) = @_;

	$self->must($self->jdbc('main', q{SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r')},
		'public', 'flyway_schema_history'));
	return if $self->first_row eq 't';
	$self->locked(
		sub {
			foreach my $sql (
				qq{CREATE TABLE $HISTORY ("installed_rank" INT NOT NULL, "version" VARCHAR(50), "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL, "script" VARCHAR(1000) NOT NULL, "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL, "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL)},
				qq{ALTER TABLE $HISTORY ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank")},
				qq{CREATE INDEX "flyway_schema_history_s_idx" ON $HISTORY ("success")})
			{
				$self->must($self->jdbc('main', $sql));
			}
		});
	return;
}

# In a transaction of the first connection, with its lock, or with one of its
# session.  While somebody else has it, it asks again, 50 times at most.
sub locked
{
	my ($self, $what) = @_;
	my $kind = $self->{session_lock} ? '' : 'xact_';
	my $result;

	$self->{main}{autocommit} = $self->{session_lock} // 0;
	foreach (1 .. 50)
	{
		$self->must($self->jdbc('main', "SELECT pg_try_advisory_${kind}lock($LOCK)"));
		last if $self->first_row eq 't';
		$self->{polls}++;
		$self->{when_polling}->() if defined $self->{when_polling};
	}
	$result = $what->();
	if ($self->{session_lock})
	{
		$self->must($self->jdbc('main', "SELECT pg_advisory_unlock($LOCK)"));
	}
	else
	{
		$self->end_transaction('main', 'COMMIT');
	}
	return $result;
}

# A statement with setAutoCommit(false) begins a transaction, in one go.
sub jdbc
{
	my ($self, $which, $sql, @values) = @_;
	my $connection = $self->{$which};
	my $session = $connection->{session};
	my @messages;

	if (!$connection->{autocommit} && !$connection->{in_transaction})
	{
		push @messages, $session->statement('BEGIN');
		$connection->{in_transaction} = 1;
	}
	push @messages,
	  $session->parse('', $sql),
	  $session->bind(values => \@values),
	  $session->describe_portal(''),
	  $session->execute;
	return $self->took($session, $session->extended(@messages));
}

sub end_transaction
{
	my ($self, $which, $how) = @_;
	my $connection = $self->{$which};

	if ($connection->{in_transaction})
	{
		$self->must($self->took($connection->{session},
			$connection->{session}->extended($connection->{session}->statement($how))));
	}
	$connection->{in_transaction} = 0;
	$connection->{autocommit} = 1;
	return;
}

1;
