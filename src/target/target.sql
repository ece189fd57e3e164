/*
 * One history for many targets: schemas of this database, or databases of the
 * server.  The rows tell of each CALL what became of each target; what was
 * applied is in the ledger of the target, which for a schema is that part of
 * migrate.attempts that has its name.
 */
CREATE SEQUENCE migrate.target_runs_run_seq;
REVOKE ALL ON SEQUENCE migrate.target_runs_run_seq FROM PUBLIC;
COMMENT ON SEQUENCE migrate.target_runs_run_seq IS
	'numbers the calls of migrate.deploy_all()';

CREATE TABLE migrate.target_runs (
	id bigint GENERATED ALWAYS AS IDENTITY,
	run bigint NOT NULL,
	database text COLLATE "C" NOT NULL,
	target_schema text COLLATE "C" NOT NULL,
	state text COLLATE "C" NOT NULL,
	role text NOT NULL,
	leader int NOT NULL,
	asked_at timestamptz NOT NULL,
	started_at timestamptz,
	finished_at timestamptz,
	migrations int,
	error text,
	sqlstate text,
	CONSTRAINT target_runs_pkey PRIMARY KEY (id),
	CONSTRAINT target_runs_state_check CHECK (state OPERATOR(pg_catalog.=) ANY
		(ARRAY['waiting', 'running', 'deployed', 'failed', 'cancelled']))
);
CREATE INDEX target_runs_target_idx
	ON migrate.target_runs (database, target_schema, id);
REVOKE ALL ON migrate.target_runs FROM PUBLIC;
REVOKE ALL ON SEQUENCE migrate.target_runs_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.target_runs', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.target_runs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.target_runs_run_seq', '');

COMMENT ON TABLE migrate.target_runs IS
	'what became of each target of each CALL migrate.deploy_all()';
COMMENT ON SEQUENCE migrate.target_runs_id_seq IS 'numbers the rows';
COMMENT ON COLUMN migrate.target_runs.id IS 'number of the row';
COMMENT ON COLUMN migrate.target_runs.run IS 'number of the CALL';
COMMENT ON COLUMN migrate.target_runs.database IS 'database of the target';
COMMENT ON COLUMN migrate.target_runs.target_schema IS
	'schema that is the target, empty for the database as a whole';
COMMENT ON COLUMN migrate.target_runs.state IS
	'waiting, running, deployed, failed, or cancelled: not begun, or not done, when the CALL ended';
COMMENT ON COLUMN migrate.target_runs.role IS 'role that called';
COMMENT ON COLUMN migrate.target_runs.leader IS 'process that called';
COMMENT ON COLUMN migrate.target_runs.asked_at IS 'time of the CALL';
COMMENT ON COLUMN migrate.target_runs.started_at IS
	'time at which its worker was started';
COMMENT ON COLUMN migrate.target_runs.finished_at IS 'time of its end';
COMMENT ON COLUMN migrate.target_runs.migrations IS
	'number of migrations that were applied to it';
COMMENT ON COLUMN migrate.target_runs.error IS 'message of the error';
COMMENT ON COLUMN migrate.target_runs.sqlstate IS 'SQLSTATE of the error';
COMMENT ON CONSTRAINT target_runs_pkey ON migrate.target_runs IS 'one row a target and CALL';
COMMENT ON CONSTRAINT target_runs_state_check ON migrate.target_runs IS
	'the states there are';
COMMENT ON INDEX migrate.target_runs_target_idx IS 'the last CALL of a target';

/*
 * Where the CALL ended without a word, its process is not there any more, or
 * is another one of that number.
 */
CREATE VIEW migrate.targets AS
WITH last AS (
	SELECT DISTINCT ON (r.database, r.target_schema) r.*
	FROM migrate.target_runs r
	ORDER BY r.database, r.target_schema, r.id DESC
), ledgers AS (
	SELECT a.target_schema, pg_catalog.count(*) AS applied
	FROM migrate.attempts a
	JOIN migrate.migrations m ON m.version OPERATOR(pg_catalog.=) a.version
		AND (m.checksum OPERATOR(pg_catalog.=) a.checksum OR NOT m.repeatable)
	WHERE a.in_effect
	GROUP BY a.target_schema
), registered AS (
	SELECT pg_catalog.count(*) AS migrations FROM migrate.migrations
)
SELECT l.database,
	l.target_schema,
	CASE
		WHEN l.state OPERATOR(pg_catalog.=) ANY (ARRAY['waiting', 'running'])
			AND NOT EXISTS (
				SELECT FROM pg_catalog.pg_stat_activity s
				WHERE s.pid OPERATOR(pg_catalog.=) l.leader
					/* not everybody may see when it began */
					AND COALESCE(s.backend_start
						OPERATOR(pg_catalog.<=) l.asked_at, true))
			THEN 'interrupted'
		ELSE l.state
	END AS state,
	CASE WHEN l.database OPERATOR(pg_catalog.=) pg_catalog.current_database()
		THEN COALESCE(g.applied, 0) END AS applied,
	CASE WHEN l.database OPERATOR(pg_catalog.=) pg_catalog.current_database()
		THEN n.migrations OPERATOR(pg_catalog.-) COALESCE(g.applied, 0)
		END AS pending,
	l.migrations,
	l.role,
	l.run,
	l.asked_at,
	l.started_at,
	l.finished_at,
	l.error,
	l.sqlstate
FROM last l
CROSS JOIN registered n
LEFT JOIN ledgers g
	ON g.target_schema OPERATOR(pg_catalog.=) l.target_schema
ORDER BY l.database, l.target_schema;
REVOKE ALL ON migrate.targets FROM PUBLIC;
COMMENT ON VIEW migrate.targets IS
	'every target of migrate.deploy_all(): what the last CALL did to it, and what is pending there';
COMMENT ON COLUMN migrate.targets.database IS 'database of the target';
COMMENT ON COLUMN migrate.targets.target_schema IS
	'schema that is the target, empty for the database as a whole';
COMMENT ON COLUMN migrate.targets.state IS
	'waiting, running, deployed, failed, cancelled (not begun, or not done, when the CALL ended) or interrupted (the session that called is gone)';
COMMENT ON COLUMN migrate.targets.applied IS
	'number of registered migrations that are applied to it; null for another database, whose own ledger tells';
COMMENT ON COLUMN migrate.targets.pending IS
	'number of those that are not; null for another database';
COMMENT ON COLUMN migrate.targets.migrations IS
	'number of migrations that the last CALL has applied to it';
COMMENT ON COLUMN migrate.targets.role IS 'role that called';
COMMENT ON COLUMN migrate.targets.run IS 'number of the CALL';
COMMENT ON COLUMN migrate.targets.asked_at IS 'time of the CALL';
COMMENT ON COLUMN migrate.targets.started_at IS
	'time at which its worker was started';
COMMENT ON COLUMN migrate.targets.finished_at IS 'time of its end';
COMMENT ON COLUMN migrate.targets.error IS 'message of the error';
COMMENT ON COLUMN migrate.targets.sqlstate IS 'SQLSTATE of the error';

CREATE PROCEDURE migrate.deploy_all(schemas text[] DEFAULT NULL,
	databases text[] DEFAULT NULL, target text DEFAULT NULL,
	parallel int DEFAULT 4)
LANGUAGE C
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
REVOKE ALL ON PROCEDURE migrate.deploy_all(text[], text[], text, int) FROM PUBLIC;
COMMENT ON PROCEDURE migrate.deploy_all(text[], text[], text, int) IS
	'applies what is pending, or up to a version, to each schema or database whose name matches a pattern, or to each schema that it was applied to before, several at a time; each has a ledger of its own, and one that fails does not stop the others';

CREATE FUNCTION migrate.forget_target(target_schema text)
RETURNS bigint
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_forget_target';
REVOKE ALL ON FUNCTION migrate.forget_target(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.forget_target(text) IS
	'forgets what was applied to a schema that was dropped, so that one of the same name begins anew; returns the number of migrations';
