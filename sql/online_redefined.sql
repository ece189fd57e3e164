--
-- What is redefined while a table is being changed, and what else the state of
-- the server has to do with a change.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.mode = off;
CREATE SCHEMA redefined;
SET search_path = redefined;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 8500;
CREATE FUNCTION constraints(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
	WHERE conrelid = name AND contype IN ('c', 'f') ORDER BY conname $$;
CREATE FUNCTION phase(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT phase || ' ' || state FROM migrate.changes c WHERE c.id = $1 $$;

-- a backfill compiles nothing for its few pages, and reads no others
CREATE FUNCTION settings_of_batch() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT concat_ws(', ', current_setting('jit'), current_setting('enable_tidscan')) $$;
CREATE TABLE batches (id int PRIMARY KEY, seen text);
INSERT INTO batches VALUES (1);
SET jit = on;
SET enable_tidscan = off;
CALL migrate.backfill('batches', 'seen = redefined.settings_of_batch()', 'seen IS NULL');
SELECT * FROM batches;
SHOW jit;
SHOW enable_tidscan;
RESET jit;
RESET enable_tidscan;

DROP SCHEMA redefined CASCADE;
