--
-- Schema changes that do not come from a migration: who, what, from where.
--

-- labels of restore points do not depend on the tests before
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;

CREATE SCHEMA drift;
CREATE ROLE drift_dev;
GRANT ALL ON SCHEMA drift TO drift_dev;
SET search_path = drift, public;

SELECT migrate.acknowledge_drift() > 0 AS acknowledged;

-- the last migration, from which on drift counts
SELECT migrate.apply('9100', 'CREATE TABLE drift.base (id int PRIMARY KEY)');
SELECT * FROM migrate.drift();

CREATE TABLE customer (id bigserial PRIMARY KEY, name text);
CREATE INDEX ON customer (name);
ALTER TABLE customer ADD n int DEFAULT 1;
ALTER TABLE customer ALTER n SET DEFAULT 2;
ALTER TABLE customer ALTER n TYPE bigint;
ALTER TABLE customer ADD CONSTRAINT positive CHECK (n > 0);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE TYPE mood AS ENUM ('good');
ALTER TYPE mood ADD VALUE 'bad';
CREATE TRIGGER watcher BEFORE UPDATE ON customer FOR EACH ROW
	EXECUTE FUNCTION suppress_redundant_updates_trigger();
GRANT SELECT ON customer TO drift_dev;
COMMENT ON TABLE customer IS 'those who pay';
ALTER DEFAULT PRIVILEGES IN SCHEMA drift GRANT SELECT ON TABLES TO drift_dev;
CREATE VIEW names AS SELECT name FROM customer;
CREATE TABLE copy AS SELECT * FROM customer;
SELECT name INTO other FROM customer;
-- what it prints differs between versions
\o /dev/null
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) CREATE TABLE explained AS SELECT 1 AS one;
\o
CREATE INDEX CONCURRENTLY customer_n ON customer (n);
CREATE SCHEMA drift_inner CREATE TABLE inside (a int) CREATE VIEW seen AS SELECT a FROM inside;
-- names of others change with it, and need no record of their own
ALTER TABLE customer RENAME name TO label;
DROP TABLE copy, other;
SET ROLE drift_dev;
CREATE TABLE mine (a int);
RESET ROLE;
SET application_name = 'a tool';
/* safe_migrate: override it has to be */ ALTER TABLE customer RENAME TO client;
RESET application_name;
CREATE TABLE drift.schema_migrations (version text PRIMARY KEY);
BEGIN;
DROP TABLE mine;
INSERT INTO drift.schema_migrations VALUES ('20260101');
COMMIT;

SELECT command, replace(objects::text, session_user, 'me') AS objects,
	NULLIF(role, session_user) AS role, application, runner, reason,
	left(statement, 60) AS statement
FROM migrate.drift() WHERE kind = 'statement';
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';
SELECT DISTINCT session_role = session_user AS session_role, client IS NULL AS local,
	executed_at BETWEEN now() - interval '1 hour' AND clock_timestamp() AS recent
FROM migrate.drift();

-- The next migration says that there is drift, and leaves it to be looked at.
SELECT count(*) AS before FROM migrate.drift() \gset
SELECT migrate.apply('9101', 'ALTER TABLE drift.base ADD a int');
SELECT count(*) - :before AS more FROM migrate.drift();
SELECT migrate.acknowledge_drift() = :before AS acknowledged;
SELECT count(*) FROM migrate.drift();
SELECT count(*) > 20 AS known FROM migrate.drift('-infinity');
SELECT migrate.acknowledge_drift();

-- What leaves no record: it is not there, or is no schema change.
BEGIN;
CREATE TABLE undone (a int);
ROLLBACK;
BEGIN;
SAVEPOINT s;
CREATE TABLE undone (a int);
ROLLBACK TO s;
COMMIT;
DO $$ BEGIN CREATE TABLE undone (a int); RAISE EXCEPTION 'no'; END $$;
SET statement_timeout = '50ms';
CREATE TABLE undone AS SELECT 1 AS a FROM pg_sleep(60);
RESET statement_timeout;
CREATE TABLE client (a int);
CREATE TABLE IF NOT EXISTS client (a int);
DROP TABLE IF EXISTS undone;
CREATE TEMP TABLE passing (a int);
CREATE INDEX ON passing (a);
ALTER TABLE passing ADD b int;
DROP TABLE passing;
CREATE TEMP TABLE passing AS SELECT 1 AS a;
ANALYZE client;
VACUUM client;
REINDEX TABLE client;
CREATE ROLE drift_other;
DROP ROLE drift_other;
CREATE MATERIALIZED VIEW drift.kept AS SELECT 1 AS one;
REFRESH MATERIALIZED VIEW drift.kept;
SET safe_migrate.record_ddl = off;
CREATE TABLE quiet (a int);
RESET safe_migrate.record_ddl;
SET safe_migrate.mode = off;
DROP TABLE quiet;
CREATE TABLE hidden (a int);
ALTER TABLE base ADD hidden int;
RESET safe_migrate.mode;
SELECT command, objects FROM migrate.drift() WHERE kind = 'statement';
-- but the objects are not what the last migration left
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';

-- and that stays known when a migration comes, whatever becomes of them
SELECT migrate.apply('9101.1', 'ALTER TABLE drift.base ADD b int');
SELECT kind, objects, left(statement, 18) AS found FROM migrate.drift() WHERE kind <> 'statement';
SELECT migrate.apply('9101.2', 'ALTER TABLE drift.base DROP hidden');
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';
SET safe_migrate.mode = off;
CREATE TABLE hidden_too (a int);
RESET safe_migrate.mode;
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';
SELECT migrate.acknowledge_drift();
SELECT * FROM migrate.drift();
SELECT kind, objects FROM migrate.drift('-infinity')
WHERE kind <> 'statement' AND objects::text LIKE '%table drift.hidden%';
SELECT migrate.apply('9101.3', 'ALTER TABLE drift.base DROP b');
-- also before a down script
SELECT migrate.register('9101.4', '', 'CREATE TABLE drift.gone (a int)', 'DROP TABLE drift.gone');
SELECT migrate.apply();
SET safe_migrate.mode = off;
DROP TABLE hidden_too;
RESET safe_migrate.mode;
SELECT migrate.revert('9101.4');
SELECT kind, objects FROM migrate.drift();
SELECT migrate.unregister('9101.4');
SELECT migrate.acknowledge_drift();

-- What is found may have a name that is longer than an index can hold.
SET safe_migrate.mode = off;
DO $$
DECLARE
	types text[];
BEGIN
	FOR i IN 1..60 LOOP
		types[i] := format('drift.d%s%s', md5(i::text), left(md5((-i)::text), 28));
		EXECUTE format('CREATE DOMAIN %s AS int', types[i]);
	END LOOP;
	EXECUTE format('CREATE FUNCTION drift.many(%s) RETURNS int LANGUAGE sql AS %L',
		array_to_string(types, ', '), 'SELECT 1');
END
$$;
RESET safe_migrate.mode;
SELECT migrate.apply('9101.4.5', 'CREATE TABLE drift.short (a int)');
SELECT count(*) > 60 AS found, max(length(o)) > 3000 AS long
FROM migrate.drift(), unnest(objects) o;
SELECT migrate.acknowledge_drift() > 60 AS acknowledged;
SELECT * FROM migrate.drift();

-- The record names what the hook tells nothing of, and what only a part was changed
-- of; and it explains that, and nothing else.
CREATE TABLE secured (a int);
CREATE DOMAIN positive AS int CONSTRAINT first CHECK (VALUE > 0);
SELECT migrate.acknowledge_drift();
SET safe_migrate.mode = off;
CREATE TABLE hidden_beside (a int);
RESET safe_migrate.mode;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured REPLICA IDENTITY FULL;
ALTER DOMAIN positive ADD CONSTRAINT second CHECK (VALUE < 10) NOT VALID;
ALTER DOMAIN positive VALIDATE CONSTRAINT second;
ALTER DOMAIN positive RENAME CONSTRAINT second TO third;
ALTER DOMAIN positive DROP CONSTRAINT first;
SELECT kind, command, objects FROM migrate.drift();
SELECT migrate.acknowledge_drift();

-- In the transaction of the migration, what comes before it is in its manifest,
-- and what comes after is not.
BEGIN;
CREATE TABLE first (a int);
SELECT migrate.apply('9101.5', 'ALTER TABLE drift.base ADD c int');
CREATE TABLE second (a int);
COMMIT;
SELECT kind, objects FROM migrate.drift();
SET safe_migrate.mode = off;
DROP TABLE first, second;
RESET safe_migrate.mode;
SELECT kind, objects FROM migrate.drift();
SELECT migrate.acknowledge_drift();

-- A table that looks like the books of a migration tool leaves a record, too.
CREATE TABLE pgmigrations (id serial PRIMARY KEY, name text, run_on timestamp);
ALTER TABLE pgmigrations ADD payload text;
CREATE TRIGGER watcher BEFORE UPDATE ON pgmigrations FOR EACH ROW
	EXECUTE FUNCTION suppress_redundant_updates_trigger();
/* safe_migrate: override test */ ALTER TABLE pgmigrations RENAME TO harmless;
CREATE TABLE schema_version (version text) PARTITION BY LIST (version);
DROP TABLE schema_version, harmless;
SELECT kind, command, objects, runner FROM migrate.drift();
SELECT migrate.acknowledge_drift();

-- each statement in a function or DO block has a record of its own
CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE made (a int);
	EXECUTE 'ALTER TABLE made ADD b int';
END $$;
SELECT make();
DO $$
BEGIN
	CREATE TABLE done (a int);
	BEGIN
		CREATE TABLE undone (a int);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
END $$;
SELECT command, objects, statement FROM migrate.drift() WHERE kind = 'statement' ORDER BY executed_at DESC LIMIT 3;

SELECT migrate.acknowledge_drift() > 0 AS acknowledged;
-- those of a migration do not count, wherever they are
SELECT migrate.apply('9102', 'DROP TABLE drift.made; SELECT drift.make(); DO $do$ BEGIN CREATE TABLE drift.by_block (a int); END $do$');
SELECT migrate.register('9103', '', 'CREATE TABLE drift.by_deploy (a int)');
CALL migrate.deploy();
SELECT * FROM migrate.drift();

-- What runs in another way counts once, for the one who sent it.
CREATE TABLE large (a int);
INSERT INTO large SELECT generate_series(1, 100);
SET safe_migrate.small_table = 0;
ALTER TABLE large ADD CHECK (a < 1000);
CALL migrate.run('ALTER TABLE drift.large ADD CHECK (a > 0)');
SELECT command, objects, statement FROM migrate.drift();
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';
-- or after the commit
SET safe_migrate.in_transaction = defer;
SET client_min_messages = warning;
BEGIN;
CREATE INDEX large_deferred ON large (a);
COMMIT;
SELECT max(id)::text AS task FROM migrate.tasks \gset
CALL migrate.wait(:task);
RESET client_min_messages;
SELECT command, objects, statement FROM migrate.drift() ORDER BY executed_at DESC LIMIT 1;
SELECT kind, objects FROM migrate.drift() WHERE kind <> 'statement';
-- also of a migration: which table it was about is known
SELECT migrate.acknowledge_drift() > 0 AS acknowledged;
SET client_min_messages = warning;
SELECT migrate.apply('9103.1', 'CREATE INDEX large_later ON drift.large ((a + 1))');
SELECT max(id)::text AS task FROM migrate.tasks \gset
CALL migrate.wait(:task);
RESET client_min_messages;
SELECT kind, objects FROM migrate.drift();
SET safe_migrate.mode = off;
ALTER TABLE base ADD d int;
RESET safe_migrate.mode;
SELECT kind, objects FROM migrate.drift();
SELECT migrate.acknowledge_drift();
RESET safe_migrate.in_transaction;
RESET safe_migrate.small_table;

-- Whoever changes the schema needs no right on the table; reading needs some.
SET ROLE drift_dev;
SELECT * FROM migrate.drift();
SELECT * FROM migrate.ddl_log;
SELECT migrate.schema_fingerprint();
SELECT migrate.forget_drift(now());
SELECT migrate.acknowledge_drift();
SELECT * FROM migrate.found_drift;
SELECT * FROM migrate.explanations;
RESET ROLE;

-- passwords are not kept
CREATE FOREIGN DATA WRAPPER drift_wrapper;
CREATE SERVER drift_server FOREIGN DATA WRAPPER drift_wrapper OPTIONS (key 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER drift_server OPTIONS (password 'secret');
ALTER USER MAPPING FOR PUBLIC SERVER drift_server OPTIONS (SET password 'secret');
DROP USER MAPPING FOR PUBLIC SERVER drift_server;
DROP SERVER drift_server;
DROP FOREIGN DATA WRAPPER drift_wrapper;
SELECT command, objects, statement FROM migrate.drift() WHERE kind = 'statement' ORDER BY executed_at DESC LIMIT 7;

-- old records can be deleted
SELECT migrate.forget_drift('infinity') > 30 AS forgotten;
SELECT count(*) FROM migrate.ddl_log;
SELECT count(*) FROM migrate.found_drift;

--
-- DDL only by migrations
--
SET safe_migrate.rules = 'require_migration:reject';
\set VERBOSITY terse
CREATE TABLE refused (a int);
ALTER TABLE client ADD refused int;
CREATE INDEX ON client (n);
CREATE VIEW refused AS SELECT 1 AS one;
CREATE FUNCTION refused() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE refused AS ENUM ();
GRANT SELECT ON client TO PUBLIC;
COMMENT ON TABLE client IS 'refused';
SELECT 1 AS one INTO refused;
DROP TABLE client, hidden;
DROP FUNCTION make();
CREATE SCHEMA refused;
CREATE EXTENSION hstore;
DO $$ BEGIN CREATE TABLE drift.refused (a int); END $$;
CALL migrate.run('CREATE TABLE drift.refused (a int)');
SET safe_migrate.small_table = 0;
CALL migrate.run('ALTER TABLE drift.large ADD CHECK (a > 1)');
RESET safe_migrate.small_table;
-- PostgreSQL's own error, or none, where there is no schema to look for
SET search_path = '';
CREATE TABLE refused (a int);
ALTER TABLE refused ADD b int;
DROP TABLE IF EXISTS refused;
ALTER TABLE IF EXISTS refused ADD b int;
CREATE TEMP TABLE allowed (a int);
DROP TABLE allowed;
SET search_path = drift, public;
-- but not what is temporary, no change of the schema, of a migration tool or ours
CREATE TEMP TABLE allowed (a int);
CREATE INDEX ON allowed (a);
ALTER TABLE allowed ADD b int;
DROP TABLE allowed;
ANALYZE client;
REFRESH MATERIALIZED VIEW drift.kept;
CREATE TABLE drift.flyway_schema_history (installed_rank int PRIMARY KEY, checksum int);
DROP TABLE drift.flyway_schema_history;
SELECT command, objects, runner FROM migrate.drift() WHERE runner IS NOT NULL;
GRANT SELECT ON migrate.status TO drift_dev;
REVOKE SELECT ON migrate.status FROM drift_dev;
-- migrations pass, and what is only checked may become one
SELECT migrate.apply('9104', 'CREATE TABLE drift.passed (a int); SELECT drift.make()') FROM (SELECT) a WHERE false;
SELECT migrate.apply('9104', 'CREATE TABLE drift.passed (a int); DO $do$ BEGIN ALTER TABLE drift.passed ADD b int; END $do$');
SELECT migrate.register('9105', '', 'DROP TABLE drift.passed');
CALL migrate.deploy();
SELECT count(*) FROM migrate.check('CREATE TABLE drift.refused (a int)') WHERE rule = 'require_migration';
-- a reason lets it pass
/* safe_migrate: override it burns */ CREATE TABLE burning (a int);
SELECT objects, reason FROM migrate.drift() WHERE reason IS NOT NULL;
-- a role, a schema or a table can be exempted, or be the only one concerned
INSERT INTO migrate.policy (rule, role_name, action) VALUES ('require_migration', 'drift_dev', 'allow');
SET ROLE drift_dev;
CREATE TABLE by_tool (a int);
CREATE FUNCTION by_tool() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
CREATE TABLE refused (a int);
UPDATE migrate.policy SET role_name = NULL, schema_name = 'drift', table_name = 'scratch' WHERE rule = 'require_migration';
CREATE TABLE scratch (a int);
DROP TABLE scratch;
CREATE TABLE refused (a int);
RESET safe_migrate.rules;
UPDATE migrate.policy SET table_name = NULL, action = 'reject' WHERE rule = 'require_migration';
CREATE TABLE refused (a int);
CREATE TABLE public.not_refused (a int);
DROP TABLE public.not_refused;
SET safe_migrate.mode = warn;
CREATE TABLE warned (a int);
RESET safe_migrate.mode;
DELETE FROM migrate.policy WHERE rule = 'require_migration';

\set VERBOSITY default
SET client_min_messages = warning;
RESET search_path;
/* safe_migrate: override end of the test */ DROP SCHEMA drift CASCADE;
DROP SCHEMA drift_inner CASCADE;
DROP OWNED BY drift_dev;
DROP ROLE drift_dev;
DELETE FROM migrate.migrations WHERE version LIKE '91%';
DELETE FROM migrate.attempts WHERE version LIKE '91%';
