# What a deploy that fails keeps, and how it goes on: one case for each line of
# the table in docs/deploy.md that 200_deploy_resume.pl does not cover.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('failures');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
safe_migrate.lock_deadline = 500ms
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
	my (@settings) = @_;
	my $err;

	$node->psql('postgres',
		join('', map { "SET $_;\n" } @settings) . 'CALL migrate.deploy()',
		stderr => \$err);
	return $err;
}

sub state_of
{
	my ($version) = @_;

	return query(
		"SELECT state, statements FROM migrate.status WHERE version = '$version'");
}

query('CREATE TABLE runs (what text)');
query('CREATE TABLE big (a int); INSERT INTO big VALUES (1), (-1)');


# ---- what is left to the background: the next migration waits for it

register(1, q{BEGIN;
ALTER TABLE big ADD CONSTRAINT not_minus_two CHECK (a <> -2);
SAVEPOINT s;
ALTER TABLE big ADD CONSTRAINT gone CHECK (a <> -3);
ROLLBACK TO s;
COMMIT});
register(2, q{INSERT INTO runs SELECT 'validated ' || convalidated FROM pg_constraint WHERE conname = 'not_minus_two'});
is(deploy('safe_migrate.in_transaction = defer', 'client_min_messages = warning'),
	'', 'a deploy with a deferred task');
is(query('SELECT what FROM runs'),
	'validated true', 'the next migration finds it done');
is(state_of(1), 'applied|6', 'the migration is applied then');


# ---- it fails: its transaction stays, the migration is not applied

register(3, q{BEGIN;
ALTER TABLE big ADD CONSTRAINT positive CHECK (a > 0);
COMMIT});
register(4, q{INSERT INTO runs VALUES ('behind it')});
like(
	deploy('safe_migrate.in_transaction = defer'),
	qr/ERROR:  migration 3_m is committed, but not all of it is done: task (\d+) failed: check constraint "positive" of relation "big" is violated by some row; mend the cause, SELECT migrate.retry\(\1\), then deploy again, or have it taken back with SELECT migrate.cancel\(\1\)/,
	'a deferred task that fails fails its migration');
is(state_of(3), 'failed|3', 'which is not applied');
is(state_of(4), 'pending|0', 'and the next one does not run');
is(query("SELECT convalidated FROM pg_constraint WHERE conname = 'positive'"),
	'f', 'what its transaction has done stays');
like(deploy(), qr/ERROR:  migration 3_m is committed, but not all of it is done/,
	'the next deploy does not pass by it either');
$node->psql('postgres', 'SELECT migrate.apply()', stderr => \my $apply_error);
like(
	$apply_error,
	qr/ERROR:  migration 3_m waits for task \d+, which is failed: CALL migrate.deploy\(\) waits for it and goes on/,
	'nor does migrate.apply()');
query('UPDATE big SET a = 1');
query("SELECT migrate.retry(id) FROM migrate.tasks WHERE state = 'failed'");
unlike(deploy(), qr/ERROR/, 'mended and retried, it goes on');
is(state_of(3), 'applied|3', 'the migration is applied');
is(query("SELECT count(*) FROM runs WHERE what = 'behind it'"),
	'1', 'and the next one has run');
is(query("SELECT convalidated FROM pg_constraint WHERE conname = 'positive'"),
	't', 'the constraint is valid');


# ---- an error right behind the commit that completes a statement

SKIP:
{
	skip 'the library was built without FAULT_POINTS=1', 7
	  if $node->psql('postgres', "SET safe_migrate.fault_point = ''") != 0;

	my $half_locked = $node->background_psql('postgres', on_error_stop => 0);
	$half_locked->query(q{SET safe_migrate.fault_point = 'ledger_lock_second:error'; CALL migrate.deploy()});
	unlike(deploy("lock_timeout = '1s'"), qr/ERROR/,
		'of a lock that could not be taken nothing stays with the session');
	$half_locked->quit;

	register('4.1', q{INSERT INTO runs VALUES ('before the check');
ALTER TABLE big ADD CHECK (a < 100);
INSERT INTO runs VALUES ('behind the check')});
	like(deploy("safe_migrate.fault_point = 'step_2_committed:error'"),
		qr/ERROR: .*statements 1 to 2 of 3 stay committed/,
		'the statement is known to be done');
	is(state_of('4.1'), 'failed|2', 'in the ledger, too');
	unlike(deploy(), qr/ERROR/, 'the deploy goes on behind it');
	is(query(q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'big_a_check%'}),
		1, 'and does not run it again');

	register('4.2', q{SET search_path = pg_catalog; ALTER TABLE public.big ADD CHECK (a < 200)});
	deploy("safe_migrate.fault_point = 'step_2_committed:error'");
	is(state_of('4.2'), 'applied|2', 'what is applied is not taken for failed');
	is(query(q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'big_a_check%'}),
		2, 'though an error was raised');
}


# ---- a lock that is not free in time, in a divided migration

register(5, q{INSERT INTO runs VALUES ('lock');
CREATE INDEX big_a ON big (a);
ALTER TABLE big ADD COLUMN b int;
INSERT INTO runs VALUES ('lock')});
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT count(*) FROM runs; LOCK TABLE runs IN ACCESS SHARE MODE');
unlike(deploy(), qr/ERROR/, 'others who read are in nobody\'s way');
$holder->query_safe('COMMIT');
query('CREATE TABLE held (a int); INSERT INTO held VALUES (1)');
register(6, q{INSERT INTO runs VALUES ('held');
CREATE INDEX big_a2 ON big (a);
ALTER TABLE held ADD COLUMN b int;
INSERT INTO runs VALUES ('held')});
$holder->query_safe('BEGIN; LOCK TABLE held IN ACCESS SHARE MODE');
like(
	deploy(),
	qr/ERROR:  migration 6_m, line 3: .*held.*; statements 1 to 2 of 4 stay committed, and CALL migrate.deploy\(\) goes on behind them/,
	'the lock deadline');
$holder->query_safe('COMMIT');
$holder->quit;
is(state_of(6), 'failed|2', 'what was committed before stays');
unlike(deploy(), qr/ERROR/, 'and the next deploy goes on');
is(query("SELECT count(*) FROM runs WHERE what = 'held'"),
	'2', 'nothing has run twice');


# ---- the client goes away

register(7, q{INSERT INTO runs VALUES ('client');
CREATE INDEX big_a3 ON big (a);
SELECT pg_sleep(CASE WHEN to_regclass('client_is_gone') IS NULL THEN 120 ELSE 0 END);
INSERT INTO runs VALUES ('client')});
my $client = IPC::Run::start(
	[
		$node->installed_command('psql'), '-XAtq',
		'-d', $node->connstr('postgres'),
		'-c', "SET client_connection_check_interval = '100ms'",
		'-c', 'CALL migrate.deploy()'
	],
	'<', \undef, '>', \my $client_out, '2>', \my $client_err);
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM migrate.deploy_progress WHERE version = '7' AND statement = 3"
) or die 'it does not begin';
$client->signal('KILL');
$client->finish;
$node->poll_query_until('postgres',
	'SELECT count(*) = 0 FROM migrate.deploy_progress')
  or die 'it does not end';
query('CREATE TABLE client_is_gone ()');
like(state_of(7), qr/\|2$/, 'a client that goes away: what is committed stays');
unlike(deploy(), qr/ERROR/, 'the next deploy goes on');
is(query("SELECT count(*) FROM runs WHERE what = 'client'"),
	'2', 'nothing has run twice');


# ---- a file changed behind what has run

register(8, q{INSERT INTO runs VALUES ('file');
CREATE INDEX big_a4 ON big (a);
SELECT 1/0});
like(
	deploy(),
	qr/ERROR:  migration 8_m, line 3: division by zero; statements 1 to 2 of 3 stay committed/,
	'an error in a divided migration');
register(8, q{INSERT INTO runs VALUES ('file, changed');
CREATE INDEX big_a4 ON big (a);
SELECT 1});
like(
	deploy(),
	qr/ERROR:  migration 8_m was changed in the part that has run already \(2 statements\)/,
	'what has run may not be changed');
register(8, q{INSERT INTO runs VALUES ('file');
CREATE INDEX big_a4 ON big (a);
SELECT 1});
unlike(deploy(), qr/ERROR/, 'what has not run may');
is(query("SELECT count(*) FROM runs WHERE what LIKE 'file%'"),
	'1', 'nothing has run twice');


# ---- one transaction: nothing is kept

register(9, q{INSERT INTO runs VALUES ('whole'); SELECT 1/0});
my $error = deploy();
like($error, qr/ERROR:  migration 9_m, line 1: division by zero$/m,
	'an error in a migration of one transaction');
is(state_of(9), 'failed|0', 'nothing of it is committed');
is(query("SELECT count(*) FROM runs WHERE what = 'whole'"), '0', 'nothing is kept');

$node->stop;
done_testing();
