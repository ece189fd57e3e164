--
-- migrate.apply(): all in the caller's transaction, what cannot run so is told
-- before anything runs.
--
\set VERBOSITY terse
SET client_min_messages = warning;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA apply;
SET search_path = apply, public;

SELECT migrate.register('1', 'first', '
	CREATE TABLE t (a int PRIMARY KEY, b text);
	CREATE INDEX CONCURRENTLY t_b ON t (b);
	SET work_mem = ''9MB'';
	CREATE TABLE seen AS SELECT current_setting(''work_mem'');');
SELECT migrate.register('2', 'wrapped', '
	BEGIN;
	INSERT INTO t VALUES (1, current_setting(''work_mem''));
	SAVEPOINT s;
	INSERT INTO t VALUES (2, ''gone'');
	ROLLBACK TO s;
	INSERT INTO t VALUES (3, ''kept'');
	RELEASE s;
	SAVEPOINT open;
	COMMIT;
	-- that is all');
SELECT migrate.register('3', 'no_transaction', '-- safe_migrate: no-transaction
	INSERT INTO t VALUES (4, ''x'')');
BEGIN;
SELECT migrate.apply();
TABLE t;
ROLLBACK;
SELECT to_regclass('t') IS NULL AS gone, count(*) FROM migrate.history;
SELECT migrate.apply('2');
SELECT migrate.apply();
SELECT migrate.apply();
TABLE t;
TABLE seen;
SHOW work_mem;
SELECT version, state, transactional, statements FROM migrate.history ORDER BY id;

-- what cannot run in one transaction
SELECT migrate.register('4', 'commits', E'SELECT 1;\nBEGIN;\nSELECT 2;\nCOMMIT;\nSELECT 3;');
SELECT migrate.apply();
SELECT migrate.register('4', 'rolls_back', E'BEGIN;\nSELECT 2;\nROLLBACK;');
SELECT migrate.apply();
SELECT migrate.register('4', 'vacuum', E'SELECT 1;\n\nVACUUM t');
SELECT migrate.apply();
SELECT migrate.register('4', 'isolation', E'BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT');
SELECT migrate.apply();
SELECT migrate.register('4', 'isolation', E'SET TRANSACTION READ ONLY');
SELECT migrate.apply();
SET safe_migrate.small_table = 0;
SELECT migrate.register('4', 'big', E'CREATE INDEX CONCURRENTLY t_a ON t (a)');
SELECT migrate.apply();
SELECT migrate.register('4', 'big', E'REINDEX INDEX CONCURRENTLY t_b');
SELECT migrate.apply();
RESET safe_migrate.small_table;
SELECT migrate.register('4', 'many', '
	CREATE DATABASE x; ALTER SYSTEM SET work_mem = ''1MB''; DISCARD ALL;
	CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p;
	CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (connect = false);
	CREATE TABLESPACE ts LOCATION ''/x''; DROP TABLESPACE ts; DROP DATABASE x;
	ALTER TABLE t DETACH PARTITION p CONCURRENTLY;
	ALTER DATABASE x SET TABLESPACE y; ALTER DATABASE x SET work_mem = 1;
	REINDEX SCHEMA apply; CLUSTER; ANALYZE t; COMMIT PREPARED ''x''');
\set VERBOSITY default
SELECT migrate.apply();
\set VERBOSITY terse
SELECT migrate.register('4', 'copy', 'COPY t FROM STDIN');
SELECT migrate.apply();
SELECT migrate.register('4', 'copy', 'COPY t TO STDOUT');
SELECT migrate.apply();
SELECT migrate.register('4', 'open', E'SELECT 1;\nBEGIN;\nSELECT 2;');
SELECT migrate.apply();
SELECT migrate.register('4', 'two_phase', 'BEGIN; PREPARE TRANSACTION ''x''');
SELECT migrate.apply();
SELECT migrate.register('4', 'chain', 'BEGIN; COMMIT AND CHAIN; COMMIT');
SELECT migrate.apply();
SELECT migrate.register('4', 'savepoint', 'BEGIN; SAVEPOINT a; RELEASE b; COMMIT');
SELECT migrate.apply();
SELECT count(*) FROM migrate.history;

-- a new enum value in use
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE people (name text, mood mood);
SELECT migrate.register('4', 'add_value', 'ALTER TYPE mood ADD VALUE ''odd''; ALTER TYPE mood ADD VALUE IF NOT EXISTS ''sad''');
SELECT migrate.register('5', 'harmless', 'INSERT INTO t VALUES (5, ''odd''); INSERT INTO people VALUES (''odd one'', ''sad''); CREATE TYPE parity AS ENUM (''odd'', ''even'')');
BEGIN;
SELECT migrate.apply();
ROLLBACK;
SELECT migrate.register('6', 'use', E'-- whose\nUPDATE people SET mood = ''odd''');
SELECT migrate.apply();
SELECT migrate.register('6', 'use', 'SELECT ''odd''::mood');
SELECT migrate.apply();
SELECT migrate.register('6', 'use', 'ALTER TABLE people RENAME TO folk; CREATE VIEW v AS SELECT * FROM folk; SELECT * FROM v WHERE mood = E''odd''');
SELECT migrate.apply();
SELECT migrate.register('6', 'use', 'ALTER TYPE mood RENAME TO temper; CREATE TABLE pets (temper apply.temper DEFAULT ''odd'')');
SELECT migrate.apply();
SELECT migrate.register('6', 'other_type', '
	CREATE TYPE mood_new AS ENUM (''odd'', ''sad'', ''happy'');
	ALTER TABLE people ALTER mood TYPE mood_new USING mood::text::mood_new;
	DROP TYPE mood;
	ALTER TYPE mood_new RENAME TO mood;
	UPDATE people SET mood = ''odd''');
SET client_min_messages = error;
SELECT migrate.apply();
SET client_min_messages = warning;

-- errors
SELECT migrate.register('7', 'fails', E'CREATE TABLE never (i int);\n\nSELECT 1/0;');
SELECT migrate.register('8', 'fails', 'SELECT 1');
DO $$
BEGIN
	PERFORM migrate.apply();
EXCEPTION WHEN division_by_zero THEN
	RAISE WARNING 'caught %: %', SQLSTATE, SQLERRM;
END $$;
SELECT version, state FROM migrate.status WHERE version >= '6';
-- inside of a savepoint, which ends with the migration
SELECT migrate.register('7', 'savepoints', E'BEGIN; SAVEPOINT a; SAVEPOINT b;\nSELECT 1/0; COMMIT');
SELECT migrate.apply();
SELECT migrate.register('7', 'fails', E'CREATE TABLE never (i int);\n\nSELECT 1/0;');
SELECT outcome, command, statement, message FROM migrate.decisions WHERE outcome = 'migration_failed' AND message LIKE 'migration 7_fails%';
SELECT migrate.register('7', 'position', E'-- a comment\nSELECT nope FROM t');
\set VERBOSITY default
SELECT migrate.apply();
\set VERBOSITY terse
SELECT migrate.register('7', 'itself', 'SELECT migrate.apply()');
SELECT migrate.apply();
SELECT migrate.register('7', 'itself', 'CALL migrate.deploy()');
SELECT migrate.apply();
SELECT migrate.register('7', 'fine', 'SELECT 1');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migrate.apply();
ROLLBACK;
BEGIN READ ONLY;
SELECT migrate.apply();
ROLLBACK;
SELECT migrate.apply();

-- register and apply one
SELECT migrate.apply(NULL, 'SELECT 1');
SELECT migrate.apply('9', NULL);
SELECT migrate.apply('9', 'CREATE TABLE nine (i int)');
SELECT migrate.apply('9', 'CREATE TABLE nine (i int)', 'with_name');
SELECT migrate.apply('9', 'CREATE TABLE nine (i bigint)');
SELECT migrate.apply('8.5', 'SELECT 1');
SELECT version, name, state FROM migrate.status WHERE version >= '7';

-- an override is for its statement only
CREATE TABLE big AS SELECT g AS a FROM generate_series(1, 1000) g;
SET safe_migrate.small_table = 0;
SELECT migrate.apply('10', E'SELECT 1;\n-- safe_migrate: override nobody reads it\nDROP TABLE big;');
CREATE TABLE big AS SELECT g AS a FROM generate_series(1, 1000) g;
CREATE TABLE big2 AS SELECT g AS a FROM generate_series(1, 1000) g;
SELECT left(verdict($$SELECT migrate.apply('11', E'DROP TABLE big; -- safe_migrate: override for the next\nDROP TABLE big2;')$$), 42);
SELECT left(verdict($$SELECT migrate.apply('11', E'-- safe_migrate: override for the first\nDROP TABLE big;\nDROP TABLE big2;')$$), 42);
SELECT migrate.apply('11', E'-- safe_migrate: override\nDROP TABLE big;');
SHOW safe_migrate.override;
SELECT outcome, relation, reason FROM migrate.decisions WHERE outcome = 'overridden' AND relation LIKE 'apply.%' ORDER BY decided_at;
RESET safe_migrate.small_table;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
DROP SCHEMA apply CASCADE;
RESET safe_migrate.mode;
RESET search_path;
