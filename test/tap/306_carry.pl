# The values of a dropped column stay with the rows, whoever updates them and by
# whatever path, while a restore point may bring the column back.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('carry');
$node->init(allows_streaming => 'logical');
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
autovacuum = off
allow_system_table_mods = on
});
$node->start;
my $major = $node->safe_psql('postgres', q{SELECT current_setting('server_version_num')::int / 10000});

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Tables that have the trigger.
sub carried
{
	return query(
		q{SELECT string_agg(format('%s %s', t.tgrelid::regclass, t.tgenabled), ', ' ORDER BY t.tgrelid::regclass::text)
		FROM pg_trigger t WHERE t.tgfoid = 'migrate.carry_dropped_columns'::regproc AND t.tgisinternal});
}

# Columns that are dropped come back as they were, by hand; which rows have not
# got the value that an expression gives?
sub lost
{
	my ($table, $wrong) = @_;

	return query(qq{BEGIN;
		UPDATE pg_attribute a SET attisdropped = false, attname = k.attname, atttypid = k.atttypid
		FROM columns k WHERE k.attrelid = a.attrelid AND k.attnum = a.attnum AND a.attrelid = '$table'::regclass;
		SELECT count(*) FROM ONLY $table WHERE $wrong;
		ROLLBACK});
}

# To be called before a column is dropped.
sub remember
{
	query('CREATE TABLE IF NOT EXISTS columns (attrelid oid, attnum int, attname name, atttypid oid, PRIMARY KEY (attrelid, attnum))');
	query('INSERT INTO columns SELECT attrelid, attnum, attname, atttypid FROM pg_attribute WHERE NOT attisdropped AND attnum > 0 ON CONFLICT DO NOTHING');
}

query('CREATE EXTENSION safe_migrate');
my $has_amcheck = query(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
query('CREATE EXTENSION amcheck') if $has_amcheck;

#
# Without a restore point
#
query('CREATE TABLE plain (id int PRIMARY KEY, gone text)');
query('SET safe_migrate.restore_points = off; ALTER TABLE plain DROP gone');
is(carried(), '', 'no trigger where nothing is to come back');

#
# All ways in which a row is updated
#
query(q{
	CREATE TABLE parent (id int PRIMARY KEY, gone text);
	INSERT INTO parent SELECT i, 'parent ' || i FROM generate_series(1, 10) i;
	CREATE TABLE t (
		id int PRIMARY KEY,
		short text,
		wide text,
		fixed char(3),
		n int,
		parent int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE,
		twice int GENERATED ALWAYS AS (n * 2) STORED,
		number float8,
		kept text);
	ALTER TABLE t ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO t (id, short, wide, fixed, n, parent, number, kept)
	SELECT i, 'short ' || i, repeat(md5(i::text), 100), 'abc', i, 1 + i % 10, i / 3.0, repeat('kept', 1000)
	FROM generate_series(1, 100) i;
	UPDATE t SET short = NULL WHERE id > 90;
	ALTER TABLE t ADD later int DEFAULT 7, ADD words text DEFAULT 'some words', ADD amount numeric DEFAULT 3.14, ADD at timestamptz DEFAULT now();
	CREATE TABLE at AS SELECT DISTINCT at FROM t;
	CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.kept := 'changed'; RETURN NEW; END $$;
	CREATE TRIGGER change BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.id % 2 = 0) EXECUTE FUNCTION change();
	CREATE TRIGGER zzz BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION change();
});
query(q{SELECT migrate.create_restore_point('before')});
remember();
my $wrong = q{(short IS DISTINCT FROM CASE WHEN id <= 90 THEN 'short ' || id END
	OR wide IS DISTINCT FROM repeat(md5(id::text), 100) OR fixed IS DISTINCT FROM 'abc'
	OR number IS DISTINCT FROM id / 3.0::float8 OR later IS DISTINCT FROM 7 OR words IS DISTINCT FROM 'some words'
	OR amount IS DISTINCT FROM 3.14 OR at IS DISTINCT FROM (SELECT x.at FROM at x)) AND id <= 100};
query('BEGIN; ALTER TABLE t DROP short; ROLLBACK');
query('BEGIN; SAVEPOINT a; ALTER TABLE t DROP short; ROLLBACK TO a; COMMIT');
is(carried(), '', 'what is rolled back adds no trigger');
query(q{DO $$ BEGIN ALTER TABLE t DROP short, DROP wide; END $$});
is(carried(), 't A', 'DROP COLUMN adds one, in a function as well');
query(q{SELECT migrate.apply('1', 'ALTER TABLE t DROP fixed, DROP number, DROP later, DROP words')});
query('ALTER TABLE t DROP amount, DROP at');
is(carried(), 't A', 'there is one for all');
is(query(q{SELECT count(*) FROM migrate.drift() WHERE objects::text ~ 'carry'}), 0, 'it is no drift');

query('UPDATE t SET n = n + 1 WHERE id <= 50');
query('UPDATE t SET n = n + 1 WHERE id <= 25');
query(q{INSERT INTO t VALUES (60, 1), (101, 1) ON CONFLICT (id) DO UPDATE SET n = -1});
query(q{MERGE INTO t USING (VALUES (61, 5), (102, 6)) v (id, n) ON v.id = t.id
	WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.n)});
query('DELETE FROM parent WHERE id = 3');
query('UPDATE parent SET id = 44 WHERE id = 4');
query(q{SET session_replication_role = replica; UPDATE t SET n = 0 WHERE id = 70});
query(q{WITH u AS (UPDATE t SET n = 9 WHERE id BETWEEN 80 AND 85 RETURNING id) UPDATE t SET n = 8 WHERE id = (SELECT 90 FROM u LIMIT 1)});
query(q{DO $$ DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 95 FOR UPDATE; r record; BEGIN OPEN c; FETCH c INTO r; UPDATE t SET n = 0 WHERE CURRENT OF c; END $$});
query('VACUUM t');
query('UPDATE t SET n = n + 1');
is(lost('t', $wrong), 0, 'no value is lost');
is(query('SELECT count(*) FROM t WHERE twice IS DISTINCT FROM n * 2'), 0, 'generated columns are right');
SKIP:
{
	skip 'amcheck is not there', 1 unless $has_amcheck;
	is(query(q{SELECT * FROM verify_heapam('t', check_toast := true)}), '', 'the heap is sound');
}
unlike(query('SELECT string_agg(pg_get_triggerdef(oid), chr(10)) FROM pg_trigger WHERE NOT tgisinternal'), qr/carry/,
	'nobody sees the trigger');
$node->command_ok([ 'pg_dump', '-s', '-t', 't', '-f', $node->data_dir . '/dump', $node->connstr('postgres') ], 'pg_dump runs');
unlike(slurp_file($node->data_dir . '/dump'), qr/carry/, 'and does not see it either');

#
# Two sessions that update the same row
#
my $first = $node->background_psql('postgres');
$first->query_safe('BEGIN; UPDATE t SET n = n + 1 WHERE id = 77');
my $second = $node->background_psql('postgres');
$second->query_until(qr/begun/, "\\echo begun\nUPDATE t SET n = n + 1 WHERE id = 77;\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
$first->query_safe('COMMIT');
$second->query_safe('SELECT 1');
$_->quit foreach $first, $second;
is(lost('t', $wrong), 0, 'an update that had to wait carries them, too');

#
# A subscriber
#
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
safe_migrate.mode = 'observe'
allow_system_table_mods = on
});
$subscriber->start;
query('CREATE TABLE r (id int PRIMARY KEY, n int)');
query('INSERT INTO r SELECT i, i FROM generate_series(1, 10) i');
query('CREATE PUBLICATION p FOR TABLE r');
{
	my $publisher = $node;

	$node = $subscriber;
	query('CREATE EXTENSION safe_migrate; CREATE TABLE r (id int PRIMARY KEY, gone text DEFAULT 5, n int)');
	query('CREATE SUBSCRIPTION s CONNECTION $$' . $publisher->connstr('postgres') . '$$ PUBLICATION p');
	$subscriber->wait_for_subscription_sync($publisher, 's') if $subscriber->can('wait_for_subscription_sync');
	$subscriber->poll_query_until('postgres', 'SELECT count(*) = 10 FROM r');
	query(q{SELECT migrate.create_restore_point('before')});
	remember();
	query('ALTER TABLE r DROP gone');
	$publisher->safe_psql('postgres', 'UPDATE r SET n = n + 1');
	$subscriber->poll_query_until('postgres', 'SELECT sum(n) = 65 FROM r');
	is(lost('r', q{gone IS DISTINCT FROM '5'}), 0, 'what comes from a publisher carries them');
	query('DROP SUBSCRIPTION s');
	$subscriber->stop;
	$node = $publisher;
}

#
# Partitions and children
#
query(q{
	CREATE TABLE p (id int, k int, gone text, n int) PARTITION BY LIST (k);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
	CREATE TABLE p2 (n int, gone text, k int, id int);
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
	INSERT INTO p SELECT i, 1 + i % 2, 'gone ' || i, 0 FROM generate_series(1, 20) i;
	CREATE TABLE base (id int, gone text, n int);
	CREATE TABLE child (more int) INHERITS (base);
	CREATE TABLE own (gone text) INHERITS (base);
	INSERT INTO base VALUES (1, 'gone 1'); INSERT INTO child VALUES (2, 'gone 2'); INSERT INTO own VALUES (3, 'gone 3');
});
query(q{SELECT migrate.create_restore_point('partitions')});
remember();
query('ALTER TABLE p DROP gone; ALTER TABLE base DROP gone');
is(carried(), 'base A, child A, p1 A, p2 A, t A', 'partitions and children have their own, where the column is dropped');
query('UPDATE p SET n = n + 1; UPDATE base SET n = 1');
is(lost($_, q{gone IS DISTINCT FROM 'gone ' || id}), 0, "no value of $_ is lost") foreach ('p1', 'p2', 'base', 'child');

#
# What takes the values away
#
query('VACUUM FULL p1');
is( query(q{SELECT concat(s.kind, ' ', s.cause) FROM migrate.parked_storage s WHERE s.relid = 'p1'::regclass}),
	'r rewritten', 'VACUUM FULL by anybody: the file that has the values is kept');
query('VACUUM FULL p1');
query('VACUUM FULL parent');
is(query(q{SELECT count(*) FROM migrate.parked_storage s WHERE s.relid = 'parent'::regclass}), 0, 'other files are not');

#
# The library without its server, the extension on its way out
#
my ($status, $stdout, $stderr) = $node->psql('postgres', 'DROP EXTENSION safe_migrate');
isnt($status, 0, 'the extension is needed');
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
query('UPDATE t SET n = n + 1 WHERE id = 50');
is(lost('t', $wrong), 0, 'the trigger works where the library is not preloaded');
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'safe_migrate'});
$node->restart;

#
# Whatever is counted
#
query('CREATE TABLE c (id int, gone text); CREATE TABLE c2 (id int, gone text); INSERT INTO c SELECT 1, $$gone$$');
query(q{SELECT migrate.create_restore_point('counted')});
remember();
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; LOCK migrate.restore_point_data');
is(query(q{SET track_counts = off; SET lock_timeout = '3s'; INSERT INTO c2 VALUES (1) RETURNING id}), 1,
	'who changes rows without counting them does not look for restore points');
is(query(q{SET track_counts = off; SET lock_timeout = '3s'; CREATE TEMPORARY TABLE own (a int); SELECT 1}), 1,
	'nor does who makes a temporary table');
$reader->query_safe('COMMIT');
$reader->quit;
query('SET track_counts = off; BEGIN; SAVEPOINT a; ALTER TABLE c DROP gone; RELEASE a; SET track_counts = on; COMMIT');
query('SET track_counts = off; ALTER TABLE c2 DROP gone');
like(carried(), qr/c A, c2 A/, 'who drops a column does');
query('UPDATE c SET id = 2');
is(lost('c', q{gone IS DISTINCT FROM 'gone'}), 0, 'and its values are carried');

#
# A column that a rollback takes away, and its own rollback brings back
#
query('CREATE TABLE back (id int); INSERT INTO back VALUES (1)');
query(q{SELECT migrate.create_restore_point('without')});
query(q{SELECT migrate.apply('2', 'ALTER TABLE back ADD later text')});
query(q{UPDATE back SET later = 'by a client'});
query(q{CALL migrate.rollback_to('without')});
query('UPDATE back SET id = 2');
query(q{CALL migrate.rollback_to('before rollback')});
is(query('SELECT * FROM back'), '2|by a client', 'its values are carried');

#
# Rows that move to another partition
#
query(q{
	CREATE TABLE m (id int, k int, gone text, sure text NOT NULL DEFAULT 'default') PARTITION BY LIST (k);
	CREATE TABLE m1 PARTITION OF m FOR VALUES IN (1);
	CREATE TABLE m2 (sure text NOT NULL DEFAULT 'default', gone text, k int, id int);
	ALTER TABLE m ATTACH PARTITION m2 FOR VALUES IN (2);
	CREATE TABLE m3 PARTITION OF m FOR VALUES IN (3);
	INSERT INTO m SELECT i, 1 + i % 2, 'gone', 'sure' FROM generate_series(1, 20) i;
});
query(q{SELECT migrate.create_restore_point('moved')});
query('ALTER TABLE m DROP gone, DROP sure');
query('UPDATE m SET id = -id WHERE id > 10');
query('UPDATE m SET k = 3 WHERE k = 1 AND id IN (8, 10)');
my $empty = q{SELECT action, object, rows FROM migrate.rollback_plan('moved') WHERE object LIKE 'column %' ORDER BY object};
is(query($empty), '', 'in a partition with the same columns in the same order they keep the values');
query('UPDATE m SET k = 2 WHERE id IN (2, 4, 6)');
is(query($empty), "leave NULL|column public.m2.gone|3\ngive values|column public.m2.sure|3",
	'in another one they lose them, and the plan tells how many rows have none');
query(q{CALL migrate.rollback_to('moved')});
is(query(q{SELECT tableoid::regclass, gone, sure, count(*) FROM m GROUP BY 1, 2, 3 ORDER BY 1, 2, 3}),
	"m1|gone|sure|5\nm2|gone|sure|10\nm2||default|3\nm3|gone|sure|2", 'which is what comes true');

#
# To be gone with the point
#
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; SELECT count(*) FROM t');
query(q{SELECT migrate.drop_restore_point(label) FROM migrate.restore_points ORDER BY label});
is(carried(), 't A', 'without a point there are none, but on a table in use');
$locker->query_safe('COMMIT');
$locker->quit;
query(q{SELECT migrate.create_restore_point('last')});
query(q{SELECT migrate.drop_restore_point('last')});
is(carried(), '', 'which goes the next time');
query('UPDATE t SET n = n + 1');
$node->stop;

done_testing();
