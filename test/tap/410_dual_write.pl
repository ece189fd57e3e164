# The dual-write trigger does its work whatever the server, the session and the
# other sessions do: also where the library is not preloaded.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dual');
$node->init(allows_streaming => 'logical');
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'off'
autovacuum = off
max_locks_per_transaction = 512
shared_buffers = 64MB
});
$node->start;

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

sub error
{
	my ($sql) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $sql);

	return $status == 0 ? 'no error' : $error;
}

sub trigger
{
	my ($table, @arguments) = @_;
	my $list = join(', ', map { "'" . s/'/''/gr . "'" } @arguments);

	return qq{CREATE TRIGGER "~~~safe_migrate_change_1" BEFORE INSERT OR UPDATE ON $table FOR EACH ROW
		EXECUTE FUNCTION migrate.dual_write($list);
		ALTER TABLE $table ENABLE ALWAYS TRIGGER "~~~safe_migrate_change_1";};
}

my @rename = ('sync', 'error', '{a}', '{b}', '{upper(a)}', '{lower(b)}');
my $inconsistent = 'SELECT count(*) FROM t WHERE NOT record_image_eq(ROW(b), ROW(upper(a)))';

# Not preloaded: the trigger loads the library by itself, in each session

query('CREATE EXTENSION safe_migrate; CREATE TABLE t (id serial PRIMARY KEY, a text, b text);' . trigger('t', @rename));
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
query(q{INSERT INTO t (a) VALUES ('one'); UPDATE t SET b = 'TWO'});
query(q{INSERT INTO t (b) VALUES ('THREE'); UPDATE t SET a = a || '!' WHERE id > 1});
is(query('SELECT a, b FROM t ORDER BY id'), "two|TWO\nthree!|THREE!", 'the trigger works where we are not preloaded');
like(error(q{UPDATE t SET a = 'x', b = 'y'}), qr/columns?.* were given values that contradict each other/, 'and refuses there');
is(query(q{SET default_transaction_isolation = serializable; SET jit_above_cost = 0; SET DateStyle = 'German';
	SET search_path = ''; SET transform_null_equals = on; SET row_security = off; SET bytea_output = escape;
	UPDATE public.t SET a = 'set' WHERE id = 1 RETURNING b}), 'SET', 'whatever a client has set');

# Literals mean the same, whatever the client has set

query(q{CREATE TABLE literals (a date, b date, c interval, d interval, e bool, f bool);} .
	trigger('literals', 'sync', 'error', '{a,c,e}', '{b,d,f}',
		q{{"CASE WHEN a > '2020-02-01'::date THEN a ELSE '2020-02-01'::date END","c + '-1 days +02:03:00'::interval","e IS NULL"}}, '{}'));
my @literals = map {
	query("$_ INSERT INTO literals (a, c) VALUES ('1999-01-01', '0') RETURNING extract(month FROM b), extract(epoch FROM d), f")
} ('', q{SET DateStyle = 'SQL, DMY';}, q{SET IntervalStyle = 'sql_standard';}, q{SET TimeZone = 'Asia/Tokyo'; SET transform_null_equals = on;});
is_deeply(\@literals, [ ('2|-79020.000000|t') x 4 ], 'literals mean the same, whatever a client has set');

SKIP:
{
	skip 'all strings conform to the standard', 1 if query('SHOW server_version_num') >= 190000;
	query(q{CREATE TABLE strings (a text, b text);} . trigger('strings', 'sync', 'error', '{a}', '{b}', q{{"a || '\\\\x'"}}, '{}'));
	is(query(q{SET standard_conforming_strings = off; INSERT INTO strings (a) VALUES ('y') RETURNING b}), 'y\x', 'strings, too');
}

# The cache of a session: it sees what others change

query('CREATE FUNCTION up(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1 || 1$$;
	CREATE TABLE c (id int, a text, b text);' . trigger('c', 'sync', 'error', '{a}', '{b}', '{public.up(a)}', '{}'));
my $session = $node->background_psql('postgres', on_error_die => 1, on_error_stop => 0);
my $number = 0;

sub in_session
{
	$number++;
	return $session->query("INSERT INTO c (a) VALUES ('v$number') RETURNING b") =~ s/^v$number//r;
}

is(in_session(), '1', 'a session reads the expression');
query('CREATE OR REPLACE FUNCTION up(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1 || 2$$');
is(in_session(), '2', 'CREATE OR REPLACE FUNCTION elsewhere takes effect');
query('DROP FUNCTION up(text); CREATE FUNCTION up(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN $1 || 3; END$$');
is(in_session(), '3', 'DROP and CREATE FUNCTION elsewhere');
query('ALTER TABLE c DROP COLUMN id, ADD COLUMN x int');
is(in_session(), '3', 'ALTER TABLE elsewhere');
query('ALTER TABLE c ALTER COLUMN b TYPE varchar(10)');
is(in_session(), '3', 'a new type elsewhere');
query('DROP TRIGGER "~~~safe_migrate_change_1" ON c;' . trigger('c', 'sync', 'error', '{a}', '{b}', '{a || 4}', '{}'));
is(in_session(), '4', 'another trigger elsewhere');
query('BEGIN; CREATE TABLE kept AS SELECT * FROM c; DROP TABLE c; ALTER TABLE kept RENAME TO c;' .
	trigger('c', 'sync', 'error', '{a}', '{b}', '{a || 5}', '{}') . 'COMMIT');
is(in_session(), '5', 'another table elsewhere');
is($session->query(q{BEGIN; DROP TRIGGER "~~~safe_migrate_change_1" ON c; UPDATE c SET a = a || 'x'; ROLLBACK;
	UPDATE c SET a = 'y' WHERE a = 'v7' RETURNING b}), 'y5', 'and what it has rolled back itself');
query('ALTER TABLE c RENAME COLUMN b TO bb');
like(error(q{UPDATE c SET a = 'z'}), qr/column "b" of table public\.c, which trigger "~~~safe_migrate_change_1" writes, does not exist/,
	'a column that was renamed is told');
query('ALTER TABLE c RENAME COLUMN bb TO b');
is(in_session(), '5', 'until it is renamed back');
$session->quit;

# Code of users that runs while the trigger is at work may have its rule read again

query(q{CREATE FUNCTION nest() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		calls int := current_setting('test.nest');
	BEGIN
		PERFORM set_config('test.nest', (calls - 1)::text, false);
		IF calls = 1 THEN
			EXECUTE 'CREATE OR REPLACE FUNCTION nothing() RETURNS int LANGUAGE sql AS $f$SELECT 1$f$';
			INSERT INTO nested (a) VALUES ('nested');
			INSERT INTO nested (b, c, d) VALUES ('again', 'x', 'AGAIN');
			FOR i IN 1 .. 20 LOOP
				EXECUTE format('INSERT INTO other%s (a) VALUES (1)', i);
			END LOOP;
		END IF;
		RETURN '';
	END$$;
	CREATE FUNCTION nests(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN nest(); END';
	CREATE TABLE nested (a text DEFAULT ('some' || nests(1)), z text DEFAULT ('thing' || nests(2)), b text, c text, d text);} .
	trigger('nested', 'sync', 'new', '{a,z}', '{b,c,d}', '{a || public.nests(3), z || public.nests(4), upper(a)}', '{b || public.nests(5), c || public.nests(6)}'));
query("CREATE TABLE other$_ (a text DEFAULT 'some', z text, b text, c text, d text);" .
		trigger("other$_", 'sync', 'new', '{a,z}', '{b,c,d}', '{a || length(a), a || 9::text || length(a), upper(a)}', '{lower(b), c || 1}'))
	for 1 .. 20;
for my $written (q{(a) VALUES ('x')}, q{(b, c, d) VALUES ('x', 'y', 'X')})
{
	my @results = map { query("SET test.nest = $_; INSERT INTO nested $written RETURNING a = b AND z = c AND d = 'X'") } 1 .. 12;

	is("@results", join(' ', ('t') x 12), "an expression that writes into the table: $written");
}
is(query('SELECT count(*) > 40, bool_and(a = b AND z = c AND d = upper(a)) FROM nested'), 't|t', 'and what it has written');

# As many triggers as partitions: the cache is emptied at times

query('CREATE TABLE p (k int, a text, b text) PARTITION BY LIST (k);
	DO $$BEGIN FOR i IN 1 .. 1100 LOOP EXECUTE format($f$CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)$f$, i, i); END LOOP; END$$;' .
	trigger('p', @rename));
is(query(q{INSERT INTO p (k, a) SELECT k, 'v' || k FROM generate_series(1, 1100) k;
	UPDATE p SET b = b || 'X'; UPDATE p SET a = a || 'y';
	SELECT count(*) FILTER (WHERE b = 'V' || k || 'XY' AND a = 'v' || k || 'xy') FROM p}), '1100', '1,100 partitions in one session');

# Many sessions at once, writing both sides, while columns come and go

query('TRUNCATE t RESTART IDENTITY; INSERT INTO t (a) SELECT i FROM generate_series(1, 20) i');
my $script = $node->basedir . '/traffic.pgbench';
append_to_file($script, q{\set id random(1, 20)
\set v random(1, 1000000)
\set way random(1, 5)
\if :way = 1
UPDATE t SET a = 'a' || :v WHERE id = :id;
\elif :way = 2
UPDATE t SET b = 'B' || :v WHERE id = :id;
\elif :way = 3
UPDATE t SET a = 'c' || :v, b = 'C' || :v WHERE id = :id;
\elif :way = 4
INSERT INTO t (id, b) VALUES (:id, 'D') ON CONFLICT (id) DO UPDATE SET b = t.b || excluded.b;
\else
INSERT INTO t (a) VALUES ('e' || :v);
\endif
});
my ($out, $error) = ('', '');
my $traffic = IPC::Run::start(
	[ $node->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', '4', '-T', '4', '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$error);
for (1 .. 10)
{
	query('ALTER TABLE t ADD COLUMN x int');
	query('ALTER TABLE t DROP COLUMN x');
	query('CREATE OR REPLACE FUNCTION up(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1$$');
	query('CREATE TEMP TABLE x (y int)');
}
$traffic->finish;
unlike($error, qr/ERROR/, 'traffic meets no error') or diag($error);
cmp_ok(query('SELECT count(*) FROM t'), '>', 100, 'rows were written');
is(query($inconsistent), '0', 'and all are consistent');

# A subscriber keeps its own shape, whatever the publisher has

query('CREATE DATABASE target');
query('CREATE EXTENSION safe_migrate', 'target');
query('CREATE TABLE r (id int PRIMARY KEY, a text, b text);' . trigger('r', @rename), 'target');
query(q{CREATE TABLE r (id int PRIMARY KEY, a text); INSERT INTO r VALUES (1, 'copied'), (2, 'copied too');
	CREATE PUBLICATION pub FOR TABLE r});
query(q{SELECT pg_create_logical_replication_slot('sub', 'pgoutput')});
query('CREATE SUBSCRIPTION sub CONNECTION $$' . $node->connstr('postgres') . '$$ PUBLICATION pub WITH (create_slot = false)', 'target');
$node->wait_for_subscription_sync($node, 'sub', 'target');
query(q{UPDATE r SET a = 'changed' WHERE id = 2; INSERT INTO r VALUES (3, 'new')});
$node->wait_for_catchup('sub');
is(query('SELECT * FROM r ORDER BY id', 'target'), "1|copied|COPIED\n2|changed|CHANGED\n3|new|NEW",
	'what replication writes is kept equal, by an ALWAYS trigger');

# and one whose rows are looked up by all columns cannot have another
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'safe_migrate'});
$node->restart;
query('CREATE TABLE keyless (id int, a text)', $_) foreach 'postgres', 'target';
query('ALTER TABLE keyless REPLICA IDENTITY FULL; ALTER PUBLICATION pub ADD TABLE keyless');
query('ALTER SUBSCRIPTION sub REFRESH PUBLICATION', 'target');
$node->wait_for_subscription_sync($node, 'sub', 'target');
my ($status, undef, $error) = $node->psql('target', q{SELECT migrate.rename_column('keyless', 'a', 'b', advance => 'manual')});
like($error, qr/a subscription finds rows of public\.keyless by all their columns/, 'a change is refused');
query('ALTER TABLE keyless ADD PRIMARY KEY (id)', 'target');
($status, undef, $error) = $node->psql('target', q{SELECT migrate.rename_column('keyless', 'a', 'b', advance => 'manual')});
is($status, 0, 'with a key it is not') or diag($error);
query('DROP SUBSCRIPTION sub', 'target');

$node->stop;
done_testing();
