--
-- migrate.plan(): what deploy would run, without running it.
--
\set VERBOSITY terse
SET client_min_messages = warning;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
CREATE SCHEMA plan;
SET search_path = plan, public;
SET safe_migrate.small_table = 0;
CREATE TABLE big (a int, b int);
INSERT INTO big SELECT g, g FROM generate_series(1, 1000) g;
CREATE TABLE empty (a int);

SELECT * FROM migrate.plan();

-- later ones see what earlier ones would have done
SELECT migrate.register('1', 'make', E'CREATE TABLE made (a int);\n\nCREATE INDEX ON made (a);\nALTER TABLE big RENAME TO large;', NULL);
SELECT migrate.register('2', 'use', E'-- about large\nALTER TABLE large ADD CHECK (a > 0);\nCREATE INDEX made_too ON made (a);\nDROP TABLE nowhere;');
SELECT migrate.register('3', 'nothing', '-- nothing to do');
SELECT version, name, state, statement, line, command, relation, work, rule, action FROM migrate.plan();
SELECT version, message, safe_sql FROM migrate.plan() WHERE message IS NOT NULL;
SELECT version, count(*) FROM migrate.plan('2') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM migrate.plan('4');
-- nothing has happened, and nothing is locked
BEGIN;
SELECT count(*) > 0 AS planned FROM migrate.plan();
SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass;
SELECT to_regclass('made') IS NULL AS unmade, count(*) FROM migrate.history;
ROLLBACK;
SELECT migrate.unregister('1');
SELECT migrate.unregister('2');
SELECT migrate.unregister('3');

-- divided at what runs alone, but not between BEGIN and COMMIT
SELECT migrate.register('1', 'divided', E'ALTER TABLE big ADD c int;\nCREATE INDEX i1 ON big (a);\nSET LOCAL search_path = nowhere;\nALTER TABLE big ADD d int;\nCREATE INDEX CONCURRENTLY i2 ON plan.big (b);\nALTER TABLE big ADD e int;\nCREATE INDEX CONCURRENTLY i3 ON empty (a);\nVACUUM;');
SELECT migrate.register('2', 'block', E'SET LOCAL search_path = nowhere;\nBEGIN;\nSET LOCAL search_path = plan;\nCREATE INDEX i4 ON big (a);\nCREATE INDEX CONCURRENTLY i5 ON big (a);\nCREATE INDEX CONCURRENTLY i6 ON empty (a);\nCOMMIT;\nCREATE INDEX i7 ON big (a);');
SELECT migrate.register('3', 'alone', E'-- safe_migrate: no-transaction\nSET LOCAL search_path = nowhere;\nCREATE INDEX i8 ON big (a);\nCREATE INDEX CONCURRENTLY i9 ON big (a);');
SELECT version, statement, command, relation, rule, action, message FROM migrate.plan();
SET safe_migrate.in_transaction = defer;
SELECT statement, rule, action FROM migrate.plan() WHERE version = '2' AND rule IS NOT NULL;
RESET safe_migrate.in_transaction;
SELECT migrate.unregister('1');
SELECT migrate.unregister('2');
SELECT migrate.unregister('3');

-- settings end with their migration, savepoints and rollbacks take back
SELECT migrate.register('1', 'sets', E'SET search_path = nowhere;\nDROP TABLE IF EXISTS big');
SELECT migrate.register('2', 'back', E'DROP TABLE empty;\nSAVEPOINT s;\nALTER TABLE big RENAME TO gone;\nROLLBACK TO s;\nALTER TABLE big ADD x int;\nDROP TABLE empty;');
SELECT migrate.register('3', 'rolls', E'CREATE TABLE kept (a int);\nCOMMIT;\nALTER TABLE big RENAME TO gone;\nROLLBACK;\nALTER TABLE big ADD y int;\nDROP TABLE kept;');
SELECT migrate.register('4', 'overridden', E'-- safe_migrate: override nobody needs it\nDROP TABLE big;\nDO $$ BEGIN END $$');
SELECT migrate.register('5', 'after', E'DROP TABLE big;');
SELECT version, statement, command, relation, rule, action, message FROM migrate.plan();
SHOW search_path;
SELECT migrate.unregister(version) FROM migrate.status;

-- what is resumed, and what is repeated
SELECT migrate.register('1', 'resumed', E'SET search_path = plan;\nBEGIN; CREATE TABLE one (a int); COMMIT;\nSELECT 1 / count(*) FROM plan.empty;\nCREATE TABLE two (a int);');
SET search_path = public;
CALL migrate.deploy();
SELECT state, statement, line, command, action FROM migrate.plan();
INSERT INTO plan.empty VALUES (1);
CALL migrate.deploy();
SELECT count(*) FROM migrate.plan();
SET search_path = plan, public;
SELECT migrate.register('2', 'repeated', 'CREATE OR REPLACE VIEW v AS SELECT 1 AS one');
UPDATE migrate.migrations SET repeatable = true WHERE version = '2';
SELECT state, command FROM migrate.plan();
CALL migrate.deploy();
SELECT count(*) FROM migrate.plan();
UPDATE migrate.migrations SET body = 'CREATE OR REPLACE VIEW v AS SELECT 2 AS one', checksum = 'x' WHERE version = '2';
SELECT state, command FROM migrate.plan();
SELECT version, state, next_step FROM migrate.status;
DELETE FROM migrate.migrations WHERE version = '2';

-- what would keep deploy from running anything
SELECT migrate.register('0.5', 'late', 'SELECT 1');
SELECT count(*) FROM migrate.plan();
SET client_min_messages = notice;
SET safe_migrate.out_of_order = apply;
SELECT version, command FROM migrate.plan();
RESET safe_migrate.out_of_order;
SET client_min_messages = warning;
SELECT migrate.unregister('0.5');
SELECT migrate.register('3', 'open', E'SELECT 1;\nBEGIN;');
SELECT count(*) FROM migrate.plan();
SELECT migrate.unregister('3');
SELECT migrate.register('1', 'resumed', 'SELECT 1');
SELECT count(*) FROM migrate.plan();
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;

-- how long: from what this server has done
SELECT migrate.register('1', 'scan', 'ALTER TABLE big ADD CHECK (a > 0)');
SELECT migrate.forget_work_rates();
SELECT work, estimated_ms FROM migrate.plan();
CREATE TABLE wide WITH (autovacuum_enabled = off) AS
	SELECT g AS a, repeat('x', 1000) AS b FROM generate_series(1, 20000) g;
ALTER TABLE wide ADD CHECK (a > 0);
SELECT migrate.register('2', 'scan', 'ALTER TABLE wide ADD CHECK (a > 1); ALTER TABLE wide ADD c int');
SELECT version, work, estimated_ms > 0 AS has_time FROM migrate.plan() WHERE version = '2';

-- read only, and by others
BEGIN READ ONLY;
SELECT count(*) FROM migrate.plan();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM migrate.plan();
ROLLBACK;
CREATE ROLE plan_clerk;
SET ROLE plan_clerk;
SELECT count(*) FROM migrate.plan();
RESET ROLE;
GRANT EXECUTE ON FUNCTION migrate.plan(text) TO plan_clerk;
SET ROLE plan_clerk;
SELECT action, message FROM migrate.plan();
RESET ROLE;
GRANT USAGE ON SCHEMA plan TO plan_clerk;
SET ROLE plan_clerk;
SELECT action, message FROM migrate.plan('1');
RESET ROLE;
REVOKE ALL ON FUNCTION migrate.plan(text) FROM plan_clerk;

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
RESET safe_migrate.small_table;
SET safe_migrate.mode = off;
DROP SCHEMA plan CASCADE;
RESET safe_migrate.mode;
DROP ROLE plan_clerk;
RESET search_path;
