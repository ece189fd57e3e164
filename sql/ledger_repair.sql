--
-- migrate.repair(): the ledger follows what was done by hand.
--
\set VERBOSITY terse
SET client_min_messages = warning;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA repair;
SET search_path = repair, public;

-- edited: the new text counts as what was applied
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int)');
CALL migrate.deploy();
SELECT migrate.repair('1');
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int); -- typo mended');
CALL migrate.deploy();
BEGIN;
SELECT migrate.repair('1');
SELECT state FROM migrate.status;
ROLLBACK;
SELECT state, next_step FROM migrate.status;
SELECT migrate.repair('1');
SELECT version, state, statements FROM migrate.status;
SELECT kind, state, body, role = CURRENT_USER AS mine, finished_at IS NOT NULL AS has_time
FROM migrate.attempts ORDER BY id;
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int)');
SELECT migrate.repair('01');
SELECT state, count(*) FROM migrate.history GROUP BY 1 ORDER BY 1;

-- pending, and failed with nothing left of it: deploy does it
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int); SELECT 1 / 0');
SELECT migrate.repair('2');
CALL migrate.deploy();
SELECT migrate.repair('2');
SELECT migrate.repair('3');
SELECT migrate.repair(NULL);

-- half done: what has run was taken back by hand
SELECT migrate.register('2', 'two', E'-- safe_migrate: no-transaction\nCREATE TABLE two (a int);\nINSERT INTO two VALUES (1);\nSELECT 1 / 0');
CALL migrate.deploy();
SELECT state, statements, error, next_step FROM migrate.status WHERE version = '2';
/* safe_migrate: override by hand */ DROP TABLE two;
SELECT migrate.register('2', 'two', E'-- safe_migrate: no-transaction\nCREATE TABLE two (a bigint);\nSELECT 1 / 0');
CALL migrate.deploy();
SELECT kind, object, detail FROM migrate.verify() WHERE object = '2_two';
SELECT migrate.repair('2');
SELECT state, statements, error, next_step FROM migrate.status WHERE version = '2';
SELECT migrate.repair('2');
CALL migrate.deploy();
SELECT state, statements, error FROM migrate.status WHERE version = '2';
SELECT migrate.register('2', 'two', E'-- safe_migrate: no-transaction\nCREATE TABLE two (a bigint);\nSELECT 2 / 1');
CALL migrate.deploy();
SELECT state, statements, error IS NULL AS clean FROM migrate.history WHERE version = '2' ORDER BY id;
SELECT state, statements FROM migrate.status WHERE version = '2';
SELECT count(*) FROM two;

-- what begins anew can be forgotten; what runs or is half done cannot
SELECT migrate.register('3', 'three', E'BEGIN; CREATE TABLE three (a int); COMMIT; SELECT 1 / 0');
CALL migrate.deploy();
SELECT migrate.unregister('3');
SELECT migrate.repair('3');
SELECT migrate.unregister('3');
SELECT version, state FROM migrate.history WHERE version = '3' ORDER BY id;

-- its file is gone
UPDATE migrate.migrations SET missing_since = '2026-01-01' WHERE version = '2';
SELECT state, next_step FROM migrate.status WHERE version = '2';
SELECT migrate.repair('2');
SELECT version, state FROM migrate.status;
SELECT count(*) FROM migrate.history WHERE version = '2';
-- and back again: it is applied still
SELECT migrate.register('2', 'two', E'-- safe_migrate: no-transaction\nCREATE TABLE two (a bigint);\nSELECT 2 / 1');
SELECT version, state FROM migrate.status;
-- gone before it was applied, and half way
SELECT migrate.register('4', 'four', E'BEGIN; CREATE TABLE four (a int); COMMIT; SELECT 1 / 0');
UPDATE migrate.migrations SET missing_since = '2026-01-01' WHERE version = '4';
SELECT state, applied_at FROM migrate.status WHERE version = '4';
SELECT migrate.repair('4');
SELECT migrate.register('4', 'four', E'BEGIN; CREATE TABLE four (a int); COMMIT; SELECT 1 / 0');
CALL migrate.deploy();
UPDATE migrate.migrations SET missing_since = '2026-01-01' WHERE version = '4';
SELECT migrate.repair('4');
SELECT migrate.register('4', 'four', E'SELECT 4');
SELECT state FROM migrate.status WHERE version = '4';
SELECT version, state FROM migrate.history WHERE version = '4' ORDER BY id;

-- where it cannot be
BEGIN READ ONLY;
SELECT migrate.repair('1');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migrate.repair('1');
ROLLBACK;
SELECT migrate.register('5', 'repairs', 'SELECT migrate.repair(''4'')');
CALL migrate.deploy();

-- by others
CREATE ROLE repair_clerk;
GRANT CREATE, USAGE ON SCHEMA repair TO repair_clerk;
SET ROLE repair_clerk;
SELECT migrate.repair('1');
RESET ROLE;
GRANT EXECUTE ON FUNCTION migrate.repair(text) TO repair_clerk;
SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int); -- once more');
SET ROLE repair_clerk;
SELECT migrate.repair('1');
RESET ROLE;
SELECT state, role, session_role = SESSION_USER AS mine FROM migrate.history ORDER BY id DESC LIMIT 1;
REVOKE ALL ON FUNCTION migrate.repair(text) FROM repair_clerk;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
DROP SCHEMA repair CASCADE;
RESET safe_migrate.mode;
DROP ROLE repair_clerk;
RESET search_path;
