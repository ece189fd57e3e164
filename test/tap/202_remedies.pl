# What is said to do about a migration that did not go through, by the error, by
# migrate.status and by migrate.verify(), and that doing so is enough.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('remedies');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
safe_migrate.lock_deadline = 500ms
max_worker_processes = 16
autovacuum = off
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub register
{
	my ($version, $sql) = @_;

	return query("SELECT migrate.register('$version', 'm', \$body\$$sql\$body\$)");
}

# Returns what went to stderr.
sub deploy
{
	my ($settings) = @_;
	my $err;

	$node->psql('postgres', ($settings // '') . 'CALL migrate.deploy()',
		stderr => \$err);
	return $err;
}

# Begin a deploy, and wait until a query about it says so.
sub deploy_until
{
	my ($condition, $settings) = @_;
	my %session;

	$session{handle} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq',
			'-d', $node->connstr('postgres'),
			($settings ? ('-c', $settings) : ()),
			'-c', 'CALL migrate.deploy()'
		],
		'<', \undef, '>', \$session{out}, '2>', \$session{err});
	$node->poll_query_until('postgres', "SELECT $condition")
	  or die "it does not come to pass: $condition";
	return \%session;
}

sub cancel_deploy
{
	my ($session) = @_;

	query(q{SELECT pg_cancel_backend(pid) FROM migrate.deploy_progress});
	$session->{handle}->finish;
	return $session->{err};
}

sub next_step
{
	my ($version) = @_;

	return query(
		"SELECT state || ': ' || next_step FROM migrate.status WHERE version = '$version'");
}

sub remedies
{
	return query('SELECT remedy FROM migrate.verify()');
}

sub is_well
{
	my ($name) = @_;

	unlike(deploy(), qr/ERROR/, "$name: what it says is enough");
	is(query(q{SELECT count(*) FROM migrate.status WHERE state NOT IN ('applied', 'baseline')}),
		0, "$name: everything is applied");
	is(remedies(), '', "$name: nothing is left to be done");
	return;
}

query(q{CREATE TABLE big (a int, b int); INSERT INTO big SELECT g, g FROM generate_series(-1, 5) g});


# ---- an error in one transaction, and in a divided migration

register(1, 'SELECT 1; SELECT 1/0');
like(deploy(), qr/ERROR:  migration 1_m, line 1: division by zero$/m, 'an error');
is(next_step(1), 'failed: mend its file or the data and load it again, then CALL migrate.deploy();',
	'in one transaction: nothing is left of it');
register(1, 'SELECT 1');
is_well('an error in one transaction');

register(2, "CREATE INDEX big_a ON big (a);\nSELECT 1/0");
like(deploy(), qr/statement 1 of 2 stays committed, and CALL migrate.deploy\(\) goes on behind it/,
	'an error in a divided one');
like(next_step(2),
	qr/^failed: mend the data, or what has not run yet of the file and load it again, then CALL migrate.deploy\(\); goes on there; only if you have taken back what has run, SELECT migrate.repair\('2'\);/,
	'the rest of it is to be mended');
register(2, "CREATE INDEX big_a ON big (a);\nSELECT 1");
is_well('an error in a divided one');


# ---- cancelled in a statement that is done the safe way

sub deploy_blocked_index
{
	my ($version) = @_;
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('BEGIN; UPDATE big SET b = b');
	register($version, "SELECT 1;\nCREATE INDEX \"big_$version\" ON big (b);\nSELECT 2");
	my $session = deploy_until(
		"EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%')");
	return ($holder, $session);
}

my ($holder, $session) = deploy_blocked_index(3);
like(
	cancel_deploy($session),
	qr/canceling statement due to user request; statement 1 of 3 stays committed, and CALL migrate.deploy\(\) goes on behind it/,
	'a migration that is cancelled');
is(next_step(3), 'failed: CALL migrate.deploy(); goes on where it stopped', 'just goes on');
my $task = query(q{SELECT id FROM migrate.tasks WHERE state = 'failed'});
is( remedies(),
	join("\n", 'CALL migrate.deploy(); goes on where it stopped',
		("CALL migrate.deploy(); or SELECT migrate.cancel($task);") x 2),
	'also by migrate.verify(), the index and the task included');
$node->psql('postgres', "SELECT migrate.retry($task)", stderr => \my $refusal);
like(
	$refusal,
	qr/ERROR:  task $task is a statement of a migration: CALL migrate.deploy\(\) goes on with it, or SELECT migrate.cancel\($task\) takes it back/,
	'the ledger would know nothing of a task that is retried by itself');
$holder->query_safe('COMMIT');
$holder->quit;
is_well('cancelled');
is(query(q{SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND NOT indisvalid}),
	0, 'no index is left invalid');

# taken back instead
($holder, $session) = deploy_blocked_index(4);
cancel_deploy($session);
$holder->query_safe('COMMIT');
$holder->quit;
query("SELECT migrate.cancel(max(id)) FROM migrate.tasks");
$node->poll_query_until('postgres',
	q{SELECT NOT EXISTS (SELECT FROM migrate.tasks WHERE state NOT IN ('done', 'cancelled'))});
is(remedies(), 'CALL migrate.deploy(); goes on where it stopped', 'with the statement taken back');
is_well('cancelled and taken back');

# or given up, which leaves the statement alone
($holder, $session) = deploy_blocked_index('4.5');
cancel_deploy($session);
$holder->query_safe('COMMIT');
$holder->quit;
$task = query(q{SELECT max(id) FROM migrate.tasks});
query(q{SELECT migrate.baseline('4.5')});
is( remedies(),
	join("\n", ("SELECT migrate.retry($task); or SELECT migrate.cancel($task);") x 2),
	'marked as applied: what is left is retried by itself');
query("SELECT migrate.retry($task)");
$node->poll_query_until('postgres', "SELECT state = 'done' FROM migrate.tasks WHERE id = $task");
is_well('marked as applied');


# ---- the server is killed

($holder, $session) = deploy_blocked_index(5);
$node->stop('immediate');
$session->{handle}->finish;
$holder->{run}->kill_kill;
$node->start;
is(next_step(5), 'failed: CALL migrate.deploy(); goes on where it stopped', 'killed: it just goes on');
is(query(q{SELECT kind FROM migrate.verify() WHERE object = '5_m'}),
	'interrupted migration', 'and is known as interrupted');
unlike(remedies(), qr/repair|retry/, 'there is nothing to repair or to retry');
is_well('killed');


# ---- a lock that is not free in time

$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE big IN ACCESS SHARE MODE');
register(6, 'ALTER TABLE big ADD COLUMN c int');
like(deploy(), qr/lock_deadline/, 'a lock that is held');
is(next_step(6), 'failed: CALL migrate.deploy(); runs it again', 'is waited for again');
$holder->query_safe('COMMIT');
$holder->quit;
is_well('a lock that was held');


# ---- what is left to the background

my $defer = 'SET safe_migrate.in_transaction = defer; ';

register(7, 'BEGIN; ALTER TABLE big ADD CONSTRAINT positive CHECK (a > 0); COMMIT');
like(
	deploy($defer),
	qr/ERROR:  migration 7_m is committed, but not all of it is done: task (\d+) failed: .*; mend the cause, SELECT migrate.retry\(\1\), then deploy again/,
	'a task that fails');
$task = query(q{SELECT max(id) FROM migrate.tasks});
is( next_step(7),
	"failed: mend the cause, then SELECT migrate.retry($task); and CALL migrate.deploy(); or SELECT migrate.cancel($task); takes back what task $task was to do",
	'is named, and retried');
unlike(remedies(), qr/repair/, 'nothing is said of repairing');
query('UPDATE big SET a = 1 WHERE a < 1');
query("SELECT migrate.retry($task)");
is_well('a task that is retried');

register(8, 'BEGIN; ALTER TABLE big ADD CONSTRAINT large CHECK (a > 10); COMMIT');
deploy($defer);
$task = query(q{SELECT max(id) FROM migrate.tasks});
query("SELECT migrate.cancel($task)");
$node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM migrate.tasks WHERE id = $task");
like(
	deploy(),
	qr/ERROR:  migration 8_m is committed, but not all of it is done: task $task was cancelled: .*; do by hand what is missing \(SELECT statement FROM migrate.tasks WHERE id = $task\), then SELECT migrate.baseline\('8'\)$/m,
	'a task that was cancelled');
is( next_step(8),
	"failed: do by hand what task $task was to do (SELECT statement FROM migrate.tasks WHERE id = $task;), then SELECT migrate.baseline('8');",
	'cannot be retried');
query('UPDATE big SET a = 11');
$node->safe_psql('postgres', query("SELECT statement FROM migrate.tasks WHERE id = $task"));
query(q{SELECT migrate.baseline('8')});
is_well('a task that was cancelled');

query(q{CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS 'BEGIN PERFORM pg_sleep(0.5); RETURN true; END'});
register(9, 'BEGIN; ALTER TABLE big ADD CONSTRAINT slow CHECK (slow(b)); COMMIT');
$session = deploy_until(
	q{EXISTS (SELECT FROM migrate.deploy_progress WHERE waiting_for LIKE 'task%')}, $defer);
like(
	cancel_deploy($session),
	qr/ERROR:  migration 9_m is committed, but not all of it is done: canceling statement due to user request; the rest goes on in the background, and CALL migrate.deploy\(\) waits for it again$/m,
	'a wait that is cancelled');
like(next_step(9), qr/^failed: CALL migrate.deploy\(\); waits for task \d+, which goes on by itself$/,
	'can be gone on with');
is_well('a wait that is cancelled');


# ---- a history for schemas is not built in public

query('CREATE DATABASE tenants');
my $tenants = sub {
	my ($sql) = @_;

	$node->psql('tenants', $sql, stdout => \my $out, stderr => \my $err);
	return "$out$err";
};
$tenants->(q{CREATE EXTENSION safe_migrate; CREATE SCHEMA a; CREATE SCHEMA b;
SELECT migrate.register('1', 'one', 'CREATE TABLE one (i int)')});
unlike($tenants->(q{CALL migrate.deploy_all(schemas := '{a}')}), qr/ERROR/, 'a history for a schema');
$tenants->(q{SELECT migrate.register('2', 'two', 'CREATE INDEX one_i ON one (i); SELECT 1/0'); INSERT INTO a.one VALUES (1)});
my $refused =
  qr/ERROR:  the migrations of this database are for schema a, not for the database as a whole: CALL migrate.deploy_all\(schemas := '\{...\}'\) deploys them\n.*HINT:  From a client: pg_safe_migrate up --all-schemas/s;
like($tenants->('CALL migrate.deploy()'), $refused, 'deploy is refused');
like($tenants->('SELECT migrate.apply()'), $refused, 'so is apply');
like($tenants->(q{SELECT migrate.apply('1', 'CREATE TABLE one (i int)')}), $refused, 'of one, too');
like($tenants->('SELECT * FROM migrate.plan()'), $refused, 'and plan');
like($tenants->('CALL migrate.deploy_all(schemas := \'{a}\')'),
	qr/statement 1 of 2 stays committed, and CALL migrate.deploy_all\(schemas := ARRAY\['a'\]\) goes on behind it/,
	'a schema is gone on with in its own way');
$tenants->(q{CALL migrate.deploy_all(schemas := '{b}')});
like($tenants->('CALL migrate.deploy()'),
	qr/are for schemas \(a and 1 more\), not/, 'several schemas');
like($tenants->(q{SELECT migrate.baseline('1')}), qr/are for schemas \(a and 1 more\), not/,
	'nor is one marked as applied to the database by mistake');
like($tenants->(q{CALL migrate.deploy_all(schemas := '{public}', target := '1')}),
	qr/1 target: 1 deployed \(1 migration\)/, 'public is one more schema');

$node->stop;
done_testing();
