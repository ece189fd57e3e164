--
-- CALL migrate.deploy(): each migration in its own transaction, with the
-- meaning that its file has in its own tool.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
SET client_min_messages = notice;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA deploy;
SET search_path = deploy;
CREATE VIEW attempts AS
SELECT version, state, transactional, statements, error, error_statement, error_line, sqlstate
FROM migrate.history ORDER BY id;

CALL migrate.deploy();
SELECT migrate.register('1', 'plain', 'CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, now())');
SELECT migrate.register('2', 'own_now', 'INSERT INTO t VALUES (2, now())');
SELECT migrate.register('3', 'begin_commit', '
	INSERT INTO t VALUES (3, ''before'');
	BEGIN;
	INSERT INTO t VALUES (4, ''inside'');
	SAVEPOINT s;
	INSERT INTO t VALUES (5, ''gone'');
	ROLLBACK TO s;
	INSERT INTO t VALUES (6, ''kept'');
	RELEASE SAVEPOINT s;
	SAVEPOINT s1; SAVEPOINT s2; INSERT INTO t VALUES (7, ''released''); RELEASE s1;
	SAVEPOINT left_open;
	COMMIT;
	-- nothing but a comment');
SELECT migrate.register('4', 'rollback', '
	BEGIN; INSERT INTO t VALUES (8, ''gone''); ROLLBACK;
	INSERT INTO t VALUES (9, ''after'')');
SELECT migrate.register('5', 'isolation', '
	BEGIN ISOLATION LEVEL SERIALIZABLE;
	INSERT INTO t VALUES (10, current_setting(''transaction_isolation''));
	COMMIT');
SELECT migrate.register('6', 'isolation', '
	BEGIN;
	SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
	SET LOCAL work_mem = ''9MB'';
	INSERT INTO t VALUES (11, current_setting(''transaction_isolation''));
	COMMIT');
SELECT migrate.register('7', 'read_only', 'BEGIN READ ONLY; SELECT 1; COMMIT');
SELECT migrate.register('8', 'concurrently', '
	CREATE TABLE c (a int);
	CREATE INDEX CONCURRENTLY c_a ON c (a);
	REINDEX INDEX CONCURRENTLY c_a;
	DROP INDEX CONCURRENTLY c_a');
SELECT migrate.register('9', 'vacuum', 'INSERT INTO c VALUES (1); VACUUM c; INSERT INTO c VALUES (2); LOCK TABLE c; ANALYZE c');
SELECT migrate.register('10', 'procedure', '-- safe_migrate: no-transaction
	CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO c VALUES (3); COMMIT;
		INSERT INTO c VALUES (4); ROLLBACK;
		INSERT INTO c VALUES (5);
	END $$;
	CALL p();
	BEGIN; INSERT INTO c VALUES (6); COMMIT;
	CREATE INDEX CONCURRENTLY c_a ON c (a);');
SELECT migrate.register('11', 'comment', '-- nothing to do');
CALL migrate.deploy();
SELECT a, CASE WHEN a > 2 THEN b END AS b FROM t ORDER BY a;
SELECT count(DISTINCT b) FROM t WHERE a <= 2;
SELECT array_agg(a ORDER BY a) FROM c;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'c_a'::regclass;
TABLE attempts;
SHOW work_mem;
CALL migrate.deploy();

-- in psql too a second BEGIN and a COMMIT alone are warnings
SELECT migrate.register('12', 'warnings', 'SELECT 1; COMMIT; BEGIN; BEGIN; COMMIT; SELECT 2');
CALL migrate.deploy();

-- large tables get CONCURRENTLY, small ones do without
SET safe_migrate.small_table = 0;
SELECT migrate.register('13', 'large', 'INSERT INTO c VALUES (7); CREATE INDEX CONCURRENTLY c_b ON c (a); INSERT INTO c VALUES (8)');
CALL migrate.deploy();
RESET safe_migrate.small_table;
-- and when nothing is judged, all
SET safe_migrate.mode = off;
SELECT migrate.register('14', 'off', 'CREATE INDEX CONCURRENTLY c_c ON c (a)');
CALL migrate.deploy();
RESET safe_migrate.mode;
SELECT version, transactional, statements FROM migrate.history
WHERE version IN ('12', '13', '14') ORDER BY id;

-- settings
SELECT migrate.register('20', 'sets', 'SET search_path = nowhere; SET ROLE pg_monitor; SET SESSION AUTHORIZATION DEFAULT; SET my.own = ''x''');
SELECT migrate.register('21', 'sees', 'CREATE TABLE seen AS SELECT current_setting(''search_path'') AS path, current_user = session_user AS myself, current_setting(''my.own'', true) AS own');
SELECT migrate.register('22', 'several', 'SET search_path = deploy, public; SET my.own = ''y''; COMMIT; INSERT INTO seen SELECT current_setting(''search_path''), true, current_setting(''my.own''); SET ROLE pg_monitor; COMMIT; SELECT 1');
SELECT migrate.register('23', 'sees', 'INSERT INTO seen SELECT current_setting(''search_path''), current_user = session_user, current_setting(''my.own'', true)');
CALL migrate.deploy();
TABLE seen;

-- failures
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i int);\nINSERT INTO f VALUES (1);\n\n-- here\nSELECT nope FROM f;');
\set VERBOSITY default
CALL migrate.deploy();
\set VERBOSITY terse
SELECT to_regclass('f') IS NULL AS gone;
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i int REFERENCES t2 DEFERRABLE INITIALLY DEFERRED)');
CREATE TABLE t2 (i int PRIMARY KEY);
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i int REFERENCES t2 DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO f VALUES (1)');
CALL migrate.deploy();
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i int);\nCOMMIT;\nSET my.own = ''z'';\nINSERT INTO f VALUES (1);\nVACUUM f;\nINSERT INTO f VALUES (2);\nSELECT 1/0;');
CALL migrate.deploy();
SELECT version, state, statements, error FROM migrate.status WHERE version = '30';
SELECT current_setting('my.own', true) = 'z' AS leaked;
TABLE f;
-- a change in front of where it stopped
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i bigint);\nCOMMIT;\nSET my.own = ''z'';\nINSERT INTO f VALUES (1);\nVACUUM f;\nINSERT INTO f VALUES (3);\nSELECT 1;');
CALL migrate.deploy();
SELECT migrate.apply();
-- and one behind it
SELECT migrate.register('30', 'fails', E'CREATE TABLE f (i int);\nCOMMIT;\nSET my.own = ''z'';\nINSERT INTO f VALUES (1);\nVACUUM f;\nINSERT INTO f VALUES (3);\nSELECT 1;');
CALL migrate.deploy();
TABLE f;
SELECT * FROM attempts WHERE version = '30';

-- refused before anything runs
SELECT migrate.register('31', 'fine', 'CREATE TABLE never (i int)');
SELECT migrate.register('32', 'bad', E'SELECT 1;\nCOPY f FROM STDIN;');
CALL migrate.deploy();
SELECT migrate.register('32', 'bad', E'SELECT 1;\nBEGIN;\nSELECT 2');
CALL migrate.deploy();
SELECT migrate.register('32', 'bad', E'SELECT 1;\nBEGIN READ ONLY;\nCOMMIT');
CALL migrate.deploy();
SELECT migrate.register('32', 'bad', E'-- safe_migrate: no-transaction\nSAVEPOINT s');
CALL migrate.deploy();
SELECT migrate.register('32', 'bad', E'CALL migrate.deploy()');
CALL migrate.deploy('31');
SELECT version, state FROM migrate.status WHERE version > '30';
CALL migrate.deploy();
SELECT migrate.register('32', 'bad', E'-- safe_migrate: no-transaction\nCALL migrate.deploy()');
CALL migrate.deploy();

-- where it cannot be taken over
BEGIN;
CALL migrate.deploy();
ROLLBACK;
DO $$ BEGIN CALL migrate.deploy(); END $$;
SELECT 1 \; CALL migrate.deploy();

-- nobody holds the lock
SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
SET client_min_messages = warning;
DROP SCHEMA deploy CASCADE;
RESET client_min_messages;
RESET safe_migrate.mode;
RESET search_path;
