--
-- The safe way is run instead of the statement, where the policy says so.
--
CREATE SCHEMA rewrite;
SET search_path = rewrite, public;
CREATE TABLE big (id int, i int, t text);
INSERT INTO big SELECT g, g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 20000);
CREATE VIEW rewritten AS
SELECT statement, state, steps_done, steps, error IS NOT NULL AS failed
FROM migrate.tasks WHERE created_at >= now() - interval '1 hour' AND statement ~ 'rewrite[.]'
ORDER BY id;

-- the client gets the tag of what it sent
\set QUIET off
CREATE INDEX by_i ON rewrite.big (i);
DROP INDEX rewrite.by_i;
ALTER TABLE rewrite.big ADD CHECK (i > 0);
ALTER TABLE rewrite.big ADD FOREIGN KEY (i) REFERENCES rewrite.other;
ALTER TABLE rewrite.big ADD UNIQUE (id);
REINDEX TABLE rewrite.big;
/* why */ CREATE INDEX by_t ON rewrite.big (t) /* what */; -- end
\set QUIET on
SELECT conname, contype, convalidated FROM pg_constraint
WHERE conrelid = 'big'::regclass AND contype <> 'n' ORDER BY conname;
SELECT indexrelid::regclass, indisvalid FROM pg_index
WHERE indrelid = 'big'::regclass ORDER BY indexrelid::regclass::text;
SELECT * FROM rewritten;
SELECT outcome, rule, command, relation, duration_ms >= 0 AS took_time, size_bytes > 0 AS has_size, transaction_outcome
FROM migrate.decisions WHERE outcome = 'rewritten' AND statement ~ 'rewrite[.]' ORDER BY decided_at;
DROP INDEX by_t;

-- small, new and temporary tables: as they are
CREATE TABLE small AS SELECT 1 AS id;
CREATE INDEX ON small (id);
CREATE TEMP TABLE temporary AS SELECT * FROM big;
CREATE INDEX ON temporary (id);
SELECT count(*) FROM rewritten WHERE statement ~ 'small|temporary';

-- inside a transaction, a function, a message of several statements: refused
\set VERBOSITY terse
BEGIN;
CREATE INDEX ON rewrite.big (t);
ROLLBACK;
DO $$ BEGIN CREATE INDEX ON rewrite.big (t); END $$;
SELECT 1 \; CREATE INDEX ON rewrite.big (t);
CREATE INDEX ON rewrite.big (t) \; SELECT 1;
CREATE FUNCTION make_index() RETURNS void LANGUAGE sql AS 'CREATE INDEX ON rewrite.big (t)';
SELECT make_index();
-- what does no work itself is only warned of
BEGIN;
DROP INDEX rewrite.big_id_key;
ROLLBACK;
CREATE INDEX by_t ON rewrite.big (t);
BEGIN;
DROP INDEX rewrite.by_t;
ROLLBACK;

-- other actions, modes and overrides
SET safe_migrate.rules = 'drop_index:reject';
DROP INDEX rewrite.by_t;
SET safe_migrate.rules = 'drop_index:warn';
BEGIN;
DROP INDEX rewrite.by_t;
ROLLBACK;
SET safe_migrate.rules = 'alter_column_type:rewrite';
ALTER TABLE rewrite.big ALTER i TYPE bigint;
RESET safe_migrate.rules;
SET safe_migrate.mode = warn;
CREATE INDEX in_warn ON rewrite.big (t);
SET safe_migrate.mode = observe;
CREATE INDEX in_observe ON rewrite.big (t);
RESET safe_migrate.mode;
SET safe_migrate.override = 'as it is';
CREATE INDEX overridden ON rewrite.big (t);
SELECT statement FROM rewritten WHERE statement ~ 'in_warn|in_observe|overridden';
-- the rule that refuses is heavier than the one that rewrites
ALTER TABLE rewrite.big ADD CHECK (i < 30000), DROP COLUMN t;

-- a table that leaves a view under its old name, if that is wanted
ALTER TABLE rewrite.other RENAME TO another;
SET safe_migrate.rename_with_view = on;
ALTER TABLE rewrite.other RENAME TO another;
SELECT relname, relkind FROM pg_class WHERE relname IN ('other', 'another') ORDER BY 1;
SELECT count(*) FROM rewrite.other;
RESET safe_migrate.rename_with_view;

-- PostgreSQL's own errors and privileges, and nothing is left
CREATE INDEX by_t ON rewrite.big (t);
\set VERBOSITY sqlstate
CREATE INDEX by_u ON rewrite.big (u);
\set VERBOSITY terse
CREATE ROLE safe_migrate_rewriter;
GRANT USAGE ON SCHEMA rewrite TO safe_migrate_rewriter;
SET ROLE safe_migrate_rewriter;
CREATE INDEX ON rewrite.big (t);
RESET ROLE;
-- data that do not allow it: what was done is taken back
ALTER TABLE rewrite.big ADD CONSTRAINT few CHECK (i < 10);
INSERT INTO big VALUES (20001, 1, 'x');
CREATE UNIQUE INDEX twice ON rewrite.big (i);
ALTER TABLE rewrite.big ADD CONSTRAINT twice UNIQUE (i);
SELECT conname FROM pg_constraint WHERE conname IN ('few', 'twice');
SELECT indexrelid::regclass FROM pg_index
WHERE NOT indisvalid AND indexrelid::regclass::text !~ '^migrate\.parked';
\set VERBOSITY default
\set SHOW_CONTEXT always
CREATE UNIQUE INDEX twice ON rewrite.big (i);
\set VERBOSITY terse
\set SHOW_CONTEXT errors
SELECT statement, state, failed FROM rewritten WHERE statement ~ 'few|twice';

-- what an owner who is no superuser asks for is done as that owner
GRANT CREATE ON SCHEMA rewrite TO safe_migrate_rewriter;
SET SESSION AUTHORIZATION safe_migrate_rewriter;
CREATE TABLE rewrite.mine AS SELECT g AS id, repeat('x', 80) AS t FROM generate_series(1, 20000) g;
CREATE INDEX mine_id ON rewrite.mine (id);
ALTER TABLE rewrite.mine ADD CHECK (id > 0);
RESET SESSION AUTHORIZATION;
SELECT role, session_role, command, state FROM migrate.tasks WHERE statement ~ 'rewrite.mine' ORDER BY id;

-- a statement that a step triggers is judged as ever
CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_query() ~ 'meddled' THEN
		CREATE INDEX ON rewrite.big (i);
	END IF;
END $$;
CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION meddle();
ALTER TABLE rewrite.big ADD CONSTRAINT meddled CHECK (i > -1);
DROP EVENT TRIGGER meddle;
SELECT conname FROM pg_constraint WHERE conname = 'meddled';

SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA rewrite CASCADE;
DROP ROLE safe_migrate_rewriter;
