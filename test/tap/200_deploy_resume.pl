# A deploy that is cut off in the middle of a migration of many transactions:
# its session killed with kill -9 before and behind each of its commits, the
# whole server killed, the session terminated, cancelled, timed out.  Whatever
# was reached, the next deploy ends as an undisturbed one does, and runs
# nothing twice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(usleep);

# Statements 3, 5 and 7 are done the safe way, in 1, 2 and 4 steps (fewer from
# 18 on), and divide the migration; 9 and 10 cannot run in a transaction.
my $migration = q{
ALTER TABLE t ADD COLUMN e int DEFAULT 1;
INSERT INTO runs VALUES ('one');
CREATE INDEX t_c ON t (c);
INSERT INTO runs VALUES ('two');
ALTER TABLE t ADD CONSTRAINT t_positive CHECK (c > 0);
INSERT INTO runs VALUES ('three');
ALTER TABLE t ALTER d SET NOT NULL;
INSERT INTO runs VALUES ('four');
CREATE INDEX CONCURRENTLY t_d ON t (d);
VACUUM t;
INSERT INTO runs VALUES ('five')};
my $statements = 11;

# What the end is compared by: names, not numbers.
my $fingerprint = q{
SELECT 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
FROM pg_attribute a WHERE a.attrelid = 'k.t'::regclass AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index', pg_get_indexdef(indexrelid), indisvalid::text, NULL
FROM pg_index WHERE indrelid = 'k.t'::regclass
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid), convalidated::text
FROM pg_constraint WHERE conrelid = 'k.t'::regclass AND contype <> 'n'
UNION ALL
SELECT 'run', word, count(*)::text, NULL FROM k.runs GROUP BY word
UNION ALL
SELECT 'status', version, state, statements::text FROM migrate.status
UNION ALL
SELECT 'later', count(*)::text, NULL, NULL FROM k.later
ORDER BY 1, 2, 3};

my $node = PostgreSQL::Test::Cluster->new('resume');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
safe_migrate.small_table = 0
restart_after_crash = on
autovacuum = off
search_path = k
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safe_migrate');
if ($node->psql('postgres', "SET safe_migrate.fault_point = ''") != 0)
{
	plan skip_all => 'needs a build with make FAULT_POINTS=1';
}

sub set_up
{
	$node->safe_psql('postgres', qq{
		SET safe_migrate.mode = off;
		SET client_min_messages = error;
		DROP SCHEMA IF EXISTS k CASCADE;
		CREATE SCHEMA k;
		CREATE TABLE t (c int, d int);
		INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;
		CREATE TABLE runs (word text);
		CREATE TABLE later (a int);
		DELETE FROM migrate.attempts;
		DELETE FROM migrate.migrations;
		SELECT migrate.register('1', 'divided', \$body\$$migration\$body\$);
		SELECT migrate.register('2', 'later', 'INSERT INTO later VALUES (1)')});
	return;
}

# A session that deploys with a fault point set.
sub start_session
{
	my ($fault, @settings) = @_;
	my %session = (out => '', err => '');

	$session{handle} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq',
			'-d', $node->connstr('postgres') . ' application_name=deployer',
			'-v', 'ON_ERROR_STOP=1',
			'-c', "SET safe_migrate.fault_point = '$fault'",
			(map { ('-c', "SET $_") } @settings),
			'-c', 'CALL migrate.deploy()'
		],
		'<', \undef, '>', \$session{out}, '2>', \$session{err});
	return \%session;
}

# The session is killed at that place; false if it never got there.
sub kill_session
{
	my ($place) = @_;
	my $position = -s $node->logfile;
	my $session = start_session("$place:kill");

	# psql ends with 2 when the connection is lost
	$session->{handle}->finish;
	return 0 if $session->{handle}->result(0) != 2;
	$node->wait_for_log(
		qr/database system is ready to accept connections/, $position);
	wait_until_up($node);
	return 1;
}

# A session that waits at that place.
sub session_at
{
	my ($place, @settings) = @_;
	my $position = -s $node->logfile;
	my $session = start_session("$place:wait", @settings);

	$node->wait_for_log(qr/waiting at fault point "\Q$place\E"/, $position);
	return $session;
}

sub kill_server
{
	my ($place) = @_;
	my $session = session_at($place);

	$node->kill9;
	$session->{handle}->finish;
	for (1 .. 100)
	{
		last if $node->start(fail_ok => 1);

		# processes of the old server may still be attached to its memory
		usleep(100_000);
		$node->stop('fast', fail_ok => 1);
	}
	wait_until_up($node);
	return;
}

my $expected;

sub is_finished
{
	my ($name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', 'CALL migrate.deploy()');

	is($status, 0, "$name: the next deploy succeeds") or diag($err);
	is($node->safe_psql('postgres', $fingerprint),
		$expected, "$name: the end is that of an undisturbed deploy");
	is( $node->safe_psql(
			'postgres', q{
SELECT (SELECT count(*) FROM migrate.tasks WHERE state NOT IN ('done', 'cancelled')),
	(SELECT count(*) FROM migrate.history WHERE state = 'running'),
	(SELECT count(*) FROM migrate.deploy_progress)}),
		'0|0|0',
		"$name: nothing is left unfinished");
	return;
}


# ---- undisturbed

set_up();
is($node->psql('postgres', 'CALL migrate.deploy()'), 0, 'undisturbed');
$expected = $node->safe_psql('postgres', $fingerprint);
like($expected, qr/^status\|1\|applied\|$statements$/m, 'all statements count');
like($expected, qr/^index\|.* t_c .*\|true\|$/m, 'the index is valid');
like($expected, qr/^constraint\|t_positive\|.*\|true$/m,
	'the constraint is valid');
like($expected, qr/^later\|1\|\|$/m, 'the next migration has run');
is( $node->safe_psql('postgres',
		'SELECT transactional, count(*) FROM migrate.history GROUP BY 1 ORDER BY 1'
	),
	"f|1\nt|1",
	'the first was divided, the second is one transaction');


# ---- kill -9 of the session, at each of its commits

my @places = (
	(map { ("progress_${_}_before", "progress_${_}_committed") } 0 .. $statements),
	'task_claimed',
	map { ("step_${_}_before", "step_${_}_behind", "step_${_}_committed") } 1 .. 4);
my @reached;

foreach my $place (@places)
{
	set_up();
	next if !kill_session($place);
	push @reached, $place;
	is_finished("killed at $place");
}
is( join(' ', grep { /progress/ } @reached),
	join(' ',
		'progress_1_before', 'progress_1_committed',
		'progress_2_before', 'progress_2_committed',
		'progress_3_before',
		'progress_4_before', 'progress_4_committed',
		'progress_5_before',
		'progress_6_before', 'progress_6_committed',
		'progress_7_before',
		'progress_8_before', 'progress_8_committed',
		'progress_9_before', 'progress_9_committed',
		'progress_10_before', 'progress_10_committed',
		'progress_11_before', 'progress_11_committed'),
	'killed before and behind each commit of the progress, and of the next migration');


# ---- kill -9 of the server

foreach my $place ('progress_2_committed', 'step_1_behind', 'progress_5_before',
	'step_2_committed', 'progress_9_before')
{
	set_up();
	kill_server($place);
	is_finished("server killed at $place");
}


# ---- the session is terminated, cancelled, or runs out of time

my $pid_query =
  "SELECT pid FROM pg_stat_activity WHERE application_name = 'deployer'";

foreach my $place ('progress_2_before', 'progress_2_committed', 'step_1_behind',
	'step_2_before', 'progress_5_before', 'progress_9_before')
{
	my $session;

	set_up();
	$session = session_at($place);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM ($pid_query) s");
	$session->{handle}->finish;
	like($session->{err}, qr/ERROR:  migration 1_divided, .*canceling statement/,
		"cancelled at $place");
	is( $node->safe_psql('postgres',
			"SELECT state FROM migrate.status WHERE version = '1'"),
		'failed',
		"cancelled at $place: the ledger says that it failed");
	is_finished("cancelled at $place");

	set_up();
	$session = session_at($place);
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid, 10000) FROM ($pid_query) s");
	$session->{handle}->finish;
	is_finished("terminated at $place");
}

set_up();
my $timed = session_at('step_2_before', "statement_timeout = '3s'");
$timed->{handle}->finish;
like(
	$timed->{err},
	qr/ERROR:  migration 1_divided, line 6: .*statement timeout; statements 1 to 4 of 11 stay committed, and CALL migrate.deploy\(\) goes on behind them/,
	'timed out');
is_finished('timed out');


# ---- seen from another session

set_up();
my $watched = session_at('step_2_before');
is( $node->safe_psql(
		'postgres', q{
SELECT application, role = current_user, target_schema, migration_number, migrations,
	version, name, statement, statements, command, waiting_for,
	started_at <= statement_started_at AND statement_started_at <= now(),
	pid = (SELECT pid FROM pg_stat_activity WHERE application_name = 'deployer')
FROM migrate.deploy_progress}),
	'deployer|t||1|2|1|divided|5|11|ALTER TABLE||t|t',
	'migrate.deploy_progress');
is( $node->safe_psql('postgres',
		'SELECT version, state, statements FROM migrate.status'),
	"1|running|4\n2|pending|0",
	'migrate.status tells what is committed');

# another deploy waits and is told who is at it; apply does not wait
my ($status, $out, $err) = $node->psql('postgres',
	"SET lock_timeout = '4s'; CALL migrate.deploy()");
like(
	$err,
	qr/NOTICE:  waiting for the deploy or apply that runs in this database: process \d+, role \w+, application 'deployer'/,
	'the second one is told who is first');
like(
	$err,
	qr/ERROR:  canceling deploy due to lock timeout: .*application 'deployer'/,
	'and again when it gives up');
($status, $out, $err) = $node->psql('postgres', 'SELECT migrate.apply()');
like(
	$err,
	qr/ERROR:  another deploy or apply runs in this database \(process \d+, role \w+, application 'deployer'\)/,
	'apply is told, too');
my $second = start_session('none');
ok( $node->poll_query_until(
		'postgres', q{
SELECT count(*) = 1 FROM migrate.deploy_progress
WHERE migration_number = 0 AND waiting_for LIKE 'the deploy or apply of process %deployer%'}),
	'what the second one waits for is seen');
$node->safe_psql('postgres',
	"SELECT pg_cancel_backend(pid) FROM migrate.deploy_progress WHERE version = '1'");
$watched->{handle}->finish;
$second->{handle}->finish;
is($second->{handle}->result(0), 0, 'the second one goes on');
is($node->safe_psql('postgres', $fingerprint),
	$expected, 'where the first one was cancelled');


# ---- behind a lock of somebody else, and behind an open apply

set_up();
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT count(*) FROM t');
my $waiter = start_session('none');
ok( $node->poll_query_until(
		'postgres', q{
SELECT count(*) = 1 FROM migrate.deploy_progress
WHERE statement = 1 AND waiting_for LIKE 'AccessExclusiveLock on k.t, held by %'}),
	'what a statement waits for is seen');
$holder->query_safe('COMMIT');
$waiter->{handle}->finish;
is($node->safe_psql('postgres', $fingerprint), $expected, 'it goes on then');

set_up();
$node->safe_psql('postgres', "SELECT migrate.register('0', 'first', 'INSERT INTO runs VALUES (''first'')')");
$holder->query_safe("SET client_min_messages = warning; BEGIN; SELECT migrate.apply('0')");
$waiter = start_session('none');
ok( $node->poll_query_until(
		'postgres', q{
SELECT count(*) = 1 FROM migrate.deploy_progress
WHERE waiting_for LIKE 'the deploy or apply of process %'}),
	'a deploy waits for an apply');
$holder->query_safe('COMMIT');
$waiter->{handle}->finish;
is($waiter->{handle}->result(0), 0, 'and goes on behind it');
is( $node->safe_psql('postgres',
		"SELECT string_agg(version || ' ' || state, ', ' ORDER BY id) FROM migrate.history"
	),
	'0 applied, 1 applied, 2 applied',
	'nothing has run twice');
$holder->quit;

$node->stop;
done_testing();
