--
-- migrate.check(): scripts that are not as they should be, and who may call
-- it.
--
CREATE SCHEMA check_script;
SET search_path = check_script, public;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
SET safe_migrate.mode = off;
CREATE TABLE big (id int, x text);
INSERT INTO big SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE INDEX big_id_idx ON big (id);
CREATE VIEW v AS SELECT 1 AS a;
RESET safe_migrate.mode;
CREATE FUNCTION words(script text)
RETURNS TABLE (s int, command text, work text, action text, message text)
BEGIN ATOMIC
SELECT statement, command, work, action,
	regexp_replace(message, '\(\d+ (bytes|[kMGT]B)(, about [^)]*)?\)', '(SIZE)', 'g')
FROM migrate.check(script);
END;

-- nothing in it
SELECT * FROM words('');
SELECT * FROM words(E' \n\t;;; ;\n');
SELECT * FROM words('-- a comment
/* and /* another */ one */');
SELECT * FROM words(NULL);
SELECT * FROM words(';; /* before */ SELECT 1 -- behind');

-- a syntax error ends the check, and says where
SELECT * FROM words(E'SELECT 1;\nCREATE TABLE t (a int);\n\nCREATE TABEL t (a int);\nSELECT 2;');
SELECT * FROM words(E'SELECT 1;\nSELECT ''not closed');
SELECT * FROM words(E'SELECT 1;\n\nSELECT $x$ not closed $y$;');
SELECT * FROM words(E'SELECT 1;\n/* not closed');
SELECT * FROM words('\echo psql''s own');
SELECT * FROM words('COPY big FROM stdin;
1	x
\.
');

-- too long
SELECT * FROM words(repeat('x', 100 * 1024 * 1024 + 1));

-- objects that do not exist: the check goes on
SELECT * FROM words($$
ALTER TABLE nosuch ADD c int;
ALTER TABLE big ALTER nosuch TYPE text,
	ADD c int;
ALTER TABLE big VALIDATE CONSTRAINT nosuch;
ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES nosuch;
ALTER TABLE big ADD FOREIGN KEY (nosuch) REFERENCES big;
ALTER TABLE nosuch.big ADD c int;
ALTER TABLE big SET SCHEMA nosuch;
ALTER TABLE big RENAME COLUMN nosuch TO c;
ALTER TABLE big RENAME COLUMN id TO x;
ALTER TABLE big RENAME TO v;
CREATE INDEX ON nosuch (id);
CREATE INDEX ON big (nosuch);
CREATE INDEX big_id_idx ON big (x);
CREATE TABLE big (id int);
CREATE TABLE nosuch.t (id int);
CREATE TABLE t (a nosuch);
CREATE TABLE t (LIKE nosuch);
CREATE TABLE t () INHERITS (nosuch);
CREATE TABLE t (a int REFERENCES t, b int, FOREIGN KEY (b) REFERENCES nosuch);
CREATE TABLE t AS SELECT 1;
DROP TABLE big, nosuch;
DROP INDEX nosuch;
DROP SCHEMA nosuch;
DROP TYPE nosuch;
ALTER TYPE nosuch ADD VALUE 'a';
ALTER SCHEMA nosuch RENAME TO s;
CREATE SCHEMA check_script;
TRUNCATE nosuch;
INSERT INTO nosuch VALUES (1);
UPDATE nosuch SET a = 1;
DELETE FROM nosuch;
COPY nosuch FROM STDIN;
REINDEX TABLE nosuch;
REFRESH MATERIALIZED VIEW nosuch;
VACUUM FULL nosuch;
CREATE TRIGGER t BEFORE INSERT ON nosuch EXECUTE FUNCTION f();
ALTER TABLE big ADD c int DEFAULT 'x';
ALTER TABLE big ADD c int DEFAULT nosuch();
ALTER TABLE big ALTER x TYPE int USING nosuch;
ALTER TABLE big ADD c int;
$$);

-- unless the statement says that it may be so
SELECT * FROM words($$
ALTER TABLE IF EXISTS nosuch ADD c int;
ALTER TABLE IF EXISTS nosuch RENAME TO t;
ALTER TABLE IF EXISTS nosuch SET SCHEMA public;
ALTER TABLE big DROP COLUMN IF EXISTS nosuch, DROP CONSTRAINT IF EXISTS nosuch;
DROP TABLE IF EXISTS nosuch, nosuch.nosuch;
DROP INDEX IF EXISTS nosuch;
DROP TYPE IF EXISTS nosuch;
DROP SCHEMA IF EXISTS nosuch;
CREATE TABLE IF NOT EXISTS big (id int);
CREATE INDEX IF NOT EXISTS big_id_idx ON big (id);
CREATE SCHEMA IF NOT EXISTS check_script;
CREATE OR REPLACE VIEW v AS SELECT 1 AS a$$);

-- statements and lines are told apart as the server does it
SELECT * FROM words($$SELECT 1; SELECT 2; ALTER TABLE big ADD CHECK (id > 0);
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$
	SELECT ';'; -- ; not an end
$f$; /* a
comment ; */ CREATE INDEX
	ON big (x); SELECT E'\';', 'ALTER TABLE nosuch;';
ALTER TABLE "big"
	DROP x$$);

-- its own BEGIN and COMMIT are not carried out
BEGIN;
CREATE TABLE made_before ();
SELECT * FROM words('BEGIN; CREATE TABLE t (a int); COMMIT; SELECT 1; ROLLBACK; SAVEPOINT s; ROLLBACK TO s; END; ABORT');
ROLLBACK;
SELECT to_regclass('made_before') IS NULL AS rolled_back, to_regclass('t') IS NULL AS nothing_made;

-- from a function, and where an exception is caught
DO $$
DECLARE
	n int;
BEGIN
	SELECT count(*) INTO n FROM migrate.check('SET search_path = public; BEGIN; ALTER TABLE big ADD c int');
	RAISE NOTICE '% rows, search_path %', n, current_setting('search_path');
	PERFORM migrate.check('SET search_path = public; BEGIN; ALTER TABEL');
EXCEPTION WHEN syntax_error THEN
	RAISE NOTICE '%, search_path %', SQLERRM, current_setting('search_path');
END $$;

-- who asks is who would run it; anybody may
CREATE ROLE check_script_reader;
CREATE ROLE check_script_owner;
GRANT USAGE ON SCHEMA check_script TO check_script_reader;
GRANT USAGE, CREATE ON SCHEMA check_script TO check_script_owner;
SET ROLE check_script_reader;
SELECT * FROM words('ALTER TABLE big ADD c int; CREATE INDEX ON big (id); DROP TABLE big; TRUNCATE big; ALTER INDEX big_id_idx RENAME TO i; SET safe_migrate.rules = ''create_index:allow''; SELECT 1');
SELECT count(*) FROM migrate.check('/* safe_migrate: override please */ CREATE TABLE t (a int); SET ROLE check_script_owner');
RESET ROLE;
GRANT check_script_owner TO check_script_reader;
SET ROLE check_script_reader;
SELECT * FROM words('SET ROLE check_script_owner; SELECT 1; SET SESSION AUTHORIZATION DEFAULT');
SELECT current_user;
RESET ROLE;
SELECT * FROM words('SET ROLE check_script_reader; ALTER TABLE big ADD c int; RESET ROLE; ALTER TABLE big ADD c int; SET LOCAL ROLE check_script_reader; ALTER TABLE big ADD d int');
SELECT provolatile, proparallel, prosecdef, proisstrict,
	has_function_privilege('check_script_reader', oid, 'EXECUTE') AS for_all
FROM pg_proc WHERE oid = 'migrate.check'::regproc;

SET safe_migrate.mode = off;
DROP SCHEMA check_script CASCADE;
DROP ROLE check_script_reader, check_script_owner;
