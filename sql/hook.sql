--
-- The hook: modes, settings, overrides, and every way a statement can arrive.
--
CREATE SCHEMA hook;
SET search_path = hook, public;
CREATE TABLE big (id int, t text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
\set VERBOSITY terse

-- the whole message, with detail, hint and position
\set VERBOSITY default
SET safe_migrate.small_table = 0;
SET safe_migrate.rules = 'create_index:reject, add_check:reject';
CREATE TABLE few (id int);
INSERT INTO few VALUES (1);
SELECT 1 AS before;
/* a comment */ CREATE INDEX ON few (id);
ALTER TABLE few ADD CHECK (id > 0), ADD c int;
SELECT 'first' AS q \; CREATE INDEX ON few (id) \; SELECT 'last' AS q;
RESET safe_migrate.small_table;
RESET safe_migrate.rules;
\set VERBOSITY terse

-- modes
SET safe_migrate.mode = off;
CREATE INDEX in_off ON big (id);
SET safe_migrate.mode = observe;
CREATE INDEX in_observe ON big (id);
SET safe_migrate.mode = warn;
SELECT verdict('CREATE INDEX ON big (id)');
SET safe_migrate.mode = enforce;
SELECT verdict('CREATE INDEX ON big (id)');
SET safe_migrate.mode = auto;
SELECT verdict('CREATE INDEX ON big (id)');
SET safe_migrate.restoring = on;
SELECT verdict('CREATE INDEX ON big (id)');
RESET safe_migrate.restoring;
SET safe_migrate.mode = nonsense;
RESET safe_migrate.mode;

-- auto is inert where the extension is not created: a fake does not count
CREATE DATABASE safe_migrate_plain;
\set maindb :DBNAME
\c safe_migrate_plain
CREATE TABLE big AS SELECT g AS id, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE INDEX ON big (id);
CREATE SCHEMA migrate;
CREATE TABLE migrate.migrations (version text);
CREATE INDEX ON big (id);
SET safe_migrate.mode = enforce;
\set VERBOSITY sqlstate
CREATE INDEX ON big (id);
\set VERBOSITY terse
\c :maindb
SET search_path = hook, public;
DROP DATABASE safe_migrate_plain;

-- rules
SET safe_migrate.rules = 'create_index:allow';
SELECT verdict('CREATE INDEX ON big (id)');
SET safe_migrate.rules = ' create_index : note , drop_table:allow,';
SELECT verdict('CREATE INDEX ON big (id)') = 'allowed' AS passed;
SET safe_migrate.rules = 'no_such_rule:allow';
SET safe_migrate.rules = 'create_index:perhaps';
SET safe_migrate.rules = 'create_index';
SHOW safe_migrate.rules;
RESET safe_migrate.rules;

-- exceptions in the table beat the setting: the closest one counts
INSERT INTO migrate.policy (rule, schema_name, action, note)
VALUES ('create_index', 'hook', 'allow', 'not in production yet');
SELECT verdict('CREATE INDEX ON big (id)');
INSERT INTO migrate.policy (rule, table_name, action) VALUES ('create_index', 'big', 'reject');
SELECT left(verdict('CREATE INDEX ON big (id)'), 18);
INSERT INTO migrate.policy (rule, action) VALUES ('no_such_rule', 'allow');
INSERT INTO migrate.policy (rule, action) VALUES ('drop_table', 'perhaps');
DELETE FROM migrate.policy;

-- overrides: once at top level, the whole transaction in a block
SET safe_migrate.rules = 'create_index:reject';
SET safe_migrate.override = 'maintenance window 4711';
CREATE INDEX once ON big (id);
SHOW safe_migrate.override;
SELECT left(verdict('CREATE INDEX twice ON big (id)'), 18);
\set VERBOSITY default
SET safe_migrate.override = '  ';
CREATE INDEX twice ON big (id);
RESET safe_migrate.override;
\set VERBOSITY terse
BEGIN;
SET LOCAL safe_migrate.override = 'ticket 12';
CREATE INDEX twice ON big (id);
ALTER TABLE big ALTER id TYPE bigint;
COMMIT;
SHOW safe_migrate.override;
/* safe_migrate: override ticket 13 */ ALTER TABLE big ALTER id TYPE int;
ALTER TABLE big /* safe_migrate: override ticket 14 */ ALTER id TYPE bigint;
RESET safe_migrate.rules;
-- sizes after a rewrite differ between versions
\set VERBOSITY sqlstate
ALTER TABLE big ALTER t SET DEFAULT '/* safe_migrate: override in a string */', ADD c serial;
SELECT 1 \; /* safe_migrate: override ticket 15 */ ALTER TABLE big ADD c serial;
/* safe_migrate: override of the first only */ SELECT 1 \; ALTER TABLE big ADD d serial;
/* safe_migrate: override */ ALTER TABLE big ADD d serial;

-- every way in
DO $$ BEGIN ALTER TABLE hook.big ADD d serial; END $$;
DO $$ BEGIN EXECUTE 'ALTER TABLE hook.big ADD d serial'; END $$;
CREATE FUNCTION add_column() RETURNS void LANGUAGE sql AS 'ALTER TABLE hook.big ADD d serial';
SELECT add_column();
CREATE PROCEDURE add_column_procedure() LANGUAGE plpgsql AS
$$ BEGIN COMMIT; ALTER TABLE hook.big ADD d serial; END $$;
CALL add_column_procedure();
CREATE FUNCTION add_column_trigger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN ALTER TABLE hook.big ADD d serial; RETURN NEW; END $$;
CREATE TABLE fires (i int);
CREATE TRIGGER t BEFORE INSERT ON fires EXECUTE FUNCTION add_column_trigger();
INSERT INTO fires VALUES (1);
SELECT 1 AS one \; ALTER TABLE big ADD d serial \; SELECT 2 AS two;
PREPARE nothing AS SELECT 1;
DEALLOCATE nothing;

\set VERBOSITY terse

-- CONCURRENTLY in a transaction: left out where nobody would notice
BEGIN;
CREATE TABLE fresh AS SELECT * FROM big;
CREATE INDEX CONCURRENTLY fresh_id ON fresh (id);
REINDEX INDEX CONCURRENTLY fresh_id;
REINDEX (CONCURRENTLY, VERBOSE) INDEX fresh_id;
DROP INDEX CONCURRENTLY fresh_id;
CREATE INDEX CONCURRENTLY fresh_id ON fresh (id);
COMMIT;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'fresh_id'::regclass;
BEGIN;
CREATE INDEX CONCURRENTLY ON big (id);
ROLLBACK;
BEGIN;
REINDEX SCHEMA CONCURRENTLY nobodys;	-- in PostgreSQL's own words
ROLLBACK;
DO $$ BEGIN CREATE INDEX CONCURRENTLY few_id ON hook.few (id); END $$;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'few_id'::regclass;

-- ledgers of migration tools are never in the way; a namesake is
CREATE TABLE schema_migrations (version text PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('1');
TRUNCATE schema_migrations;
CREATE TABLE _prisma_migrations (note text);
INSERT INTO _prisma_migrations VALUES ('1');
SELECT left(verdict('TRUNCATE _prisma_migrations'), 14);

-- a tenant cannot switch the hook off, or touch our tables
CREATE ROLE safe_migrate_tenant;
GRANT USAGE, CREATE ON SCHEMA hook TO safe_migrate_tenant;
SET SESSION AUTHORIZATION safe_migrate_tenant;
SET search_path = hook, public;
CREATE TABLE mine AS SELECT g AS id, repeat('x', 80) AS t FROM generate_series(1, 20000) g;
SET safe_migrate.mode = off;
SET safe_migrate.restoring = on;
SET safe_migrate.rules = 'create_index:allow';
SET safe_migrate.override = 'me';
SET safe_migrate.small_table = '1GB';
\set VERBOSITY sqlstate
/* safe_migrate: override me */ CREATE INDEX ON mine (id);
\set VERBOSITY default
CREATE TABLE mine_too (id int);
INSERT INTO mine_too VALUES (1);
/* safe_migrate: override me */ DROP TABLE mine_too;
\set VERBOSITY terse
SELECT count(*) FROM migrate.decisions;
DELETE FROM migrate.decision_log;
INSERT INTO migrate.policy (action) VALUES ('allow');
SELECT count(*) > 20 AS sees_rules FROM migrate.rules;
-- PostgreSQL's own error where the table is somebody else's
CREATE INDEX ON big (id);
DROP TABLE big;
TRUNCATE big;
ALTER TABLE big ADD x serial;
RESET SESSION AUTHORIZATION;
GRANT SET ON PARAMETER safe_migrate.override TO safe_migrate_tenant;
SET SESSION AUTHORIZATION safe_migrate_tenant;
/* safe_migrate: override release 7 */ CREATE INDEX mine_id ON mine (id);
SET safe_migrate.override = 'release 8';
DROP TABLE mine;
RESET SESSION AUTHORIZATION;

-- what was decided, seen at once
SELECT DISTINCT outcome, rule, command, reason FROM migrate.decisions
WHERE relation LIKE 'hook.%' AND outcome IN ('overridden', 'observed')
ORDER BY 1, 2, 3, 4;
SELECT count(*) > 0 AS rewritten FROM migrate.decisions
WHERE outcome = 'rewritten' AND executed = 'CREATE INDEX fresh_id ON fresh (id)';

-- cleaning up
SET safe_migrate.mode = off;
DROP OWNED BY safe_migrate_tenant;
DROP ROLE safe_migrate_tenant;
SET client_min_messages = error;
DROP SCHEMA hook CASCADE;
