# What a migration does to rows, by whatever statement, is kept and undone: each
# case is one migration, and all of its tables are afterwards what they were.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('changed_rows');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'safe_migrate'
autovacuum = off
});
$node->start;

# Each case has a database, made from this one: a migration that was rolled back
# would be applied again with the next one.
$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql('origin', q{
CREATE EXTENSION safe_migrate;
CREATE EXTENSION amcheck;

CREATE SCHEMA test;
SET search_path = test;

-- all rows of all tables
CREATE FUNCTION contents() RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')
		ORDER BY relname
	LOOP
		RETURN QUERY EXECUTE
			format('SELECT concat_ws('' '', %L, md5(x::text), left(x::text, 60))'
				   ' FROM %s x', t, t);
	END LOOP;
END $$;

-- what the newest migration did, by the images kept
CREATE FUNCTION kept() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', c.relname, updated, deleted, inserted),
					  ', ' ORDER BY c.relname)
	FROM migrate.changed_rows_relation r
	JOIN (SELECT relid, main_relid, relname FROM migrate.parked_storage
		  JOIN pg_class ON pg_class.oid = holder AND kind = 'r'
			AND cause = 'dropped'
		  UNION ALL SELECT oid, oid, relname FROM pg_class) c USING (relid)
	WHERE id = (SELECT max(id) FROM migrate.changed_rows)
$$;
});

my $setup = q{
CREATE TABLE t (id int PRIMARY KEY, a text, b int UNIQUE, big text);
ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
INSERT INTO t SELECT i, 'a' || i, i,
	CASE WHEN i % 10 = 0 THEN repeat(md5(i::text), 300) END
FROM generate_series(1, 100) i;
};

# name, tables, migration, what is kept: table updated deleted inserted
my @cases = (
	[
		'all rows twice', $setup,
		q{UPDATE t SET a = 'x';
		UPDATE t SET a = a || 'y', big = 'small' WHERE id % 2 = 0},
		't 100 0 0'
	],
	[
		'values out of line', $setup,
		q{DELETE FROM t WHERE big IS NOT NULL}, 't 0 10 0'
	],
	[
		'rows that come and go', $setup,
		q{INSERT INTO t SELECT i, 'new' FROM generate_series(201, 210) i;
		UPDATE t SET a = 'newer' WHERE id > 205;
		DELETE FROM t WHERE id > 208},
		't 0 0 8'
	],
	[
		'a key that is used again', $setup,
		q{DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (7, 'again', 7)},
		't 0 1 1'
	],
	[
		'keys that move', $setup,
		q{UPDATE t SET id = id + 1000;
		UPDATE t SET id = id - 990, b = -b;
		UPDATE t SET b = 101 + b},
		't 100 0 0'
	],
	[
		'savepoints', $setup,
		q{SAVEPOINT one; UPDATE t SET a = 'gone'; DELETE FROM t WHERE id < 50;
		INSERT INTO t VALUES (999); ROLLBACK TO one; RELEASE one;
		SAVEPOINT two; UPDATE t SET a = 'stays' WHERE id < 5; RELEASE two},
		't 4 0 0'
	],
	[
		'blocks with exceptions', $setup,
		q{DO $$ BEGIN
			FOR i IN 1 .. 20 LOOP
				BEGIN
					UPDATE t SET a = 'loop' WHERE id = i;
					IF i % 4 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			END LOOP;
		END $$},
		't 15 0 0'
	],
	[
		'not counted', $setup,
		q{SET LOCAL track_counts = off; UPDATE t SET a = 'q' WHERE id < 4;
		SET LOCAL track_counts = on; UPDATE t SET a = 'r' WHERE id = 4},
		't 4 0 0'
	],
	[
		'nothing counted', $setup,
		q{SET LOCAL track_counts = off; UPDATE t SET a = 'q'},
		't 100 0 0'
	],
	[
		'ON CONFLICT and MERGE', $setup,
		q{INSERT INTO t VALUES (1, 'c'), (500, 'c') ON CONFLICT (id)
			DO UPDATE SET a = 'upserted';
		INSERT INTO t VALUES (2, 'c') ON CONFLICT DO NOTHING;
		MERGE INTO t USING (VALUES (3), (4), (600)) v(i) ON v.i = id
			WHEN MATCHED AND i = 3 THEN UPDATE SET a = 'merged'
			WHEN MATCHED THEN DELETE
			WHEN NOT MATCHED THEN INSERT VALUES (i, 'merged')},
		't 2 1 2'
	],
	[
		'COPY', $setup,
		q{COPY t (id, a) FROM PROGRAM 'printf "301\tx\n302\ty\n"'}, 't 0 0 2'
	],
	[
		'cascades',
		q{CREATE TABLE parent (id int PRIMARY KEY);
		CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent
			ON DELETE CASCADE ON UPDATE CASCADE);
		INSERT INTO parent SELECT generate_series(1, 100);
		INSERT INTO child SELECT i, i FROM generate_series(1, 100) i},
		q{DELETE FROM parent WHERE id < 10;
		UPDATE parent SET id = id + 1000 WHERE id > 90},
		'child 10 9 0, parent 10 9 0'
	],
	[
		'partitions',
		q{CREATE TABLE p (id int, k int, a text, PRIMARY KEY (id, k))
			PARTITION BY LIST (k);
		CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
		CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
		INSERT INTO p SELECT i, 1 + i % 2 FROM generate_series(1, 100) i},
		q{UPDATE p SET k = 3 - k WHERE id < 50; UPDATE p SET a = 'b';
		INSERT INTO p VALUES (1000, 1)},
		'p1 26 24 26, p2 25 25 24'
	],
	[
		'no key, rows larger than a part',
		q{CREATE TABLE n (a text, b text);
		ALTER TABLE n ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE PLAIN;
		INSERT INTO n SELECT repeat(md5(i::text), 3000),
			repeat(md5(i::text), 200) FROM generate_series(1, 30) i;
		INSERT INTO n SELECT 'small' FROM generate_series(1, 30)},
		q{UPDATE n SET a = 'gone' WHERE a <> 'small';
		DELETE FROM n WHERE a = 'small'},
		'n 30 30 0'
	],
	[
		'columns dropped, generated, and not in old rows',
		q{CREATE TABLE g (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
			dropped text, a int, s int GENERATED ALWAYS AS (a * 2) STORED);
		INSERT INTO g (dropped, a) SELECT 'd', i FROM generate_series(1, 20) i;
		ALTER TABLE g ADD fast text DEFAULT 'fast';
		ALTER TABLE g DROP dropped;
		INSERT INTO g (a) SELECT i FROM generate_series(1, 20) i},
		q{UPDATE g SET a = a + 1, fast = fast || 'er' WHERE id % 2 = 0;
		DELETE FROM g WHERE id % 5 = 0},
		'g 16 8 0'
	],
	[
		'other indexes',
		q{CREATE TABLE e (id int PRIMARY KEY DEFERRABLE, r int4range,
			EXCLUDE USING gist (r WITH &&), t text);
		CREATE UNIQUE INDEX ON e (lower(t));
		CREATE INDEX ON e (id) WHERE t LIKE 'a%';
		CREATE INDEX ON e USING brin (id);
		INSERT INTO e SELECT i, int4range(i * 10, i * 10 + 10), 'a' || i
		FROM generate_series(1, 50) i},
		q{UPDATE e SET r = int4range(lower(r) + 10000, upper(r) + 10000),
			t = 'z' || t;
		UPDATE e SET id = id + 1;
		UPDATE e SET r = int4range(lower(r) - 9990, upper(r) - 9990)},
		'e 50 0 0'
	],
	[
		'a materialized view',
		"$setup CREATE MATERIALIZED VIEW mv AS SELECT id, a FROM t;
		CREATE UNIQUE INDEX ON mv (id)",
		q{UPDATE t SET a = 'x' WHERE id <= 10;
		REFRESH MATERIALIZED VIEW CONCURRENTLY mv},
		'mv 0 10 10, t 10 0 0'
	],
	[
		'rows changed, then TRUNCATE', $setup,
		q{UPDATE t SET a = 'x', big = 'y'; DELETE FROM t WHERE id = 1;
		TRUNCATE t; INSERT INTO t VALUES (1000)},
		't 99 1 0'
	],
	[
		'rows changed in a block, then TRUNCATE', $setup,
		q{DO $$ BEGIN UPDATE t SET a = 'x'; TRUNCATE t;
		EXCEPTION WHEN no_data_found THEN NULL; END $$},
		't 100 0 0'
	],
	[
		'rows changed, then another type', $setup,
		q{UPDATE t SET a = 'x', big = 'y'; ALTER TABLE t ALTER b TYPE text;
		UPDATE t SET a = 'z' WHERE id < 5},
		't 4 0 0, t 100 0 0'
	],
	[
		'rows changed, then dropped', $setup,
		q{DELETE FROM t WHERE id > 90; UPDATE t SET big = 'y'; DROP TABLE t},
		'parked 90 10 0'
	],
);

# Tables with their migrations, in a database of its own.
sub begin_case
{
	my ($database, $tables, @migrations) = @_;
	my $number = 0;

	$node->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE origin");
	$node->safe_psql($database, qq{
		SET safe_migrate.mode = off;
		$tables;
		CREATE TABLE test.before AS SELECT test.contents() AS line;
	});
	migrate($database, ++$number, $_) for @migrations;
	return;
}

sub migrate
{
	my ($database, $number, $migration) = @_;

	$node->safe_psql($database, qq{
		SET client_min_messages = warning;
		SELECT migrate.register('$number', 'case', \$m\$
			SET LOCAL safe_migrate.override = 'a test';
			$migration\$m\$);
		SELECT migrate.apply();
	});
	return;
}

# The error, if there is one.
sub roll_back
{
	my ($database, $arguments) = @_;
	my (undef, undef, $error) = $node->psql($database, qq{
		SET client_min_messages = warning;
		CALL migrate.rollback_to('before 1_case'$arguments)});

	return $error;
}

# What amcheck finds in the tables and indexes.
sub corruption
{
	my ($database) = @_;
	my (undef, $found, $error) = $node->psql($database, q{
		SELECT c.relname, v.* FROM pg_class c, verify_heapam(c.oid::regclass) v
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r';
		DO $$ BEGIN PERFORM bt_index_check(oid::regclass, true) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'
		AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree'); END $$});

	return $found . $error;
}

# Lines that are there only before (-), or only now (+), without the sum.
sub differences
{
	my ($database) = @_;

	return $node->safe_psql($database, q{
		SELECT * FROM
		(SELECT '-' || regexp_replace(line, ' \w{32}', '') FROM
		 (TABLE test.before EXCEPT ALL SELECT test.contents()) x (line)
		 UNION ALL SELECT '+' || regexp_replace(line, ' \w{32}', '') FROM
		 (SELECT test.contents() EXCEPT ALL TABLE test.before) y (line)) z
		ORDER BY 1});
}

my $number = 0;
for my $case (@cases)
{
	my ($name, $tables, $migration, $kept) = @$case;
	my $database = 'case' . ++$number;

	begin_case($database, $tables, $migration);
	my $found = $node->safe_psql($database, 'SELECT test.kept()');
	$found =~ s/parked_\d+/parked/g;
	is($found, $kept, "$name: what is kept");
	is(roll_back($database, ''), '', "$name: rolled back");
	is(differences($database), '', "$name: all is what it was");
	is(corruption($database), '', "$name: all is sound");
}

# Rows that clients have changed since

my $conflicting = q{
UPDATE t SET a = 'm' WHERE id <= 20;
DELETE FROM t WHERE id BETWEEN 21 AND 30;
INSERT INTO t SELECT i, 'i', i FROM generate_series(201, 210) i};
my $writes = q{
UPDATE t SET a = 'client' WHERE id IN (1, 52, 201);
DELETE FROM t WHERE id IN (2, 51, 202);
INSERT INTO t VALUES (21, 'client', 21), (300, 'client', 300)};
my $elsewhere = q{+t (300,client,300,)
+t (52,client,52,)
-t (51,a51,51,)
-t (52,a52,52,)};

for my $vacuum ('', 'VACUUM t', 'VACUUM FULL t')
{
	my $database = 'case' . ++$number;
	my $when = $vacuum ? "conflicts, $vacuum" : 'conflicts';

	begin_case($database, $setup, $conflicting);
	$node->safe_psql($database, $writes);
	$node->safe_psql($database, $vacuum) if $vacuum;
	like(
		roll_back($database, ''),
		qr/ERROR:  rows of table public\.t were changed again/,
		"$when: refused");
	is( $node->safe_psql($database,
			q{SELECT rows, conflicts FROM migrate.rollback_plan('before 1_case')
			WHERE action = 'change rows back'}),
		'35|4',
		"$when: told before");
	is(roll_back($database, q{, on_conflict := 'restore'}),
		'', "$when: restored");
	is(differences($database), $elsewhere,
		"$when: only what clients wrote elsewhere stays");
	is(corruption($database), '', "$when: all is sound");
}

my $database = 'case' . ++$number;
begin_case($database, $setup, $conflicting);
$node->safe_psql($database, $writes);
is(roll_back($database, q{, on_conflict := 'keep'}),
	'', 'conflicts: kept');
is( differences($database), q{+t (1,client,1,)
+t (201,client,201,)
+t (21,client,21,)
+t (300,client,300,)
+t (52,client,52,)
-t (1,a1,1,)
-t (2,a2,2,)
-t (21,a21,21,)
-t (51,a51,51,)
-t (52,a52,52,)}, 'conflicts: what clients wrote stays');

# Several migrations, which change the same rows and their keys

$database = 'case' . ++$number;
begin_case(
	$database, $setup,
	q{UPDATE t SET id = id + 1000, b = b + 1000 WHERE id <= 50;
	DELETE FROM t WHERE id IN (70, 71); INSERT INTO t VALUES (500, 'one')},
	q{UPDATE t SET id = id - 990 WHERE id BETWEEN 1001 AND 1009;
	INSERT INTO t VALUES (70, 'two', 70); UPDATE t SET a = 'two';
	DELETE FROM t WHERE id BETWEEN 80 AND 85 OR id = 1020},
	q{UPDATE t SET id = id + 100 WHERE id > 1030; DELETE FROM t WHERE id < 15;
	UPDATE t SET a = 'three', id = 501 WHERE id = 500});
is( $node->safe_psql($database,
		q{SELECT conflicts FROM migrate.rollback_plan('before 1_case')
		WHERE action = 'change rows back'}),
	'0',
	'three migrations: no conflicts');
is(roll_back($database, ''), '', 'three migrations: rolled back');
is(differences($database), '', 'three migrations: all is what it was');
is(corruption($database), '', 'three migrations: all is sound');

done_testing();
