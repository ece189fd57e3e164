--
-- Registering migrations: what is kept, and what becomes of a changed text.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

SELECT migrate.register('10', 'ten', 'SELECT 10');
SELECT migrate.register('2', 'two', E'\uFEFFSELECT 1;\r\nSELECT 2;\r\n', E'SELECT 3\r\n');
SELECT migrate.register('1', NULL, 'SELECT 1');
SELECT version, name, format, body, down_body, in_transaction, registered_by = CURRENT_USER AS mine
FROM migrate.migrations ORDER BY version_key;
-- the checksum is that of the text with LF and without byte order mark
SELECT checksum = encode(sha256(E'SELECT 1;\nSELECT 2;\n'), 'hex') AS sha256
FROM migrate.migrations WHERE version = '2';

SELECT migrate.register('10', 'ten', 'SELECT 10');
SELECT migrate.register('10', 'ten', E'SELECT 10\r\n');
SELECT migrate.register('10', 'other name', E'SELECT 10\n');
SELECT name FROM migrate.migrations WHERE version = '10';

-- bad input
SELECT migrate.register(NULL, 'x', 'SELECT 1');
SELECT migrate.register('3', 'x', NULL);
SELECT migrate.register('', 'x', 'SELECT 1');
SELECT migrate.register(' 3', 'x', 'SELECT 1');
SELECT migrate.register(E'3\t4', 'x', 'SELECT 1');
SELECT migrate.register(repeat('x', 256), 'x', 'SELECT 1');
SELECT migrate.register('02', 'x', 'SELECT 1');
SELECT migrate.register('3', 'x', '');
SELECT migrate.register('3', 'x', E' \n\t');
SELECT migrate.register('3', 'x', E'SELECT 1;\n\nSELEC 2');
SELECT migrate.register('3', 'x', E'SELECT 1;\n\\d t');
SELECT migrate.register('3', 'x', E'SELECT ''unfinished');
BEGIN READ ONLY;
SELECT migrate.register('3', 'x', 'SELECT 1');
ROLLBACK;
SELECT count(*) FROM migrate.migrations;

-- only a comment: nothing to do, on purpose
SELECT migrate.register('11', 'comment', '-- nothing');

-- applied ones
CALL migrate.deploy();
SELECT version, name, state, role = CURRENT_USER AS mine, statements, error FROM migrate.status;
SELECT migrate.register('2', 'two', 'SELECT 99');
SELECT migrate.register('2', 'two', 'SELECT 99');
SELECT version, state FROM migrate.status;
SELECT migrate.register('12', 'twelve', 'CREATE TABLE never (i int)');
CALL migrate.deploy();
SELECT migrate.apply();
SELECT migrate.apply('13', 'SELECT 1');
SELECT migrate.baseline('12');
\set VERBOSITY default
CALL migrate.deploy();
\set VERBOSITY terse
-- the text that was applied is still there
SELECT body FROM migrate.attempts WHERE version = '2';
SELECT migrate.register('2', 'two', E'SELECT 1;\nSELECT 2;\n');
SELECT version, state FROM migrate.status;

-- too late
SELECT migrate.register('5', 'late', 'CREATE TABLE never (i int)');
SELECT version, state FROM migrate.status;
CALL migrate.deploy();
SELECT migrate.apply();
SELECT migrate.baseline('5');
SELECT version, state FROM migrate.status;

-- several are pending: one of them cannot go first
SELECT migrate.register('20', 'twenty', 'SELECT 20');
SELECT migrate.apply('20', 'SELECT 20');
CALL migrate.deploy('12');
CALL migrate.deploy('12');
SELECT version, state FROM migrate.status;
SELECT migrate.apply('20', 'SELECT 20', 'twenty');
SELECT migrate.apply('20', 'SELECT 20', 'twenty');
SELECT migrate.apply('20', 'SELECT 21', 'twenty');
SELECT body FROM migrate.migrations WHERE version = '20';

-- targets
SELECT migrate.register('20300101000000_a', 'a', 'SELECT 1');
SELECT migrate.register('20300101000000_b', 'b', 'SELECT 1');
SELECT migrate.register('20300102000000_c', 'c', 'SELECT 1');
CALL migrate.deploy('99');
CALL migrate.deploy('20300101000000');
CALL migrate.deploy('20300101000000_b');
CALL migrate.deploy('2030-01-02-000000');
CALL migrate.deploy('20300102000000');

-- marking
SELECT migrate.baseline(NULL);
SELECT migrate.baseline('99');
SELECT migrate.register('20300103', 'd', 'SELECT 1/0');
SELECT migrate.register('20300104', 'e', 'SELECT 1/0');
SELECT migrate.baseline('20300103');
SELECT migrate.baseline('20300103');
SELECT version, state FROM migrate.status WHERE version > '20300102000000';
SELECT migrate.baseline('20300104');
CALL migrate.deploy();

-- nobody else may touch it
CREATE ROLE regress_tenant;
SET ROLE regress_tenant;
SELECT * FROM migrate.migrations;
UPDATE migrate.attempts SET state = 'applied';
SELECT * FROM migrate.status;
SELECT * FROM migrate.history;
SELECT migrate.register('3', 'x', 'SELECT 1');
CALL migrate.deploy();
RESET ROLE;
DROP ROLE regress_tenant;

-- every object has a comment
SELECT c.relname, a.attname
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	AND c.relkind IN ('r', 'v')
WHERE c.relnamespace = 'migrate'::regnamespace
	AND c.relname IN ('migrations', 'attempts', 'attempts_id_seq', 'status', 'history',
		'attempts_applied_once', 'attempts_version_idx')
	AND col_description(c.oid, a.attnum) IS NULL
	AND (a.attname IS NOT NULL OR obj_description(c.oid, 'pg_class') IS NULL);
SELECT oid::regprocedure FROM pg_proc
WHERE pronamespace = 'migrate'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
