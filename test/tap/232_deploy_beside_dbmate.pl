# CALL migrate.deploy() and dbmate at work in the same database at once: each waits
# for the other, neither is disturbed, nothing deadlocks and nothing is run twice.
# Once with what dbmate says to the server, and once with dbmate itself where
# test/interop.sh has installed it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RunnerReplay;
use RunnerReplay::Dbmate;

my $node = RunnerReplay::start('beside_dbmate');
my ($program) = glob(($ENV{SAFE_MIGRATE_CACHE} // '/var/cache/safe_migrate')
	. '/interop/npm/dbmate-*/node_modules/@dbmate/*/bin/dbmate');

sub value
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

# What the migrations write down, each as often as it is run, and whether it has
# made another session wait: meet() waits for one, and others_are_in() until another
# one has locked the table, or has done its migration.
sub make_runs
{
	my ($database) = @_;

	$node->safe_psql($database, q{
CREATE TABLE runs (name text, met boolean);
GRANT ALL ON runs TO migrator;
CREATE FUNCTION meet() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(1);
	FOR i IN 1 .. 1000 LOOP
		IF EXISTS (SELECT FROM migrate.lock_waits WHERE pg_backend_pid() = ANY (blocker_pids))
			OR EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))
		THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RETURN false;
END$$;
CREATE FUNCTION others_are_in(run text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		IF EXISTS (SELECT FROM runs WHERE name = run)
			OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'
				AND objid = 1 AND granted AND pid <> pg_backend_pid())
		THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RETURN false;
END$$;
});
	return;
}

# Both histories go on with a transaction, an index and another transaction.  The
# first one of the deploy ends when dbmate waits for it, the first one of dbmate when
# the deploy does.
my @of_dbmate = (
	{
		version => 4,
		name => 'transaction',
		up => [
			'ALTER TABLE orders ADD COLUMN m1 int',
			q{INSERT INTO runs SELECT 'dbmate 4', meet()}
		]
	},
	{
		version => 5,
		name => 'index',
		up => ['CREATE INDEX orders_customer ON orders (customer)'],
		transaction => 0
	},
	{
		version => 6,
		name => 'both',
		up => [
			'ALTER TABLE orders ADD COLUMN m2 int',
			'ALTER TABLE payments ADD COLUMN m3 int',
			q{INSERT INTO runs VALUES ('dbmate 6', true)}
		]
	});
my @of_the_deploy = (
	q{ALTER TABLE orders ADD COLUMN d1 int; INSERT INTO runs SELECT 'deploy 1', meet()},
	'CREATE INDEX CONCURRENTLY orders_amount ON orders (amount)',
	q{SELECT others_are_in('dbmate 4'); ALTER TABLE orders ADD COLUMN d2 int; ALTER TABLE payments ADD COLUMN d3 int; INSERT INTO runs VALUES ('deploy 3', true)}
);

# A CALL that is waited for when answers() are asked for.
sub start_deploy
{
	my ($database) = @_;
	my $session = WireSession->new($node, $database);

	$session->send(WireSession::message('Q', "CALL migrate.deploy()\0"));
	$node->poll_query_until($database,
		q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')}
	) or die 'the deploy does not come to its first migration';
	return $session;
}

sub deploy_beside
{
	my ($database, $what, $up) = @_;
	my @history = RunnerReplay::history();
	my $version = 1;

	RunnerReplay::make_database($node, $database);
	is($up->(@history), 3, "$what: three migrations");
	RunnerReplay::fill_orders($node, $database);
	make_runs($database);
	foreach my $text (@of_the_deploy)
	{
		$node->safe_psql($database,
			"SELECT migrate.register('$version', 'step', \$sql\$$text\$sql\$)");
		$version++;
	}

	my $deploy = start_deploy($database);
	is($up->(@history, @of_dbmate), 3, 'three more beside a running deploy');
	is_deeply([ grep { !/^notice/ } $deploy->answers ], [ 'done CALL', 'idle' ],
		'the deploy ends well');
	$deploy->close;

	is(value($database, q{SELECT string_agg(name || ' ' || met, ', ' ORDER BY name) FROM runs}),
		'dbmate 4 true, dbmate 6 true, deploy 1 true, deploy 3 true',
		'each was run once, and they have waited for each other');
	is(value($database, q{SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations}),
		'1 2 3 4 5 6', 'the ledger of dbmate is whole');
	is(value($database, q{SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM migrate.status}),
		'1 applied, 2 applied, 3 applied', 'so is ours');
	is(value($database, q{SELECT count(*) FROM migrate.history}), 3, 'there was one attempt of each');
	foreach my $index ('orders_customer', 'orders_amount')
	{
		is(RunnerReplay::index_state($node, $database, $index), 'valid', "$index is there");
	}
	is(RunnerReplay::decisions($node, $database), 'rewritten create_index', 'nothing is refused');
	is($up->(@history, @of_dbmate), 0, 'afterwards dbmate has nothing to do');
	return;
}

# Two runs of dbmate, which takes no lock: the second one waits for what the first
# one has locked, and then finds that it is there.
sub two_at_once
{
	my ($database, $what, $up, $start, $finish) = @_;
	my @history = RunnerReplay::history();

	RunnerReplay::make_database($node, $database);
	is($up->(@history), 3, "$what: three migrations");
	make_runs($database);
	$start->(@history, $of_dbmate[0]);
	$node->poll_query_until($database,
		q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')}
	) or die 'the first one does not come to its migration';
	is($up->(@history, $of_dbmate[0]), 0, 'the second one of two runs does nothing');
	is($finish->(), 1, 'the first one does it');
	is(value($database, q{SELECT string_agg(name || ' ' || met, ', ') FROM runs}), 'dbmate 4 true', 'once');
	is(value($database, 'SELECT count(*) FROM schema_migrations'), 4, 'and it is in the ledger');
	return;
}

# One history for both, as when the ledger of dbmate was adopted: what dbmate has
# applied while the deploy was at an earlier migration, the deploy does not run again.
sub one_history
{
	my ($database, $what, $up) = @_;
	my @history = RunnerReplay::history();
	my $early = q{INSERT INTO runs SELECT 'deploy 3.5', others_are_in('dbmate 5')};
	my @shared = map {
		{
			version => $_,
			name => 'shared',
			up => ["INSERT INTO runs VALUES ('dbmate $_', true)"]
		}
	} 4, 5;

	RunnerReplay::make_database($node, $database);
	is($up->(@history), 3, "$what: three migrations");
	make_runs($database);
	$node->safe_psql($database,
		"SELECT migrate.register('$_->{version}', '$_->{name}', \$sql\$$_->{up}[0]\$sql\$)")
	  foreach @history, { version => '3.5', name => 'early', up => [$early] }, @shared;
	is(value($database, q{SELECT string_agg(version || ' ' || state, ', ') FROM migrate.adopt()}),
		'1 adopted, 2 adopted, 3 adopted', 'its ledger is adopted');

	my $deploy = start_deploy($database);
	is($up->(@history, @shared), 2, 'dbmate applies two while the deploy is before them');
	is_deeply([ grep { !/^notice/ } $deploy->answers ], [ 'done CALL', 'idle' ],
		'the deploy ends well');
	my $notices = join "\n", $deploy->notices;
	like($notices, qr/2 migrations that dbmate has applied since count as applied/, 'it takes them over');
	like($notices, qr/^1 migration applied$/m, 'and has applied the one before them');
	$deploy->close;
	is(value($database, q{SELECT string_agg(name, ', ' ORDER BY name) FROM runs}),
		'dbmate 4, dbmate 5, deploy 3.5', 'nothing was run twice');
	is(value($database, q{SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) FROM migrate.status}),
		'1 adopted, 2 adopted, 3 adopted, 3.5 applied, 4 adopted, 5 adopted',
		'and all are known');
	is(value($database, 'SELECT count(*) FROM migrate.drift()'), 0, 'and there is no drift');
	return;
}

#
# What it says to the server
#
foreach my $case ([ 'replayed', \&deploy_beside ], [ 'replayed_adopted', \&one_history ])
{
	my ($database, $test) = @$case;
	my $tool;

	$test->(
		$database,
		"as dbmate, $database",
		sub {
			$tool //= RunnerReplay::Dbmate->new($node, $database);
			return $tool->up(@_);
		});
	$tool->close;
}

#
# The program itself
#
my $folder = PostgreSQL::Test::Utils::tempdir();

sub write_files
{
	my (@migrations) = @_;

	foreach my $migration (@migrations)
	{
		my $option = $migration->{transaction} // 1 ? '' : ' transaction:false';
		my $file = "$folder/$migration->{version}_$migration->{name}.sql";

		unlink $file;
		append_to_file($file,
			"-- migrate:up$option\n"
			  . RunnerReplay::script(@{ $migration->{up} })
			  . "-- migrate:down\n");
	}
	return;
}

sub command_for
{
	my ($database) = @_;
	my $host = $node->host;
	my $port = $node->port;

	return [
		$program, '--no-dump-schema', '--migrations-dir', $folder, '--url',
		"postgres://migrator\@localhost:$port/$database?socket=$host&sslmode=disable",
		'migrate'
	];
}

# How many it says that it has applied; it says so of one that fails as well.
sub count_applied
{
	my ($said) = @_;

	return scalar(() = $said =~ /^Applied:/mg);
}

sub program_for
{
	my ($database) = @_;

	return sub {
		my $said = '';

		write_files(@_);
		return count_applied($said)
		  if IPC::Run::run(command_for($database), '>', \$said, '2>&1');
		note($said);
		return 0;
	};
}

SKIP:
{
	skip 'dbmate is not installed: see test/interop.sh' unless defined $program;
	my ($run, $said);

	deploy_beside('real', 'dbmate', program_for('real'));
	unlink glob("$folder/*");
	one_history('real_adopted', 'dbmate, adopted', program_for('real_adopted'));
	unlink glob("$folder/*");
	two_at_once(
		'real_twice',
		'dbmate',
		program_for('real_twice'),
		sub {
			write_files(@_);
			$run = IPC::Run::start(command_for('real_twice'), '>', \$said, '2>&1');
		},
		sub {
			return $run->finish ? count_applied($said) : 0;
		});
}

$node->stop;
unlike(slurp_file($node->logfile),
	qr/deadlock detected|was terminated by signal|TRAP:|PANIC:|safe_migrate failed|safe_migrate mismatch/,
	'no deadlock, nothing crashed, and all was foretold');

done_testing();
