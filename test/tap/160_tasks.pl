# What was left for the time after the commit is done then, in the background,
# as the role that asked, once, in order, and whatever happens meanwhile.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('tasks');
$node->init(auth_extra => [ '--create-role' => 'asker' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
max_prepared_transactions = 2
autovacuum = off
restart_after_crash = on
log_statement = 'ddl'
});
$node->start;
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'main', $sql);
}

# A single statement that is expected to fail: its message.
sub error_of
{
	my ($sql, @params) = @_;
	my ($status, $stdout, $stderr) = $node->psql('main', $sql, @params);

	return $status == 0 ? 'no error' : $stderr;
}

sub literal
{
	my ($text) = @_;

	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return "'$text'";
}

sub array
{
	return 'ARRAY[' . join(', ', map { literal($_) } @_) . ']::text[]';
}

sub oid_of
{
	my ($role) = @_;

	return "coalesce((SELECT oid FROM pg_roles WHERE rolname = '$role'), 1)";
}

# A task that waits to be retried; its number.
sub add_task
{
	my (%task) = @_;
	my @steps = @{ $task{steps} };
	my @undos = $task{undos} ? @{ $task{undos} } : map { undef } @steps;

	return query(
		'INSERT INTO migrate.task_log (statement, command, rule, relation, steps, undos,'
		  . ' done, state, deferred, settings, role, session_role, attempts,'
		  . ' role_oid, session_role_oid, origin, created_at)'
		  . ' VALUES ('
		  . join(', ',
			literal($task{statement} // 'the statement'),
			q{'ALTER TABLE', 'a_rule'},
			literal($task{relation}),
			array(@steps),
			array(@undos),
			$task{done} // 0,
			literal($task{state} // 'failed'),
			$task{deferred} // 'true',
			array('search_path', $task{search_path} // 'public', 'TimeZone', 'Asia/Tokyo'),
			literal($task{role} // 'asker'),
			literal($task{session_role} // $task{role} // 'asker'),
			$task{attempts} // 0,
			oid_of($task{role} // 'asker'),
			oid_of($task{session_role} // $task{role} // 'asker'),
			$task{origin} // 'migrate.origin()',
			'now()')
		  . ') RETURNING id', $task{database});
}

sub start_task
{
	my $id = add_task(@_);

	query("SELECT migrate.retry($id)");
	return $id;
}

sub wait_for
{
	my ($id) = @_;

	return $node->psql('main', "CALL migrate.wait($id, '60 s')");
}

sub state_of
{
	my ($id) = @_;

	return query("SELECT state FROM migrate.tasks WHERE id = $id");
}

sub until_state
{
	my ($id, $state) = @_;

	return ok(
		$node->poll_query_until(
			'main', "SELECT state = '$state' FROM migrate.tasks WHERE id = $id"),
		"task $id is $state");
}

# Until a step of a task waits for a lock that a test holds.
sub until_blocked
{
	my ($database) = @_;

	return ok(
		$node->poll_query_until(
			$database // 'main', q{
SELECT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'safe_migrate task' AND wait_event_type = 'Lock')}),
		'the task waits');
}

# A session that holds a lock on a table.
sub holder
{
	my ($table, $database) = @_;
	my $session = $node->background_psql($database // 'main', on_error_stop => 1);

	$session->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	return $session;
}

sub create_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	query(
		q{
CREATE EXTENSION safe_migrate;
GRANT ALL ON SCHEMA public TO PUBLIC;
SET ROLE asker;
CREATE TABLE log (n serial, note text, who text DEFAULT current_user,
	session text DEFAULT session_user, zone text DEFAULT current_setting('TimeZone'));
CREATE TABLE t (id int, v int);
CREATE TABLE missing_row ();
INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g;
GRANT ALL ON log, log_n_seq, t TO PUBLIC;
}, $name);
	return;
}

sub logged
{
	my ($text) = @_;

	return "INSERT INTO log (note) VALUES ('$text')";
}

sub notes
{
	return query(q{SELECT coalesce(string_agg(note, ' ' ORDER BY n), '') FROM log});
}

$node->safe_psql(
	'postgres', q{
CREATE ROLE asker LOGIN;
CREATE ROLE worker NOLOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE group_only NOLOGIN;
GRANT group_only TO asker;
CREATE ROLE colleague LOGIN IN ROLE asker;
CREATE ROLE other_member LOGIN IN ROLE group_only;
CREATE ROLE definer NOLOGIN;
});
create_database('main');

#
# After the commit, as the role that asked, with its settings
#
my $id = start_task(steps => [ logged('one'), logged('two') ]);
is((wait_for($id))[0], 0, 'the task is waited for');
is(query('SELECT note, who, session, zone FROM log ORDER BY n'),
	"one|asker|asker|Asia/Tokyo\ntwo|asker|asker|Asia/Tokyo",
	'its steps ran as the role that asked, under its settings');
is(query("SELECT state, steps_done, steps, attempts, error IS NULL, finished_at IS NOT NULL FROM migrate.tasks WHERE id = $id"),
	'done|2|2|1|t|t', 'and it is done');

query('DELETE FROM log');
$id = start_task(
	steps => [ logged('as group'), 'CREATE INDEX CONCURRENTLY t_v_idx ON t (v)' ],
	role => 'group_only', session_role => 'asker', relation => 'public.t');
wait_for($id);
like(query("SELECT error FROM migrate.tasks WHERE id = $id"),
	qr/must be owner of table t/, 'SET ROLE: the rights are those of the role');
is(query('SELECT note, who, session FROM log'),
	'as group|group_only|' . ($version >= 170000 ? 'group_only' : 'asker'),
	'the session is that of the role itself, wherever that is possible');
like((as('other_member', "SELECT migrate.retry($id)"))[2],
	$version >= 170000 ? qr/^$/ : qr/task $id needs a session of role "asker"/,
	'where it is not, members of the role alone must not have it run again');
wait_for($id);
query("SELECT migrate.cancel($id)");
until_state($id, 'cancelled');

$id = add_task(steps => [ logged('never') ]);
query("BEGIN; SELECT migrate.retry($id); ROLLBACK");
query("BEGIN; SAVEPOINT s; SELECT migrate.retry($id); ROLLBACK TO s; COMMIT");
is(state_of($id), 'failed', 'what is rolled back is not run');
my $other = add_task(steps => [ logged('later') ]);
my $session = $node->background_psql('main', on_error_stop => 1);
$session->query_safe("BEGIN; SAVEPOINT s; SELECT migrate.retry($other); RELEASE s");
usleep(300_000);
is(state_of($other), 'failed', 'nothing happens before the commit');
$session->query_safe('COMMIT');
is((wait_for($other))[0], 0, 'but after it');
$session->quit;
query("SELECT migrate.cancel($id)");
until_state($id, 'cancelled');

#
# Roles that cannot be served
#
$id = start_task(steps => [ logged('nologin') ], role => 'worker');
if ($version >= 170000)
{
	is((wait_for($id))[0], 0, 'a role that cannot log in');
	is(query(q{SELECT who FROM log WHERE note = 'nologin'}), 'worker', 'is served');
}
else
{
	like((wait_for($id))[2], qr/ERROR:  task $id failed: before PostgreSQL 17 a background worker cannot run as "worker"/,
		'a role that cannot log in');
	is(query(q{SELECT count(*) FROM log WHERE note = 'nologin'}), 0, 'is not served');
}
if ($version < 170000)
{
	$id = start_task(steps => [ logged('x') ], role => 'worker', session_role => 'stranger');
	like((wait_for($id))[2], qr/"worker", which is not permitted to log in, and role "stranger" of the session is not permitted to SET ROLE "worker"/,
		'SET ROLE is not permitted');
	$id = start_task(steps => [ logged('x') ], role => 'worker', session_role => 'postgres');
	like((wait_for($id))[2], qr/"worker", which is not permitted to log in, and it must not connect as superuser "postgres" of the session instead/,
		'nobody is served by a superuser');
}
query('CREATE ROLE again LOGIN', 'postgres');
$id = add_task(steps => [ logged('x') ], role => 'again');
query('DROP ROLE again; CREATE ROLE again LOGIN', 'postgres');
query("SELECT migrate.retry($id)");
like((wait_for($id))[2], qr/role "again" does not exist any more/, 'a role of the same name is another one');
is((as('again', "SELECT count(*) FROM migrate.tasks"))[1], 0, 'and sees nothing of it');
$id = start_task(steps => [ logged('x') ], role => 'nobody');
like((wait_for($id))[2], qr/role "nobody" does not exist any more/, 'a role that was dropped');
query('REVOKE CONNECT ON DATABASE main FROM PUBLIC');
$id = start_task(steps => [ logged('x') ], role => 'stranger');
like((wait_for($id))[2], qr/role "stranger" is not permitted to connect to this database/,
	'a role that must not connect');
query('GRANT CONNECT ON DATABASE main TO PUBLIC');

# a database that cannot be connected to for a while
$id = add_task(steps => [ logged('allowed') ]);
my $open = $node->background_psql('main', on_error_stop => 1);
my $log_position = -s $node->logfile;
query('ALTER DATABASE main ALLOW_CONNECTIONS false', 'postgres');
$open->query_safe("SELECT migrate.retry($id)");
ok(defined eval { $node->wait_for_log(qr/FATAL:  database "main" is not currently accepting connections/, $log_position) },
	'a database that allows no connections');
usleep(2_000_000);
query('ALTER DATABASE main ALLOW_CONNECTIONS true', 'postgres');
$open->quit;
is((wait_for($id))[0], 0, 'is tried again');

#
# Failure
#
query('DELETE FROM log');
$id = start_task(
	steps => [ 'CREATE TABLE made (i int)', 'SELECT 1 / count(*) FROM missing_row', logged('after') ],
	undos => [ 'DROP TABLE made', undef, undef ]);
my ($status, undef, $stderr) = $node->psql('main', "\\set VERBOSITY verbose\nCALL migrate.wait($id)");
isnt($status, 0, 'migrate.wait() raises the error of the task');
like($stderr, qr/ERROR:  22012: task $id failed: division by zero/, 'with its code');
like($stderr, qr/SELECT migrate\.retry\($id\); or SELECT migrate\.cancel\($id\);/, 'and what to do');
is(query("SELECT state, steps_done, sqlstate, error, next_attempt_at IS NULL FROM migrate.tasks WHERE id = $id"),
	'failed|1|22012|division by zero|t', 'it stays failed, with the error');
is(notes(), '', 'later steps are not run');
like(query("SELECT string_agg(kind || ': ' || object || ': ' || detail || ': ' || remedy, '') FROM migrate.verify() WHERE object = 'task $id'"),
	qr/^failed task: task $id: 1 of 3 steps done: the statement \(division by zero\): SELECT migrate.retry\($id\); or SELECT migrate.cancel\($id\);$/,
	'migrate.verify() tells of it');

query("INSERT INTO missing_row DEFAULT VALUES; SELECT migrate.retry($id)");
is((wait_for($id))[0], 0, 'once the reason is gone, it can go on');
is(notes(), 'after', 'from where it was');
is(query("SELECT error IS NULL AND sqlstate IS NULL FROM migrate.tasks WHERE id = $id"), 't', 'and its error is forgotten');
like(error_of("SELECT migrate.retry($id)"), qr/task $id is done already/, 'but not again');
like(error_of("SELECT migrate.cancel($id)"), qr/task $id is done already/, 'nor be cancelled');
like(error_of('SELECT migrate.retry(999)'), qr/task 999 does not exist/, 'there is no such task');
query('DROP TABLE made; DELETE FROM missing_row');

$id = start_task(
	steps => [ 'CREATE TABLE made (i int)', 'SELECT 1 / count(*) FROM missing_row' ],
	undos => [ 'DROP TABLE made', undef ]);
wait_for($id);
is(query("SELECT migrate.cancel($id)"), 'undoing', 'a failed task is cancelled');
until_state($id, 'cancelled');
is(query(q{SELECT to_regclass('made') IS NULL}), 't', 'what it did was taken back');
like((wait_for($id))[2], qr/ERROR:  task $id was cancelled/, 'who waits for it, is told');

#
# Code that others own, run in the background, gains nothing by RESET ROLE
#
query(
	q{
GRANT CREATE ON SCHEMA public TO asker;
SET ROLE asker;
CREATE TABLE checked (a int, t text);
INSERT INTO checked SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE FUNCTION harmless(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
});
query(
	q{SET safe_migrate.in_transaction = defer; SET ROLE asker; BEGIN;
ALTER TABLE checked ADD CHECK (harmless(a));
CREATE OR REPLACE FUNCTION harmless(int) RETURNS boolean LANGUAGE plpgsql AS
'BEGIN RESET ROLE; ALTER ROLE asker SUPERUSER; RETURN true; END';
COMMIT});
$id = query('SELECT max(id) FROM migrate.tasks');
is(query("SELECT role, session_role, deferred FROM migrate.tasks WHERE id = $id"),
	'asker|postgres|t', 'a superuser leaves something to the background, as another role');
like((wait_for($id))[2], qr/permission denied|must be superuser/, 'which does not have the rights of the superuser there');
is(query(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'asker'}), 'f', 'nor gets them');
query("SELECT migrate.cancel($id)");
until_state($id, 'cancelled');

# a role that comes from a SECURITY DEFINER function
query(
	q{
SET ROLE definer;
CREATE TABLE theirs (id int, t text);
INSERT INTO theirs SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE FUNCTION define() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'CREATE INDEX theirs_id ON public.theirs (id)';
});
my ($defined, undef, $messages) = $node->psql('main',
	'SET safe_migrate.in_transaction = defer; SET SESSION AUTHORIZATION stranger; SELECT define()');
if ($version >= 170000)
{
	is($defined, 0, 'SECURITY DEFINER: deferred');
	$id = query('SELECT max(id) FROM migrate.tasks');
	is((wait_for($id))[0], 0, 'and run');
	is(query("SELECT role, session_role FROM migrate.tasks WHERE id = $id"), 'definer|stranger', 'as that role');
	is(query(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'theirs_id'::regclass}), 't', 'indeed');
}
else
{
	like($messages, qr/cannot be left for after the commit: before PostgreSQL 17 a background worker cannot run as "definer", which is not permitted to log in, and role "stranger" of the session is not permitted to SET ROLE "definer"/,
		'SECURITY DEFINER: nobody can become that role in the background');
}

#
# Who may
#
$id = add_task(steps => [ logged('colleague') ]);
sub as
{
	my ($role, $sql) = @_;

	return $node->psql('main', "SET SESSION AUTHORIZATION $role;\n$sql");
}
foreach my $call ("SELECT migrate.retry($id)", "SELECT migrate.cancel($id)", "CALL migrate.wait($id)")
{
	like((as('stranger', $call))[2], qr/ERROR:  task $id belongs to role "asker"/, "not everybody may: $call");
}
is((as('stranger', 'SELECT count(*) FROM migrate.tasks'))[1], '1',
	'a stranger sees only tasks of his own');
is((as('stranger', 'SELECT DISTINCT role FROM migrate.tasks'))[1], 'stranger', 'indeed');
isnt((as('stranger', 'SELECT * FROM migrate.task_log'))[0], 0, 'and nothing of the table');
like((as('colleague', "SELECT state FROM migrate.tasks WHERE id = $id"))[1], qr/failed/,
	'a member of the role sees it');
is((as('colleague', "SELECT migrate.retry($id)"))[0], 0, 'and has it run again');
is((as('colleague', "CALL migrate.wait($id)"))[0], 0, 'and waits');

#
# wait()
#
like(error_of("BEGIN; CALL migrate.wait($id); COMMIT"), qr/commits by itself/, 'not in a transaction block');
like(error_of('CALL migrate.wait(NULL)'), qr/must not be null/, 'no task');
like(error_of("CALL migrate.wait($id, '-1 s')"), qr/must not be negative/, 'no time');
like(error_of('CALL migrate.wait(999)'), qr/task 999 does not exist/, 'no such task');

my $holder = holder('t');
$id = start_task(steps => [ 'SELECT count(*) FROM t', logged('locked') ], relation => 'public.t');
until_blocked();
my $start = time;
like(error_of("CALL migrate.wait($id, '500 ms')"),
	qr/ERROR:  canceling migrate.wait\(\) due to timeout: task $id is running, step 1 of 2: SELECT count\(\*\) FROM t; the task goes on/,
	'a timeout');
cmp_ok(time - $start, '<', 30, 'in time');
like((($node->psql('main', "CALL migrate.wait($id, '3 s')"))[2]), qr/NOTICE:  task $id is running, step 1 of 2: SELECT count\(\*\) FROM t/,
	'a NOTICE tells what it is doing');
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'safe_migrate task'
	AND application_name = 'safe_migrate task' AND query LIKE '%count(*) FROM t%' AND usename = 'asker'}),
	1, 'so does pg_stat_activity');
like(error_of("SELECT migrate.retry($id)"), qr/task $id is being run/, 'it is being run');

#
# In order: none overtakes another one on the same table
#
my $second = start_task(steps => [ logged('second') ], relation => 'public.t');
usleep(500_000);
is(state_of($second), 'waiting', 'one task at a time');
$holder->query_safe('COMMIT');
is((wait_for($second))[0], 0, 'the second one follows');
is(state_of($id), 'done', 'after the first one');

# the first one waits for its next attempt
$holder->query_safe('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
$id = start_task(steps => [ 'DO $$ BEGIN LOCK TABLE t NOWAIT; END $$', logged('first') ], relation => 'public.t');
ok($node->poll_query_until('main', "SELECT state = 'failed' AND sqlstate = '55P03' AND next_attempt_at > now() FROM migrate.tasks WHERE id = $id"),
	'a lock is no reason to give up');
$second = start_task(steps => [ logged('overtaking') ], relation => 'public.t');
my $third = start_task(steps => [ logged('elsewhere') ], relation => 'public.log');
is((wait_for($third))[0], 0, 'a task on another table need not wait');
is(state_of($second), 'waiting', 'that on the same one does');
$holder->query_safe('COMMIT');
is((wait_for($second))[0], 0, 'until the first one is through');
is(state_of($id) . query("SELECT attempts > 1 FROM migrate.tasks WHERE id = $id"), 'donet', 'at another attempt');
$holder->quit;

#
# Cancelling
#
$holder = holder('t');
$id = start_task(
	steps => [ 'CREATE TABLE made (i int)', 'SELECT count(*) FROM t' ],
	undos => [ 'DROP TABLE made', undef ], relation => 'public.t');
until_blocked();
$second = start_task(steps => [ logged('x') ], relation => 'public.t');
is(query("SELECT migrate.cancel($second)"), 'cancelled', 'a task that waits is cancelled at once');
is(state_of($second), 'cancelled', 'indeed');
is(query("SELECT migrate.cancel($id)"), 'undoing', 'one that runs is stopped');
until_state($id, 'cancelled');
is(query(q{SELECT to_regclass('made') IS NULL}), 't', 'and taken back');

# by the administrator, with the means of PostgreSQL
$id = start_task(steps => [ logged('again'), 'SELECT count(*) FROM t', logged('and again') ], relation => 'public.t');
until_blocked();
query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'safe_migrate task'});
ok($node->poll_query_until('main', "SELECT state = 'failed' AND sqlstate = '57014' AND next_attempt_at > now() FROM migrate.tasks WHERE id = $id"),
	'a query that is cancelled is tried again');
until_blocked();
query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'safe_migrate task'});
until_state($id, 'interrupted');
like(query("SELECT kind || remedy FROM migrate.verify() WHERE object = 'task $id'"),
	qr/interrupted taskCALL migrate.wait\($id\);/, 'migrate.verify() knows that it goes on');
$holder->query_safe('COMMIT');
query("UPDATE migrate.task_log SET attempts = 1, started_at = now() - interval '1 hour' WHERE id = $id; SELECT migrate.retry($id)");
is((wait_for($id))[0], 0, 'and so is a worker that is terminated');
is(query(q{SELECT string_agg(note, ' ' ORDER BY n) FROM log WHERE note LIKE '%again'}), 'again and again',
	'no step was repeated');

# given up in the end
$id = add_task(steps => [ logged('x') ], state => 'running', attempts => 20);
$second = start_task(steps => [ logged('y') ]);
is((wait_for($second))[0], 0, 'another task');
like(query("SELECT state || error FROM migrate.tasks WHERE id = $id"), qr/failedgiven up/,
	'a task whose process ends again and again is given up');

#
# Prepared transactions
#
$id = add_task(steps => [ logged('prepared') ]);
like(($node->psql('main', "BEGIN; SELECT migrate.retry($id); PREPARE TRANSACTION 'p'"))[2],
	qr/NOTICE:  what a prepared transaction leaves to the background is found by safe_migrate within five minutes after COMMIT PREPARED/,
	'a prepared transaction says when its tasks are found');
query("COMMIT PREPARED 'p'");
is(state_of($id), 'waiting', 'nobody is told of a task that was prepared');
$second = start_task(steps => [ logged('z') ]);
wait_for($second);
is(state_of($id), 'done', 'it is found all the same');

#
# Crash and restart, in the middle of CREATE INDEX CONCURRENTLY
#
sub interrupted_build
{
	my ($index) = @_;
	my $writer = $node->background_psql('main', on_error_stop => 1);
	my $task;

	$writer->query_safe('BEGIN; UPDATE t SET v = v WHERE id = 1');
	$task = start_task(
		steps => [ logged("before $index"), "CREATE INDEX CONCURRENTLY $index ON t (v)", logged("after $index") ],
		undos => [ undef, "DROP INDEX CONCURRENTLY IF EXISTS $index", undef ],
		relation => 'public.t');
	until_blocked();
	is(query(qq{SELECT count(*) FROM migrate.verify() WHERE object = 'public.$index'}),
		0, 'migrate.verify() says nothing of an index that is being built');
	return ($task, $writer);
}

sub check_build
{
	my ($task, $index) = @_;

	query("SELECT migrate.retry($task)") if state_of($task) eq 'interrupted';
	is((wait_for($task))[0], 0, 'it is finished after that');
	is(query(qq{SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.$index'::regclass}), 't', 'the index is valid');
	is(query(qq{SELECT string_agg(note, ' ' ORDER BY n) FROM log WHERE note LIKE '% $index'}),
		"before $index after $index", 'no step was repeated');
	return;
}

my $writer;
query('ALTER TABLE t OWNER TO asker');
($id, $writer) = interrupted_build('killed');
kill 'KILL', query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'safe_migrate task'});
eval { $writer->quit; };
ok(wait_until_up($node, 'main'), 'the server is back');
check_build($id, 'killed');

($id, $writer) = interrupted_build('stopped');
$node->stop('immediate');
eval { $writer->quit; };
$node->start;
is((wait_for($id))[0], 0, 'a task goes on by itself when the server starts');
check_build($id, 'stopped');

($id, $writer) = interrupted_build('shut_down');
$node->stop('fast');
eval { $writer->quit; };
$node->start;
is((wait_for($id))[0], 0, 'as well after a shutdown');
check_build($id, 'shut_down');

#
# No slot for a worker
#
my $position = -s $node->logfile;
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0\nmax_parallel_workers = 0\n");
$node->restart;
query('CREATE DATABASE second', 'postgres');
$holder = holder('t');
$id = start_task(steps => [ 'SELECT count(*) FROM t' ], relation => 'public.t');
until_blocked();
query('CREATE EXTENSION safe_migrate', 'second');
$second = add_task(database => 'second', steps => ['CREATE TABLE made_here (i int)'], role => 'postgres');
query("SELECT migrate.retry($second)", 'second');
ok(defined eval { $node->wait_for_log(qr/could not start a worker for tasks: out of background worker slots/, $position) },
	'no slot: the server log has it');
$holder->query_safe('COMMIT');
$holder->quit;
is((wait_for($id))[0], 0, 'the task that has one is run');
is(($node->psql('second', "CALL migrate.wait($second, '60 s')"))[0], 0, 'and then the other');

#
# A copy of the database
#
$id = add_task(steps => [ logged('copied') ]);
query("UPDATE migrate.task_log SET sqlstate = '55P03', attempts = 1, finished_at = now() + interval '5 min' WHERE id = $id");
query('CREATE DATABASE copy TEMPLATE main', 'postgres');
query("SELECT migrate.cancel($id)");
is(query("SELECT state, next_attempt_at IS NULL FROM migrate.tasks WHERE id = $id", 'copy'),
	'elsewhere|t', 'a task is not to be run in a copy of its database');
foreach my $call ("SELECT migrate.retry($id)", "SELECT migrate.cancel($id)", "CALL migrate.wait($id)")
{
	like(($node->psql('copy', $call))[2], qr/ERROR:  task $id was asked for in another database/, "nor: $call");
}
my $made = add_task(database => 'copy', steps => [ logged('made there') ]);
query("SELECT migrate.retry($made)", 'copy');
is(($node->psql('copy', "CALL migrate.wait($made, '60 s')"))[0], 0, 'others are run there');
query("UPDATE migrate.task_log SET finished_at = now() - interval '1 hour' WHERE id = $id", 'copy');
$made = add_task(database => 'copy', steps => [ logged('made later') ]);
query("SELECT migrate.retry($made)", 'copy');
is(($node->psql('copy', "CALL migrate.wait($made, '60 s')"))[0], 0, 'even when its next attempt would be due');
is(query(q{SELECT string_agg(note, ',' ORDER BY n) FROM log WHERE note IN ('copied', 'made there', 'made later')}, 'copy'),
	'made there,made later', 'it is not run');
query('SELECT migrate.forget_tasks(now())', 'copy');
is(query("SELECT count(*) FROM migrate.tasks WHERE state = 'elsewhere'", 'copy'), 0, 'it can be forgotten');

#
# DROP DATABASE
#
query('CREATE DATABASE doomed', 'postgres');
query('CREATE EXTENSION safe_migrate', 'doomed');
$id = add_task(database => 'doomed', steps => ['SELECT pg_sleep(100)'], role => 'postgres');
query("SELECT migrate.retry($id)", 'doomed');
ok($node->poll_query_until('doomed', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'safe_migrate task' AND query LIKE '%pg_sleep%' AND datname = 'doomed'}),
	'a task runs there');
$start = time;
is(($node->psql('postgres', 'DROP DATABASE doomed'))[0], 0, 'its database can be dropped');
cmp_ok(time - $start, '<', 30, 'without delay');

#
# migrate.verify()
#
query(
	q{
SET ROLE asker;
CREATE TABLE v (a int, b int);
INSERT INTO v VALUES (1, 1), (1, 2);
CREATE TABLE part (a int) PARTITION BY LIST (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE INDEX half ON ONLY part (a);
CREATE DOMAIN d AS int;
ALTER DOMAIN d ADD CONSTRAINT d_check CHECK (VALUE > 0) NOT VALID;
RESET ROLE;
SET safe_migrate.mode = off;
ALTER TABLE v ADD CONSTRAINT v_check CHECK (b > 0) NOT VALID;
});
isnt(($node->psql('main', 'CREATE UNIQUE INDEX CONCURRENTLY broken ON v (a)'))[0], 0, 'an index that cannot be');
my $reader = $node->background_psql('main', on_error_stop => 1);
$reader->query_safe('BEGIN; SELECT * FROM part');
my ($timed_out) = $node->psql('main', q{SET safe_migrate.mode = off; SET statement_timeout = '3s'; ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY});
isnt($timed_out, 0, 'a partition that is not quite detached');
$reader->quit;
is( query(
		q{SELECT kind, object, remedy FROM migrate.verify() WHERE object !~ '^task' ORDER BY 1, 2}),
	q{check constraint NOT VALID|v_check on public.v|ALTER TABLE public.v VALIDATE CONSTRAINT v_check;
domain constraint NOT VALID|d_check on public.d|ALTER DOMAIN public.d VALIDATE CONSTRAINT d_check;
invalid index|public.broken|DROP INDEX CONCURRENTLY public.broken; or REINDEX INDEX CONCURRENTLY public.broken;
invalid index|public.half|make an index like it on each partition, then ALTER INDEX public.half ATTACH PARTITION ...
partition half-detached|public.part_1|ALTER TABLE public.part DETACH PARTITION public.part_1 FINALIZE;},
	'migrate.verify() tells what is left half-done, and how to finish it');
like((as('stranger', 'SELECT count(*) FROM migrate.verify()'))[1], qr/\d/, 'to everybody');
if ($version >= 180000)
{
	query('SET safe_migrate.mode = off; ALTER TABLE v ADD CONSTRAINT v_b NOT NULL b NOT VALID; ALTER TABLE v ADD CONSTRAINT v_no CHECK (a > 5) NOT ENFORCED');
	is(query(q{SELECT kind, object FROM migrate.verify() WHERE object LIKE 'v\_%' ORDER BY 2}),
		"NOT NULL constraint NOT VALID|v_b on public.v\ncheck constraint NOT VALID|v_check on public.v",
		'NOT NULL, but not what is NOT ENFORCED');
}

#
# The record can be shortened
#
cmp_ok(query('SELECT migrate.forget_tasks(now())'), '>', 5, 'finished tasks are forgotten');
is(query(q{SELECT count(*) FROM migrate.tasks WHERE state IN ('done', 'cancelled')}), 0, 'all of them');
cmp_ok(query('SELECT count(*) FROM migrate.tasks'), '>', 0, 'and no others');

$node->stop;
unlike(slurp_file($node->logfile), qr/safe_migrate mismatch|TRAP|segfault/, 'nothing unexpected in the server log');

done_testing();
