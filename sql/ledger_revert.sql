--
-- migrate.revert(): the down script, in the caller's transaction.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
SET client_min_messages = warning;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA revert;
SET search_path = revert, public;

SELECT migrate.register('1', 'one', 'CREATE TABLE one (a int)', 'DROP TABLE one');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)',
	E'SET search_path = revert;\nBEGIN;\nSAVEPOINT s;\nDROP TABLE two;\nROLLBACK TO s;\nDROP TABLE two;\nCOMMIT;');
SELECT migrate.register('3', 'three', 'CREATE TABLE three (a int)');
SELECT migrate.revert('1');
CALL migrate.deploy();

-- the last one first, and only with a down script
SELECT migrate.revert('1');
SELECT migrate.revert('3');
SELECT migrate.revert('no such version');
SELECT migrate.revert(NULL);
SELECT migrate.register('3', 'three', 'CREATE TABLE three (a int)', 'DROP TABLE three');

-- all or nothing
BEGIN;
SELECT migrate.revert('3');
SELECT migrate.revert('2');
SELECT to_regclass('two') IS NULL AS gone;
SELECT version, state, applied_at IS NULL AS is_pending, statements FROM migrate.status;
SHOW search_path;
ROLLBACK;
SELECT version, state FROM migrate.status;
SELECT migrate.revert('3');
SELECT migrate.revert('3');
SELECT migrate.revert('2');
SELECT version, state, next_step FROM migrate.status;
SELECT version, kind, state, statements, transactional, body FROM migrate.attempts ORDER BY id;

-- pending again
CALL migrate.deploy('2');
SELECT version, state, statements FROM migrate.status;
SELECT version, kind, state FROM migrate.history WHERE version = '2' ORDER BY id;

-- judged by the rules
INSERT INTO two VALUES (1);
SELECT migrate.revert('2');
SELECT outcome, command, statement, message FROM migrate.decisions
WHERE outcome = 'migration_failed' AND message LIKE 'down script of migration 2%';
SELECT version, state FROM migrate.status;
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'-- safe_migrate: override not needed any more\nDROP TABLE two;');
SELECT migrate.revert('2');
SELECT to_regclass('two') IS NULL AS gone;
CALL migrate.deploy('2');

-- what goes wrong tells where
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'DROP TABLE two;\n\nSELECT 1 / 0;');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'DROP TABLE two;\n\nSELEC 1;');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'DROP TABLE two;\nVACUUM;');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'BEGIN;\nDROP TABLE two;\nCOMMIT;\nSELECT 1');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'BEGIN; SELECT 1');
SELECT migrate.revert('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', E'SELECT migrate.revert(''2'')');
SELECT migrate.revert('2');
DO $$
BEGIN
	PERFORM migrate.revert('2');
EXCEPTION WHEN others THEN
	RAISE WARNING 'caught %: %', SQLSTATE, SQLERRM;
END $$;
SELECT to_regclass('two') IS NULL AS gone;

-- CONCURRENTLY, where nobody would notice, loses its word
SELECT migrate.register('3', 'three', 'CREATE INDEX three_a ON two (a)', 'DROP INDEX CONCURRENTLY three_a');
CALL migrate.deploy();
SELECT migrate.revert('3');
CALL migrate.deploy();
INSERT INTO two SELECT g FROM generate_series(1, 1000) g;
SET safe_migrate.small_table = 0;
SELECT migrate.revert('3');
RESET safe_migrate.small_table;

-- edited, half done
SELECT migrate.register('3', 'three', 'SELECT 3', 'SELECT 3');
SELECT migrate.revert('3');
SELECT migrate.repair('3');
SELECT migrate.revert('3');
SELECT migrate.register('3', 'three', 'BEGIN; SELECT 3; COMMIT; SELECT 1 / 0', 'SELECT 3');
CALL migrate.deploy();
SELECT migrate.revert('3');
SELECT migrate.repair('3');
SELECT migrate.unregister('3');

-- a baseline, one that another one needs, one that is repeated
SELECT migrate.register('3', 'three', 'SELECT 3', 'SELECT -3');
SELECT migrate.baseline('3');
SELECT migrate.revert('3');
SELECT migrate.register('4', 'four', 'SELECT 4', 'SELECT -4');
UPDATE migrate.migrations SET repeatable = true, requires = ARRAY['3'] WHERE version = '4';
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
SELECT migrate.revert('3');
SELECT migrate.register('4', 'four', 'SELECT 4', 'SELECT -4');
UPDATE migrate.migrations SET repeatable = true WHERE version = '4';
SELECT migrate.revert('3');
SELECT version, state FROM migrate.status;
SELECT migrate.revert('4');
SELECT version, state FROM migrate.status;
-- what was reverted can be forgotten
SELECT migrate.unregister('4');
SELECT migrate.unregister('1');

-- what a repeatable one has made is in the way, and is made again
SELECT migrate.register('5', 'five', 'CREATE TABLE five (a int)', 'DROP TABLE five');
SELECT migrate.register('view', 'again', 'CREATE OR REPLACE VIEW of_five AS SELECT * FROM five');
UPDATE migrate.migrations SET repeatable = true WHERE version = 'view';
CALL migrate.deploy();
\set VERBOSITY default
SELECT migrate.revert('5');
\set VERBOSITY terse
SELECT migrate.register('5', 'five', 'CREATE TABLE five (a int)', 'DROP VIEW of_five; DROP TABLE five');
SET client_min_messages = notice;
SELECT migrate.revert('5');
SET client_min_messages = warning;
SELECT version, state, next_step FROM migrate.status WHERE version IN ('5', 'view');
SELECT state, count(*) FROM migrate.history WHERE version = 'view' GROUP BY state;
CALL migrate.deploy();
SELECT count(*) FROM of_five;
SELECT migrate.revert('5');
SELECT migrate.unregister('5');
SELECT migrate.unregister('view');

-- not while the background is at work on it
ALTER SEQUENCE migrate.task_log_id_seq RESTART 3000;
INSERT INTO two SELECT g FROM generate_series(1, 1000) g;
SET safe_migrate.small_table = 0;
SET safe_migrate.in_transaction = defer;
SELECT migrate.register('5', 'checked', 'ALTER TABLE two ADD CONSTRAINT checked CHECK (a > 0)', 'ALTER TABLE two DROP CONSTRAINT IF EXISTS checked');
BEGIN;
SELECT migrate.apply();
SELECT migrate.revert('5');
ROLLBACK;
BEGIN;
SELECT migrate.apply();
COMMIT;
SELECT tasks FROM migrate.history WHERE version = '5' AND tasks <> '{}';
CALL migrate.wait(3001);
SELECT migrate.revert('5');
-- nor before one that has failed is taken back
BEGIN;
INSERT INTO two VALUES (-1);
SELECT migrate.apply();
COMMIT;
CALL migrate.wait(3002);
SELECT migrate.revert('5');
SELECT migrate.cancel(3002);
CALL migrate.wait(3002);
SELECT conname FROM pg_constraint WHERE conname = 'checked';
SELECT migrate.revert('5');
DELETE FROM two WHERE a = -1;
RESET safe_migrate.in_transaction;
RESET safe_migrate.small_table;
SELECT migrate.unregister('5');
SELECT migrate.revert('3');
DELETE FROM migrate.task_log WHERE id BETWEEN 3000 AND 3999;

-- where it cannot be
BEGIN READ ONLY;
SELECT migrate.revert('1');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT migrate.revert('1');
ROLLBACK;

-- by others
CREATE ROLE revert_clerk;
SET ROLE revert_clerk;
SELECT migrate.revert('1');
RESET ROLE;
GRANT EXECUTE ON FUNCTION migrate.revert(text) TO revert_clerk;
CALL migrate.deploy('2');
SELECT migrate.register('2', 'two', 'CREATE TABLE two (a int)', 'DROP TABLE revert.two');
SET ROLE revert_clerk;
SELECT migrate.revert('2');
RESET ROLE;
GRANT USAGE ON SCHEMA revert TO revert_clerk;
-- an empty file; VACUUM would leave rows that the recorder's snapshot may see
SET safe_migrate.mode = off;
TRUNCATE two;
RESET safe_migrate.mode;
ALTER TABLE two OWNER TO revert_clerk;
SET ROLE revert_clerk;
SELECT migrate.revert('2');
RESET ROLE;
SELECT kind, state, role FROM migrate.history ORDER BY id DESC LIMIT 1;
REVOKE ALL ON FUNCTION migrate.revert(text) FROM revert_clerk;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET safe_migrate.mode = off;
DROP SCHEMA revert CASCADE;
RESET safe_migrate.mode;
DROP ROLE revert_clerk;
RESET search_path;
