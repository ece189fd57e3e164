--
-- From a refusal to the online change: the message names the call, and the
-- action "online" has it run instead of the statement.
--
CREATE SCHEMA online_action;
SET search_path = online_action, public;
\set VERBOSITY terse
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE t (id int PRIMARY KEY, a int, "B c" text, d varchar(20) DEFAULT 'd', e int, f int);
INSERT INTO t SELECT g, g, repeat('x', 80), 'd', g, g FROM generate_series(1, 20000) g;
CREATE TABLE parts (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100);
INSERT INTO parts SELECT g, g FROM generate_series(0, 99) g;
CREATE TABLE parent (id int, a int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child VALUES (1, 1);
SET safe_migrate.small_table = 0;

-- the call that the message ends with
CREATE FUNCTION named(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'allowed';
EXCEPTION
	WHEN SQLSTATE 'SM001' THEN
		RETURN coalesce(substring(SQLERRM FROM '; (SELECT .*)'), '-');
	WHEN OTHERS THEN
		RETURN SQLERRM;
END $$;
SELECT statement, named(statement) FROM (VALUES
	('ALTER TABLE t RENAME COLUMN a TO b'),
	('ALTER TABLE online_action.t RENAME "B c" TO "it''s"'),
	('ALTER TABLE IF EXISTS ONLY t RENAME COLUMN a TO b'),
	('ALTER TABLE parts RENAME COLUMN a TO b'),
	('ALTER TABLE parts RENAME COLUMN id TO b'),
	('ALTER TABLE part RENAME TO other'),
	('ALTER TABLE parent RENAME COLUMN a TO b'),
	('ALTER TABLE parent RENAME TO b'),
	('ALTER TABLE t RENAME TO "T"'),
	('ALTER TABLE t ALTER a TYPE bigint'),
	('/* before */ ALTER TABLE t ALTER COLUMN a SET DATA TYPE bigint -- behind'),
	('ALTER TABLE t ALTER a TYPE numeric(10, 2)'),
	('ALTER TABLE t ALTER a TYPE int[] USING ARRAY[a]'),
	('ALTER TABLE t ALTER "B c" TYPE mood USING (CASE WHEN "B c" = $x$it''s$x$ -- really
		THEN ''sad'' /* ! */ ELSE''glad'' END)::mood;'),
	('ALTER TABLE t ALTER a TYPE mood USING substring(''glad'' FROM 1)::mood, ALTER d SET DEFAULT ''e'''),
	('ALTER TABLE t ALTER "B c" TYPE bytea USING "B c"::bytea'),
	('ALTER TABLE t ALTER d TYPE varchar(5) COLLATE "C"'),
	('ALTER TABLE parent ALTER a TYPE bigint'),
	('ALTER TABLE t DROP a'),
	('ALTER TABLE t DROP COLUMN IF EXISTS a RESTRICT'),
	('ALTER TABLE t DROP COLUMN a CASCADE'),
	('ALTER TABLE t DROP COLUMN a, DROP COLUMN d'),
	('DROP TABLE t'),
	('DROP TABLE IF EXISTS online_action.t'),
	('DROP TABLE t, part'),
	('DROP TABLE t CASCADE'),
	('ALTER TABLE t ADD x serial'),
	('ALTER TABLE t ADD x positive DEFAULT random() * 10 + 1'),
	('TRUNCATE t')
) AS s (statement);
-- nothing of it where the statement has a plan
\set VERBOSITY default
\set SHOW_CONTEXT never
ALTER TABLE t ALTER a SET NOT NULL, ALTER e TYPE bigint;
ALTER TABLE t RENAME a TO b;
SET safe_migrate.rename_with_view = on;
BEGIN;
ALTER TABLE t RENAME TO u;
ROLLBACK;
RESET safe_migrate.rename_with_view;
\set VERBOSITY terse
SELECT rule, action, safe_sql FROM migrate.check($$
ALTER TABLE t ALTER f TYPE bigint, DROP "B c";
ALTER TABLE t RENAME a TO b;
ALTER TABLE t ALTER e TYPE bigint;
CREATE INDEX t_e ON t (e);
ALTER TABLE t DROP d;
DROP TABLE t;
CREATE TABLE made (a int);
ALTER TABLE made RENAME a TO b;
$$) WHERE rule IS NOT NULL;

-- the action
SET safe_migrate.rules = 'rename_column:on_line';
SET safe_migrate.rules = 'rename_column:online, rename_table:online, alter_column_type:online, set_not_null:online, drop_column:online, drop_table:online, drop_cascade:online, add_column_rewrite:online, create_index:online, lost_statistics:online, truncate:online, delete_without_where:online';
SELECT name, action FROM migrate.rules WHERE action = 'online' ORDER BY 1;
SELECT statement, rule, action, safe_sql FROM migrate.check($$
ALTER TABLE t ALTER f TYPE bigint, DROP "B c";
ALTER TABLE t RENAME a TO b;
ALTER TABLE t ALTER e TYPE bigint;
ALTER TABLE t ALTER e SET NOT NULL;
ALTER TABLE t ADD r float8 DEFAULT random() NOT NULL;
CREATE INDEX ON t (d);
DROP TABLE t CASCADE;
CREATE TABLE made (a int);
ALTER TABLE made RENAME a TO b;
$$);
CREATE VIEW started AS
SELECT kind, phase, relation, statement FROM migrate.changes
WHERE started_at >= now() - interval '1 hour' ORDER BY id;
CREATE FUNCTION last_change() RETURNS text LANGUAGE sql AS
'SELECT max(id)::text FROM migrate.changes';
ALTER SEQUENCE migrate.task_log_id_seq RESTART 2000;

-- in a transaction, which may be rolled back, and which tells its usual tag
\set QUIET off
BEGIN;
ALTER TABLE t RENAME a TO b;
UPDATE t SET b = -1 WHERE id = 1 RETURNING a, b;
ROLLBACK;
\set QUIET on
SELECT * FROM started;
\set QUIET off
ALTER TABLE t RENAME a TO b;
\set QUIET on
SELECT last_change() AS change \gset
CALL migrate.wait(:change);
SELECT * FROM started;
SELECT count(*) FROM t WHERE a IS DISTINCT FROM b;
SELECT outcome, rule, command, relation, statement, executed FROM migrate.decisions
WHERE relation ~ '^online_action' AND outcome = 'rewritten' AND rule <> 'online_change' ORDER BY id;
-- again, while it is not contracted; and another column of the table
ALTER TABLE t RENAME a TO b;
/* safe_migrate: override meant */ ALTER TABLE t RENAME a TO z;
BEGIN;
ALTER TABLE t RENAME f TO g;
ALTER TABLE t RENAME id TO key;
ROLLBACK;
SELECT migrate.contract(:change, force => true) IS NOT NULL AS contracted;
SELECT statement, array_length(objects, 1) FROM migrate.ddl_log WHERE statement ~ 'rename_column' OR statement ~ 'RENAME a' ORDER BY id;

-- in a function and in a DO block
DO $$ BEGIN ALTER TABLE online_action.t ALTER e TYPE bigint USING e + 0; END $$;
SELECT last_change() AS change \gset
CALL migrate.wait(:change);
SELECT migrate.contract(:change, force => true) IS NOT NULL AS contracted;
CREATE FUNCTION not_null() RETURNS void LANGUAGE plpgsql AS $$
BEGIN ALTER TABLE online_action.t ALTER e SET NOT NULL; END $$;
SELECT not_null();
SELECT last_change() AS change \gset
CALL migrate.wait(:change);
SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'e';

-- what a change only tries to drop makes no restore point
SELECT count(*) AS points FROM migrate.restore_points \gset
ALTER TABLE t DROP COLUMN d;
DROP TABLE part;
SELECT count(*) - :points AS points FROM migrate.restore_points;
SELECT kind, phase, relation FROM migrate.changes WHERE started_at >= now() - interval '1 hour' ORDER BY id;

-- what there is no call for, and what needs none
SELECT named('ALTER TABLE t DROP COLUMN f, ADD x int');
CREATE INDEX by_f ON t (f);
DROP TABLE parent CASCADE;
TRUNCATE child;
DELETE FROM child;
INSERT INTO child VALUES (1, 1);
CREATE TABLE made (a int);
ALTER TABLE made RENAME a TO b;
CREATE TEMP TABLE temporary AS SELECT 1 AS a;
ALTER TABLE temporary RENAME a TO b;
BEGIN;
CREATE TABLE fresh AS SELECT 1 AS a;
ALTER TABLE fresh RENAME a TO b;
COMMIT;

-- a reason lets the statement itself run
BEGIN;
SET LOCAL safe_migrate.override = 'nobody reads it';
ALTER TABLE child RENAME TO kid;
COMMIT;
/* safe_migrate: override nobody reads it */ ALTER TABLE kid RENAME TO child;
-- so does what only looks on
SET safe_migrate.mode = observe;
BEGIN;
ALTER TABLE child RENAME TO kid;
ROLLBACK;
RESET safe_migrate.mode;

-- the ledger and what it runs
SELECT migrate.apply('online_action_1', $$ALTER TABLE online_action.made RENAME b TO c; ALTER TABLE online_action.child RENAME TO kid;$$);
SELECT kind, statement FROM migrate.changes ORDER BY id DESC LIMIT 1;
CALL migrate.run('ALTER TABLE online_action.t ALTER f SET NOT NULL');
SELECT kind, statement FROM migrate.changes ORDER BY id DESC LIMIT 1;
SELECT last_change() AS change \gset
CALL migrate.wait(:change);

-- the table of the policy, one table alone
RESET safe_migrate.rules;
INSERT INTO migrate.policy (schema_name, table_name, action) VALUES ('online_action', 'parts', 'online');
ALTER TABLE parts RENAME a TO b;
SELECT last_change() AS change \gset
CALL migrate.wait(:change);
SELECT * FROM parts WHERE a IS DISTINCT FROM b OR id = 7;
SELECT named('ALTER TABLE parent RENAME TO old');
DELETE FROM migrate.policy WHERE schema_name = 'online_action';
INSERT INTO migrate.policy (schema_name, action) VALUES ('online_action', 'on_line');
