--
-- What a migration does and no restore point brings back is told before.
--
SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;
DELETE FROM migrate.attempts;
DELETE FROM migrate.migrations;
SELECT migrate.acknowledge_drift() IS NOT NULL AS acknowledged;
\set VERBOSITY terse
CREATE SCHEMA irreversible;
SET search_path = irreversible, public;
CREATE TYPE mood AS ENUM ('sad');
CREATE FOREIGN DATA WRAPPER irreversible_wrapper;
CREATE SERVER irreversible_server FOREIGN DATA WRAPPER irreversible_wrapper;
CREATE FOREIGN TABLE elsewhere (i int) SERVER irreversible_server;
CREATE ROLE safe_migrate_leaver;

-- as a note, in a migration
SELECT migrate.apply('1', $$ALTER TYPE irreversible.mood ADD VALUE 'glad'; DROP ROLE safe_migrate_leaver$$);

-- outside of one, nobody expects a restore point to bring it back
ALTER TYPE mood ADD VALUE 'calm';

-- in a script that is checked
SELECT statement, command, rule, action, message FROM migrate.check($$
	ALTER TYPE mood ADD VALUE IF NOT EXISTS 'angry';
	ALTER TYPE mood RENAME VALUE 'glad' TO 'happy';
	TRUNCATE elsewhere;
	DROP ROLE somebody, "some body";
	DROP TABLESPACE fast;
	DROP SUBSCRIPTION news;
	DROP DATABASE app;
	DROP VIEW IF EXISTS nope$$);

-- an action of the policy
SET safe_migrate.rules = 'irreversible:reject';
SELECT migrate.apply('2', $$ALTER TYPE irreversible.mood ADD VALUE 'bored'$$);
SELECT migrate.apply('2', $m$DO $do$ BEGIN
	ALTER TYPE irreversible.mood ADD VALUE 'bored';
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $do$ $m$);
SELECT migrate.apply('3', $$/* safe_migrate: override it is meant */ ALTER TYPE irreversible.mood ADD VALUE 'bored'$$);
SELECT enum_range(NULL::mood);

-- where no restore point is made, it is not asked for
SET safe_migrate.restore_points = off;
SELECT migrate.apply('4', $$ALTER TYPE irreversible.mood ADD VALUE 'tired'$$);
RESET safe_migrate.restore_points;
RESET safe_migrate.rules;

SELECT migrate.drop_all_restore_points() IS NOT NULL AS dropped;
SET client_min_messages = warning;
SET safe_migrate.restore_points = off;
DROP SCHEMA irreversible CASCADE;
DROP FOREIGN DATA WRAPPER irreversible_wrapper CASCADE;
