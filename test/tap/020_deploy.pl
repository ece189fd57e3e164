# CALL migrate.deploy(): each migration in a transaction of its own, one
# deploy at a time, and what is left when one fails, is cancelled or killed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);

my $node = PostgreSQL::Test::Cluster->new('deploy');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
restart_after_crash = on
autovacuum = off
});
$node->start;

my $database;

# A database of its own for each of the tests.
sub begin_test
{
	($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	query('CREATE EXTENSION safe_migrate');
	return;
}

sub query
{
	my ($sql, %options) = @_;

	return $node->safe_psql($database, $sql, %options);
}

sub register
{
	my ($version, $name, $sql) = @_;

	return query("SELECT migrate.register('$version', '$name', \$body\$$sql\$body\$)");
}

# Run one statement; returns what went to stderr.
sub failing
{
	my ($sql, %options) = @_;
	my $stderr;

	$node->psql($database, $sql, stderr => \$stderr, %options);
	return $stderr;
}

sub deploy
{
	return failing('CALL migrate.deploy()');
}

# Deploy in another session; finish() waits for it.
sub start_deploy
{
	my ($application) = @_;
	my %session = (stdout => '', stderr => '');

	$session{handle} = IPC::Run::start(
		[
			'psql', '-X', '-A', '-t', '-q',
			'-d', $node->connstr($database) . " application_name=$application",
			'-c', 'CALL migrate.deploy()'
		],
		'<', \undef,
		'>', \$session{stdout},
		'2>', \$session{stderr},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# What it wrote to stderr.
sub finish
{
	my ($session) = @_;

	eval { IPC::Run::finish($session->{handle}); };
	return $session->{stderr};
}

# The process of a session, once it does something that matches.
sub wait_for_query
{
	my ($application, $pattern) = @_;

	$node->poll_query_until(
		$database, qq{
SELECT EXISTS (SELECT FROM pg_stat_activity
	WHERE application_name = '$application' AND state = 'active'
	AND query ~ '$pattern')}) or die "$application does not run $pattern";
	return query("SELECT pid FROM pg_stat_activity WHERE application_name = '$application'");
}

sub lock_is_held
{
	return query(
		q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'object'
		AND classid = 'pg_extension'::regclass AND objsubid = 1)});
}

sub status
{
	return query('SELECT version, state, statements FROM migrate.status');
}


# ---- two at once

begin_test('two_at_once');
query('CREATE TABLE runs (version int, pid int DEFAULT pg_backend_pid()); CREATE TABLE gate (open bool)');
register(1, 'slow', q{INSERT INTO runs VALUES (1);
DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.1); END LOOP; END $$});
register(2, 'concurrently', q{-- safe_migrate: no-transaction
INSERT INTO runs VALUES (2);
CREATE INDEX CONCURRENTLY ON runs (version);
SELECT pg_sleep(1)});
register(3, 'last', 'INSERT INTO runs VALUES (3)');

my $first = start_deploy('first');
wait_for_query('first', 'pg_sleep');
my $second = start_deploy('second');
my $second_pid = wait_for_query('second', 'deploy');
ok( $node->poll_query_until(
		$database,
		"SELECT backend_xmin IS NULL AND backend_xid IS NULL AND NOT EXISTS (SELECT FROM pg_locks WHERE pid = $second_pid) FROM pg_stat_activity WHERE pid = $second_pid"
	),
	'the second deploy waits without a snapshot, a transaction or a lock');
like(
	failing('SELECT migrate.apply()'),
	qr/^psql:.*ERROR:  another deploy or apply runs in this database \(process \d+, role \w+, application 'first'\): wait for it to end/,
	'apply() fails at once and names the holder');
like(
	failing("SET lock_timeout = '100ms'; CALL migrate.deploy()"),
	qr/canceling deploy due to lock timeout: .*application 'first'/,
	'lock_timeout counts');
ok( $node->poll_query_until(
		$database,
		q{SELECT waiting_for IS NOT NULL AND now() - started_at > '2 s' FROM migrate.deploy_progress WHERE application = 'second'}
	),
	'the second one has waited long enough to say so');
query('INSERT INTO gate VALUES (true)');
unlike(finish($first), qr/ERROR/, 'the first deploy succeeds');
my $said = finish($second);
unlike($said, qr/ERROR/, 'the second deploy succeeds');
like(
	$said,
	qr/NOTICE:  waiting for the deploy or apply .*application 'first'/,
	'the second one says who it waits for');
like($said, qr/nothing to do/, 'the second deploy has nothing to do');
is( query('SELECT version, count(*) FROM runs GROUP BY 1 ORDER BY 1'),
	"1|1\n2|1\n3|1", 'nothing ran twice');
is(lock_is_held(), 'f', 'the lock is given back');


# ---- a transactional migration that fails, or is cancelled or terminated

begin_test('failing');
register(1, 'good', 'CREATE TABLE good (a int)');
register(2, 'bad', "CREATE TABLE bad (a int);\nSET work_mem = '9MB';\n\nSELECT 1/0;");
register(3, 'never', 'CREATE TABLE never (a int)');
like(
	deploy(),
	qr/ERROR:  migration 2_bad, line 4: division by zero/,
	'the message has migration and line');
is( status(), "1|applied|1\n2|failed|0\n3|pending|0",
	'the one before is applied, the one after is pending');
is( query("SELECT to_regclass('bad') IS NULL AND to_regclass('never') IS NULL"),
	't', 'nothing of it is left');
is( query(
		q{SELECT error, sqlstate, error_statement, error_line, application
		FROM migrate.history WHERE state = 'failed'}),
	'division by zero|22012|3|4|020_deploy.pl',
	'the attempt is recorded');
is(lock_is_held(), 'f', 'the lock is given back');

register(2, 'bad', 'CREATE TABLE bad (a int); SELECT pg_sleep(600)');
my $session = start_deploy('cancelled');
my $pid = wait_for_query('cancelled', 'pg_sleep');
query("SELECT pg_cancel_backend($pid)");
like(
	finish($session),
	qr/ERROR:  migration 2_bad, line 1: canceling statement due to user request/,
	'a cancelled deploy says where it was');
is( query(
		q{SELECT sqlstate, error_statement FROM migrate.history
		ORDER BY id DESC LIMIT 1}),
	'57014|2',
	'and is recorded');
is(lock_is_held(), 'f', 'the lock is given back');

$session = start_deploy('terminated');
$pid = wait_for_query('terminated', 'pg_sleep');
query("SELECT pg_terminate_backend($pid)");
like(finish($session), qr/terminating connection/, 'terminated');
$node->poll_query_until($database,
	"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
is(lock_is_held(), 'f', 'the lock is given back');
is(query("SELECT to_regclass('bad') IS NULL"), 't', 'nothing of it is left');
is(query('SELECT count(*) FROM migrate.history'),
	3, 'there was no time to record that');

register(2, 'bad', 'CREATE TABLE bad (a int)');
like(deploy(), qr/2 migrations applied/, 'mended, it is applied');


# ---- one that commits by itself, killed in the middle

begin_test('killed');
query('CREATE TABLE runs (what text)');
my $body = q{-- safe_migrate: no-transaction
INSERT INTO runs VALUES ('first');
CREATE INDEX CONCURRENTLY runs_idx ON runs (what);
SELECT pg_sleep(600);
INSERT INTO runs VALUES ('last')};
register(1, 'steps', $body);
$session = start_deploy('killed');
$pid = wait_for_query('killed', 'pg_sleep');
is(status(), '1|running|2', 'it is seen to run, and how far it is');
kill 'KILL', $pid;
finish($session);
wait_until_up($node, $database);
is(status(), '1|failed|2', 'after the crash it is not shown as running');

$body =~ s/INSERT INTO runs VALUES \('first'\)/INSERT INTO runs VALUES ('other')/;
like(
	failing("SELECT migrate.register('1', 'steps', \$body\$$body\$body\$)"),
	qr/WARNING:  migration 1_steps has run in part, and that part is another now/,
	'a change of the part that has run is told');
like(
	deploy(),
	qr/ERROR:  migration 1_steps was changed in the part that has run already \(2 statements\)/,
	'and refused');
$body =~ s/'other'/'first'/;
$body =~ s/600/0/;
is(register(1, 'steps', $body), 'changed', 'what has not run may be changed');
like(deploy(), qr/1 migration applied/, 'the next deploy goes on');
is(query('SELECT what FROM runs ORDER BY 1'),
	"first\nlast", 'behind what had run');
is( query('SELECT state, transactional, statements, error FROM migrate.history ORDER BY id'),
	"failed|f|2|the session ended before the migration did\napplied|f|4|",
	'both attempts are in the history');


# ---- CREATE INDEX CONCURRENTLY that leaves an invalid index

begin_test('leftover');
query('CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)');
register(1, 'unique', q{-- safe_migrate: no-transaction
SELECT 1;
CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)});
like(
	deploy(),
	qr/ERROR:  migration 1_unique, line 3: could not create unique index/,
	'a unique index on duplicates fails');
is(query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"),
	'f', 'and is left behind invalid');
query('DELETE FROM t');
like(
	deploy(),
	qr/NOTICE:  dropping index public.t_a, which the last attempt left behind invalid.*1 migration applied/s,
	'the next deploy removes it first');
is(query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"),
	't', 'the index is there');


# ---- settings, and statements that would take the lock away

begin_test('settings');
register(1, 'one_transaction', q{
SET work_mem = '9MB';
SET ROLE pg_monitor;
SELECT pg_advisory_unlock_all()});
register(2, 'several', q{
SET work_mem = '8MB';
SET maintenance_work_mem = '8MB';
COMMIT;
CREATE TABLE seen AS SELECT current_setting('work_mem');
SET ROLE pg_monitor;
COMMIT;
SELECT 1});
register(3, 'discard', q{-- safe_migrate: no-transaction
DISCARD ALL;
SET statement_timeout = '500ms'; SELECT 1;});
register(4, 'slow', 'SELECT pg_sleep(1)');
is( query(
		q{SET maintenance_work_mem = '7MB';
CALL migrate.deploy();
SELECT current_user = session_user, current_setting('work_mem'),
	current_setting('maintenance_work_mem'),
	current_setting('statement_timeout')}),
	't|4MB|7MB|0',
	'what migrations set does not outlast them');
is(query('TABLE seen'), '8MB', 'it lasts as long as they do');


# ---- roles

begin_test('roles');
query(
	q{CREATE ROLE deployer LOGIN;
CREATE ROLE tenant LOGIN;
GRANT CREATE ON SCHEMA public TO deployer, tenant;
GRANT EXECUTE ON FUNCTION migrate.register(text, text, text, text) TO deployer;
GRANT EXECUTE ON FUNCTION migrate.apply(text) TO deployer;
GRANT EXECUTE ON PROCEDURE migrate.deploy(text) TO deployer});
my @as_deployer =
  (connstr => $node->connstr($database) . ' user=deployer');
my @as_tenant = (connstr => $node->connstr($database) . ' user=tenant');
is( query(
		"SELECT migrate.register('1', 'a', 'CREATE TABLE a (i int)');", @as_deployer),
	'new',
	'a role with EXECUTE registers');
like(failing('CALL migrate.deploy()', @as_deployer),
	qr/1 migration applied/, 'and deploys');
is( query(
		q{SELECT a.role, a.session_role, tableowner
		FROM migrate.attempts a, pg_tables WHERE tablename = 'a'}),
	'deployer|deployer|deployer',
	'as itself');
like(failing('DELETE FROM migrate.attempts', @as_deployer),
	qr/permission denied for table attempts/, 'it cannot write the ledger');
like(failing('SELECT body FROM migrate.migrations', @as_deployer),
	qr/permission denied for table migrations/, 'nor read it');
for my $call (
	q{SELECT migrate.register('2', 'b', 'SELECT 1')},
	'SELECT migrate.apply()',
	q{SELECT migrate.apply('2', 'SELECT 1')},
	q{SELECT migrate.baseline('1')},
	q{SELECT migrate.load('/tmp')},
	'CALL migrate.deploy()')
{
	like(failing($call, @as_tenant),
		qr/permission denied for (function|procedure)/, "a tenant may not $call");
}
query('GRANT EXECUTE ON FUNCTION migrate.load(text, text) TO deployer');
like(failing(q{SELECT migrate.load('/tmp')}, @as_deployer),
	qr/permission denied to read directory "\/tmp" of the server: send the files from the client with pg_safe_migrate/,
	'to read files of the server takes more than EXECUTE');
register(2, 'override', "-- safe_migrate: override because\nSELECT 1");
like(failing('CALL migrate.deploy()', @as_deployer),
	qr/ERROR:  migration 2_override, line 2: role 'deployer' may not override rules/,
	'an override needs the right to it');
query('GRANT SET ON PARAMETER safe_migrate.override TO deployer');
like(failing('CALL migrate.deploy()', @as_deployer),
	qr/1 migration applied/, 'which can be granted');
register(3, 'again', 'SELECT 1');
like(failing('SET default_transaction_read_only = on; SELECT migrate.apply()',
		@as_deployer),
	qr/cannot execute migrate.apply\(\) in a read-only transaction/,
	'apply() is refused in a read-only transaction');
register(4, 'write', 'CREATE TABLE w (i int)');
like(failing('SET default_transaction_read_only = on; CALL migrate.deploy()',
		@as_deployer),
	qr/ERROR:  migration 4_write, line 1: cannot execute CREATE TABLE in a read-only transaction/,
	'in a read-only session a migration fails');
is( query("SELECT string_agg(version || state, ' ' ORDER BY id) FROM migrate.history WHERE version >= '3'"),
	'3applied 4failed',
	'and the ledger is written all the same');


# ---- the extended protocol

begin_test('extended');
register(1, 'a', q{CREATE TABLE t (i int); VACUUM t; INSERT INTO t VALUES (1)});
register(2, 'b', 'INSERT INTO t VALUES (2); SELECT 1/(count(*) - 2) FROM t');
my $script = $node->basedir . '/deploy.sql';
append_to_file($script, "CALL migrate.deploy();\n");
for my $mode (qw(extended prepared))
{
	my ($out, $err) = run_command(
		[
			'pgbench', '-n', '-t', '1', '-M', $mode, '-f', $script,
			$node->connstr($database)
		]);
	like($err, qr/migration 2_b, line 1: division by zero/, "$mode protocol, with an error");
}
register(2, 'b', 'INSERT INTO t VALUES (2)');
my ($out, $err) = run_command(
	[
		'pgbench', '-n', '-t', '2', '-M', 'prepared', '-f', $script,
		$node->connstr($database)
	]);
is(query('SELECT sum(i) FROM t'), 3, 'prepared CALL, twice');
is(lock_is_held(), 'f', 'the lock is given back');


$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|leak|still referenced/, 'nothing odd in the log');

done_testing();
