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

-- a row of which some or all fields are null is a value
CREATE TYPE pair AS (x int, y int);
CREATE DOMAIN pair_domain AS pair;
CREATE TABLE pairs (id int PRIMARY KEY, x int, p pair NOT NULL, d pair_domain NOT NULL, r pair);
INSERT INTO pairs SELECT g, NULLIF(g, 2), ROW(g, NULLIF(g, 2))::pair, ROW(g, NULL)::pair, ROW(NULL, NULL)::pair FROM generate_series(1, 3) g;
UPDATE pairs SET p = ROW(NULL, NULL) WHERE id = 3;
UPDATE pairs SET r = NULL WHERE id = 1;
SELECT migrate.add_column('pairs', 'added', 'pair', 'ROW(id, x)::pair', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS contracted;
SELECT id, added FROM pairs ORDER BY id;
SELECT migrate.add_column('pairs', 'empty', 'pair_domain', 'ROW(NULLIF(x, x), NULL)::pair', not_null => true, advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS contracted;
SELECT id, empty FROM pairs ORDER BY id;
SELECT migrate.rename_column('pairs', 'p', 'pp', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.rename_column('pairs', 'd', 'dd', advance => 'manual') AS d \gset
CALL migrate.advance(:d);
SELECT phase(:c), phase(:d);
SELECT migrate.contract(:c, force := true) IS NOT NULL AS contracted;
SELECT migrate.contract(:d, force := true) IS NOT NULL AS contracted;
SELECT migrate.set_not_null('pairs', 'r', 'ROW(NULL, x)::pair', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT phase(:c), columns('pairs');
SELECT id, r, pp, dd FROM pairs ORDER BY id;
SELECT conname FROM pg_constraint WHERE conrelid = 'pairs'::regclass AND contype = 'c';

-- cancel: a partition keeps the NOT NULL that it had
CREATE TABLE parts (id int, v text, w text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
ALTER TABLE parts_1 ALTER v SET NOT NULL;
SELECT migrate.set_not_null('parts', 'v', $$''$$, advance => 'manual') AS c \gset
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('parts'), columns('parts_1'), columns('parts_2');
SELECT migrate.set_not_null('parts', 'w', $$''$$, advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT columns('parts'), columns('parts_1'), columns('parts_2');
SELECT migrate.cancel(:c);
CALL migrate.advance(:c);
SELECT phase(:c), columns('parts'), columns('parts_1'), columns('parts_2');

-- a foreign key of the column that the new type cannot have
CREATE TABLE numbers (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE temper AS ENUM ('good', 'bad');
CREATE TABLE moods (m mood PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, r int REFERENCES numbers, a int, b int, m mood REFERENCES moods,
	boss int REFERENCES users, FOREIGN KEY (a, b) REFERENCES numbers (a, b));
SELECT migrate.change_type('users', 'r', 'text', up => 'r::text', down => 'r_new::int', advance => 'manual');
SELECT migrate.change_type('users', 'b', 'text', up => 'b::text', down => 'b_new::int', advance => 'manual');
SELECT migrate.change_type('users', 'm', 'temper', up => 'm::text::temper', down => 'm_new::text::mood', advance => 'manual');
SELECT migrate.change_type('users', 'boss', 'text', up => 'boss::text', down => 'boss_new::int', advance => 'manual');
SELECT columns('users');
SELECT migrate.change_type('users', 'r', 'bigint', advance => 'manual') AS c \gset
CALL migrate.advance(:c);
SELECT migrate.change_type('users', 'b', 'smallint', advance => 'manual') AS d \gset
CALL migrate.advance(:d);
SELECT migrate.change_type('users', 'boss', 'numeric', advance => 'manual') AS e \gset
CALL migrate.advance(:e);
SELECT phase(:c), phase(:d), phase(:e);

-- old clients write what the check forbids until it is there
CREATE TABLE sums (id int PRIMARY KEY, n int);
INSERT INTO sums SELECT g, -g FROM generate_series(1, 3) g;
CREATE FUNCTION another() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO kinds.sums SELECT 4, -4 WHERE NOT EXISTS (SELECT FROM kinds.sums WHERE id = 4);
	END $$;
CREATE EVENT TRIGGER online_kinds_another ON ddl_command_start WHEN tag IN ('ALTER TABLE') EXECUTE FUNCTION another();
SELECT migrate.add_check('sums', 'n > 0', "set" => 'n = abs(n)', advance => 'manual') AS c \gset
SELECT step FROM migrate.task_log, unnest(steps) step WHERE id = :c;
CALL migrate.advance(:c);
SELECT phase(:c);
SELECT * FROM sums ORDER BY id;
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'sums'::regclass AND contype = 'c';

DROP EVENT TRIGGER online_kinds_another;
DROP SCHEMA kinds CASCADE;
