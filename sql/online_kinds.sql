--
-- Columns, types and constraints that the changes must know what to do with.
--
\set VERBOSITY terse
SET client_min_messages = warning;
SET safe_migrate.mode = off;
CREATE SCHEMA kinds;
SET search_path = kinds;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 9000;
CREATE FUNCTION columns(name regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(attname || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = name AND attnum > 0 AND NOT attisdropped $$;
CREATE FUNCTION phase(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT phase || ' ' || state FROM migrate.changes c WHERE c.id = $1 $$;

-- a default of the type would be in the new column instead of the value
CREATE DOMAIN uid AS uuid DEFAULT gen_random_uuid();
CREATE DOMAIN uid_of_uid AS uid;
CREATE DOMAIN code AS text DEFAULT 'none';
CREATE DOMAIN plain AS code DEFAULT NULL;
CREATE TABLE codes (id int PRIMARY KEY, name text, a uid, b code, c plain);
SELECT migrate.rename_column('codes', 'a', 'aa', advance => 'manual');
SELECT migrate.change_type('codes', 'name', 'code', advance => 'manual');
SELECT migrate.change_type('codes', 'a', 'uid_of_uid', advance => 'manual');
SELECT migrate.split_column('codes', 'name', '{d,e}', '{text,code}', '{name,name}', advance => 'manual');
SELECT migrate.merge_columns('codes', '{name,b}', 'd', 'code', 'name || b', advance => 'manual');
SELECT migrate.add_column('codes', 'd', 'code', 'upper(name)', advance => 'manual');
SELECT migrate.add_column('codes', 'd', 'code', $$'some'$$, advance => 'manual');
SELECT migrate.rename_column('codes', 'c', 'cc', advance => 'manual');
SELECT columns('codes');

-- a collation that only the user's search_path finds
CREATE COLLATION mine (provider = libc, locale = 'C');
CREATE COLLATION "odd ""name" FROM mine;
CREATE TABLE words (id int PRIMARY KEY, a text COLLATE mine, b text COLLATE "odd ""name", c text COLLATE "C");
INSERT INTO words VALUES (1, 'a', 'b', 'c');
SELECT migrate.rename_column('words', 'a', 'aa', advance => 'manual') AS c \gset
SELECT migrate.rename_column('words', 'b', 'bb', advance => 'manual') AS d \gset
SELECT migrate.rename_column('words', 'c', 'cc', advance => 'manual') AS e \gset
CALL migrate.advance(:c);
CALL migrate.advance(:d);
CALL migrate.advance(:e);
SELECT attname, attcollation::regcollation FROM pg_attribute WHERE attrelid = 'words'::regclass AND attnum > 1 ORDER BY attnum;

DROP SCHEMA kinds CASCADE;
