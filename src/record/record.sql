/*
 * Decisions: the table they are kept in, what still waits to be written to
 * it, and both together.
 */
CREATE TABLE migrate.decision_log (
	id uuid PRIMARY KEY,
	decided_at timestamptz NOT NULL,
	outcome text NOT NULL CHECK (outcome OPERATOR(pg_catalog.=) ANY (ARRAY[
		'rejected', 'warned', 'observed', 'rewritten', 'rewrite_failed',
		'deferred', 'overridden',
		'migration_failed', 'internal_error', 'mispredicted'])),
	rule text,
	command text,
	relation text,
	statement text,
	executed text,
	message text,
	reason text,
	role text NOT NULL,
	session_role text NOT NULL,
	client inet,
	application text,
	pid int NOT NULL,
	transaction xid8,
	duration_ms bigint,
	lock_wait_ms bigint,
	size_bytes bigint,
	cluster bigint NOT NULL
);
CREATE INDEX decision_log_decided_at_idx ON migrate.decision_log (decided_at);
REVOKE ALL ON migrate.decision_log FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.decision_log', '');

COMMENT ON TABLE migrate.decision_log IS
	'what was decided about statements; read it through migrate.decisions';
COMMENT ON COLUMN migrate.decision_log.id IS 'identifies the decision everywhere';
COMMENT ON COLUMN migrate.decision_log.decided_at IS 'time of the decision';
COMMENT ON COLUMN migrate.decision_log.outcome IS
	'rejected, warned, observed, rewritten, rewrite_failed, deferred, overridden, migration_failed, internal_error or, for developers of safe_migrate, mispredicted';
COMMENT ON COLUMN migrate.decision_log.rule IS 'name of the rule, see migrate.rules';
COMMENT ON COLUMN migrate.decision_log.command IS 'command tag of the statement';
COMMENT ON COLUMN migrate.decision_log.relation IS 'relation concerned';
COMMENT ON COLUMN migrate.decision_log.statement IS 'what was asked, cut at 2 kB';
COMMENT ON COLUMN migrate.decision_log.executed IS 'what ran instead, cut at 2 kB';
COMMENT ON COLUMN migrate.decision_log.message IS 'what the user was told, cut at 2 kB';
COMMENT ON COLUMN migrate.decision_log.reason IS 'reason given with an override';
COMMENT ON COLUMN migrate.decision_log.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.decision_log.session_role IS 'role of the session (session_user)';
COMMENT ON COLUMN migrate.decision_log.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.decision_log.application IS 'application_name of the session';
COMMENT ON COLUMN migrate.decision_log.pid IS 'process ID of the session';
COMMENT ON COLUMN migrate.decision_log.transaction IS
	'top transaction, null if it had written nothing before the decision';
COMMENT ON COLUMN migrate.decision_log.duration_ms IS
	'of what ran instead of the statement: milliseconds from its start to its end';
COMMENT ON COLUMN migrate.decision_log.lock_wait_ms IS
	'of what ran instead: longest wait for the locks of one of its steps, milliseconds';
COMMENT ON COLUMN migrate.decision_log.size_bytes IS
	'of what ran instead: size of the relation concerned, bytes';
COMMENT ON COLUMN migrate.decision_log.cluster IS
	'system identifier of the cluster that the transaction ID belongs to';

CREATE FUNCTION migrate.pending_decisions()
RETURNS TABLE (
	id uuid,
	decided_at timestamptz,
	outcome text,
	rule text,
	command text,
	relation text,
	statement text,
	executed text,
	message text,
	reason text,
	role text,
	session_role text,
	client inet,
	application text,
	pid int,
	transaction xid8,
	duration_ms bigint,
	lock_wait_ms bigint,
	size_bytes bigint
)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'migrate_pending_decisions';
REVOKE ALL ON FUNCTION migrate.pending_decisions() FROM PUBLIC;
COMMENT ON FUNCTION migrate.pending_decisions() IS
	'decisions of this database that are in shared memory and not yet in migrate.decision_log';

/*
 * An entry may be in the queue and in the table for a moment, so the latter
 * wins.  A transaction ID means something only in the cluster that gave it
 * out: after a restore into another one, pg_xact_status() would raise an error
 * or tell of a stranger.  An ID that is not below the snapshot's xmax is in
 * progress for the snapshot.
 */
CREATE VIEW migrate.decisions AS
SELECT d.id, d.decided_at, d.outcome, d.rule, d.command, d.relation,
	   d.statement, d.executed, d.message, d.reason, d.role, d.session_role,
	   d.client, d.application, d.pid, d.duration_ms, d.lock_wait_ms,
	   d.size_bytes, d.transaction,
	   CASE
	   WHEN d.transaction IS NULL THEN NULL
	   WHEN d.cluster OPERATOR(pg_catalog.<>)
			(SELECT c.system_identifier FROM pg_catalog.pg_control_system() c)
	   THEN NULL
	   WHEN d.transaction OPERATOR(pg_catalog.<)
			pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
	   THEN pg_catalog.pg_xact_status(d.transaction)
	   ELSE 'in progress'
	   END AS transaction_outcome
FROM (SELECT l.id, l.decided_at, l.outcome, l.rule, l.command, l.relation,
			 l.statement, l.executed, l.message, l.reason, l.role,
			 l.session_role, l.client, l.application, l.pid, l.transaction,
			 l.duration_ms, l.lock_wait_ms, l.size_bytes, l.cluster
	  FROM migrate.decision_log l
	  UNION ALL
	  SELECT p.id, p.decided_at, p.outcome, p.rule, p.command, p.relation,
			 p.statement, p.executed, p.message, p.reason, p.role,
			 p.session_role, p.client, p.application, p.pid, p.transaction,
			 p.duration_ms, p.lock_wait_ms, p.size_bytes,
			 (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c)
	  FROM migrate.pending_decisions() p
	  WHERE NOT EXISTS (SELECT FROM migrate.decision_log l
						WHERE l.id OPERATOR(pg_catalog.=) p.id)) d;
REVOKE ALL ON migrate.decisions FROM PUBLIC;
COMMENT ON VIEW migrate.decisions IS
	'what was refused, rewritten, let through with a warning or overridden, also by transactions that aborted; to read it, a role needs SELECT here and EXECUTE on migrate.pending_decisions()';
COMMENT ON COLUMN migrate.decisions.transaction_outcome IS
	'committed, aborted or in progress; null if the transaction had no ID, is too old, or belongs to another cluster';

CREATE FUNCTION migrate.counters()
RETURNS TABLE (name text, value bigint)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 6
AS 'MODULE_PATHNAME', 'migrate_counters';
REVOKE ALL ON FUNCTION migrate.counters() FROM PUBLIC;
COMMENT ON FUNCTION migrate.counters() IS
	'since the server started, for all databases: decisions queued, recorded in a table, and lost (written to the server log instead); errors of safe_migrate itself while judging; with safe_migrate.observation, statements observed and differences from what was predicted; tables queued for ANALYZE because they lost statistics, those that were analyzed (or are gone), and those that could not be';

CREATE FUNCTION migrate.forget_decisions(before timestamptz) RETURNS bigint
LANGUAGE SQL VOLATILE STRICT
BEGIN ATOMIC
	WITH forgotten AS (
		DELETE FROM migrate.decision_log l
		WHERE l.decided_at OPERATOR(pg_catalog.<) forget_decisions.before
		RETURNING l.id)
	SELECT pg_catalog.count(*) FROM forgotten;
END;
REVOKE ALL ON FUNCTION migrate.forget_decisions(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_decisions(timestamptz) IS
	'deletes the decisions recorded before a point in time and returns their number; needs DELETE on migrate.decision_log';
