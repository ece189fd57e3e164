# Statistics of the planner that a statement has lost come back soon after its
# commit, without anybody's help, and only then; who waits for a table or a
# database does not wait for that.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# Slots of the queue in shared memory: ANALYZE_QUEUE_SIZE in src/analyze.
my $queue_size = 256;

my $node = PostgreSQL::Test::Cluster->new('analyze');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
max_prepared_transactions = 2
autovacuum = off
fsync = off
deadlock_timeout = 10min
});
$node->start;

sub create_database
{
	my ($name, %options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION safe_migrate')
	  unless $options{no_extension};
	$node->safe_psql(
		$name, q{
CREATE TABLE t (id int, v varchar(10), w varchar(10), x int, y int);
INSERT INTO t SELECT g, g, g, g % 7, g % 7 FROM generate_series(1, 5000) g;
ANALYZE t;
});
	return;
}

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

# The columns of tables that have statistics, with "+" for those of the tree.
sub statistics
{
	my ($database, $like) = @_;

	return query(
		$database, qq{
SELECT string_agg(relname || '.' || attname || CASE WHEN stainherit THEN '+' ELSE '' END,
	' ' ORDER BY relname, attname, stainherit)
FROM pg_statistic
JOIN pg_class c ON c.oid = starelid
JOIN pg_attribute a ON attrelid = starelid AND attnum = staattnum
WHERE relname LIKE '$like' AND relnamespace = 'public'::regnamespace});
}

sub counter
{
	my ($name) = @_;

	return query('main',
		"SELECT value FROM migrate.counters() WHERE name = 'analyzes_$name'");
}

sub wait_until_queue_is_empty
{
	return ok(
		$node->poll_query_until(
			'main', q{
SELECT sum(CASE name WHEN 'analyzes_queued' THEN value ELSE -value END) = 0
FROM migrate.counters() WHERE name LIKE 'analyzes%'}),
		'nothing waits any more');
}

sub wait_for_log_line
{
	my ($regexp, $position) = @_;

	return ok(
		defined eval { $node->wait_for_log($regexp, $position); },
		"server log has: $regexp");
}

sub log_position
{
	return -s $node->logfile;
}

# The launcher is connected to nothing, so it is not in pg_stat_activity.
sub launcher_pid
{
	my $postmaster =
	  (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		my ($pid) = $file =~ /([0-9]+)/;
		my ($stat, $title) =
		  map { eval { slurp_file("/proc/$pid/$_") } // '' }
		  ('stat', 'cmdline');

		return $pid
		  if $title =~ /safe_migrate launcher/
		  && $stat =~ /^\d+ \(.*\) \S $postmaster /;
	}
	return;
}

# Stop the launcher for as long as the code runs, so that tables wait.
sub without_launcher
{
	my ($code) = @_;
	my $pid = launcher_pid() or die 'no launcher';

	kill 'STOP', $pid;
	my $alive = eval { $code->(); 1; };
	my $error = $@;
	kill 'CONT', $pid;
	die $error unless $alive;
	return;
}

create_database('main');
my $all = 't.id t.v t.w t.x t.y';

#
# Lost, and back
#
is(statistics('main', 't'), $all, 'statistics of all columns');
my $position = log_position();
is( query(
		'main', q{
BEGIN;
ALTER TABLE t ALTER v TYPE varchar(20);
SELECT count(*) FROM pg_stats WHERE tablename = 't' AND attname = 'v';
COMMIT;
}),
	0,
	'a change of type deletes those of its column');
wait_for_log_line(qr/renewed statistics of the planner: ANALYZE (ONLY )?public\.t \(v\)/,
	$position);
wait_until_queue_is_empty();
is(statistics('main', 't'), $all, 'they are back soon after the commit');
is(counter('queued') . counter('done') . counter('failed'),
	'110', 'and that is counted');

#
# What is rolled back, queues nothing
#
query('main', 'BEGIN; ALTER TABLE t ALTER v TYPE varchar(21); ROLLBACK');
query(
	'main', q{
BEGIN;
SAVEPOINT outer_one;
ALTER TABLE t ALTER v TYPE varchar(21);
SAVEPOINT inner_one;
ALTER TABLE t ALTER x TYPE bigint;
RELEASE inner_one;
ROLLBACK TO outer_one;
COMMIT;
DO $$
BEGIN
	ALTER TABLE t ALTER v TYPE varchar(22);
	RAISE EXCEPTION 'oops';
EXCEPTION WHEN OTHERS THEN
	NULL;
END $$;
});
$node->psql('main',
	'ALTER TABLE t ALTER w TYPE varchar(20); SELECT 1/0', on_error_stop => 0,
	extra_params => ['--single-transaction']);
is(counter('queued'), 1, 'nothing is queued of what was rolled back');
is(statistics('main', 't'), $all, 'nothing was lost either');

$position = log_position();
query(
	'main', q{
BEGIN;
SAVEPOINT kept;
ALTER TABLE t ALTER w TYPE varchar(20);
RELEASE kept;
SAVEPOINT gone;
ALTER TABLE t ALTER x TYPE bigint;
ROLLBACK TO gone;
ALTER TABLE t ALTER v TYPE varchar(23), ALTER y TYPE bigint;
COMMIT;
});
wait_for_log_line(qr/planner: ANALYZE (ONLY )?public\.t \(w, v, y\)/, $position);
wait_until_queue_is_empty();
is(counter('queued'), 2, 'one entry for three columns of one table');
is(statistics('main', 't'), $all, 'all are back');

#
# Expressions of indexes and extended statistics
#
query(
	'main', q{
CREATE INDEX CONCURRENTLY t_lower ON t (lower(v));
CREATE STATISTICS t_xy ON x, y FROM t;
ANALYZE t;
});
my $with_index = statistics('main', 't%');
like($with_index, qr/t_lower\.lower/, 'the index has statistics');
query('main', 'ALTER TABLE t ALTER v TYPE varchar(24), ALTER x TYPE int');
wait_until_queue_is_empty();
is(statistics('main', 't%'), $with_index, 'those of an index are back');
is( query(
		'main',
		q{SELECT count(*) FROM pg_stats_ext WHERE statistics_name = 't_xy' AND n_distinct IS NOT NULL}
	),
	1,
	'and extended ones');
is(query('main', q{SELECT reltuples FROM pg_class WHERE relname = 't'}),
	5000, 'and the number of rows');

#
# A new expression of a generated column, since PostgreSQL 17
#
SKIP:
{
	skip 'no SET EXPRESSION', 3 if $node->pg_version < 17;

	query(
		'main', q{
CREATE TABLE e (a int, g int GENERATED ALWAYS AS (a + 1) STORED);
INSERT INTO e SELECT generate_series(1, 5000);
ANALYZE e;
});
	is( query(
			'main', q{
BEGIN;
ALTER TABLE e ALTER g SET EXPRESSION AS (a + 2);
SELECT count(*) FROM pg_stats WHERE tablename = 'e' AND attname = 'g';
COMMIT;
}),
		0,
		'a new expression deletes the statistics of its column');
	wait_until_queue_is_empty();
	is(statistics('main', 'e'), 'e.a e.g', 'they are back, too');
}

#
# Partitions, children, odd names
#
query(
	'main', q{
CREATE TABLE p (id int, v varchar(10)) PARTITION BY RANGE (id);
CREATE TABLE p1 (v varchar(10), id int);
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (2000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (2000) TO (10000);
INSERT INTO p SELECT g, 'v' FROM generate_series(1, 5000) g;
CREATE TABLE i (id int, v varchar(10));
CREATE TABLE i1 (other int) INHERITS (i);
INSERT INTO i SELECT g, 'v' FROM generate_series(1, 5000) g;
INSERT INTO i1 SELECT g, 'v', g FROM generate_series(1, 5000) g;
CREATE SCHEMA "odd ""schema";
CREATE TABLE "odd ""schema"."select (id)" ("a "" b" varchar(10));
INSERT INTO "odd ""schema"."select (id)" SELECT generate_series(1, 5000);
ANALYZE p;
ANALYZE i;
ANALYZE i1;
ANALYZE "odd ""schema"."select (id)";
});
my $of_tree = statistics('main', 'p%');
my $of_parent = statistics('main', 'i%');
$position = log_position();
query(
	'main', q{
ALTER TABLE p ALTER v TYPE varchar(20);
ALTER TABLE i ALTER v TYPE varchar(20);
ALTER TABLE "odd ""schema"."select (id)" ALTER "a "" b" TYPE varchar(20);
});
wait_until_queue_is_empty();
is(statistics('main', 'p%'), $of_tree, 'of a partitioned table and its partitions');
is(statistics('main', 'i%'), $of_parent, 'of a parent and its children');
like(
	slurp_file($node->logfile, $position),
	qr/planner: ANALYZE (ONLY )?"odd ""schema"\."select \(id\)" \("a "" b"\)\n/,
	'names are quoted');

#
# Whose expressions are evaluated
#
query(
	'main', q{
CREATE ROLE tenant;
GRANT CREATE ON SCHEMA public TO tenant;
SET ROLE tenant;
CREATE TABLE theirs (v varchar(10));
CREATE TABLE who (role text);
CREATE FUNCTION spy(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE LOG 'spy runs as %', current_user;
	RETURN $1;
END $$;
CREATE INDEX theirs_spy ON theirs (spy(v));
INSERT INTO theirs SELECT generate_series(1, 5000);
ANALYZE theirs;
});
$position = log_position();
query('main', 'ALTER TABLE theirs ALTER v TYPE varchar(20)');
wait_until_queue_is_empty();
my $log = slurp_file($node->logfile, $position);
like($log, qr/spy runs as tenant/, 'an index is evaluated');
unlike($log, qr/spy runs as (?!tenant)/, 'by its owner alone');

#
# A table that is gone, or renamed
#
my $done = counter('done');
without_launcher(
	sub {
		query(
			'main', q{
CREATE TABLE gone AS SELECT g, g::varchar(10) AS v FROM generate_series(1, 5000) g;
CREATE TABLE renamed AS SELECT * FROM gone;
ANALYZE gone;
ANALYZE renamed;
ALTER TABLE gone ALTER v TYPE varchar(20);
ALTER TABLE renamed ALTER v TYPE varchar(20);
SET safe_migrate.override = 'test';
DROP TABLE gone;
SET safe_migrate.override = 'test';
ALTER TABLE renamed RENAME v TO vv;
SET safe_migrate.override = 'test';
ALTER TABLE renamed RENAME TO renamed2;
});
	});
wait_until_queue_is_empty();
is(counter('done') - $done, 2, 'a table that is gone is done with');
is(statistics('main', 'renamed2'), 'renamed2.g renamed2.vv',
	'one with another name is analyzed');
is(counter('failed'), 0, 'nothing has failed so far');

#
# An index that cannot be evaluated
#
query(
	'main', q{
CREATE TABLE broken (v varchar(10), x int);
CREATE FUNCTION fragile(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('application_name') = 'safe_migrate' THEN
		RAISE EXCEPTION 'not here';
	END IF;
	RETURN $1;
END $$;
CREATE INDEX broken_fragile ON broken (fragile(v));
INSERT INTO broken SELECT g, g FROM generate_series(1, 5000) g;
ANALYZE broken;
});
$position = log_position();
query('main',
	'ALTER TABLE broken ALTER v TYPE varchar(20); ALTER TABLE t ALTER v TYPE varchar(25)'
);
wait_for_log_line(
	qr/could not renew statistics of the planner: ANALYZE (ONLY )?public\.broken: not here/,
	$position);
wait_until_queue_is_empty();
is(counter('failed'), 1, 'an error counts as a failure');
is(statistics('main', 't'), $all, 'and is nobody else\'s');

#
# A lock on the table: the worker comes back, nobody waits for it
#
$position = log_position();
my $holder = $node->background_psql('main', on_error_stop => 0);
$holder->query_safe('SET client_min_messages = warning');
$holder->query_safe('ALTER TABLE t ALTER v TYPE varchar(26)');
wait_until_queue_is_empty();
query('main', 'CREATE TABLE busy AS SELECT * FROM t; ANALYZE busy');
without_launcher(
	sub {
		$holder->query_safe(
			'ALTER TABLE busy ALTER v TYPE varchar(20)');
		$holder->query_safe(
			'BEGIN; LOCK TABLE busy IN SHARE MODE');
	});
wait_for_log_line(qr/ANALYZE (ONLY )?public\.busy \(v\): canceling statement due to lock timeout/,
	$position);
is(query('main', 'SET statement_timeout = 20000; SELECT count(*) FROM busy'),
	5000, 'readers do not wait');
$holder->query_safe('COMMIT');
wait_until_queue_is_empty();
is(statistics('main', 'busy'), 'busy.id busy.v busy.w busy.x busy.y',
	'the table is analyzed when the lock is gone');

# A worker that takes long, in an index of its table: several minutes.
sub create_slow_table
{
	my ($database) = @_;

	query(
		$database, q{
CREATE TABLE slow (v varchar(10), x int);
CREATE FUNCTION sluggish(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('application_name') = 'safe_migrate' THEN
		PERFORM pg_sleep(0.1);
	END IF;
	RETURN $1;
END $$;
CREATE INDEX slow_sluggish ON slow (sluggish(v));
INSERT INTO slow SELECT g, g FROM generate_series(1, 5000) g;
ANALYZE slow;
});
	return;
}

sub wait_for_worker
{
	my ($database) = @_;

	return ok(
		$node->poll_query_until(
			'postgres', qq{
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = '$database' AND backend_type = 'safe_migrate analyzer' AND query LIKE 'ANALYZE %slow'}
		),
		"a worker is at a table of $database");
}

create_slow_table('main');
$position = log_position();
query('main', 'ALTER TABLE slow ALTER v TYPE varchar(20)');
wait_for_worker('main');
my $started = time();
query('main', 'ALTER TABLE slow ADD COLUMN y int');
cmp_ok(time() - $started, '<', 25, 'a statement does not wait for ANALYZE');
wait_for_log_line(qr/public\.slow: canceling statement/, $position);
query('main', 'DROP INDEX slow_sluggish');
wait_until_queue_is_empty();
is(statistics('main', 'slow'), 'slow.v slow.x slow.y', 'which is done afterwards');

#
# Commands that want a database for themselves
#
create_database('short');
create_slow_table('short');
my $width = 20;
foreach (
	[ 'short', 'CREATE DATABASE copy TEMPLATE short' ],
	[ 'copy', 'ALTER DATABASE copy RENAME TO renamed' ],
	[ 'renamed', 'DROP DATABASE renamed' ])
{
	my ($database, $command) = @$_;

	# statistics that the copied database may have lost
	query($database, 'ANALYZE slow');
	query($database, "ALTER TABLE slow ALTER v TYPE varchar($width)");
	$width++;
	wait_for_worker($database);
	$started = time();
	query('postgres', $command);
	cmp_ok(time() - $started, '<', 25, $command);
}
query('postgres', 'DROP DATABASE short');
wait_until_queue_is_empty();

#
# Where the extension is not created
#
create_database('observed', no_extension => 1);
query('observed', 'ALTER TABLE t ALTER v TYPE varchar(20)');
is(statistics('observed', 't'), 't.id t.w t.x t.y',
	'nothing is done where safe_migrate is not in force');
query('observed', 'ANALYZE t');
my $queued = counter('queued');
query('observed',
	'SET safe_migrate.mode = observe; ALTER TABLE t ALTER v TYPE varchar(30)');
is(counter('queued') - $queued, 1, 'observing is enough');
wait_until_queue_is_empty();
is(statistics('observed', 't'), $all, 'without the extension, too');

#
# Off, restoring, prepared
#
$queued = counter('queued');
query('main',
	'SET safe_migrate.renew_statistics = off; ALTER TABLE t ALTER v TYPE varchar(30)'
);
is(counter('queued'), $queued, 'nothing is queued when it is off');
is(statistics('main', 't'), 't.id t.w t.x t.y', 'and nothing comes back');
query('main',
	'ANALYZE t; SET safe_migrate.restoring = on; ALTER TABLE t ALTER v TYPE varchar(31)'
);
is(counter('queued'), $queued, 'nor while a dump is restored');
query('main', 'ANALYZE t');
my $stderr;
$node->psql(
	'main',
	q{BEGIN; ALTER TABLE t ALTER v TYPE varchar(32); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'},
	stderr => \$stderr);
like($stderr, qr/run ANALYZE after COMMIT PREPARED/,
	'who prepares a transaction is told');
is(counter('queued'), $queued, 'that nothing is queued');
query('main', 'ANALYZE t');

#
# Overflow, and an end of the server
#
my $failed = counter('failed');
$position = log_position();
query(
	'main', qq{
DO \$\$
BEGIN
	FOR i IN 1 .. $queue_size + 3 LOOP
		EXECUTE format('CREATE TABLE many%s AS SELECT 1::int AS v', i);
		EXECUTE format('ANALYZE many%s', i);
	END LOOP;
END
\$\$});
without_launcher(
	sub {
		query(
			'main', qq{
SET client_min_messages = warning;
DO \$\$
BEGIN
	FOR i IN 1 .. $queue_size + 3 LOOP
		EXECUTE format('ALTER TABLE many%s ALTER v TYPE bigint', i);
	END LOOP;
END
\$\$});
		is(counter('failed') - $failed, 3, 'a full queue is counted');
	});
wait_for_log_line(qr/could not queue ANALYZE of 3 tables/, $position);
$node->poll_query_until('main',
	qq{SELECT value >= $done + $queue_size FROM migrate.counters() WHERE name = 'analyzes_done'}
);
is( query(
		'main',
		q{SELECT count(*) FROM pg_stats WHERE tablename LIKE 'many%'}),
	$queue_size,
	'the rest is done');

my $relid = query('main', q{SELECT 'busy'::regclass::oid});
without_launcher(
	sub {
		$holder->query_safe('ALTER TABLE busy ALTER v TYPE varchar(21)');
		$holder->query_safe('BEGIN; LOCK TABLE busy IN SHARE MODE');
	});
$position = log_position();
$node->restart;
wait_for_log_line(
	qr/relation $relid of database \d+ has lost statistics and was not analyzed: the server is shutting down/,
	$position);
query('main', 'ANALYZE t; ALTER TABLE t ALTER v TYPE varchar(33)');
wait_until_queue_is_empty();
is(statistics('main', 't'), $all, 'a server that was restarted goes on');

$node->stop;
done_testing();
