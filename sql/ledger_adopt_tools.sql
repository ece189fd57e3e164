--
-- The ledger of every tool that is known, with the DDL that the tool uses:
-- found by its columns, read, and taken over.
--
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SET timezone = 'UTC';

SELECT * FROM migrate.load_files(
	ARRAY['1_a.sql', '2_b.sql', '3_c.sql'],
	ARRAY[E'SELECT 1;\n', E'SELECT 2;\n', E'SELECT 3;\n'], 'plain');

CREATE VIEW adopted AS
SELECT version, state, tool, role = current_user AS mine, started_at, finished_at, duration_ms
FROM migrate.attempts ORDER BY id;

-- A ledger and what it knows of 1 and 2; all of it is undone.
CREATE PROCEDURE empty_schemas() LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM migrate.attempts;
	DELETE FROM migrate.adopted_rows;
	DELETE FROM migrate.adopted_ledgers;
	SET LOCAL client_min_messages = warning;
	SET LOCAL safe_migrate.override = 'the next ledger';
	DROP SCHEMA IF EXISTS tool CASCADE;
	CREATE SCHEMA tool;
	SET search_path = tool, public;
END $$;

-- Flyway, with a repeatable migration and one that was undone
CALL empty_schemas();
CREATE TABLE flyway_schema_history (
	installed_rank int NOT NULL,
	version varchar(50),
	description varchar(200) NOT NULL,
	type varchar(20) NOT NULL,
	script varchar(1000) NOT NULL,
	checksum int,
	installed_by varchar(100) NOT NULL,
	installed_on timestamp NOT NULL DEFAULT now(),
	execution_time int NOT NULL,
	success boolean NOT NULL);
ALTER TABLE flyway_schema_history ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
INSERT INTO flyway_schema_history VALUES
	(0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', '"tool"', NULL, 'ann', '2026-01-01 00:00', 0, true),
	(1, '1', 'a', 'SQL', 'V1__a.sql', migrate.tool_checksum('flyway', 'SELECT 1;')::int, 'ann', '2026-01-01 01:00', 1500, true),
	(2, '2', 'b', 'SQL', 'V2__b.sql', migrate.tool_checksum('flyway', E'SELECT 2;\r\n')::int, 'bob', '2026-01-02 01:00', 20, true),
	(3, '3', 'c', 'SQL', 'V3__c.sql', 1, 'bob', '2026-01-03 01:00', 20, true),
	(4, '3', 'c', 'UNDO_SQL', 'U3__c.sql', 1, 'bob', '2026-01-03 02:00', 20, true),
	(5, NULL, 'some view', 'SQL', 'R__some_view.sql', 7, 'bob', '2026-01-03 03:00', 20, true);
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;
SELECT version, name, state, applied_at, role FROM migrate.status;

-- Flyway before version 5, with a baseline
CALL empty_schemas();
CREATE TABLE schema_version (
	version_rank int NOT NULL,
	installed_rank int NOT NULL,
	version varchar(50) NOT NULL PRIMARY KEY,
	description varchar(200) NOT NULL,
	type varchar(20) NOT NULL,
	script varchar(1000) NOT NULL,
	checksum int,
	installed_by varchar(100) NOT NULL,
	installed_on timestamp NOT NULL DEFAULT now(),
	execution_time int NOT NULL,
	success boolean NOT NULL);
INSERT INTO schema_version VALUES
	(1, 1, '2', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'ann', '2026-01-01 01:00', 0, true);
SELECT * FROM migrate.adopt('flyway');
SELECT version, name, state, applied_at, role FROM migrate.status;

-- Liquibase: no checksum, one that only it can compute, and one of ours
CALL empty_schemas();
CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL,
	filename varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL,
	exectype varchar(10) NOT NULL, md5sum varchar(35), description varchar(255), comments varchar(255),
	tag varchar(255), liquibase varchar(20), contexts varchar(255), labels varchar(255), deployment_id varchar(10));
CREATE TABLE databasechangeloglock (id int NOT NULL, locked boolean NOT NULL,
	lockgranted timestamp, lockedby varchar(255), CONSTRAINT databasechangeloglock_pkey PRIMARY KEY (id));
INSERT INTO databasechangeloglock VALUES (1, false, NULL, NULL);
INSERT INTO databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum) VALUES
	('1', 'ann', 'c.sql', '2026-01-01 01:00', 1, 'EXECUTED', migrate.tool_checksum('liquibase', 'SELECT 1 ;')),
	('2', 'ann', 'c.sql', '2026-01-01 01:00', 2, 'MARK_RAN', '8:d41d8cd98f00b204e9800998ecf8427e'),
	('3', 'ann', 'c.sql', '2026-01-01 02:00', 3, 'RERAN', NULL),
	('9', 'ann', 'c.xml', '2026-01-01 02:00', 4, 'EXECUTED', '9:0123');
SELECT * FROM migrate.adopt();

-- golang-migrate: one row, up to which all is applied
CALL empty_schemas();
CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
SELECT * FROM migrate.adopt();
INSERT INTO schema_migrations VALUES (2, false);
SELECT * FROM migrate.adopt();
SELECT version, name, state FROM migrate.status;
UPDATE schema_migrations SET version = 7;
SELECT version, name, state FROM migrate.status;
SELECT * FROM migrate.adopt('golang-migrate');

-- dbmate
CALL empty_schemas();
CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('1'), ('02');
SELECT * FROM migrate.adopt();

-- Rails
CREATE TABLE ar_internal_metadata (key varchar NOT NULL PRIMARY KEY, value varchar,
	created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', now(), now());
SELECT * FROM migrate.adopt('dbmate');
SELECT * FROM migrate.adopt();

-- supabase
CALL empty_schemas();
CREATE TABLE schema_migrations (version text NOT NULL PRIMARY KEY, statements text[], name text);
INSERT INTO schema_migrations VALUES ('1', '{SELECT 1}', 'a'), ('9', '{SELECT 9,SELECT 10}', 'x');
SELECT * FROM migrate.adopt();
SELECT key, body FROM migrate.adopted_rows ORDER BY key;

-- goose, with rows of versions before 3.16 that say what was rolled back
CALL empty_schemas();
CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL,
	is_applied boolean NOT NULL, tstamp timestamp NULL DEFAULT now());
INSERT INTO goose_db_version (version_id, is_applied, tstamp) VALUES
	(0, true, '2026-01-01'), (1, true, '2026-01-01'), (2, true, '2026-01-02'),
	(2, false, '2026-01-03'), (3, true, '2026-01-04'), (3, false, '2026-01-05'), (3, true, '2026-01-06');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;
CALL empty_schemas();
CREATE TABLE goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,
	is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true);
SELECT * FROM migrate.adopt();

-- tern
CALL empty_schemas();
CREATE TABLE schema_version (version int4 NOT NULL);
INSERT INTO schema_version VALUES (2);
SELECT * FROM migrate.adopt();

-- sqitch
CALL empty_schemas();
CREATE TABLE changes (change_id text PRIMARY KEY, script_hash text NULL, change text NOT NULL,
	project text NOT NULL, note text NOT NULL DEFAULT '',
	committed_at timestamptz NOT NULL DEFAULT clock_timestamp(), committer_name text NOT NULL,
	committer_email text NOT NULL, planned_at timestamptz NOT NULL, planner_name text NOT NULL,
	planner_email text NOT NULL, UNIQUE (project, script_hash));
INSERT INTO changes (change_id, script_hash, change, project, committed_at, committer_name, committer_email, planned_at, planner_name, planner_email) VALUES
	('c0ffee', migrate.tool_checksum('sqitch', E'SELECT 1;\n'), 'a', 'p', '2026-01-01 01:00', 'Ann', 'ann@example.com', '2025-01-01', 'Bob', 'bob@example.com'),
	('c0ffef', migrate.tool_checksum('sqitch', E'SELECT 2;\r\n'), 'b', 'p', '2026-01-01 01:01', 'Ann', 'ann@example.com', '2025-01-01', 'Bob', 'bob@example.com');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- graphile-migrate
CALL empty_schemas();
CREATE TABLE migrations (hash text PRIMARY KEY, previous_hash text REFERENCES migrations,
	filename text NOT NULL, date timestamptz NOT NULL DEFAULT now());
INSERT INTO migrations VALUES
	(migrate.tool_checksum('graphile-migrate', 'SELECT 1;'), NULL, '000001.sql', '2026-01-01 01:00');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- Prisma: tried, rolled back and tried again; a checksum without zeros
CALL empty_schemas();
CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL,
	finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
	started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at, started_at) VALUES
	('x', 'old', NULL, '1_a', '2026-01-01 02:00', '2026-01-01 01:00'),
	('y', migrate.tool_checksum('prisma', E'SELECT 1;\r\n'), '2026-01-01 03:00:02', '1_a', NULL, '2026-01-01 03:00'),
	('z', (SELECT string_agg(regexp_replace(substr(c, i, 2), '^0', ''), '' ORDER BY i)
		FROM migrate.tool_checksum('prisma', E'SELECT 2;\n') c, generate_series(1, 63, 2) i),
		'2026-01-01 04:00:00.5', '2_b', NULL, '2026-01-01 04:00'),
	('w', 'c', NULL, '3_c', '2026-01-01 02:00', '2026-01-01 05:00');
SELECT length(checksum) < 64 AS shorter FROM _prisma_migrations WHERE id = 'z';
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- Drizzle: no names
CALL empty_schemas();
CREATE TABLE __drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
INSERT INTO __drizzle_migrations (hash, created_at) VALUES
	(migrate.tool_checksum('drizzle', E'SELECT 1;\n'), 1700000000000),
	(migrate.tool_checksum('drizzle', E'SELECT 2;\n'), 1700000001000);
SELECT * FROM migrate.adopt();
-- one that was edited since is where the ledger has it
UPDATE __drizzle_migrations SET hash = migrate.tool_checksum('drizzle', 'SELECT 3; -- once') WHERE id = 2;
DELETE FROM migrate.attempts;
DELETE FROM migrate.adopted_rows;
SELECT * FROM migrate.adopt();

-- Drizzle 1.0
CALL empty_schemas();
CREATE TABLE __drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
ALTER TABLE __drizzle_migrations ADD COLUMN IF NOT EXISTS name text;
ALTER TABLE __drizzle_migrations ADD COLUMN IF NOT EXISTS applied_at timestamptz;
INSERT INTO __drizzle_migrations (hash, created_at, name, applied_at) VALUES
	(migrate.tool_checksum('drizzle', E'SELECT 2;\n'), 1700000000000, '2_b', '2026-01-01 01:00');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- Kysely
CALL empty_schemas();
CREATE TABLE kysely_migration (name varchar(255) NOT NULL PRIMARY KEY, timestamp varchar(255) NOT NULL);
CREATE TABLE kysely_migration_lock (id varchar(255) NOT NULL PRIMARY KEY, is_locked integer DEFAULT 0 NOT NULL);
INSERT INTO kysely_migration VALUES ('1_a', '2026-01-01T01:00:00.000Z'), ('create_users', '2026-01-01T01:00:00.100Z');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- node-pg-migrate
CALL empty_schemas();
CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
INSERT INTO pgmigrations (name, run_on) VALUES ('1_a', '2026-01-01 01:00'), ('2_b', '2026-01-01 01:00');
SELECT * FROM migrate.adopt();

-- knex
CALL empty_schemas();
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked integer);
INSERT INTO knex_migrations_lock (is_locked) VALUES (0);
INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('1_a.js', 1, '2026-01-01 01:00'), ('20260101_more.ts', 1, '2026-01-01 01:00');
SELECT * FROM migrate.adopt();

-- TypeORM
CALL empty_schemas();
CREATE TABLE migrations (id serial NOT NULL, timestamp bigint NOT NULL, name varchar NOT NULL,
	CONSTRAINT "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY (id));
INSERT INTO migrations (timestamp, name) VALUES (1, 'Init1'), (1700000000000, 'More1700000000000');
SELECT * FROM migrate.adopt();

-- postgres-migrations: the name of the file is part of the checksum
CALL empty_schemas();
CREATE TABLE migrations (id integer PRIMARY KEY, name varchar(100) UNIQUE NOT NULL,
	hash varchar(40) NOT NULL, executed_at timestamp DEFAULT current_timestamp);
INSERT INTO migrations VALUES
	(0, 'create-migrations-table', 'e18db593bcde2aca2a408c4d1100f6abba2195df', '2026-01-01'),
	(1, 'a', migrate.tool_checksum('postgres-migrations', E'1_a.sqlSELECT 1;\n'), '2026-01-01'),
	(2, 'b', migrate.tool_checksum('postgres-migrations', E'2-b.sqlSELECT 2;\r\n'), '2026-01-01');
SELECT * FROM migrate.adopt();

-- umzug
CALL empty_schemas();
CREATE TABLE "SequelizeMeta" (name varchar(255) NOT NULL UNIQUE, PRIMARY KEY (name));
INSERT INTO "SequelizeMeta" VALUES ('1_a.js'), ('2_b.sql');
SELECT * FROM migrate.adopt();

-- Django: a name is only unique in its application
CALL empty_schemas();
CREATE TABLE django_migrations (id bigserial NOT NULL PRIMARY KEY, app varchar(255) NOT NULL,
	name varchar(255) NOT NULL, applied timestamptz NOT NULL);
INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '1_a', '2026-01-01'), ('1', 'a', '2026-01-01'), ('blog', '1_a', '2026-01-01');
SELECT * FROM migrate.adopt();

-- Alembic
CALL empty_schemas();
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('2');
SELECT * FROM migrate.adopt();
INSERT INTO alembic_version VALUES ('ae1027a6acf');
SELECT * FROM migrate.adopt();

-- postgrator
CALL empty_schemas();
CREATE TABLE schemaversion (version BIGINT PRIMARY KEY);
ALTER TABLE schemaversion ADD COLUMN name TEXT;
ALTER TABLE schemaversion ADD COLUMN md5 TEXT;
ALTER TABLE schemaversion ADD COLUMN run_at TIMESTAMP WITH TIME ZONE;
INSERT INTO schemaversion VALUES (0, '', '', '2026-01-01'),
	(1, 'a', migrate.tool_checksum('postgrator', E'SELECT 1;\n'), '2026-01-01'),
	(2, 'b', NULL, '2026-01-01');
SELECT * FROM migrate.adopt();

-- sql-migrate
CALL empty_schemas();
CREATE TABLE gorp_migrations (id text NOT NULL PRIMARY KEY, applied_at timestamptz);
INSERT INTO gorp_migrations VALUES ('1_a.sql', '2026-01-01'), ('2_b.sql', NULL);
SELECT * FROM migrate.adopt();

-- Atlas
CALL empty_schemas();
CREATE TABLE atlas_schema_revisions (version varchar NOT NULL PRIMARY KEY, description varchar NOT NULL,
	type bigint NOT NULL DEFAULT 2, applied bigint NOT NULL DEFAULT 0, total bigint NOT NULL DEFAULT 0,
	executed_at timestamptz NOT NULL, execution_time bigint NOT NULL, error text, error_stmt text,
	hash varchar NOT NULL, partial_hashes jsonb, operator_version varchar NOT NULL);
INSERT INTO atlas_schema_revisions VALUES
	('.atlas_cloud_identifier', 'x', 2, 0, 0, '2026-01-01', 0, '', '', '', NULL, 'Atlas CLI'),
	('1', 'baseline', 1, 0, 0, '2026-01-01', 0, '', '', '', NULL, 'Atlas CLI'),
	('2', 'b', 2, 1, 1, '2026-01-02', 2500000, '', '', 'aGFzaA==', NULL, 'Atlas CLI');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- sqlx
CALL empty_schemas();
CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
	installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL,
	checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL);
INSERT INTO _sqlx_migrations VALUES
	(1, 'a', '2026-01-01', true, decode(migrate.tool_checksum('sqlx', E'SELECT 1;\n'), 'hex'), 3000000);
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- Diesel
CALL empty_schemas();
CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY NOT NULL, run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO __diesel_schema_migrations VALUES ('1', '2026-01-01'), ('00000000000000', '2026-01-01');
SELECT * FROM migrate.adopt();

-- purcell's apply_migration keeps the text
CALL empty_schemas();
CREATE TABLE applied_migrations (identifier text NOT NULL PRIMARY KEY, ddl text NOT NULL, applied_at timestamptz NOT NULL);
INSERT INTO applied_migrations VALUES ('a', E'\r\nSELECT 1;', '2026-01-01'), ('b', 'SELECT 2', '2026-01-01');
SELECT * FROM migrate.adopt();
UPDATE applied_migrations SET ddl = ' SELECT 2;' WHERE identifier = 'b';
SELECT * FROM migrate.adopt();

-- Versioning
CALL empty_schemas();
CREATE TABLE patches (patch_name text PRIMARY KEY, applied_tsz timestamptz NOT NULL DEFAULT now(),
	applied_by text NOT NULL, requires text[], conflicts text[]);
INSERT INTO patches VALUES ('a', '2026-01-01', 'ann'), ('zz', '2026-01-02', 'ann');
SELECT * FROM migrate.adopt();
SELECT * FROM adopted;

-- omni_schema, in its own schema alone
CALL empty_schemas();
CREATE TABLE migrations (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL,
	migration text NOT NULL, applied_at timestamp NOT NULL DEFAULT now());
SELECT * FROM migrate.adopt('omni_schema');
CREATE SCHEMA omni_schema;
ALTER TABLE migrations SET SCHEMA omni_schema;
INSERT INTO omni_schema.migrations (name, migration, applied_at) VALUES ('1_a.sql', E'SELECT 1;\n', '2026-01-01');
SELECT * FROM migrate.adopt('omni_schema');

CALL empty_schemas();
SET safe_migrate.override = 'the last ledger';
SET client_min_messages = warning;
DROP SCHEMA omni_schema CASCADE;
RESET client_min_messages;
DROP SCHEMA tool;
RESET search_path;
DELETE FROM migrate.migrations;
DROP VIEW adopted;
DROP PROCEDURE empty_schemas;
