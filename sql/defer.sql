--
-- Inside a transaction the quick part is run at once, the rest after the
-- commit, where safe_migrate.in_transaction says so.
--
CREATE SCHEMA defer;
SET search_path = defer, public;
CREATE TABLE big (id int, i int, t text);
INSERT INTO big SELECT g, g, repeat('x', 80) FROM generate_series(1, 20000) g;
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 20000);
-- the last task, when it has ended
CREATE FUNCTION last_task() RETURNS text LANGUAGE sql AS
'SELECT max(id)::text FROM migrate.tasks';
CREATE VIEW deferred AS
SELECT statement, state, steps_done, steps, error FROM migrate.tasks
WHERE deferred AND created_at >= now() - interval '1 hour' ORDER BY id;
CREATE VIEW parts AS
SELECT conname AS name, convalidated AS valid FROM pg_constraint
WHERE conrelid = 'big'::regclass AND contype IN ('c', 'f')
UNION ALL
SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'big'::regclass
ORDER BY 1;
ALTER SEQUENCE migrate.task_log_id_seq RESTART 1000;
\set VERBOSITY terse

-- by default it is refused
BEGIN;
ALTER TABLE big ADD CHECK (i > 0);
ROLLBACK;
SET safe_migrate.in_transaction = defer;

-- not in this transaction: nothing but the quick part
\set QUIET off
BEGIN;
ALTER TABLE big ADD CONSTRAINT positive CHECK (i > 0);
CREATE INDEX by_i ON big (i);
ALTER TABLE big ADD FOREIGN KEY (i) REFERENCES other;
SELECT * FROM parts;
INSERT INTO big VALUES (1, -1);
ROLLBACK;
\set QUIET on
SELECT * FROM parts;
SELECT * FROM deferred;

BEGIN;
ALTER TABLE big ADD CONSTRAINT positive CHECK (i > 0);
CREATE INDEX by_i ON big (i);
ALTER TABLE big ADD FOREIGN KEY (i) REFERENCES other;
SAVEPOINT s;
ALTER TABLE big ADD CONSTRAINT other_one CHECK (id > 0);
ROLLBACK TO s;
COMMIT;
SELECT last_task() AS task \gset
CALL migrate.wait(:task);
SELECT * FROM parts;
SELECT * FROM deferred;

-- functions, DO blocks, several statements in one message
CREATE FUNCTION add_check() RETURNS void LANGUAGE plpgsql SET search_path = defer AS $$
BEGIN
	ALTER TABLE big ADD CONSTRAINT by_function CHECK (length(t) < 100);
END $$;
SELECT add_check();
DO $$ BEGIN CREATE INDEX by_do ON defer.big (t); END $$;
-- in more steps before 18
SET client_min_messages = warning;
ALTER TABLE big ALTER i SET NOT NULL \; SELECT 1;
RESET client_min_messages;
SELECT last_task() AS task \gset
CALL migrate.wait(:task);
SELECT * FROM parts;
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'big'::regclass AND attname = 'i';

-- outside of a transaction nothing has to wait, unless that is asked for
ALTER TABLE big ADD CONSTRAINT at_once CHECK (id > -1);
SET safe_migrate.rules = 'create_index:defer';
CREATE INDEX later ON big (id);
SELECT last_task() AS task \gset
CALL migrate.wait(:task);
SELECT * FROM parts WHERE name IN ('at_once', 'later');
RESET safe_migrate.rules;
SELECT statement, deferred FROM migrate.tasks WHERE statement ~ 'at_once|later' ORDER BY id;

-- what must not wait is refused
BEGIN;
ALTER TABLE big ADD UNIQUE (id);
ROLLBACK;
BEGIN;
CREATE UNIQUE INDEX ON big (id);
ROLLBACK;
BEGIN;
ALTER TABLE big ALTER i TYPE bigint;
ROLLBACK;

-- the data do not allow it: the constraint stays, and is seen
BEGIN;
ALTER TABLE big ADD CONSTRAINT few CHECK (i < 10);
COMMIT;
SELECT last_task() AS task \gset
\set VERBOSITY sqlstate
CALL migrate.wait(:task);
\set VERBOSITY terse
SELECT statement, state, steps_done, error FROM deferred WHERE statement ~ 'few';
SELECT * FROM parts WHERE name = 'few';
SELECT kind, object FROM migrate.verify() WHERE object ~ ('few|' || :'task') ORDER BY 1;
DELETE FROM big WHERE i >= 10;
SELECT migrate.retry(:task);
CALL migrate.wait(:task);
SELECT * FROM parts WHERE name = 'few';
SELECT count(*) FROM migrate.verify() WHERE object ~ ('few|' || :'task');

-- the same, taken back
INSERT INTO big SELECT g, 5, repeat('x', 80) FROM generate_series(1, 20000) g;
BEGIN;
ALTER TABLE big ADD CONSTRAINT fewer CHECK (i < 5);
COMMIT;
SELECT last_task() AS task \gset
\set VERBOSITY sqlstate
CALL migrate.wait(:task);
\set VERBOSITY terse
SELECT migrate.cancel(:task);
\set VERBOSITY sqlstate
CALL migrate.wait(:task);
\set VERBOSITY terse
SELECT state, steps_done FROM deferred WHERE statement ~ 'fewer';
SELECT count(*) FROM parts WHERE name = 'fewer';

-- the first removes, when it is done, a CHECK that the second has seen
SET client_min_messages = warning;
BEGIN;
ALTER TABLE big ALTER id SET NOT NULL;
CREATE INDEX by_id ON big (id);
COMMIT;
SELECT last_task() AS task \gset
CALL migrate.wait(:task);
SELECT statement, state, error FROM deferred WHERE statement ~ 'id SET NOT NULL|by_id';
SELECT * FROM parts WHERE name ~ 'id';
RESET client_min_messages;

-- by a role that is no superuser, as that role
CREATE ROLE safe_migrate_deferrer LOGIN;
GRANT USAGE, CREATE ON SCHEMA defer TO safe_migrate_deferrer;
SET SESSION AUTHORIZATION safe_migrate_deferrer;
CREATE TABLE mine (id int, t text);
INSERT INTO mine SELECT g, repeat('x', 80) FROM generate_series(1, 20000) g;
BEGIN;
CREATE INDEX mine_id ON mine (id);
COMMIT;
SELECT last_task() AS task \gset
CALL migrate.wait(:task);
SELECT role, session_role, state FROM migrate.tasks WHERE id = :task;
RESET SESSION AUTHORIZATION;
SELECT pg_get_userbyid(relowner), indisvalid FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
WHERE pg_class.oid = 'mine_id'::regclass;
SELECT rule, count(*) FROM migrate.decisions WHERE outcome = 'deferred' AND pid = pg_backend_pid()
GROUP BY rule ORDER BY rule;
SET safe_migrate.mode = off;
SET client_min_messages = error;
DROP SCHEMA defer CASCADE;
DROP ROLE safe_migrate_deferrer;
