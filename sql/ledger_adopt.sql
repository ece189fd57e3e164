--
-- Taking over the ledgers of other tools: finding them, what is refused, and
-- the tool going on beside us.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

\set VERBOSITY terse
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET timezone = 'UTC';

-- nothing there
SELECT * FROM migrate.adopt();
SELECT * FROM migrate.adopt('tern');
SELECT * FROM migrate.adopt('mybatis');
SELECT * FROM migrate.adopted_ledgers;

-- names that others use as well
CREATE SCHEMA app;
CREATE TABLE app.migrations (id int, migration varchar(255), batch int);
CREATE TABLE app.schema_migrations (version bigint, inserted_at timestamp(0));
CREATE TABLE app.schema_version (version int, note text);
CREATE DOMAIN app.version AS varchar;
CREATE TABLE app.alembic_version (version_num app.version);
CREATE TABLE app.changes (id int, changed text);
CREATE TABLE app.parent_of_ledger (version varchar) PARTITION BY LIST (version);
CREATE VIEW app.pgmigrations AS SELECT 1 AS id, 'x'::varchar AS name, now()::timestamp AS run_on;
SELECT * FROM migrate.adopt();
SELECT * FROM migrate.adopt(NULL, 'app.migrations');
SELECT * FROM migrate.adopt('typeorm', 'app.migrations');

-- several
CREATE TABLE public.schema_migrations (version varchar NOT NULL PRIMARY KEY);
CREATE TABLE public.migrations (id serial NOT NULL, timestamp bigint NOT NULL, name varchar NOT NULL);
CREATE SCHEMA "Other app";
CREATE TABLE "Other app".schema_migrations (version varchar NOT NULL PRIMARY KEY);
SELECT * FROM migrate.adopt();
SELECT * FROM migrate.adopt('dbmate');
SELECT * FROM migrate.adopt('dbmate', '"Other app".schema_migrations');
SELECT * FROM migrate.adopt(ledger := 'public.migrations');
SELECT ledger, tool, schema_name, table_name, adopted_by = current_user AS mine, followed FROM migrate.adopted_ledgers ORDER BY ledger;
SELECT migrate.forget_ledger('"Other app".schema_migrations');
SELECT migrate.forget_ledger('public.migrations');
SELECT migrate.forget_ledger('public.migrations');

-- a ledger of another name, if it is named
ALTER TABLE public.schema_migrations RENAME TO our_versions;
DROP TABLE "Other app".schema_migrations, public.migrations;
DELETE FROM migrate.adopted_ledgers;
SELECT * FROM migrate.adopt('dbmate');
BEGIN;
SELECT * FROM migrate.adopt('dbmate', 'our_versions');
SELECT ledger FROM migrate.adopted_ledgers;
ROLLBACK;
SELECT ledger FROM migrate.adopted_ledgers;
DROP TABLE our_versions;

-- transactions in which it cannot be
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM migrate.adopt();
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM migrate.adopt();
ROLLBACK;

-- tools that are at work, or have left something half done
CREATE SCHEMA tool;
CREATE TABLE tool.schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO tool.schema_migrations VALUES (3, true);
SELECT * FROM migrate.adopt();
DROP TABLE tool.schema_migrations;

CREATE TABLE tool._prisma_migrations (id varchar(36), checksum varchar(64), finished_at timestamptz, migration_name varchar(255), logs text,
	rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
INSERT INTO tool._prisma_migrations (id, checksum, migration_name) VALUES ('x', 'c', '20260101000000_init');
SELECT * FROM migrate.adopt();
DROP TABLE tool._prisma_migrations;

CREATE TABLE tool._sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(),
	success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
INSERT INTO tool._sqlx_migrations VALUES (1, 'a', now(), false, '', -1);
SELECT * FROM migrate.adopt();
DROP TABLE tool._sqlx_migrations;

CREATE TABLE tool.atlas_schema_revisions (version varchar NOT NULL PRIMARY KEY, description varchar NOT NULL,
	type bigint NOT NULL DEFAULT 2, applied bigint NOT NULL DEFAULT 0, total bigint NOT NULL DEFAULT 0, executed_at timestamptz NOT NULL,
	execution_time bigint NOT NULL, error text, error_stmt text, hash varchar NOT NULL, partial_hashes jsonb, operator_version varchar NOT NULL);
INSERT INTO tool.atlas_schema_revisions VALUES ('1', 'a', 2, 1, 3, now(), 1, '', '', 'x', NULL, '');
SELECT * FROM migrate.adopt();
UPDATE tool.atlas_schema_revisions SET applied = 3, error = 'no';
SELECT * FROM migrate.adopt();
DROP TABLE tool.atlas_schema_revisions;

CREATE TABLE tool.databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) NOT NULL,
	dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL, exectype varchar(10) NOT NULL, md5sum varchar(35));
CREATE TABLE tool.databasechangeloglock (id int NOT NULL PRIMARY KEY, locked boolean NOT NULL, lockgranted timestamp, lockedby varchar(255));
INSERT INTO tool.databasechangeloglock VALUES (1, true, now(), 'build-7 (10.0.0.1)');
SELECT * FROM migrate.adopt();
UPDATE tool.databasechangeloglock SET locked = false;
INSERT INTO tool.databasechangelog VALUES ('1', 'ann', 'c.sql', now(), 1, 'FAILED', NULL);
SELECT * FROM migrate.adopt();
DROP TABLE tool.databasechangelog, tool.databasechangeloglock;

CREATE TABLE tool.knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
CREATE TABLE tool.knex_migrations_lock (index serial PRIMARY KEY, is_locked integer);
INSERT INTO tool.knex_migrations_lock (is_locked) VALUES (1);
SELECT * FROM migrate.adopt();
DROP TABLE tool.knex_migrations, tool.knex_migrations_lock;

-- Flyway, from the start to the end
CREATE TABLE tool.flyway_schema_history (installed_rank int NOT NULL PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
	type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL,
	installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);
CREATE PROCEDURE flyway(rank int, version text, file text, success boolean DEFAULT true) LANGUAGE sql AS $$
	INSERT INTO tool.flyway_schema_history
	VALUES (rank, version, 'x', 'SQL', 'V' || coalesce(version, '') || '__x.sql', migrate.tool_checksum('flyway', file)::int, 'ann', '2026-01-01', 5, success);
$$;
CALL flyway(1, '1', 'CREATE TABLE tool.one (i int);');
CALL flyway(2, '1.5', 'CREATE TABLE tool.one_and_a_half (i int);');
CALL flyway(3, '2', 'CREATE TABLE tool.two (i int);', false);
SELECT * FROM migrate.adopt();
UPDATE tool.flyway_schema_history SET success = true;

-- files that were edited: nothing is adopted, and all of them are named
SELECT * FROM migrate.load_files(ARRAY['1_x.sql', '1.5_x.sql', '2_x.sql'], ARRAY['CREATE TABLE tool.uno (i int);',
	E'\uFEFFCREATE TABLE tool.one_and_a_half (i int);\r\n', 'CREATE TABLE tool.two (i bigint);'], 'plain');
\set VERBOSITY default
SELECT * FROM migrate.adopt();
\set VERBOSITY terse
SELECT count(*) FROM migrate.attempts;
SELECT count(*) FROM migrate.adopted_rows;
SELECT count(*) FROM migrate.adopted_ledgers;
SELECT version, state FROM migrate.status;
-- one is restored, and the other is taken as it is
SELECT migrate.register('1', 'x', 'CREATE TABLE tool.one (i int);');
SELECT * FROM migrate.adopt();
SELECT * FROM migrate.adopt(accept_edited := true);
SELECT * FROM migrate.adopt();
SELECT version, state, tool, role, checksum = encode(sha256(convert_to(body, 'UTF8')), 'hex') AS text, started_at, finished_at, duration_ms FROM migrate.attempts ORDER BY id;
SELECT ledger, tool FROM migrate.adopted_ledgers;
SELECT key, state, version, role FROM migrate.adopted_rows ORDER BY key;

-- the tool goes on: 3 is of a file that is registered, 4 is not
SELECT migrate.register('3', 'x', 'CREATE TABLE tool.three (i int);');
SELECT migrate.register('5', 'x', 'CREATE TABLE tool.five (i int);');
SELECT version, state FROM migrate.status;
CALL flyway(4, '3', 'CREATE TABLE tool.three (i int);');
CALL flyway(5, '4', 'CREATE TABLE tool.four (i int);');
SELECT version, name, state, applied_at, role, duration_ms FROM migrate.status;
-- a deploy runs only the rest, and a plan tells so without writing anything down
SELECT version, state, command FROM migrate.plan();
SELECT count(*) FROM migrate.attempts WHERE state = 'adopted';
BEGIN READ ONLY;
SELECT version FROM migrate.plan();
COMMIT;
CALL migrate.deploy();
SELECT to_regclass('tool.three') IS NULL AS three_was_not_run, to_regclass('tool.five') IS NOT NULL AS five_was;
SELECT version, state FROM migrate.status;
SELECT * FROM migrate.adopt();
-- and a file that is loaded later is verified then: one that differs is as good as edited
SELECT * FROM migrate.load_files(ARRAY['4_x.sql'], ARRAY['CREATE TABLE tool.vier (i int);'], 'plain');
SELECT version, state FROM migrate.status;
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
SELECT to_regclass('tool.vier');
SELECT * FROM migrate.load_files(ARRAY['4_x.sql'], ARRAY['CREATE TABLE tool.four (i int);'], 'plain');
SELECT migrate.apply();
SELECT version, state FROM migrate.status;
SELECT version, state, tool, checksum FROM migrate.attempts WHERE version = '4' ORDER BY id;

-- the tool fails: nothing runs before that is mended
CALL flyway(6, '6', 'CREATE TABLE tool.six (i int);', false);
SELECT version, state FROM migrate.status;
CALL migrate.deploy();
SELECT migrate.apply();
DELETE FROM tool.flyway_schema_history WHERE NOT success;
-- it takes something back
INSERT INTO tool.flyway_schema_history VALUES (7, '4', 'x', 'UNDO_SQL', 'U4__x.sql', NULL, 'ann', '2026-01-02', 5, true);
SELECT * FROM migrate.adopt();
SELECT version, state FROM migrate.status;
INSERT INTO tool.flyway_schema_history VALUES (8, '4', 'x', 'SQL', 'V4__x.sql', migrate.tool_checksum('flyway', 'CREATE TABLE tool.four (i int);')::int, 'ann', '2026-01-03', 5, true);
CALL migrate.deploy();
SELECT version, state FROM migrate.status;

-- repeatable migrations: one is as it ran, the other is to run again
SELECT migrate.register('R__a', 'a', 'CREATE OR REPLACE VIEW tool.a AS SELECT 1 AS a;');
SELECT migrate.register('R__b', 'b', 'CREATE OR REPLACE VIEW tool.b AS SELECT 2 AS b;');
UPDATE migrate.migrations SET repeatable = true WHERE version LIKE 'R%';
INSERT INTO tool.flyway_schema_history VALUES
	(9, NULL, 'a', 'SQL', 'views/R__a.sql', migrate.tool_checksum('flyway', 'CREATE OR REPLACE VIEW tool.a AS SELECT 1 AS a;')::int, 'ann', '2026-01-03', 5, true),
	(10, NULL, 'b', 'SQL', 'views/R__b.sql', 1, 'ann', '2026-01-03', 5, true);
SELECT * FROM migrate.adopt();
SELECT version, state, tool FROM migrate.attempts WHERE version LIKE 'R%' ORDER BY version;
DELETE FROM migrate.attempts WHERE version LIKE 'R%';
DELETE FROM migrate.migrations WHERE repeatable;
DELETE FROM tool.flyway_schema_history WHERE version IS NULL;

-- roles: reading the ledger is up to its owner
CREATE ROLE regress_adopt;
GRANT SELECT ON migrate.status, migrate.adopted_ledgers TO regress_adopt;
GRANT EXECUTE ON FUNCTION migrate.apply(text), migrate.adopt(text, regclass, boolean), migrate.forget_ledger(text) TO regress_adopt;
SET ROLE regress_adopt;
SELECT * FROM migrate.adopt();
SELECT version, state FROM migrate.status;
SELECT migrate.apply();
RESET ROLE;
GRANT USAGE ON SCHEMA tool TO regress_adopt;
GRANT SELECT ON tool.flyway_schema_history TO regress_adopt;
CALL flyway(11, '7', 'x');
SET ROLE regress_adopt;
SELECT version, state FROM migrate.status;
SELECT * FROM migrate.adopt();
RESET ROLE;
-- policies of a table would run as who reads it
CREATE FUNCTION tool.steal() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'this ran as %', current_user;
END $$;
CREATE POLICY steal ON tool.flyway_schema_history USING (tool.steal());
ALTER TABLE tool.flyway_schema_history ENABLE ROW LEVEL SECURITY;
SET ROLE regress_adopt;
SELECT version, state FROM migrate.status WHERE version < '2';
SELECT migrate.apply();
SELECT * FROM migrate.adopt();
RESET ROLE;
ALTER TABLE tool.flyway_schema_history DISABLE ROW LEVEL SECURITY;
-- who may not read the view learns nothing from its function
CREATE ROLE regress_adopt_other;
SET ROLE regress_adopt_other;
SELECT * FROM migrate.tool_history();
SELECT * FROM migrate.status;
SELECT * FROM migrate.adopt();
SELECT migrate.forget_ledger('tool.flyway_schema_history');
RESET ROLE;

-- a ledger that was emptied, or is gone, is no sign that all was rolled back
DELETE FROM tool.flyway_schema_history;
SELECT migrate.apply();
SELECT * FROM migrate.adopt();
SELECT version, state FROM migrate.status;
ALTER TABLE tool.flyway_schema_history DROP COLUMN success;
SELECT migrate.apply();
SELECT version, state FROM migrate.status WHERE version > '5';
DROP TABLE tool.flyway_schema_history;
SELECT version, state FROM migrate.status;
CALL migrate.deploy();
-- and what it said stays known
SELECT * FROM migrate.load_files(ARRAY['7_x.sql'], ARRAY['x'], 'plain');
SELECT * FROM migrate.load_files(ARRAY['7_x.sql'], ARRAY['SELECT 7'], 'plain');
SELECT version, state FROM migrate.status WHERE version = '7';
CALL migrate.deploy();
SET ROLE regress_adopt;
SELECT migrate.forget_ledger('tool.flyway_schema_history');
RESET ROLE;
SELECT ledger, followed FROM migrate.adopted_ledgers WHERE tool = 'flyway';
SELECT version, state FROM migrate.status WHERE version = '7';
SELECT * FROM migrate.adopt('flyway');
SELECT * FROM migrate.adopt('flyway', accept_edited := true);
SELECT version, state FROM migrate.status WHERE version = '7';
CALL migrate.deploy();

-- a tool that deletes the row of what it rolls back
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
DELETE FROM migrate.adopted_rows;
CREATE TABLE tool.schema_migrations (version varchar NOT NULL PRIMARY KEY);
INSERT INTO tool.schema_migrations VALUES ('1'), ('2'), ('3');
SELECT migrate.register(i::text, '', 'CREATE TABLE tool.dbmate_' || i || ' (i int);') FROM generate_series(1, 3) i;
SELECT version, state FROM migrate.adopt();
DELETE FROM tool.schema_migrations WHERE version = '3';
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
SELECT * FROM migrate.adopt();
CALL migrate.deploy();
SELECT version, state FROM migrate.status;
-- what we have applied ourselves is known to us
INSERT INTO tool.schema_migrations VALUES ('3');
SELECT * FROM migrate.adopt();
DROP TABLE tool.schema_migrations, tool.dbmate_3;

-- a tool that has nothing but a mark
DELETE FROM migrate.attempts;
DELETE FROM migrate.adopted_rows;
DELETE FROM migrate.adopted_ledgers;
CREATE TABLE tool.schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO tool.schema_migrations VALUES (2, false);
SELECT version, state FROM migrate.adopt();
UPDATE tool.schema_migrations SET version = 1;
SELECT migrate.apply('2');
SELECT * FROM migrate.adopt();
UPDATE tool.schema_migrations SET version = 2;
SELECT version, state FROM migrate.status;
SELECT version FROM migrate.plan();
CALL migrate.deploy();
SELECT version, state, tool FROM migrate.attempts ORDER BY id;
SELECT migrate.register('0', 'late', 'SELECT 0;');
SELECT version, state FROM migrate.status;
SELECT count(*) FROM migrate.plan();
CALL migrate.deploy();

-- a migration cannot adopt
SELECT migrate.register('8', 'adopts', 'SELECT * FROM migrate.adopt();');
CALL migrate.deploy();
SELECT migrate.unregister('8');

DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
DELETE FROM migrate.adopted_rows;
DELETE FROM migrate.adopted_ledgers;
REVOKE ALL ON migrate.status, migrate.adopted_ledgers FROM regress_adopt;
REVOKE ALL ON FUNCTION migrate.apply(text), migrate.adopt(text, regclass, boolean), migrate.forget_ledger(text) FROM regress_adopt;
SET client_min_messages = warning;
SET safe_migrate.override = 'the end';
DROP SCHEMA tool CASCADE;
SET safe_migrate.override = 'the end';
DROP SCHEMA app, "Other app" CASCADE;
DROP PROCEDURE flyway;
DROP ROLE regress_adopt, regress_adopt_other;
