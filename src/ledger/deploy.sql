/*
 * How far the deploys of this database are, from shared memory.
 */
CREATE FUNCTION migrate.deploy_list()
RETURNS TABLE (
	pid int,
	role text,
	target_schema text,
	started_at timestamptz,
	migration_number int,
	migrations int,
	version text,
	name text,
	statement int,
	statements int,
	command text,
	statement_started_at timestamptz,
	waiting_for text
)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 5
AS 'MODULE_PATHNAME', 'migrate_deploy_list';
REVOKE ALL ON FUNCTION migrate.deploy_list() FROM PUBLIC;
COMMENT ON FUNCTION migrate.deploy_list() IS
	'deploys that run in this database; read it through migrate.deploy_progress';

CREATE VIEW migrate.deploy_progress AS
SELECT d.pid, d.role, a.application_name AS application,
	a.client_addr AS client, d.target_schema, d.started_at,
	d.migration_number, d.migrations, d.version, d.name,
	d.statement, d.statements, d.command, d.statement_started_at,
	COALESCE(d.waiting_for, (
		SELECT pg_catalog.format('%s on %s, held by %s', w.lock_mode, w.relation,
			pg_catalog.array_to_string(w.blockers, '; '))
		FROM migrate.lock_wait_list() w
		WHERE w.pid OPERATOR(pg_catalog.=) d.pid
		LIMIT 1)) AS waiting_for
FROM migrate.deploy_list() d
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) d.pid;
REVOKE ALL ON migrate.deploy_progress FROM PUBLIC;
COMMENT ON VIEW migrate.deploy_progress IS
	'deploys that run in this database now, and how far they are; to read it, a role needs SELECT here and EXECUTE on migrate.deploy_list() and migrate.lock_wait_list()';
COMMENT ON COLUMN migrate.deploy_progress.pid IS 'process ID of the session that deploys';
COMMENT ON COLUMN migrate.deploy_progress.role IS 'role that deploys (current_user)';
COMMENT ON COLUMN migrate.deploy_progress.application IS
	'application_name of that session';
COMMENT ON COLUMN migrate.deploy_progress.client IS
	'address of its client; null for a local socket, and for those who may not see it';
COMMENT ON COLUMN migrate.deploy_progress.target_schema IS
	'schema that is deployed to, empty for the database as a whole';
COMMENT ON COLUMN migrate.deploy_progress.started_at IS 'when the deploy began';
COMMENT ON COLUMN migrate.deploy_progress.migration_number IS
	'which of the migrations it is at, counted from 1; 0 if none has begun';
COMMENT ON COLUMN migrate.deploy_progress.migrations IS
	'how many migrations it is to run, as they were pending when it began; 0 before that is known';
COMMENT ON COLUMN migrate.deploy_progress.version IS 'version of the migration that runs';
COMMENT ON COLUMN migrate.deploy_progress.name IS 'name of that migration';
COMMENT ON COLUMN migrate.deploy_progress.statement IS
	'which of its statements runs, counted from 1, null if none has begun';
COMMENT ON COLUMN migrate.deploy_progress.statements IS 'how many statements it has';
COMMENT ON COLUMN migrate.deploy_progress.command IS 'command tag of the statement';
COMMENT ON COLUMN migrate.deploy_progress.statement_started_at IS
	'when the statement began';
COMMENT ON COLUMN migrate.deploy_progress.waiting_for IS
	'what it waits for: the ledger''s lock, a lock on a table, a task in the background; null for nothing of these';
