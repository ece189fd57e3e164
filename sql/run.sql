--
-- CALL migrate.run(): what refusals recommend.
--
CREATE SCHEMA run;
SET search_path = run, public;
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 20000);
CREATE TABLE big (id int, i int, j int NOT NULL, t text);
INSERT INTO big SELECT g, g, g, repeat('x', 80) FROM generate_series(1, 20000) g;
-- the same, changed by the plain statements
CREATE SCHEMA run_plain;
CREATE TABLE run_plain.big (LIKE big);

CALL migrate.run('CREATE INDEX by_i ON big (i)');
CREATE INDEX by_i ON run_plain.big (i);
CALL migrate.run('ALTER TABLE big ADD CHECK (i > 0), ADD c int DEFAULT 1');
ALTER TABLE run_plain.big ADD CHECK (i > 0), ADD c int DEFAULT 1;
CALL migrate.run('ALTER TABLE big ADD FOREIGN KEY (id) REFERENCES other');
ALTER TABLE run_plain.big ADD FOREIGN KEY (id) REFERENCES other;
CALL migrate.run('ALTER TABLE big ALTER i SET NOT NULL');
ALTER TABLE run_plain.big ALTER i SET NOT NULL;
CALL migrate.run('ALTER TABLE big ADD PRIMARY KEY (id), ADD UNIQUE (i, j)');
ALTER TABLE run_plain.big ADD PRIMARY KEY (id), ADD UNIQUE (i, j);
CALL migrate.run('ALTER TABLE big ADD CHECK (i < j + 1), ADD CONSTRAINT named UNIQUE (j) INCLUDE (t)');
ALTER TABLE run_plain.big ADD CHECK (i < j + 1), ADD CONSTRAINT named UNIQUE (j) INCLUDE (t);
CALL migrate.run('REINDEX TABLE big');
CALL migrate.run('DROP INDEX by_i');
DROP INDEX run_plain.by_i;
-- nothing refuses it: it runs as it is
CALL migrate.run('ALTER TABLE big ADD d int');
ALTER TABLE run_plain.big ADD d int;
CREATE MATERIALIZED VIEW v AS SELECT * FROM big;
CREATE UNIQUE INDEX CONCURRENTLY v_id ON v (id);
CALL migrate.run('REFRESH MATERIALIZED VIEW v');

SET client_min_messages = error;
DROP MATERIALIZED VIEW v;
RESET client_min_messages;

-- the same in the end, but for the names of NOT NULL constraints
SELECT conname, contype, convalidated, pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = 'big'::regclass AND contype <> 'n'
EXCEPT
SELECT conname, contype, convalidated, pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = 'run_plain.big'::regclass AND contype <> 'n';
SELECT attname, atttypid, attnotnull, atthasdef FROM pg_attribute
WHERE attrelid = 'big'::regclass AND attnum > 0
EXCEPT
SELECT attname, atttypid, attnotnull, atthasdef FROM pg_attribute
WHERE attrelid = 'run_plain.big'::regclass AND attnum > 0;
SELECT conname, contype, convalidated FROM pg_constraint
WHERE conrelid = 'big'::regclass AND contype <> 'n' ORDER BY 1;
SELECT count(*) AS invalid FROM pg_index
WHERE NOT indisvalid AND indrelid = 'big'::regclass;

\set VERBOSITY terse
-- no safer way is known: refused as before
\set VERBOSITY sqlstate
CALL migrate.run('ALTER TABLE big ALTER t TYPE varchar(99)');
\set VERBOSITY terse
SET safe_migrate.override = 'window';
CALL migrate.run('ALTER TABLE big ALTER t TYPE varchar(99)');
-- a step that fails: what was done before stays, and the context tells

\set VERBOSITY default
\set SHOW_CONTEXT always
CALL migrate.run('ALTER TABLE big ADD CONSTRAINT short CHECK (j < 10)');
\set VERBOSITY terse
\set SHOW_CONTEXT errors
SELECT conname, convalidated FROM pg_constraint WHERE conname = 'short';

-- what it does not take
CALL migrate.run('SELECT 1');
CALL migrate.run('ALTER TABLE big ADD x int; ALTER TABLE big ADD y int');
CALL migrate.run('ALTER TABLE');
CALL migrate.run('');
CALL migrate.run(NULL);
BEGIN;
CALL migrate.run('CREATE INDEX ON big (i)');
ROLLBACK;
DO $$ BEGIN CALL migrate.run('CREATE INDEX ON run.big (i)'); END $$;
SELECT 1 \; CALL migrate.run('CREATE INDEX ON big (i)');
-- not even a superuser's schema of that name is taken over
CREATE SCHEMA other_schema;
CREATE PROCEDURE other_schema.run(statement text) LANGUAGE sql AS 'SELECT 1';
CALL other_schema.run('CREATE INDEX ON big (i)');
-- the user's own errors and privileges
CALL migrate.run('CREATE INDEX ON nope (i)');
CREATE ROLE safe_migrate_runner;
GRANT USAGE ON SCHEMA run TO safe_migrate_runner;
SET SESSION AUTHORIZATION safe_migrate_runner;
CALL migrate.run('CREATE INDEX ON run.big (i)');
RESET SESSION AUTHORIZATION;
REVOKE EXECUTE ON PROCEDURE migrate.run(text) FROM PUBLIC;
SET SESSION AUTHORIZATION safe_migrate_runner;
CALL migrate.run('CREATE INDEX ON run.big (i)');
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON PROCEDURE migrate.run(text) TO PUBLIC;

-- the steps for NOT NULL are others from 18 on
SELECT statement, executed FROM migrate.decisions
WHERE outcome = 'rewritten' AND message LIKE 'done in%'
	AND executed !~ 'NOT NULL' AND pid = pg_backend_pid() ORDER BY decided_at;

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA run, run_plain CASCADE;
DROP SCHEMA other_schema CASCADE;
DROP ROLE safe_migrate_runner;
