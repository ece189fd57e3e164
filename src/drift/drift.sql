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
	runner text,
	transaction xid8 NOT NULL,
	cluster bigint NOT NULL,
	acknowledged_at timestamptz,
	/* a restore that is recorded itself gives numbers that the dump has as well */
	CONSTRAINT ddl_log_pkey PRIMARY KEY (executed_at, id)
);
CREATE INDEX ddl_log_new_idx ON migrate.ddl_log (executed_at)
	WHERE acknowledged_at IS NULL;
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
COMMENT ON COLUMN migrate.ddl_log.runner IS
	'table of that name and shape in which a migration tool keeps its books, if the statement was about such a one alone';
COMMENT ON COLUMN migrate.ddl_log.transaction IS 'top transaction that it was part of';
COMMENT ON COLUMN migrate.ddl_log.cluster IS
	'system identifier of the cluster that the transaction ID belongs to';
COMMENT ON COLUMN migrate.ddl_log.acknowledged_at IS
	'time of the migrate.acknowledge_drift() that has acknowledged it';
COMMENT ON CONSTRAINT ddl_log_pkey ON migrate.ddl_log IS
	'one row a statement; finds those since a point in time';
COMMENT ON INDEX migrate.ddl_log_new_idx IS 'finds those that nobody has acknowledged';

CREATE TABLE migrate.found_drift (
	found_at timestamptz NOT NULL,
	number int NOT NULL,
	object text NOT NULL,
	acknowledged_at timestamptz,
	/* what a function is called may be longer than an index can hold */
	CONSTRAINT found_drift_pkey PRIMARY KEY (found_at, number)
);
CREATE INDEX found_drift_new_idx ON migrate.found_drift (found_at)
	WHERE acknowledged_at IS NULL;
REVOKE ALL ON migrate.found_drift FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.found_drift', '');
COMMENT ON TABLE migrate.found_drift IS
	'objects that a migration has found changed before it began, though no statement says by whom; read it through migrate.drift()';
COMMENT ON COLUMN migrate.found_drift.found_at IS 'time at which it was found';
COMMENT ON COLUMN migrate.found_drift.number IS 'number of the object among those of that time';
COMMENT ON COLUMN migrate.found_drift.object IS
	'added, changed or dropped; kind and name';
COMMENT ON COLUMN migrate.found_drift.acknowledged_at IS
	'time of the migrate.acknowledge_drift() that has acknowledged it';
COMMENT ON CONSTRAINT found_drift_pkey ON migrate.found_drift IS 'one row an object';
COMMENT ON INDEX migrate.found_drift_new_idx IS
	'finds what nobody has acknowledged';

CREATE TABLE migrate.last_manifest (
	kind text NOT NULL,
	identity text NOT NULL,
	unit text NOT NULL,
	hash text NOT NULL,
	classid oid NOT NULL,
	objid oid NOT NULL,
	names bigint[] NOT NULL
);
ALTER TABLE migrate.last_manifest REPLICA IDENTITY FULL;
CREATE INDEX last_manifest_objid_idx ON migrate.last_manifest (objid);
REVOKE ALL ON migrate.last_manifest FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.last_manifest', '');
COMMENT ON TABLE migrate.last_manifest IS
	'what migrate.schema_objects() said after the last migration';
COMMENT ON COLUMN migrate.last_manifest.kind IS
	'kind of object; privileges for its owner and who may do what';
COMMENT ON COLUMN migrate.last_manifest.identity IS 'its name';
COMMENT ON COLUMN migrate.last_manifest.unit IS 'object that it is a part of, or its own name';
COMMENT ON COLUMN migrate.last_manifest.hash IS 'SHA-256 of its definition';
COMMENT ON COLUMN migrate.last_manifest.classid IS
	'catalog of the object that it is a part of; means something only where catalog_state of migrate.last_fingerprint is still so';
COMMENT ON COLUMN migrate.last_manifest.objid IS 'its number there';
COMMENT ON COLUMN migrate.last_manifest.names IS
	'hashes of the names that definitions of other objects may have for it';
COMMENT ON INDEX migrate.last_manifest_objid_idx IS 'the rows of an object';

CREATE TABLE migrate.last_fingerprint (
	fingerprint text NOT NULL,
	server_version int NOT NULL,
	taken_at timestamptz NOT NULL,
	snapshot pg_snapshot NOT NULL,
	transaction xid8 NOT NULL,
	cluster bigint NOT NULL,
	catalog_state text
);
ALTER TABLE migrate.last_fingerprint REPLICA IDENTITY FULL;
REVOKE ALL ON migrate.last_fingerprint FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.last_fingerprint', '');
COMMENT ON TABLE migrate.last_fingerprint IS
	'when migrate.last_manifest was true: one row, or none before the first migration';
COMMENT ON COLUMN migrate.last_fingerprint.fingerprint IS
	'the hashes of migrate.last_manifest in one';
COMMENT ON COLUMN migrate.last_fingerprint.server_version IS
	'major version that they come from';
COMMENT ON COLUMN migrate.last_fingerprint.taken_at IS 'time at which they were taken';
COMMENT ON COLUMN migrate.last_fingerprint.snapshot IS
	'transactions whose changes are in them for sure';
COMMENT ON COLUMN migrate.last_fingerprint.transaction IS
	'transaction that has taken them, with what it had done before';
COMMENT ON COLUMN migrate.last_fingerprint.cluster IS
	'system identifier of the cluster that these belong to';
COMMENT ON COLUMN migrate.last_fingerprint.catalog_state IS
	'hash of the row versions of the catalog: the same as long as nothing has changed; null where it is not known';

/*
 * A transaction that was open when the fingerprint was taken, and committed
 * later, explains what differs from it, whatever the time.
 */
CREATE VIEW migrate.explanations AS
SELECT l.units
FROM migrate.last_fingerprint f
JOIN migrate.ddl_log l ON
	CASE WHEN l.cluster <> f.cluster OR l.transaction = f.transaction
		THEN l.executed_at > f.taken_at
		ELSE NOT pg_visible_in_snapshot(l.transaction, f.snapshot) END
UNION ALL
/* a migration that has no fingerprint, or has stopped half way */
SELECT '{*}'
FROM migrate.last_fingerprint f
JOIN migrate.attempts a ON COALESCE(a.finished_at, a.started_at) > f.taken_at
WHERE a.fingerprint IS NULL AND a.done_bytes > 0
	AND a.state NOT IN ('baseline', 'adopted', 'repaired')
UNION ALL
/* what went on in several transactions, of whoever has asked for it; not what
 * has not begun, or was cut off before */
SELECT ARRAY[COALESCE(t.relation, '*')]
FROM migrate.last_fingerprint f
JOIN migrate.task_log t ON COALESCE(t.finished_at, t.started_at) > f.taken_at
	OR (t.state = ANY (ARRAY['running', 'undoing']) AND EXISTS (
		SELECT FROM pg_catalog.pg_stat_activity a WHERE a.pid = t.pid));
REVOKE ALL ON migrate.explanations FROM PUBLIC;
COMMENT ON VIEW migrate.explanations IS
	'what is recorded and may have made objects differ from the last manifest';
COMMENT ON COLUMN migrate.explanations.units IS
	'names of those in migrate.last_manifest; * stands for any';

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
	WITH version AS (
		SELECT f.server_version AS last,
			current_setting('server_version_num')::int / 10000 AS now
		FROM migrate.last_fingerprint f),
	differences AS (
		SELECT COALESCE(n.unit, o.unit) AS unit,
			concat(CASE WHEN o.hash IS NULL THEN 'added'
					WHEN n.hash IS NULL THEN 'dropped' ELSE 'changed' END, ': ',
				COALESCE(n.kind, o.kind), ' ', COALESCE(n.identity, o.identity)) AS what
		FROM migrate.schema_objects() n
		FULL JOIN migrate.last_manifest o
			ON o.kind = n.kind AND o.identity = n.identity
		WHERE o.hash IS DISTINCT FROM n.hash
			AND EXISTS (SELECT FROM version v WHERE v.last = v.now)),
	unrecorded AS (
		SELECT NULL::timestamptz AS found_at, d.what
		FROM differences d
		WHERE NOT EXISTS (
				SELECT FROM migrate.explanations e WHERE '*' = ANY (e.units))
			AND NOT EXISTS (
				SELECT FROM migrate.explanations e, unnest(e.units) u (unit)
				WHERE u.unit = d.unit)
		UNION ALL
		SELECT f.found_at, f.object
		FROM migrate.found_drift f
		WHERE f.found_at > drift.since
			OR (drift.since IS NULL AND f.acknowledged_at IS NULL)),
	writers AS (
		SELECT min(c.relname::text) AS runner, w.xid,
			(SELECT s.system_identifier
			 FROM pg_catalog.pg_control_system() s) AS cluster
		FROM pg_catalog.pg_class c, migrate.runner_writers(c.oid) w (xid)
		WHERE c.relkind = 'r' AND migrate.belongs_to_runner(c.oid)
		GROUP BY w.xid)
	SELECT d.kind, d.executed_at, d.command, d.objects, d.statement, d.role,
		d.session_role, d.client, d.application, d.runner, d.reason
	FROM (
		SELECT 'statement' AS kind, l.executed_at, l.command, l.objects,
			l.statement, l.role, l.session_role, l.client, l.application,
			COALESCE(l.runner, w.runner) AS runner, l.reason, l.id
		FROM migrate.ddl_log l
		LEFT JOIN writers w ON w.xid = l.transaction::xid AND w.cluster = l.cluster
		WHERE l.executed_at > drift.since
			OR (drift.since IS NULL AND l.acknowledged_at IS NULL)
		UNION ALL
		SELECT 'unrecorded', NULL, NULL,
			array_agg(u.what ORDER BY u.what COLLATE "C"),
			concat('found by a migration at ' || u.found_at || ': ',
				'no record says who did it: while safe_migrate.mode was off, or safe_migrate.restoring on, or safe_migrate.record_ddl off, or without safe_migrate, or in the catalog itself, or by a statement that has failed half way (CREATE INDEX CONCURRENTLY)'),
			NULL, NULL, NULL, NULL, NULL, NULL,
			rank() OVER (ORDER BY u.found_at NULLS LAST)
		FROM unrecorded u
		GROUP BY u.found_at
		UNION ALL
		SELECT 'upgraded', NULL, NULL, '{}', format(
			'the last migration ran on PostgreSQL %s, this is %s: definitions can be compared again after the next migration',
			v.last, v.now),
			NULL, NULL, NULL, NULL, NULL, NULL, NULL
		FROM version v
		WHERE v.last <> v.now) d
	ORDER BY d.executed_at, d.id;
END;
REVOKE ALL ON FUNCTION migrate.drift(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.drift(timestamptz) IS
	'schema changes that were no part of a migration and that nobody has acknowledged, or all since a point in time: statement: who sent which, when, from where, and in which table a migration tool wrote in the same transaction (runner); unrecorded: objects that differ from what a migration left, though no statement says so; to call it, a role needs EXECUTE on migrate.schema_objects() and migrate.runner_writers() and SELECT on migrate.ddl_log, migrate.explanations, migrate.found_drift, migrate.last_fingerprint and migrate.last_manifest as well';

CREATE FUNCTION migrate.acknowledge_drift() RETURNS bigint
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'migrate_acknowledge_drift';
REVOKE ALL ON FUNCTION migrate.acknowledge_drift() FROM PUBLIC;
COMMENT ON FUNCTION migrate.acknowledge_drift() IS
	'takes the schema as it is for what migrations have made it: migrate.drift() tells no more of what has happened so far, unless it is asked for since when; returns the number of statements and objects';

CREATE FUNCTION migrate.forget_drift(before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
	WITH forgotten AS (
		DELETE FROM migrate.ddl_log l
		WHERE l.executed_at < forget_drift.before
		RETURNING l.id),
	found AS (
		DELETE FROM migrate.found_drift f
		WHERE f.found_at < forget_drift.before
		RETURNING f.object)
	SELECT (SELECT pg_catalog.count(*) FROM forgotten)
		OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM found);
END;
REVOKE ALL ON FUNCTION migrate.forget_drift(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_drift(timestamptz) IS
	'deletes what migrate.drift() tells of the time before a point in time, but for what no migration has found yet, and returns the number of rows; needs DELETE on migrate.ddl_log and migrate.found_drift';
