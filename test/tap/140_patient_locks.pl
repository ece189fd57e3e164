# Who waits for a lock does not make others wait; it is seen by others, tells
# whom it waits for, and stops when it is told to.

use strict;
use warnings;

use File::Basename;
use lib dirname(__FILE__);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('patient');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.observation = off
max_prepared_transactions = 2
autovacuum = off
fsync = off
restart_after_crash = on
deadlock_timeout = 10min
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g;
CREATE TABLE u (id int);
CREATE TABLE child (id int, t int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (1) TO (100);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE ROLE other;
GRANT CREATE ON SCHEMA public TO other;
CREATE TABLE of_other (id int);
ALTER TABLE of_other OWNER TO other;
});

sub session
{
	my $session = WireSession->new($node, 'postgres');

	foreach my $sql (@_)
	{
		my @answers = $session->query($sql);
		die "$sql: @answers: " . $session->error('M')
		  if grep { /^error/ } @answers;
	}
	return $session;
}

# Send a statement whose answer will take a while.
sub start
{
	my ($session, $sql) = @_;

	$session->send(WireSession::message('Q', "$sql\0"));
	return $session;
}

sub scalar_of
{
	return $node->safe_psql('postgres', $_[0]);
}

sub wait_until_polls
{
	my ($session) = @_;
	my $pid = $session->pid;

	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM migrate.lock_waits WHERE pid = $pid");
}

sub nobody_polls
{
	return is(scalar_of('SELECT count(*) FROM migrate.lock_waits'),
		0, 'nobody waits any more');
}

# Older than safe_migrate.lock_queue_time: nobody queues behind its transaction.
sub get_older
{
	usleep(50_000);
	return;
}

# ---- others do not wait behind it

my $holder = session();
my $ddl = session();
my $reader = session();
my $writer = session();

$holder->query('BEGIN; SELECT count(*) FROM t');
get_older();
start($ddl, 'ALTER TABLE t ADD c int');
ok(wait_until_polls($ddl), 'ALTER TABLE waits');
my $waited = 0;
my $queued = 0;
my $look = session();
foreach ($reader, $writer)
{
	$_->query(q{SET lock_timeout = '1ms'});
}
foreach (1 .. 200)
{
	foreach ([ $reader, 'SELECT v FROM t WHERE id = 7' ],
		[ $writer, q{UPDATE t SET v = 'x' WHERE id = 8} ])
	{
		my ($session, $sql) = @$_;

		$waited++ if grep { /^error/ } $session->query($sql);
	}
	$queued++
	  if ($look->query('SELECT 1 FROM pg_locks WHERE NOT granted'))[0] eq
	  'row 1';
	usleep(2000);
}
is($waited, 0, 'readers and writers pass while it waits');
foreach ($reader, $writer)
{
	$_->query('RESET lock_timeout');
}
is($queued, 0, 'it never stands in the queue behind an old transaction');

# ---- on a table that is never free, but held for short times

$node->safe_psql('postgres', 'CREATE TABLE hot (id int)');
my $script = PostgreSQL::Test::Utils::tempdir . '/hot.sql';
append_to_file($script,
	"BEGIN;\nSELECT count(*) FROM hot;\n\\sleep 3 ms\nCOMMIT;\n");
my $traffic = IPC::Run::start(
	[
		'pgbench', '-n', '-c', '12', '-T', '120', '-f', $script,
		$node->connstr('postgres')
	],
	'>', \my $traffic_out, '2>', \my $traffic_err);
$node->poll_query_until('postgres',
	q{SELECT count(*) > 8 FROM pg_locks WHERE relation = 'hot'::regclass});
# on a busy machine even those transactions take their time
my $hot = session(q{SET safe_migrate.lock_deadline = '100s'},
	q{SET safe_migrate.lock_queue_time = '200ms'});
my @done;
push @done, $hot->query("ALTER TABLE hot ADD c$_ int") foreach 1 .. 3;
is(scalar(grep { $_ eq 'done ALTER TABLE' } @done),
	3, 'ALTER TABLE gets in between short transactions');
$traffic->kill_kill;

# ---- migrate.lock_waits

my ($ddl_pid, $holder_pid) = ($ddl->pid, $holder->pid);
is( scalar_of(
		q{SELECT application, command, statement, relation, lock_mode, blocker_pids FROM migrate.lock_waits}
	),
	"wire|ALTER TABLE|ALTER TABLE t ADD c int|public.t|AccessExclusiveLock|{$holder_pid}",
	'migrate.lock_waits shows it');
is( scalar_of(
		q{SELECT pid, gives_up_at - waiting_since, role = current_user FROM migrate.lock_waits}
	),
	"$ddl_pid|00:00:30|t",
	'since when, until when, and as whom');
like(
	scalar_of('SELECT blockers[1] FROM migrate.lock_waits'),
	qr/^process $holder_pid \(role \w+, application wire, idle in transaction, transaction open for /,
	'whom it waits for');
$node->safe_psql('postgres',
	'GRANT SELECT ON migrate.lock_waits TO other; GRANT EXECUTE ON FUNCTION migrate.lock_wait_list() TO other'
);
is( scalar_of(
		'SET ROLE other; SELECT pid, statement IS NULL FROM migrate.lock_waits'),
	"$ddl_pid|t",
	'others see it without its text');

# ---- the NOTICE, and the end of the wait

usleep(1_200_000);
$holder->query('COMMIT');
is_deeply(
	[ $ddl->answers ],
	[ 'notice 00000', 'done ALTER TABLE', 'idle' ],
	'one NOTICE, then it is done');
like(
	($ddl->notices)[0],
	qr/^ALTER TABLE waits for AccessExclusiveLock on public.t, which is held by process $holder_pid /,
	'the NOTICE names the holder');
nobody_polls();

# ---- the deadline

# a wait that is long for other reasons must not be told of
$ddl->query(q{SET client_min_messages = warning});
$ddl->query(q{SET safe_migrate.lock_deadline = '300ms'});
$holder->query(q{BEGIN; SELECT 'secret' FROM t LIMIT 1});
is_deeply(
	[ $ddl->query('ALTER TABLE t ADD d int') ],
	[ 'error SM002', 'idle' ],
	'it gives up');
like(
	$ddl->error('M'),
	qr/^lock_deadline: ALTER TABLE waited [\d.]+ m?s for AccessExclusiveLock on public\.t, which is held by process $holder_pid \(role \w+, application wire, idle in transaction, transaction open for [\d.]+ m?s\); end that transaction, or raise safe_migrate\.lock_deadline$/,
	'the message names the holder');
like($ddl->error('D'), qr/^Process $holder_pid: .*'secret'/,
	'a superuser sees its query');
is($ddl->error('H'), "SELECT pg_terminate_backend($holder_pid);",
	'the hint ends it');
nobody_polls();
$holder->query('COMMIT');

$holder->query(q{BEGIN; SELECT 'secret' FROM of_other});
$ddl->query('SET ROLE other');
is_deeply(
	[ $ddl->query('ALTER TABLE of_other ADD d int') ],
	[ 'error SM002', 'idle' ],
	'another role gives up');
unlike($ddl->error('D'), qr/secret/, 'and does not see the query');
is_deeply(
	[ $ddl->query('ALTER TABLE t ADD d int') ],
	[ 'error 42501', 'idle' ],
	'it does not wait for what it may not change');
$ddl->query('RESET ROLE; RESET safe_migrate.lock_deadline');

# ---- limits of the user

$ddl->query(q{SET lock_timeout = '100ms'});
is_deeply(
	[ $ddl->query('ALTER TABLE of_other ADD d int') ],
	[ 'error 55P03', 'idle' ],
	'lock_timeout counts');
is($ddl->error('M'), 'canceling statement due to lock timeout',
	'with the message of PostgreSQL');
$ddl->query(q{SET lock_timeout = '1200ms'; SET client_min_messages = notice});
is_deeply(
	[ $ddl->query('ALTER TABLE of_other ADD d int') ],
	[ 'notice 00000', 'error 55P03', 'idle' ],
	'a longer one is told');
like($ddl->{notices}[-1]{D}, qr/It gives up after 1\.2 s \(lock_timeout\)/,
	'as what ends the wait');
$ddl->query(q{SET client_min_messages = warning});
$ddl->query(q{RESET lock_timeout; SET statement_timeout = '100ms'});
is_deeply(
	[ $ddl->query('ALTER TABLE of_other ADD d int') ],
	[ 'error 57014', 'idle' ],
	'statement_timeout counts');
$ddl->query('RESET statement_timeout');
start($ddl, 'ALTER TABLE of_other ADD d int');
wait_until_polls($ddl);
$ddl->cancel;
is_deeply([ $ddl->answers ], [ 'error 57014', 'idle' ], 'it can be cancelled');
nobody_polls();
$ddl->query(q{SET safe_migrate.lock_deadline = 0});
start($ddl, 'ALTER TABLE of_other ADD d int');
wait_until_polls($ddl);
is(scalar_of('SELECT gives_up_at FROM migrate.lock_waits'),
	'infinity', 'no deadline');
scalar_of("SELECT pg_terminate_backend($ddl_pid)");
is(($ddl->answers)[-1], 'closed', 'its session can be ended');
ok( $node->poll_query_until(
		'postgres', 'SELECT count(*) = 0 FROM migrate.lock_waits'),
	'and leaves nothing behind');
$holder->query('COMMIT');

# ---- all or nothing

$ddl = session(q{SET client_min_messages = warning});
$holder->query('BEGIN; SELECT count(*) FROM part_2');
start($ddl, 'ALTER TABLE parted ADD c int');
wait_until_polls($ddl);
is(scalar_of('SELECT relation FROM migrate.lock_waits'),
	'public.part_2', 'a partition is in the way');
is_deeply(
	[ $reader->query(q{SET lock_timeout = '1s'; SELECT 1 FROM part_1}) ],
	[ 'done SET', 'done SELECT 0', 'idle' ],
	'the rest of the tree is free');
$holder->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ], 'done in the end');

$holder->query('BEGIN; UPDATE t SET v = v WHERE id = 1');
start($ddl,
	'ALTER TABLE child ADD FOREIGN KEY (t) REFERENCES t (id) NOT VALID');
wait_until_polls($ddl);
is( scalar_of('SELECT relation, lock_mode FROM migrate.lock_waits'),
	'public.t|ShareRowExclusiveLock',
	'the other end of a foreign key is in the way');
is_deeply(
	[ $reader->query('INSERT INTO child VALUES (1, 1)') ],
	[ 'done INSERT 0 1', 'idle' ],
	'its own table is free');
$holder->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ], 'done in the end');

# ---- in blocks, functions and DO

foreach my $sql (
	'BEGIN; ALTER TABLE t ADD e int; COMMIT',
	'DO $$ BEGIN ALTER TABLE t ADD f int; END $$',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; ALTER TABLE t ADD g int; COMMIT'
  )
{
	$holder->query('BEGIN; SELECT count(*) FROM t');
	get_older();
	start($ddl, $sql);
	wait_until_polls($ddl);
	ok(!grep({ /error/ } $reader->query(q{SET lock_timeout = '1ms'}),
			$reader->query('SELECT 1 FROM t LIMIT 1')),
		"a reader passes: $sql");
	$holder->query('COMMIT');
	ok(!grep({ /error/ } $ddl->answers), 'it is done');
}

# ---- what comes while it waits

$holder->query('BEGIN; INSERT INTO parted VALUES (1)');
start($ddl, 'ALTER TABLE parted ADD d int');
wait_until_polls($ddl);
$node->safe_psql('postgres',
	'CREATE TABLE part_3 (LIKE parted INCLUDING ALL)');
$node->safe_psql('postgres',
	'ALTER TABLE parted ATTACH PARTITION part_3 FOR VALUES FROM (200) TO (300)'
);
$holder->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ],
	'a partition came meanwhile');

# One that is not free: nothing else is held while it waits for that.
my $second = session();
$node->safe_psql('postgres',
	'CREATE TABLE part_4 (LIKE parted INCLUDING ALL)');
$holder->query('BEGIN; SELECT count(*) FROM part_2');
start($ddl, 'ALTER TABLE parted ADD e int');
wait_until_polls($ddl);
$node->safe_psql('postgres',
	'ALTER TABLE parted ATTACH PARTITION part_4 FOR VALUES FROM (300) TO (400)'
);
$second->query('BEGIN; SELECT count(*) FROM part_4');
$holder->query('COMMIT');
ok( $node->poll_query_until(
		'postgres',
		q{SELECT relation = 'public.part_4' FROM migrate.lock_waits}),
	'a partition that came meanwhile is in the way');
foreach my $name (qw(part_1 part_2 part_3))
{
	is_deeply(
		[ $reader->query("SET lock_timeout = '1s'; SELECT 1 FROM $name WHERE false") ],
		[ 'done SET', 'done SELECT 0', 'idle' ],
		"and $name is free");
}
$second->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ], 'done in the end');

# One that goes is not kept locked.
$node->safe_psql('postgres', 'ALTER TABLE parted DETACH PARTITION part_4');
$node->safe_psql('postgres',
	'ALTER TABLE parted ATTACH PARTITION part_4 FOR VALUES FROM (300) TO (400)'
);
$ddl->query('BEGIN');
$holder->query('BEGIN; SELECT count(*) FROM part_2');
start($ddl, 'ALTER TABLE parted ADD f int');
wait_until_polls($ddl);
$second->query('BEGIN');
$second->query('ALTER TABLE parted DETACH PARTITION part_4');
$second->query('COMMIT');
$holder->query('COMMIT');
is_deeply(
	[ $ddl->answers ],
	[ 'done ALTER TABLE', 'in transaction' ],
	'a partition went meanwhile');
is_deeply(
	[ $reader->query("SET lock_timeout = '1s'; SELECT 1 FROM part_4 WHERE false") ],
	[ 'done SET', 'done SELECT 0', 'idle' ],
	'and is not locked');
$ddl->query('COMMIT');

$holder->query('BEGIN; SELECT count(*) FROM u; DROP TABLE u; CREATE TABLE u (other int)');
start($ddl, 'ALTER TABLE u ADD id int');
wait_until_polls($ddl);
$holder->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ],
	'another table got the name meanwhile');
is( scalar_of(
		q{SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'u'::regclass AND attnum > 0}
	),
	'other id',
	'and is the one that was changed');

# ---- the verdict is about what is there when the wait is over

$node->safe_psql('postgres', 'CREATE TABLE filled (id int)');
$ddl->query('SET safe_migrate.small_table = 0');
$holder->query('BEGIN; SELECT count(*) FROM filled');
start($ddl, 'ALTER TABLE filled ALTER id TYPE bigint');
wait_until_polls($ddl);
$node->safe_psql('postgres', 'INSERT INTO filled VALUES (1)');
$holder->query('COMMIT');
is_deeply([ $ddl->answers ], [ 'error SM001', 'idle' ],
	'a table that was filled meanwhile');
$ddl->query('RESET safe_migrate.small_table');

# ---- a prepared transaction

$holder->query(q{BEGIN; INSERT INTO u VALUES (1); PREPARE TRANSACTION 'two'});
$ddl->query(q{SET safe_migrate.lock_deadline = '100ms'});
is_deeply(
	[ $ddl->query('ALTER TABLE u ADD c int') ],
	[ 'error SM002', 'idle' ],
	'a prepared transaction holds a lock');
like($ddl->error('M'), qr/is held by a prepared transaction;/,
	'and is named');
$holder->query(q{COMMIT PREPARED 'two'});
$ddl->query('RESET safe_migrate.lock_deadline');

# ---- deadlocks that PostgreSQL does not see

my $other = session();
my %answer;

foreach ($ddl, $other)
{
	$_->query(q{SET client_min_messages = warning});
	$_->query(q{SET safe_migrate.lock_deadline = '100s'});
}

# Two sessions of which each polls for what the other has.
$ddl->query('BEGIN; INSERT INTO t VALUES (-1)');
$other->query('BEGIN; INSERT INTO u VALUES (1)');
start($ddl, 'ALTER TABLE u ADD x int');
wait_until_polls($ddl);
my $begin = time;
is_deeply(
	[ $other->query('ALTER TABLE t ADD x int') ],
	[ 'error 40P01', 'failed' ],
	'the one that came last fails');
cmp_ok(time - $begin, '<', 50, 'at once');
like(
	$other->error('D'),
	qr/^Process \d+ waits for AccessExclusiveLock on public\.t\.\nProcess \d+ waits for AccessExclusiveLock on public\.u, behind process \d+\.\n/,
	'both sides are named');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'in transaction' ],
	'the other goes on');
$ddl->query('ROLLBACK');
$other->query('ROLLBACK');

# Row locks first, then DDL on the same table, in two sessions.
foreach ($ddl, $other)
{
	$_->query('BEGIN; SELECT * FROM t WHERE id = 5 FOR SHARE');
}
start($ddl, 'ALTER TABLE t ADD x int');
wait_until_polls($ddl);
is_deeply(
	[ $other->query('ALTER TABLE t ADD y int') ],
	[ 'error 40P01', 'failed' ],
	'DDL after DML in two sessions: one fails');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'in transaction' ],
	'the other goes on');
$ddl->query('ROLLBACK');
$other->query('ROLLBACK');

# DDL against DML: the poller has row locks that the writer queues for.
$ddl->query('BEGIN; UPDATE t SET v = 1 WHERE id = 1');
$other->query('BEGIN; INSERT INTO u VALUES (2)');
start($ddl, 'ALTER TABLE u ADD x int');
wait_until_polls($ddl);
start($other, 'UPDATE t SET v = 2 WHERE id = 1');
is_deeply(
	[ $ddl->answers ],
	[ 'error 40P01', 'failed' ],
	'the poller gives way to a writer in the queue');
$ddl->query('ROLLBACK');
is_deeply([ $other->answers ], [ 'done UPDATE 1', 'in transaction' ],
	'which goes on');
$other->query('ROLLBACK');

# Three of them.
my $third = session(q{SET client_min_messages = warning});
$ddl->query('BEGIN; INSERT INTO t VALUES (-1)');
$other->query('BEGIN; INSERT INTO u VALUES (1)');
$third->query('BEGIN; INSERT INTO child VALUES (1)');
start($ddl, 'ALTER TABLE u ADD x int');
wait_until_polls($ddl);
start($other, 'ALTER TABLE child ADD x int');
wait_until_polls($other);
is_deeply(
	[ $third->query('ALTER TABLE t ADD x int') ],
	[ 'error 40P01', 'failed' ],
	'a circle of three: one fails');
is_deeply([ $other->answers ], [ 'done ALTER TABLE', 'in transaction' ],
	'the second goes on');
$other->query('ROLLBACK');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'in transaction' ],
	'and the first');
$ddl->query('ROLLBACK');
$third->query('ROLLBACK');

# Closed by one that queues: the last one to poll gives way, whoever is first
# to see it.
foreach (1 .. 5)
{
	$ddl->query('BEGIN; UPDATE t SET v = 1 WHERE id = 1');
	$other->query('BEGIN; INSERT INTO u VALUES (1)');
	$third->query('BEGIN; INSERT INTO child VALUES (1)');
	start($ddl, 'ALTER TABLE u ADD x int');
	wait_until_polls($ddl);
	start($other, 'ALTER TABLE child ADD x int');
	wait_until_polls($other);
	start($third, 'UPDATE t SET v = 2 WHERE id = 1');
	is_deeply(
		[ $other->answers ],
		[ 'error 40P01', 'failed' ],
		'the last one to poll fails');
	is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'in transaction' ],
		'the first one goes on');
	$ddl->query('ROLLBACK');
	is_deeply(
		[ $third->answers ],
		[ 'done UPDATE 1', 'in transaction' ],
		'and so does the one in the queue');
	$third->query('ROLLBACK');
	$other->query('ROLLBACK');
}

# ---- against CREATE INDEX CONCURRENTLY

# Without a snapshot it is not waited for.
$holder->query('BEGIN; INSERT INTO t VALUES (-1)');
start($other, 'CREATE INDEX CONCURRENTLY t_v ON t (v)');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted});
start($ddl, 'ALTER TABLE t ADD x int');
wait_until_polls($ddl);
$holder->query('ROLLBACK');
is_deeply([ $other->answers ], [ 'done CREATE INDEX', 'idle' ],
	'CREATE INDEX CONCURRENTLY does not wait for a poller');
is_deeply([ $ddl->answers ], [ 'done ALTER TABLE', 'idle' ], 'nor it for ever');

# With one it is, and fails as soon as that is seen.
$holder->query('BEGIN; INSERT INTO t VALUES (-1)');
start($other, 'CREATE INDEX CONCURRENTLY t_v2 ON t (v)');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted});
start($ddl, 'DO $$ BEGIN ALTER TABLE t ADD y int; END $$');
wait_until_polls($ddl);
$holder->query('ROLLBACK');
$begin = time;
is_deeply([ $ddl->answers ], [ 'error 40P01', 'idle' ],
	'a poller that cannot do without a snapshot gives way');
cmp_ok(time - $begin, '<', 50, 'soon');
is_deeply([ $other->answers ], [ 'done CREATE INDEX', 'idle' ],
	'and CREATE INDEX CONCURRENTLY is done');

# ---- CONCURRENTLY with care

$ddl->query(q{RESET client_min_messages});
$holder->query('BEGIN; INSERT INTO t VALUES (-1)');
$ddl->query(q{SET lock_timeout = '10ms'});
start($ddl, 'CREATE INDEX CONCURRENTLY t_v3 ON t (v)');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted});
usleep(1_200_000);
$holder->query('ROLLBACK');
is_deeply([ $ddl->answers ], [ 'done CREATE INDEX', 'idle' ],
	'lock_timeout does not count inside CREATE INDEX CONCURRENTLY');
is_deeply([ $ddl->query('SHOW lock_timeout') ],
	[ 'row 10ms', 'done SHOW', 'idle' ], 'and is what it was');

$holder->query('BEGIN; INSERT INTO t VALUES (-1)');
usleep(1_200_000);
$ddl->query(q{SET safe_migrate.concurrent_deadline = '500ms'});
is_deeply(
	[ $ddl->query('CREATE INDEX CONCURRENTLY ON t (v, id)') ],
	[ 'notice 00000', 'error SM002', 'idle' ],
	'concurrent_deadline does');
like(
	($ddl->notices)[0],
	qr/^CREATE INDEX CONCURRENTLY has to wait until the transactions end of process $holder_pid /,
	'a NOTICE names the old transaction');
like(
	$ddl->error('M'),
	qr/^lock_deadline: CREATE INDEX CONCURRENTLY waited 500 ms for process $holder_pid .*; end that transaction, or raise safe_migrate\.concurrent_deadline; the index public\.t_v_id_idx is left behind, invalid$/,
	'the message names it, and the index');
is($ddl->error('H'), 'DROP INDEX CONCURRENTLY public.t_v_id_idx;',
	'the hint removes it');
is_deeply([ $ddl->query('SHOW lock_timeout') ],
	[ 'row 10ms', 'done SHOW', 'idle' ], 'lock_timeout is what it was');
$ddl->query('RESET safe_migrate.concurrent_deadline');
start($ddl, 'CREATE INDEX CONCURRENTLY t_cancel ON t (v)');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted});
$ddl->cancel;
is_deeply(
	[ $ddl->answers ],
	[ 'notice 00000', 'error 57014', 'idle' ],
	'it can be cancelled');
is( $ddl->error('M'),
	'canceling statement due to user request; the index public.t_cancel is left behind, invalid',
	'and says what is left');
$holder->query('ROLLBACK');
$ddl->query('DROP INDEX CONCURRENTLY t_cancel');
$ddl->query('DROP INDEX CONCURRENTLY t_v_id_idx');
$node->safe_psql('postgres', 'INSERT INTO u (id) VALUES (7), (7)');
is_deeply(
	[ $ddl->query('CREATE UNIQUE INDEX CONCURRENTLY u_id ON u (id)') ],
	[ 'error 23505', 'idle' ],
	'a duplicate');
like($ddl->error('M'), qr/; the index public\.u_id is left behind, invalid$/,
	'says what is left');
is_deeply(
	[ $ddl->query('CREATE INDEX CONCURRENTLY u_id ON u (id)') ],
	[ 'error 42P07', 'idle' ],
	'a failure that leaves nothing');
unlike($ddl->error('M'), qr/left behind/, 'does not say so');
is_deeply([ $ddl->query('DROP INDEX CONCURRENTLY u_id') ],
	[ 'done DROP INDEX', 'idle' ], 'the session can go on');

# What DROP INDEX and DETACH leave behind.
$holder->query('BEGIN; SELECT count(*) FROM t; SELECT count(*) FROM parted');
usleep(1_200_000);
$ddl->query(q{SET safe_migrate.concurrent_deadline = '300ms'});
is_deeply(
	[ $ddl->query('DROP INDEX CONCURRENTLY t_v') ],
	[ 'notice 00000', 'error SM002', 'idle' ],
	'DROP INDEX CONCURRENTLY gives up');
like(
	$ddl->error('M'),
	qr/^lock_deadline: DROP INDEX CONCURRENTLY waited 300 ms for process $holder_pid .*; the index public\.t_v is left behind, invalid$/,
	'it names the index');
is_deeply(
	[ $ddl->query('ALTER TABLE parted DETACH PARTITION part_1 CONCURRENTLY') ],
	[ 'notice 00000', 'error SM002', 'idle' ],
	'DETACH CONCURRENTLY gives up');
like($ddl->error('M'), qr/; public\.part_1 is left half detached$/,
	'it names the partition');
my $remedy = $ddl->error('H');
$holder->query('COMMIT');
$ddl->query('RESET safe_migrate.concurrent_deadline');
is_deeply([ $ddl->query($remedy) ],
	[ 'done ALTER TABLE', 'idle' ], 'the hint finishes it');
is_deeply([ $ddl->query('REINDEX INDEX CONCURRENTLY t_v2') ],
	[ 'done REINDEX', 'idle' ], 'REINDEX CONCURRENTLY');

# An advisory lock that somebody waits for while we hold it.
$ddl->query('SELECT pg_advisory_lock(42)');
start($other, 'SELECT pg_advisory_lock(42)');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted});
is_deeply(
	[ $ddl->query('CREATE INDEX CONCURRENTLY u_id ON u (id)') ],
	[ 'error SM002', 'idle' ],
	'a certain deadlock is refused');
my $other_pid = $other->pid;
like($ddl->error('M'), qr/would wait forever for process $other_pid /,
	'with the name of the session');
is(scalar_of(q{SELECT to_regclass('u_id') IS NULL}), 't', 'before it begins');
$ddl->query('SELECT pg_advisory_unlock(42)');
$other->answers;
is_deeply(
	[ $ddl->query('CREATE INDEX CONCURRENTLY u_id ON u (id)') ],
	[ 'done CREATE INDEX', 'idle' ],
	'who has it but does not wait is not in the way');
$other->query('SELECT pg_advisory_unlock(42)');
$ddl->query('RESET lock_timeout');

# ---- autovacuum gives way

$node->safe_psql(
	'postgres', q{
CREATE TABLE vacuumed (id int, v text) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
INSERT INTO vacuumed SELECT g, repeat('x', 500) FROM generate_series(1, 5000) g;
DELETE FROM vacuumed WHERE id % 2 = 0;
ALTER SYSTEM SET autovacuum_naptime = 1;
ALTER SYSTEM SET autovacuum = on;
SELECT pg_reload_conf();
});
ok( $node->poll_query_until(
		'postgres',
		q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%vacuumed%'}
	),
	'autovacuum is at it');
$begin = time;
is( ($ddl->query('ALTER TABLE vacuumed ADD c int'))[-2],
	'done ALTER TABLE',
	'ALTER TABLE gets its lock');
cmp_ok(time - $begin, '<', 50, 'soon');
$node->wait_for_log(qr/canceling autovacuum task/);

# ---- a crash

$node->safe_psql('postgres',
	'ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf()');
$holder->query('BEGIN; SELECT count(*) FROM t');
start($ddl, 'ALTER TABLE t ADD z int');
wait_until_polls($ddl);
kill 'KILL', $ddl->pid;
is(($ddl->answers)[-1], 'closed', 'the session is gone');
$node->wait_for_log(qr/database system is ready to accept connections.*database system is ready to accept connections/s);
nobody_polls();

# ---- inert

$ddl = session(q{SET safe_migrate.mode = observe});
$holder = session('BEGIN; SELECT count(*) FROM t');
start($ddl, 'ALTER TABLE t ADD z int');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted}),
	'in the mode observe nothing is done differently');
$holder->query('COMMIT');
$ddl->answers;
$node->stop;
done_testing();
