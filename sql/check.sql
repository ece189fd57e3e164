--
-- migrate.check(): what a statement of a script would do after the earlier
-- ones, though nothing runs.
--
CREATE SCHEMA checks;
SET search_path = checks, public;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
SET safe_migrate.mode = off;

-- big enough for safe_migrate.small_table; sizes are not shown
CREATE TABLE big (id int, a int, n int NOT NULL, x text);
INSERT INTO big SELECT g, g, g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE INDEX big_x_idx ON big (x);
CREATE TABLE small (id int);
INSERT INTO small VALUES (1);
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 40000);
CREATE TABLE child (id serial, parent int REFERENCES parent);
INSERT INTO child (parent) SELECT generate_series(1, 40000);
CREATE TABLE parts (id int, d int) PARTITION BY RANGE (d);
CREATE TABLE part (id int, d int);
INSERT INTO part SELECT g, g % 10 FROM generate_series(1, 40000) g;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE VIEW view_of_big AS SELECT id FROM big;
RESET safe_migrate.mode;

CREATE FUNCTION look(script text)
RETURNS TABLE (s int, command text, relation text, lock text, work text,
	sized bool, risk text, rule text, action text)
BEGIN ATOMIC
SELECT statement, command, relation, lock_mode, work, size_bytes > 0, risk, rule, action
FROM migrate.check(script);
END;
CREATE FUNCTION words(script text)
RETURNS TABLE (s int, command text, action text, message text)
BEGIN ATOMIC
SELECT statement, command, action,
	regexp_replace(message, '\(\d+ (bytes|[kMGT]B)(, about [^)]*)?\)', '(SIZE)', 'g')
FROM migrate.check(script);
END;

-- the columns, in order
SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position)
FROM (SELECT proargnames[i] AS column_name,
	proallargtypes[i]::regtype::text AS data_type, i AS ordinal_position
	FROM pg_proc, generate_subscripts(proallargtypes, 1) i
	WHERE oid = 'migrate.check'::regproc AND proargmodes[i] = 'o') AS columns;

-- one row for a statement that does nothing to relations
SELECT * FROM migrate.check('SELECT 1');
SELECT * FROM look('GRANT SELECT ON big TO PUBLIC; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''SELECT 1''; CREATE TABLE t (a int); INSERT INTO t VALUES (1)');

-- a row for each relation, and for each rule if several apply
SELECT * FROM look('ALTER TABLE big ADD FOREIGN KEY (a) REFERENCES parent');
SELECT * FROM look('ALTER TABLE big ADD CHECK (a > 0), ALTER x TYPE varchar(5), DROP COLUMN id, ADD c int');
SELECT * FROM words('ALTER TABLE big ADD CONSTRAINT c1 CHECK (a > 0), ADD CONSTRAINT c2 CHECK (a > 1), ADD CONSTRAINT c3 CHECK (a > 2)');
SELECT * FROM look('DROP TABLE big, small');

-- how it can be done
SELECT safe_sql FROM migrate.check('CREATE INDEX ON big (a)');
SELECT safe_sql FROM migrate.check('ALTER TABLE big RENAME TO huge; ALTER TABLE huge ADD CONSTRAINT c CHECK (a > 0)');

--
-- Relations
--
-- new ones
SELECT * FROM look('CREATE TABLE t (a int); CREATE INDEX ON t (a); ALTER TABLE t ADD b serial, ADD UNIQUE (a); DROP TABLE t');
SELECT * FROM look('CREATE TABLE t AS SELECT 1 AS a; CREATE INDEX ON t (a); SELECT 1 AS b INTO u; CREATE INDEX ON u (b)');
SELECT * FROM look('CREATE TABLE t (LIKE big INCLUDING ALL); ALTER TABLE t ALTER x TYPE varchar(5)');
SELECT * FROM look('CREATE TABLE t (a int); INSERT INTO t SELECT 1; COPY t FROM STDIN; CREATE INDEX ON t (a)');
SELECT * FROM look('CREATE TEMP TABLE big (a int); CREATE INDEX ON big (a); CREATE INDEX ON checks.big (a)');
SELECT * FROM look('CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON m (a); REFRESH MATERIALIZED VIEW m; DROP MATERIALIZED VIEW m');
SELECT * FROM look('CREATE TABLE IF NOT EXISTS big (q int); CREATE INDEX ON big (a)');

-- renamed, moved and dropped ones
SELECT * FROM look('ALTER TABLE big RENAME TO huge; CREATE INDEX ON huge (x)');
SELECT * FROM words('ALTER TABLE big RENAME TO huge; CREATE INDEX ON big (x)');
SELECT * FROM look('ALTER TABLE big RENAME TO huge; CREATE TABLE big (x text); CREATE INDEX ON big (x); CREATE INDEX ON huge (x); DROP TABLE huge');
SELECT * FROM look('CREATE SCHEMA other; ALTER TABLE big SET SCHEMA other; CREATE INDEX ON other.big (x); DROP INDEX other.big_x_idx');
SELECT * FROM words('CREATE SCHEMA other; ALTER TABLE big SET SCHEMA other; DROP INDEX big_x_idx; CREATE INDEX ON big (x)');
SELECT * FROM look('DROP TABLE big; CREATE TABLE big (q int); CREATE INDEX ON big (q)');
SELECT * FROM words('DROP TABLE small; ALTER TABLE small ADD c int; DROP TABLE IF EXISTS small; DROP TABLE small');
SELECT * FROM words('DROP TABLE big; DROP INDEX big_x_idx; DROP TABLE child; ALTER SEQUENCE child_id_seq RENAME TO s');

-- emptied ones
SELECT * FROM look('TRUNCATE big; CREATE INDEX ON big (a); INSERT INTO big VALUES (1, 1, 1); CREATE INDEX ON big (a)');

-- indexes
SELECT * FROM look('CREATE INDEX CONCURRENTLY i ON big (a); DROP INDEX i');
SELECT * FROM look('CREATE INDEX CONCURRENTLY ON big (a, lower(x)); ALTER INDEX big_a_lower_idx RENAME TO i; DROP INDEX CONCURRENTLY i');
SELECT * FROM look('CREATE INDEX IF NOT EXISTS i ON big (a); CREATE INDEX IF NOT EXISTS i ON big (a); ALTER TABLE big DROP COLUMN a; CREATE INDEX IF NOT EXISTS i ON big (x)');
SELECT * FROM look('ALTER TABLE big RENAME TO huge; REINDEX INDEX big_x_idx; DROP INDEX big_x_idx');

-- schemas
SELECT * FROM look('CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1; CREATE INDEX ON s.t (a); DROP VIEW s.v');
SELECT * FROM look('ALTER SCHEMA checks RENAME TO old_checks; CREATE INDEX ON old_checks.big (a)') WHERE s = 2;
SELECT * FROM words('CREATE SCHEMA s CREATE TABLE t (a int); ALTER SCHEMA s RENAME TO r; CREATE INDEX ON r.t (a); CREATE INDEX ON s.t (a); DROP SCHEMA r CASCADE; CREATE INDEX ON r.t (a)');

--
-- Columns
--
SELECT * FROM look('ALTER TABLE big ADD COLUMN c int; CREATE INDEX ON big (c)');
SELECT * FROM look('ALTER TABLE big RENAME COLUMN a TO b; ALTER TABLE big ALTER b TYPE bigint USING b::bigint');
SELECT * FROM words('ALTER TABLE big RENAME COLUMN a TO b; ALTER TABLE big ALTER a TYPE bigint');
SELECT * FROM look('ALTER TABLE big ADD v varchar(10); ALTER TABLE big ALTER v TYPE varchar(20); ALTER TABLE big ALTER v TYPE varchar(5)');
SELECT * FROM look('ALTER TABLE big ALTER a TYPE bigint; ALTER TABLE big ALTER a TYPE bigint; ALTER TABLE big ALTER a TYPE int');
SELECT * FROM look('ALTER TABLE big DROP COLUMN a, ADD COLUMN a text; ALTER TABLE big ALTER a TYPE varchar; ALTER TABLE big DROP COLUMN a');
SELECT * FROM words('ALTER TABLE big ADD id int; ALTER TABLE big ADD IF NOT EXISTS id int; ALTER TABLE big DROP nosuch; ALTER TABLE big DROP IF EXISTS nosuch; ALTER TABLE big ADD c int, ALTER c SET DEFAULT 1');

--
-- Constraints
--
-- NOT NULL that is proven, and not
SELECT * FROM look($$
ALTER TABLE big ADD CONSTRAINT nn CHECK (a IS NOT NULL) NOT VALID;
ALTER TABLE big VALIDATE CONSTRAINT nn;
ALTER TABLE big ALTER a SET NOT NULL;
ALTER TABLE big DROP CONSTRAINT nn;
ALTER TABLE big ALTER a SET NOT NULL$$);
SELECT * FROM look('ALTER TABLE big ADD CONSTRAINT nn CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE big ALTER a SET NOT NULL');
SELECT * FROM look('ALTER TABLE big ADD CONSTRAINT nn CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT nn; ALTER TABLE big ALTER a SET NOT NULL, DROP CONSTRAINT nn');
SELECT * FROM look('ALTER TABLE big ADD CHECK (a > 0 AND a IS NOT NULL) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT big_a_check; ALTER TABLE big RENAME COLUMN a TO b; ALTER TABLE big ALTER b SET NOT NULL');
-- whether there is a safe way for what the script has changed differs from 18 on
SELECT * FROM look('SET safe_migrate.rules = ''set_not_null:reject''; ALTER TABLE big ALTER n DROP NOT NULL; ALTER TABLE big ALTER n SET NOT NULL; ALTER TABLE big ALTER n SET NOT NULL');
SELECT * FROM look('ALTER TABLE big ADD c int; ALTER TABLE big ALTER c SET NOT NULL; ALTER TABLE big ADD d int NOT NULL DEFAULT 1; ALTER TABLE big ALTER d SET NOT NULL');

-- keys on finished indexes
SELECT * FROM look('CREATE UNIQUE INDEX CONCURRENTLY i ON big (n); ALTER TABLE big ADD CONSTRAINT pk PRIMARY KEY USING INDEX i; ALTER INDEX pk RENAME TO k');
SELECT * FROM look('CREATE UNIQUE INDEX CONCURRENTLY i ON big (a); ALTER TABLE big ADD PRIMARY KEY USING INDEX i; ALTER TABLE big ALTER a SET NOT NULL');

-- foreign keys have two sides
SELECT * FROM look('ALTER TABLE big ADD FOREIGN KEY (a) REFERENCES parent NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT big_a_fkey; ALTER TABLE big DROP CONSTRAINT big_a_fkey');
SELECT * FROM words('ALTER TABLE big ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE big ADD CONSTRAINT c CHECK (a > 1) NOT VALID; ALTER TABLE big RENAME CONSTRAINT c TO d; ALTER TABLE big DROP CONSTRAINT c; ALTER TABLE big DROP CONSTRAINT d; ALTER TABLE big DROP CONSTRAINT IF EXISTS d');

-- the safe way to attach a partition
SELECT * FROM look('ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (0) TO (10)');
SELECT * FROM look('ALTER TABLE part ADD CONSTRAINT c CHECK (d >= 0 AND d < 10 AND d IS NOT NULL) NOT VALID; ALTER TABLE part VALIDATE CONSTRAINT c; ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (0) TO (10)');

--
-- Types, functions, sequences
--
SELECT * FROM look($$CREATE TYPE m AS ENUM ('x'); ALTER TABLE big ADD c m NOT NULL DEFAULT 'x'; ALTER TYPE mood ADD VALUE 'glad'; ALTER TABLE big ADD d mood DEFAULT 'glad'$$);
SELECT * FROM look('CREATE TYPE t AS (a int); ALTER TABLE big ADD c t; CREATE DOMAIN d AS int; ALTER TABLE big ADD f d; ALTER TABLE big ALTER a TYPE d');
SELECT * FROM words('ALTER TABLE big ADD c nosuch; CREATE TABLE t (a nosuch[]); CREATE TYPE mood AS ENUM (''a''); DROP TYPE mood; ALTER TABLE big ADD c mood');
-- how Prisma changes an enum
SELECT * FROM look($$
BEGIN;
CREATE TYPE mood_new AS ENUM ('sad');
ALTER TABLE small ADD m mood;
ALTER TABLE small ALTER m TYPE mood_new USING (m::text::mood_new);
ALTER TYPE mood RENAME TO mood_old;
ALTER TYPE mood_new RENAME TO mood;
DROP TYPE mood_old;
COMMIT;
ALTER TABLE big ADD m mood DEFAULT 'sad'$$);
SELECT * FROM look('CREATE FUNCTION s() RETURNS int LANGUAGE sql STABLE AS ''SELECT 1''; ALTER TABLE big ADD c int DEFAULT s(); CREATE FUNCTION v() RETURNS int LANGUAGE plpgsql AS ''BEGIN END''; ALTER TABLE big ADD d int DEFAULT v()');
SELECT * FROM look('CREATE SEQUENCE s; ALTER TABLE big ADD c bigint DEFAULT nextval(''s''); CREATE TABLE t (a serial); ALTER SEQUENCE t_a_seq RENAME TO u; DROP SEQUENCE u');

--
-- Transactions: locks stay, CONCURRENTLY does not go
--
SELECT * FROM look('BEGIN; ALTER TABLE big ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT c; COMMIT; ALTER TABLE big ADD CONSTRAINT d CHECK (a > 0) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT d');
SELECT * FROM words('BEGIN; CREATE INDEX CONCURRENTLY ON big (a); CREATE INDEX CONCURRENTLY ON small (id); CREATE TABLE t (a int); CREATE INDEX CONCURRENTLY ON t (a); COMMIT; CREATE INDEX CONCURRENTLY ON big (a); BEGIN; VACUUM big');
SELECT * FROM words('BEGIN; DROP TABLE small; SAVEPOINT a; CREATE TABLE small (z int); ROLLBACK TO a; ALTER TABLE small ADD c int; ROLLBACK; ALTER TABLE small ADD c int');

--
-- Settings
--
SELECT * FROM words('SET search_path = public; CREATE INDEX ON small (id); SET search_path = checks; CREATE INDEX ON small (id); SELECT pg_catalog.set_config(''search_path'', '''', false); CREATE INDEX ON small (id); CREATE INDEX ON checks.small (id); CREATE TABLE t ()');
SELECT * FROM words('BEGIN; SET LOCAL search_path = public; CREATE INDEX ON small (id); COMMIT; CREATE INDEX ON small (id); BEGIN; SET search_path = public; ROLLBACK; CREATE INDEX ON small (id); SET LOCAL search_path = public; CREATE INDEX ON small (id)');
SELECT * FROM words('CREATE SCHEMA app; SET search_path = app, checks; CREATE TABLE small (z int); CREATE INDEX ON small (z); CREATE INDEX ON checks.small (id); SET timezone = ''nosuch''');
SELECT * FROM look('SET safe_migrate.small_table = ''1GB''; CREATE INDEX ON big (a); RESET safe_migrate.small_table; SET safe_migrate.rules = ''create_index:warn''; CREATE INDEX ON big (a)');
SELECT * FROM words('/* safe_migrate: override at night */ CREATE INDEX ON big (a); SET safe_migrate.override = ''once''; CREATE INDEX ON big (a); CREATE INDEX ON big (a)');
SHOW search_path;
SHOW safe_migrate.small_table;
SHOW safe_migrate.override;

--
-- What only running would tell
--
SELECT * FROM words($$
DO 'BEGIN END';
ALTER TABLE made_by_do ADD c int;
ALTER TABLE big ADD c made_by_do;
CREATE INDEX ON big (a)$$);
SELECT * FROM look('CALL p(); ALTER TABLE small DROP nosuch; ALTER TABLE small ADD id int');
SELECT * FROM words('CREATE EXTENSION nosuch; ALTER TABLE big ADD c nosuch; CREATE INDEX ON big (c)');
SELECT * FROM words('CREATE EXTENSION IF NOT EXISTS safe_migrate; ALTER TABLE big ADD c nosuch');

--
-- Nothing runs, and nothing stays locked
--
BEGIN;
SELECT count(*) FROM migrate.check('ALTER TABLE big ADD c int; CREATE INDEX ON big (a); ALTER TABLE big ALTER a TYPE bigint; DROP TABLE child CASCADE; ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (0) TO (10); ALTER TABLE big ALTER a SET NOT NULL; DROP INDEX big_x_idx; ALTER TABLE nosuch ADD c int; DO ''BEGIN DROP TABLE big; END''; SELECT pg_notify(''a'', ''b''); INSERT INTO big VALUES (1)');
SELECT relation::regclass, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation'
	AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'checks'::regnamespace);
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT count(*) FROM big;
\d big

SET safe_migrate.mode = off;
DROP SCHEMA checks CASCADE;
