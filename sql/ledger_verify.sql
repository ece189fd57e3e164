--
-- migrate.verify() and migrate.status: what is wrong, and what to do about it.
--
\set VERBOSITY terse
SET client_min_messages = warning;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA verify;
SET search_path = verify, public;

-- one of each
SELECT migrate.register('1', 'applied', 'SELECT 1');
SELECT migrate.register('2', 'edited', 'SELECT 2');
SELECT migrate.register('3', 'missing', 'SELECT 3');
CALL migrate.deploy();
SELECT migrate.register('2.5', 'late', 'SELECT 25');
SELECT migrate.register('4', 'failed', E'SELECT 4;\nSELECT 4 / 0');
SELECT migrate.register('5', 'gone', 'SELECT 5');
SELECT migrate.baseline('2.5');
DELETE FROM migrate.attempts WHERE version = '2.5';
SELECT migrate.register('2', 'edited', 'SELECT 2 -- edited');
UPDATE migrate.migrations SET missing_since = '2026-01-01 12:00:00+00', registered_at = '2026-01-01 11:00:00+00' WHERE version IN ('3', '5');
UPDATE migrate.migrations SET registered_at = '2026-01-01 11:00:00+00', registered_by = 'somebody';
SET timezone = 'UTC';
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE kind ~ 'migration';
SELECT version, state FROM migrate.status;

-- failed, cut off, and cut off half way with another text now
DELETE FROM migrate.migrations WHERE version IN ('2', '2.5', '3', '5');
CALL migrate.deploy();
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE kind ~ 'migration';
SELECT migrate.register('4', 'failed', E'BEGIN;\nSELECT ''\u00e4'';\nCOMMIT;\nSELECT 4 / 0');
CALL migrate.deploy();
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE kind ~ 'migration';
UPDATE migrate.attempts SET state = 'running', error = NULL, error_line = NULL, finished_at = NULL WHERE id = (SELECT max(id) FROM migrate.attempts);
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE kind ~ 'migration';
SELECT migrate.register('4', 'failed', E'BEGIN;\nSELECT ''\u00e4'';\nCOMMIT;\nSELECT 4');
SELECT kind, object FROM migrate.verify() WHERE kind ~ 'migration';
SELECT migrate.register('4', 'failed', E'BEGIN;\nSELECT ''\u00f6'';\nCOMMIT;\nSELECT 4');
SELECT kind, object, regexp_replace(detail, '\d+', 'N') AS detail, regexp_replace(remedy, 'id = \d+', 'id = N') AS remedy FROM migrate.verify() WHERE kind ~ 'migration';
-- somebody is at it: the lock of the ledger is held
BEGIN;
SELECT migrate.baseline('1');
SELECT version, state, next_step FROM migrate.status WHERE version = '4';
SELECT count(*) FROM migrate.verify() WHERE kind ~ 'migration';
ROLLBACK;

-- the ledger is told to those who may read it, the catalog to everybody
CREATE ROLE verify_clerk;
GRANT USAGE ON SCHEMA verify TO verify_clerk;
SET ROLE verify_clerk;
SELECT kind FROM migrate.verify() WHERE kind ~ 'migration';
RESET ROLE;
GRANT SELECT ON migrate.status TO verify_clerk;
SET ROLE verify_clerk;
SELECT kind FROM migrate.verify() WHERE kind ~ 'migration';
RESET ROLE;
REVOKE SELECT ON migrate.status FROM verify_clerk;
BEGIN READ ONLY;
SELECT kind FROM migrate.verify() WHERE kind ~ 'migration';
ROLLBACK;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- a repeatable one that fails when it is run again
SELECT migrate.register('6', 'again', 'SELECT 6');
UPDATE migrate.migrations SET repeatable = true WHERE version = '6';
SELECT migrate.baseline('6') > 0 AS marked;
UPDATE migrate.migrations SET body = 'SELECT 6 / 0', checksum = 'x' WHERE version = '6';
SELECT version, state FROM migrate.status WHERE version = '6';
INSERT INTO migrate.attempts (version, name, checksum, body, state, transactional, role, session_role, started_at, statements, done_bytes, error)
VALUES ('6', 'again', 'x', 'SELECT 6 / 0', 'failed', true, 'x', 'x', now(), 0, 0, 'division by zero');
SELECT version, state, error, applied_at IS NOT NULL AS was_applied FROM migrate.status WHERE version = '6';
SELECT kind, object, detail FROM migrate.verify() WHERE kind ~ 'migration' AND object ~ '^6';
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- constraints: which rows, and which task
CREATE TABLE parent (a int, "B b" int, PRIMARY KEY (a, "B b"));
CREATE TABLE child (a int, "B b" int, c int);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child SELECT g, 1, g FROM generate_series(1, 3) g;
INSERT INTO child VALUES (NULL, 7, 0), (NULL, NULL, 0);
SET safe_migrate.mode = off;
ALTER TABLE child ADD CONSTRAINT few CHECK (c < 2) NOT VALID;
ALTER TABLE child ADD CONSTRAINT simple FOREIGN KEY (a, "B b") REFERENCES parent NOT VALID;
ALTER TABLE child ADD CONSTRAINT full_match FOREIGN KEY (a, "B b") REFERENCES parent MATCH FULL NOT VALID;
ALTER TABLE ONLY child ADD CONSTRAINT only_here CHECK (c < 3) NO INHERIT NOT VALID;
RESET safe_migrate.mode;
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE object ~ 'verify' ORDER BY object;
-- the queries find them
SELECT substring(detail FROM 'SELECT.*') AS query FROM migrate.verify() WHERE object ~ 'verify' ORDER BY object \gexec

SET safe_migrate.mode = enforce;
SET safe_migrate.small_table = 0;
SET safe_migrate.in_transaction = defer;
CREATE TABLE several (a int, b int);
INSERT INTO several SELECT g, g FROM generate_series(1, 100) g;
SET safe_migrate.mode = off;
ALTER TABLE several ADD CONSTRAINT by_hand CHECK (a > 0) NOT VALID;
RESET safe_migrate.mode;
BEGIN;
ALTER TABLE several ADD CONSTRAINT deferred CHECK (b > 10);
COMMIT;
SELECT max(id) AS task FROM migrate.tasks \gset
\set VERBOSITY sqlstate
CALL migrate.wait(:task);
\set VERBOSITY terse
SELECT kind, object, replace(detail, 'task ' || :'task', 'task N') AS detail, replace(remedy, '(' || :'task' || ')', '(N)') AS remedy FROM migrate.verify() WHERE object ~ 'several' ORDER BY object;
DELETE FROM several WHERE b <= 10;
SELECT migrate.retry(:task);
CALL migrate.wait(:task);
SELECT kind, object, detail, remedy FROM migrate.verify() WHERE object ~ 'several' ORDER BY object;
RESET safe_migrate.small_table;
RESET safe_migrate.in_transaction;

-- ten thousand of them are listed at once
INSERT INTO migrate.migrations (version, name, format, body, checksum, in_transaction, registered_at, registered_by)
SELECT g, 'many', 'sql', 'SELECT ' || g, md5(g::text), true, now(), 'x' FROM generate_series(1, 10000) g;
INSERT INTO migrate.attempts (version, name, checksum, body, state, transactional, role, session_role, started_at, finished_at, statements, done_bytes)
SELECT g, 'many', md5(g::text), 'SELECT ' || g, CASE WHEN g > 5000 THEN 'reverted' ELSE 'applied' END, true, 'x', 'x', now(), now(), 1, 1 FROM generate_series(1, 10000) g;
CREATE FUNCTION milliseconds(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	EXECUTE query;
	RETURN 1000 * extract(epoch FROM clock_timestamp() - start);
END $$;
SELECT milliseconds('SELECT count(state) FROM migrate.status') < 5000 AS is_quick;
SELECT milliseconds('SELECT count(*) FROM migrate.verify()') < 5000 AS is_quick;
SELECT state, count(*) FROM migrate.status GROUP BY 1 ORDER BY 1;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
DROP SCHEMA verify CASCADE;
RESET safe_migrate.mode;
DROP ROLE verify_clerk;
RESET search_path;
RESET timezone;
