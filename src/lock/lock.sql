/*
 * Who waits for a lock without standing in its queue.
 */
CREATE FUNCTION migrate.lock_wait_list()
RETURNS TABLE (
	pid int,
	role text,
	application text,
	command text,
	statement text,
	relation text,
	lock_mode text,
	waiting_since timestamptz,
	gives_up_at timestamptz,
	blocker_pids int[],
	blockers text[]
)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'migrate_lock_wait_list';
REVOKE ALL ON FUNCTION migrate.lock_wait_list() FROM PUBLIC;
COMMENT ON FUNCTION migrate.lock_wait_list() IS
	'sessions of this database that wait for a lock outside of its queue; read it through migrate.lock_waits';

CREATE VIEW migrate.lock_waits AS
SELECT w.pid, w.role, w.application, w.command, w.statement, w.relation,
	   w.lock_mode, w.waiting_since, w.gives_up_at, w.blocker_pids, w.blockers
FROM migrate.lock_wait_list() w;
REVOKE ALL ON migrate.lock_waits FROM PUBLIC;
COMMENT ON VIEW migrate.lock_waits IS
	'statements of this database that wait patiently for a lock, so that nobody waits behind them (they are not in pg_locks), and whom they wait for; to read it, a role needs SELECT here and EXECUTE on migrate.lock_wait_list()';
COMMENT ON COLUMN migrate.lock_waits.pid IS 'process ID of the session that waits';
COMMENT ON COLUMN migrate.lock_waits.role IS 'role in force there (current_user)';
COMMENT ON COLUMN migrate.lock_waits.application IS 'application_name of that session';
COMMENT ON COLUMN migrate.lock_waits.command IS 'command tag of the statement that waits';
COMMENT ON COLUMN migrate.lock_waits.statement IS
	'what the client has sent, as in pg_stat_activity; null for those who may not see it';
COMMENT ON COLUMN migrate.lock_waits.relation IS 'relation whose lock is not free';
COMMENT ON COLUMN migrate.lock_waits.lock_mode IS 'lock that the statement needs on it';
COMMENT ON COLUMN migrate.lock_waits.waiting_since IS 'when it began to wait';
COMMENT ON COLUMN migrate.lock_waits.gives_up_at IS
	'when it will give up, by safe_migrate.lock_deadline; infinity for never';
COMMENT ON COLUMN migrate.lock_waits.blocker_pids IS
	'process IDs of the sessions in its way, at most 8; 0 for a prepared transaction';
COMMENT ON COLUMN migrate.lock_waits.blockers IS
	'the same sessions in words, in the same order';
