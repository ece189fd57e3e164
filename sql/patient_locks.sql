-- Settings and views of patient locks; what needs more than one session is in
-- the isolation specs and the TAP tests.

SELECT name, setting, unit, context, short_desc, extra_desc, min_val, max_val
FROM pg_settings
WHERE name IN ('safe_migrate.lock_deadline', 'safe_migrate.lock_queue_time',
	'safe_migrate.concurrent_deadline')
ORDER BY name \gx

SET safe_migrate.lock_deadline = '1min';
SHOW safe_migrate.lock_deadline;
\set VERBOSITY sqlstate
SET safe_migrate.lock_deadline = -1;
SET safe_migrate.lock_queue_time = '11s';
\set VERBOSITY default
SET safe_migrate.lock_queue_time = 0;
RESET safe_migrate.lock_deadline;
RESET safe_migrate.lock_queue_time;

-- nobody waits; who may not see it is told so
SELECT * FROM migrate.lock_waits;
CREATE ROLE locks_user;
SET ROLE locks_user;
SET safe_migrate.lock_deadline = 1;
SELECT * FROM migrate.lock_waits;
SELECT * FROM migrate.lock_wait_list();
RESET ROLE;
GRANT SELECT ON migrate.lock_waits TO locks_user;
GRANT EXECUTE ON FUNCTION migrate.lock_wait_list() TO locks_user;
SET ROLE locks_user;
SELECT * FROM migrate.lock_waits;
RESET ROLE;
REVOKE ALL ON migrate.lock_waits FROM locks_user;
REVOKE ALL ON FUNCTION migrate.lock_wait_list() FROM locks_user;
DROP ROLE locks_user;

-- the statement's own locks are had at full strength, before it runs
CREATE TABLE locks_parent (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE locks_part PARTITION OF locks_parent FOR VALUES FROM (1) TO (10);
CREATE TABLE locks_key (id int);
CREATE VIEW own_locks AS
	SELECT c.relname, l.mode
	FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
	WHERE l.pid = pg_backend_pid() AND c.relname LIKE 'locks%' AND
		l.mode <> 'AccessShareLock';
SET safe_migrate.observation = off;
BEGIN;
ALTER TABLE locks_parent ADD c int;
SELECT * FROM own_locks ORDER BY 1, 2;
SAVEPOINT s;
CREATE INDEX ON locks_key (id);
SELECT * FROM own_locks ORDER BY 1, 2;
ROLLBACK TO s;
-- with the savepoint its locks are gone
SELECT * FROM own_locks ORDER BY 1, 2;
ROLLBACK;
SELECT * FROM own_locks;

-- what a statement that is refused would have locked is not locked
SET safe_migrate.small_table = 0;
INSERT INTO locks_key VALUES (1);
BEGIN;
SAVEPOINT s;
CREATE INDEX ON locks_key (id);
ROLLBACK TO s;
SELECT * FROM own_locks;
COMMIT;
RESET safe_migrate.small_table;
RESET safe_migrate.observation;

-- settings that CONCURRENTLY changes while it runs come back
SET lock_timeout = '7s';
CREATE INDEX CONCURRENTLY locks_index ON locks_key (id);
SHOW lock_timeout;
CREATE INDEX CONCURRENTLY locks_index ON locks_key (id);
SHOW lock_timeout;
INSERT INTO locks_key VALUES (1);
CREATE UNIQUE INDEX CONCURRENTLY locks_unique ON locks_key (id);
SHOW lock_timeout;
DROP INDEX CONCURRENTLY locks_unique;
RESET lock_timeout;

DROP VIEW own_locks;
BEGIN;
SET LOCAL safe_migrate.override = 'the end';
DROP TABLE locks_parent, locks_key;
COMMIT;
