# Columns of all rows are set while clients write, after kills and errors, and
# behind locks: no row is left out, none is set twice, and nobody waits for long.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use File::Basename;
use lib dirname(__FILE__);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use UntilUp qw(wait_until_up);
use WireSession;

my $node = PostgreSQL::Test::Cluster->new('backfill');

$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'safe_migrate'
autovacuum = off
restart_after_crash = on
END
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION safe_migrate;
CREATE TABLE gate (closed boolean);
INSERT INTO gate VALUES (false);
CREATE SEQUENCE ids START 1000000;
});

# A table of 100000 rows, of which each counts how often it was set.
sub make_table
{
	my ($table, $rows) = @_;
	$rows //= 100000;
	$node->safe_psql('postgres', qq{
SET safe_migrate.mode = off;
CREATE TABLE $table (id int PRIMARY KEY, name text, v int NOT NULL DEFAULT 0, times int NOT NULL DEFAULT 0, c text);
INSERT INTO $table SELECT g, 'Name ' || g, 0, 0, repeat('x', 60) FROM generate_series(1, $rows) g;
CREATE INDEX ON $table (v);
CREATE INDEX ON $table (name);
});
}

sub value
{
	return $node->safe_psql('postgres', $_[0]);
}

# A CALL in a session of its own.  It stops where the gate is closed, when
# something is done.
my $gated = q{SELECT closed AND (SELECT rows_done > 0 FROM migrate.progress ORDER BY id DESC LIMIT 1) FROM gate};

sub start_call
{
	my ($call) = @_;
	my $session = WireSession->new($node, 'postgres');

	$session->{pid} = ($session->query('SELECT pg_backend_pid()'))[0] =~ s/row //r;
	$session->send(WireSession::message('Q', "$call\0"));
	return $session;
}

# What it ended with; how far it is, it tells when it takes long.
sub end_of
{
	my ($session) = @_;
	return [ grep { !/^notice/ } $session->answers ];
}

sub wait_for
{
	my ($query, $what) = @_;
	$node->poll_query_until('postgres', $query) or die "$what does not come";
}

my $newest = 'FROM migrate.progress ORDER BY id DESC LIMIT 1';
my $times = 'times = times + 1, c = lower(name)';
my $undone = q{c IS DISTINCT FROM lower(name)};

# ---- the space of old versions is used again, and rows stay in their pages

make_table('space', 200000);
my $before = value(q{SELECT pg_relation_size('space'), pg_indexes_size('space')});
$node->safe_psql('postgres', q{CALL migrate.backfill('space', 'c = repeat(''y'', 60)')});
my ($heap, $indexes) = split /\|/, $before;
cmp_ok(value(q{SELECT pg_relation_size('space')}), '<', 1.2 * $heap, 'the table does not grow');
cmp_ok(value(q{SELECT pg_indexes_size('space')}), '<', 1.7 * $indexes, 'its indexes grow by less than half of what all rows would make');
is(value(q{SELECT count(*) FROM space WHERE c = repeat('y', 60)}), '200000', 'all rows are set');
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
is(value(q{SELECT count(*) FROM verify_heapam('space')}), '0', 'the table is sound');
is(value(q{SELECT count(bt_index_check(indexrelid, true)) FROM pg_index WHERE indrelid = 'space'::regclass}), '3', 'its indexes are');

# ---- clients write: rows that they change or add are right in the end

make_table('busy');
value(q{CREATE TABLE twin AS SELECT id, v FROM busy; ALTER TABLE twin ADD PRIMARY KEY (id)});
my $writer = PostgreSQL::Test::Utils::tempdir() . '/writer.pgbench';
append_to_file($writer, <<'END');
\set id random(1, 100000)
BEGIN;
UPDATE busy SET v = v + 1, name = 'Other ' || id WHERE id = :id;
UPDATE twin SET v = v + 1 WHERE id = :id;
COMMIT;
END
my $output = '';
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-T', 4, '-f', $writer, '--max-tries=1', $node->connstr('postgres') ],
	'>&', \$output);
$node->safe_psql('postgres', "CALL migrate.backfill('busy', 'times = times + 1', 'times = 0')");
is(value('SELECT count(*) FROM busy WHERE times <> 1'), '0', 'while clients write, each row is set once');
$bench->finish;
unlike($output, qr/ERROR|aborted/, 'no client failed');
is(value('SELECT count(*) FROM busy JOIN twin USING (id) WHERE busy.v = twin.v'), '100000', 'no write was lost');
like(value("SELECT state, rows_done, pass > 1 $newest"), qr/^done\|100000\|t$/, 'it is recorded');

# rows that are as they should be only in the transaction that has set them
make_table('endless', 1000);
my ($status, $out, $error) = $node->psql('postgres',
	"CALL migrate.backfill('endless', 'c = txid_current()', 'c IS DISTINCT FROM txid_current()::text')");
like($error, qr/endless was gone through 11 times, and each time there were rows to be set: clients write such rows all the time/,
	'rows that come again and again end it');
is(value("SELECT state $newest"), 'failed', 'it has failed');

# ---- kills

sub kill_in_the_middle
{
	my ($table, $kill) = @_;

	make_table($table);
	value("CREATE TABLE ${table}_log (id int)");
	value("CREATE FUNCTION ${table}_log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ${table}_log VALUES (NEW.id); RETURN NULL; END'");
	value("CREATE TRIGGER log AFTER UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION ${table}_log()");
	value('UPDATE gate SET closed = true');
	my $call = start_call("CALL migrate.backfill('$table', 'c = lower(name)', throttle => '$gated')");
	wait_for("SELECT state = 'paused' $newest", 'the pause');
	$kill->($call->{pid});
	value('UPDATE gate SET closed = false');
	my $done = value("SELECT count(*) FROM $table WHERE c = lower(name)");
	cmp_ok($done, '<', 100000, "$table: not all was done");
	is(value("SELECT state, rows_done $newest"), "interrupted|$done", 'what was done is known');
	($status, $out, $error) = $node->psql('postgres', "CALL migrate.backfill('$table', 'c = lower(name)')");
	like($error, qr/goes on with backfill/, 'the same call goes on');
	is(value("SELECT count(*) FROM $table WHERE $undone"), '0', 'all rows are set');
	is(value("SELECT count(*), count(DISTINCT id) FROM ${table}_log"), '100000|100000', 'each of them once');
	is(value("SELECT state, rows_done $newest"), 'done|100000', 'the count is right');
}

kill_in_the_middle('killed', sub {
	my ($pid) = @_;
	# all that was done without waiting for the disk
	sleep 1;
	kill 'KILL', $pid;
	wait_until_up($node);
});
kill_in_the_middle('stopped', sub {
	$node->stop('immediate');
	$node->start;
});
kill_in_the_middle('cancelled', sub {
	my ($pid) = @_;
	value("SELECT pg_cancel_backend($pid)");
	wait_for("SELECT state = 'interrupted' $newest", 'the end');
});
kill_in_the_middle('terminated', sub {
	my ($pid) = @_;
	value("SELECT pg_terminate_backend($pid, 10000)");
});

# ---- rows that others have locked

make_table('locked');
my $holder = WireSession->new($node, 'postgres');
$holder->query('BEGIN');
$holder->query('UPDATE locked SET v = -1 WHERE id IN (7, 50000)');
my $call = start_call("CALL migrate.backfill('locked', 'c = lower(name)')");
wait_for("SELECT state = 'paused' AND waits_for LIKE '%locked rows of public.locked' $newest", 'the pause');
is(value("SELECT count(*) FROM locked WHERE $undone"), '2', 'all others are set meanwhile');
$holder->query('COMMIT');
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'it ends when they are let go of');
is(value("SELECT count(*) FROM locked WHERE $undone OR (v = -1) <> (id IN (7, 50000))"), '0', 'and these are set as well');
$holder->query('BEGIN');
$holder->query('UPDATE locked SET v = -2 WHERE id = 3');
($status, $out, $error) = $node->psql('postgres', "SET lock_timeout = '500ms'; CALL migrate.backfill('locked', 'c = ''z''')");
like($error, qr/rows of public.locked are locked by other sessions for longer than lock_timeout; all others are set/, 'lock_timeout is the limit for that');
$holder->query('ROLLBACK');

# ---- two at once, a pause, and what is seen of it

make_table('twice');
value('UPDATE gate SET closed = true');
$call = start_call("CALL migrate.backfill('twice', 'c = lower(name)', throttle => 'SELECT closed FROM gate')");
wait_for("SELECT state = 'paused' AND waits_for = 'the query: SELECT closed FROM gate' AND rows_done = 0 $newest", 'the pause');
($status, $out, $error) = $node->psql('postgres', "CALL migrate.backfill('twice', 'c = lower(name)')");
like($error, qr/backfill \d+ of public.twice is being run by process $call->{pid}; migrate.progress shows how far it is/, 'the second is told who runs it');
is(value("SELECT count(*) FROM pg_stat_activity WHERE pid = $call->{pid} AND backend_xmin IS NOT NULL"), '0', 'a pause holds no snapshot');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'it goes on');
value(q{ALTER SYSTEM SET safe_migrate.backfill_throttle_query = 'SELECT count(*) FROM gate WHERE closed'; SELECT pg_reload_conf(); UPDATE gate SET closed = true});
$call = start_call("CALL migrate.backfill('twice', 'c = upper(name)')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'the setting pauses it too');

# who has to wait for what never ends can switch it off
my $always = q{ALTER SYSTEM SET safe_migrate.backfill_throttle_query = 'SELECT true'; SELECT pg_reload_conf()};
my $never = 'ALTER SYSTEM RESET safe_migrate.backfill_throttle_query; SELECT pg_reload_conf()';
value($always);
$call = start_call("CALL migrate.backfill('twice', 'c = lower(name)')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value($never);
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'a reload ends the pause of a session');
value($always);
value("CALL migrate.backfill('twice', 'c = upper(name)', background => true)");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value($never);
value('CALL migrate.wait(' . value('SELECT max(id) FROM migrate.tasks') . ')');
is(value('SELECT count(*) FROM twice WHERE c <> upper(name)'), '0', 'and that of a worker');

# ---- tables that change in the middle

make_table('renamed');
value('UPDATE gate SET closed = true');
$call = start_call("CALL migrate.backfill('renamed', 'c = lower(renamed.name)', throttle => '$gated')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value('SET safe_migrate.mode = off; ALTER TABLE renamed RENAME TO called_so; CREATE TABLE renamed (LIKE called_so); INSERT INTO renamed SELECT * FROM called_so');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'a table under another name');
is(value("SELECT count(*) FROM called_so WHERE $undone"), '0', 'is gone on with');
cmp_ok(value("SELECT count(*) FROM renamed WHERE $undone"), '>', 0, 'and not the one that has its name');

make_table('recolumned');
value('UPDATE gate SET closed = true');
$call = start_call("CALL migrate.backfill('recolumned', 'c = lower(name)', throttle => '$gated')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value('SET safe_migrate.mode = off; ALTER TABLE recolumned RENAME c TO d; ALTER TABLE recolumned ADD c text');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'error 42703', 'idle' ], 'another column');
is($call->error('M'), 'column "c" of public.recolumned was dropped or renamed while migrate.backfill() filled it', 'is an error');
is(value('SELECT count(c) FROM recolumned'), '0', 'and not set');

make_table('sold');
value('UPDATE gate SET closed = true');
$call = start_call("CALL migrate.backfill('sold', 'c = lower(name)', throttle => '$gated')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value('SET safe_migrate.mode = off; CREATE ROLE buyer; ALTER TABLE sold OWNER TO buyer');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'error SM009', 'idle' ], 'another owner, whose functions would run with our rights');

value(q{
SET safe_migrate.mode = off;
CREATE TABLE parts (id int, name text, c text) PARTITION BY RANGE (id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (100000);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (100000) TO (200000);
CREATE TABLE parts3 (c text, id int, name text);
INSERT INTO parts SELECT g, 'Name ' || g FROM generate_series(1, 199999) g;
INSERT INTO parts3 SELECT NULL, g, 'Name ' || g FROM generate_series(200000, 200999) g;
UPDATE gate SET closed = true;
});
$call = start_call("CALL migrate.backfill('parts', 'c = lower(name)', throttle => '$gated')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value('SET safe_migrate.mode = off; ALTER TABLE parts ATTACH PARTITION parts3 FOR VALUES FROM (200000) TO (300000); DROP TABLE parts2');
value('UPDATE gate SET closed = false');
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'partitions come and go');
is(value("SELECT count(*), count(*) FILTER (WHERE $undone) FROM parts"), '100999|0', 'all that are there are set');

# ---- a table is rewritten while it is waited for: no snapshot is older than that

value(q{
SET safe_migrate.mode = off;
CREATE TABLE again (id int, name text, c text) PARTITION BY RANGE (id);
CREATE TABLE again1 PARTITION OF again FOR VALUES FROM (0) TO (100);
CREATE TABLE again2 PARTITION OF again FOR VALUES FROM (100) TO (200000);
INSERT INTO again SELECT g, 'Name ' || g FROM generate_series(1, 199999) g WHERE g < 10 OR g > 100;
});
my $rewriter = WireSession->new($node, 'postgres');

sub rewrite_before
{
	my ($waits) = @_;

	$rewriter->query('SET safe_migrate.mode = off');
	$rewriter->query('BEGIN');
	$rewriter->query('ALTER TABLE again1 SET UNLOGGED');
	my $waiting = $waits->();
	wait_for("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $waiting->{pid}", 'the wait for the lock');
	$rewriter->query('COMMIT');
	$rewriter->query('ALTER TABLE again1 SET LOGGED');
	return $waiting;
}

$call = rewrite_before(sub { return start_call(q{CALL migrate.verify_rows('again', 'id = 5')}) });
is_deeply(end_of($call), [ 'error 23514', 'idle' ], 'a row of a table that was just rewritten is seen');
value('UPDATE gate SET closed = true');
$call = start_call("CALL migrate.backfill('again', 'c = lower(name)', throttle => '$gated')");
wait_for("SELECT state = 'paused' $newest", 'the pause');
value(q{INSERT INTO again VALUES (50, 'Name 50')});
is(value("SELECT string_agg(id::text, ' ') FROM again1 WHERE $undone"), '50', 'a row is added behind the backfill');
rewrite_before(sub { value('UPDATE gate SET closed = false'); return $call });
is_deeply(end_of($call), [ 'done CALL', 'idle' ], 'the backfill ends');
is(value("SELECT count(*) FROM again WHERE $undone"), '0', 'and that row is set');

# ---- an old snapshot keeps the space

make_table('kept', 500000);	# for more than one look
value('SET safe_migrate.mode = off; ALTER TABLE kept SET (fillfactor = 20); VACUUM FULL kept');
my $old = WireSession->new($node, 'postgres');
$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old->query('SELECT 1');
my $log_writes = q{SELECT pg_stat_get_tuples_updated('migrate.backfill_table_log'::regclass)};
my @before = (value($log_writes), value('SELECT pg_current_xact_id()'));
# a second, within which the snapshot is found to be old
my $waits = "SELECT rows_done > 0 AND clock_timestamp() < started_at + ''1 s'' $newest";
($status, $out, $error) = $node->psql('postgres', "SET safe_migrate.backfill_max_horizon_wait = 300; SET safe_migrate.backfill_max_wait = 1; CALL migrate.backfill('kept', 'c = lower(name)', throttle => '$waits')");
is(value("SELECT count(*) FROM kept WHERE $undone"), '0', 'behind an old snapshot it ends');
like($error, qr/goes on without reusing space, because old versions of rows have been kept/, 'and says what that costs');
is(value("SELECT rows_done $newest"), '500000', 'and all its rows are counted');
cmp_ok(3 * (value($log_writes) - $before[0]), '<', value('SELECT pg_current_xact_id()') - $before[1],
	'but not in each batch, whose old versions of the row in the log would be kept too');
$old->query('COMMIT');

# ---- in the background

make_table('later');
($status, $out, $error) = $node->psql('postgres', "CALL migrate.backfill('later', 'c = lower(name)', background => true)");
like($error, qr/the backfill of public.later is done in the background, as task \d+/, 'it is left to the background');
$node->safe_psql('postgres', 'CALL migrate.wait(' . value('SELECT max(id) FROM migrate.tasks') . ')');
is(value("SELECT count(*) FROM later WHERE $undone"), '0', 'which does it');
is(value('SELECT state FROM migrate.tasks ORDER BY id DESC LIMIT 1'), 'done', 'the task is done');
value("CALL migrate.backfill('later', 'v = 1 / (id - 500)', background => true)");
($status, $out, $error) = $node->psql('postgres', 'CALL migrate.wait(' . value('SELECT max(id) FROM migrate.tasks') . ')');
like($error, qr/division by zero \(the row of public.later with \(id\)=\(500\)\)/, 'a row that cannot be set is named');
# ---- the first batch ends within a page

value(q{
CREATE TABLE padded (id int PRIMARY KEY, a int, b int, pad text);
INSERT INTO padded SELECT g, CASE WHEN g = 48 THEN 0 ELSE 1 END, NULL, repeat('x', 170) FROM generate_series(1, 200) g});
cmp_ok(value(q{SELECT (ctid::text::point)[0] FROM padded WHERE id = 48}), '>', 0, 'a row that is not in the first page');
($status, $out, $error) = $node->psql('postgres', q{CALL migrate.backfill('padded', 'b = 10 / a', 'b IS NULL')});
like($error, qr/division by zero \(the row of public\.padded with \(id\)=\(48\)\)/, 'is named when it cannot be set');
is(value('SELECT count(*) FILTER (WHERE id < 48), count(*) FROM padded WHERE b = 10'), '47|47', 'and all before it are set');

# ---- an index has the rows that are to be set in another order

value(q{
CREATE TABLE flagged (id int PRIMARY KEY, dirty bool, k int, b int);
INSERT INTO flagged SELECT g, g % 10000 IN (7, 8, 9), -g, NULL FROM generate_series(1, 100000) g;
CREATE INDEX ON flagged (dirty, k);
CREATE INDEX ON flagged (id) WHERE dirty});
value('VACUUM ANALYZE flagged');
($status, $out, $error) = $node->psql('postgres', q{CALL migrate.backfill('flagged', 'b = id, dirty = false', 'dirty')});
is($status, 0, 'rows that are found by an index') or diag($error);
is(value('SELECT count(*), bool_or(dirty), count(*) FILTER (WHERE b = id) FROM flagged'), '100000|f|30', 'are set');
is(value('SELECT pages_done = pages FROM migrate.progress ORDER BY id DESC LIMIT 1'), 't', 'and all pages are done');

$node->stop;

done_testing();
