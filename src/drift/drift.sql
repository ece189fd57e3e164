/*
 * Drift: what has changed in the schema since the last migration, other than
 * by one.
 */
CREATE TABLE migrate.ddl_log (
	id bigint GENERATED ALWAYS AS IDENTITY,
	executed_at timestamptz NOT NULL,
	command text NOT NULL,
	objects text[] NOT NULL,
	units text[] NOT NULL,
	statement text NOT NULL,
	role text NOT NULL,
	session_role text NOT NULL,
	client inet,
	application text,
	reason text,
	transaction xid8 NOT NULL,
	cluster bigint NOT NULL,
	/* a restore that is recorded itself gives numbers that the dump has as well */
	CONSTRAINT ddl_log_pkey PRIMARY KEY (executed_at, id)
);
REVOKE ALL ON migrate.ddl_log FROM PUBLIC;
REVOKE ALL ON SEQUENCE migrate.ddl_log_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.ddl_log', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.ddl_log_id_seq', '');
COMMENT ON TABLE migrate.ddl_log IS
	'schema changes that were no part of a migration, written by their own transaction; read it through migrate.drift()';
COMMENT ON SEQUENCE migrate.ddl_log_id_seq IS 'numbers the statements';
COMMENT ON COLUMN migrate.ddl_log.id IS 'number';
COMMENT ON COLUMN migrate.ddl_log.executed_at IS 'time at which the statement ended';
COMMENT ON COLUMN migrate.ddl_log.command IS 'command tag of the statement';
COMMENT ON COLUMN migrate.ddl_log.objects IS
	'objects that it made, altered or dropped; the first twenty';
COMMENT ON COLUMN migrate.ddl_log.units IS
	'names in migrate.last_manifest of all that it can have changed; * stands for any';
COMMENT ON COLUMN migrate.ddl_log.statement IS
	'its text, cut at 2 kB; not that of statements that may hold a password';
COMMENT ON COLUMN migrate.ddl_log.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.ddl_log.session_role IS 'role of the session (session_user)';
COMMENT ON COLUMN migrate.ddl_log.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.ddl_log.application IS 'application_name of the session';
COMMENT ON COLUMN migrate.ddl_log.reason IS 'reason given with an override that was in force';
COMMENT ON COLUMN migrate.ddl_log.transaction IS 'top transaction that it was part of';
COMMENT ON COLUMN migrate.ddl_log.cluster IS
	'system identifier of the cluster that the transaction ID belongs to';
COMMENT ON CONSTRAINT ddl_log_pkey ON migrate.ddl_log IS
	'one row a statement; finds those since a point in time';

CREATE TABLE migrate.last_manifest (
	kind text NOT NULL,
	identity text NOT NULL,
	unit text NOT NULL,
	hash text NOT NULL,
	taken_at timestamptz
);
CREATE INDEX last_manifest_identity_idx ON migrate.last_manifest USING hash (identity);
REVOKE ALL ON migrate.last_manifest FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.last_manifest', '');
COMMENT ON TABLE migrate.last_manifest IS
	'what migrate.schema_objects() said after the last migration';
COMMENT ON COLUMN migrate.last_manifest.kind IS 'kind of object; privileges for its owner and who may do what; server version for the major version that the hashes come from';
COMMENT ON COLUMN migrate.last_manifest.identity IS 'its name';
COMMENT ON COLUMN migrate.last_manifest.unit IS 'object that it is a part of, or its own name';
COMMENT ON COLUMN migrate.last_manifest.hash IS 'SHA-256 of its definition';
COMMENT ON COLUMN migrate.last_manifest.taken_at IS
	'time at which all rows were true; only with the server version';
COMMENT ON INDEX migrate.last_manifest_identity_idx IS 'the rows of an object';

CREATE FUNCTION migrate.schema_objects()
RETURNS TABLE (kind text, identity text, unit text, hash text)
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_schema_objects';
REVOKE ALL ON FUNCTION migrate.schema_objects() FROM PUBLIC;
COMMENT ON FUNCTION migrate.schema_objects() IS
	'every object of the schema, and its owner and privileges as a row of their own (kind privileges), with a hash of its definition: compare the rows of two databases to see where they differ';

CREATE FUNCTION migrate.schema_fingerprint(privileges boolean DEFAULT true)
RETURNS text
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_schema_fingerprint';
REVOKE ALL ON FUNCTION migrate.schema_fingerprint(boolean) FROM PUBLIC;
COMMENT ON FUNCTION migrate.schema_fingerprint(boolean) IS
	'the hashes of migrate.schema_objects() in one, the same wherever the schema is the same; privileges = false leaves out owners and privileges';

/* Who has written to the books of a migration tool, by transaction. */
CREATE FUNCTION migrate.runner_writers(relation oid) RETURNS SETOF xid
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_runner_writers';
REVOKE ALL ON FUNCTION migrate.runner_writers(oid) FROM PUBLIC;
COMMENT ON FUNCTION migrate.runner_writers(oid) IS
	'transactions that have written the rows of a table in which a known migration tool keeps its books';

CREATE FUNCTION migrate.drift(since timestamptz DEFAULT NULL)
RETURNS TABLE (kind text, executed_at timestamptz, command text,
	objects text[], statement text, role text, session_role text, client inet,
	application text, runner text, reason text)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	WITH last AS (
		SELECT COALESCE(max(m.taken_at), '-infinity') AS at
		FROM migrate.last_manifest m),
	explained AS (
		SELECT u.unit
		FROM migrate.ddl_log l, unnest(l.units) u (unit)
		WHERE l.executed_at > (SELECT last.at FROM last)
		UNION
		/* a migration that has no fingerprint, or has stopped half way */
		SELECT '*'
		FROM migrate.attempts a
		WHERE a.fingerprint IS NULL AND a.done_bytes > 0
			AND a.state NOT IN ('baseline', 'adopted', 'repaired')
			AND COALESCE(a.finished_at, a.started_at) > (SELECT last.at FROM last)),
	version AS (
		SELECT m.identity, current_setting('server_version_num')::int / 10000 AS now
		FROM migrate.last_manifest m
		WHERE m.kind = 'server version'),
	differences AS (
		SELECT COALESCE(n.unit, o.unit) AS unit,
			concat(CASE WHEN o.hash IS NULL THEN 'added'
					WHEN n.hash IS NULL THEN 'dropped' ELSE 'changed' END, ': ',
				COALESCE(n.kind, o.kind), ' ', COALESCE(n.identity, o.identity)) AS what
		FROM migrate.schema_objects() n
		FULL JOIN (
			SELECT m.kind, m.identity, m.unit, m.hash
			FROM migrate.last_manifest m
			WHERE m.kind <> 'server version') o
			ON o.kind = n.kind AND o.identity = n.identity
		WHERE o.hash IS DISTINCT FROM n.hash
			AND EXISTS (SELECT FROM version v WHERE v.identity = v.now::text)),
	unexplained AS (
		SELECT array_agg(d.what ORDER BY d.what COLLATE "C") AS objects
		FROM differences d
		WHERE NOT EXISTS (
			SELECT FROM explained e WHERE e.unit IN ('*', d.unit))),
	writers AS (
		SELECT c.relname::text AS runner, w.xid
		FROM pg_catalog.pg_class c, migrate.runner_writers(c.oid) w (xid)
		WHERE c.relkind = 'r' AND migrate.belongs_to_runner(c.oid))
	SELECT d.kind, d.executed_at, d.command, d.objects, d.statement, d.role,
		d.session_role, d.client, d.application, d.runner, d.reason
	FROM (
		SELECT 'statement' AS kind, l.executed_at, l.command, l.objects,
			l.statement, l.role, l.session_role, l.client, l.application, (
				SELECT w.runner FROM writers w
				WHERE w.xid = l.transaction::xid
					AND l.cluster = (
						SELECT c.system_identifier
						FROM pg_catalog.pg_control_system() c)
				LIMIT 1) AS runner, l.reason, l.id
		FROM migrate.ddl_log l
		WHERE l.executed_at > COALESCE(drift.since, (SELECT last.at FROM last))
		UNION ALL
		SELECT 'unrecorded', NULL, NULL, u.objects,
			'no record says who did it: while safe_migrate.mode was off, or safe_migrate.restoring on, or safe_migrate.record_ddl off, or without safe_migrate, or in the catalog itself, or by a statement that has failed half way (CREATE INDEX CONCURRENTLY)',
			NULL, NULL, NULL, NULL, NULL, NULL, NULL
		FROM unexplained u
		WHERE u.objects IS NOT NULL
		UNION ALL
		SELECT 'upgraded', NULL, NULL, '{}', format(
			'the last migration ran on PostgreSQL %s, this is %s: definitions can be compared again after the next migration',
			v.identity, v.now),
			NULL, NULL, NULL, NULL, NULL, NULL, NULL
		FROM version v
		WHERE v.identity <> v.now::text) d
	ORDER BY d.executed_at, d.id;
END;
REVOKE ALL ON FUNCTION migrate.drift(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.drift(timestamptz) IS
	'schema changes since the last migration, or since a point in time, that were no part of one: statement: who sent which, when, from where, and in which table a migration tool wrote in the same transaction (runner); unrecorded: objects that differ from what the last migration left, though no statement says so; to call it, a role needs EXECUTE on migrate.schema_objects() and migrate.runner_writers() and SELECT on migrate.attempts, migrate.ddl_log and migrate.last_manifest as well';

CREATE FUNCTION migrate.forget_drift(before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
	WITH forgotten AS (
		DELETE FROM migrate.ddl_log l
		WHERE l.executed_at < forget_drift.before
		RETURNING l.id)
	SELECT pg_catalog.count(*) FROM forgotten;
END;
REVOKE ALL ON FUNCTION migrate.forget_drift(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_drift(timestamptz) IS
	'deletes the statements recorded before a point in time and returns their number; needs DELETE on migrate.ddl_log';
