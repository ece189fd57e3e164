CREATE FUNCTION migrate.origin() RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_origin';
COMMENT ON FUNCTION migrate.origin() IS
	'this database, as no copy of it calls itself: the system identifier of the server and the OID of the database';

/*
 * Tasks: statements that are carried out in several transactions, at once or
 * after the commit of the transaction that sent them.  The row is written
 * before the first step, so that whatever ends the session, what is to be done
 * and how far it got is known.
 */
CREATE TABLE migrate.task_log (
	id bigint GENERATED ALWAYS AS IDENTITY,
	statement text NOT NULL,
	command text NOT NULL,
	rule text NOT NULL,
	relation text,
	steps text[] NOT NULL,
	undos text[] NOT NULL,
	done int NOT NULL,
	state text COLLATE "C" NOT NULL,
	deferred boolean NOT NULL,
	cancelled boolean NOT NULL DEFAULT false,
	settings text[] NOT NULL,
	relid oid NOT NULL DEFAULT 0,
	made text[] NOT NULL DEFAULT '{}',
	witness text[] NOT NULL DEFAULT '{}',
	role text NOT NULL,
	session_role text NOT NULL,
	role_oid oid NOT NULL,
	session_role_oid oid NOT NULL,
	origin text COLLATE "C" NOT NULL,
	client inet,
	application text,
	pid int,
	attempts int NOT NULL,
	created_at timestamptz NOT NULL,
	started_at timestamptz,
	finished_at timestamptz,
	error text,
	sqlstate text,
	continued_by text,
	CONSTRAINT task_log_pkey PRIMARY KEY (id),
	CONSTRAINT task_log_state_check CHECK (state OPERATOR(pg_catalog.=) ANY
		(ARRAY['waiting', 'running', 'failed', 'undoing', 'done', 'cancelled']))
);
CREATE INDEX task_log_unfinished_idx ON migrate.task_log (id)
	WHERE state OPERATOR(pg_catalog.<>) ALL (ARRAY['done', 'cancelled']);
REVOKE ALL ON migrate.task_log FROM PUBLIC;
REVOKE ALL ON SEQUENCE migrate.task_log_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.task_log',
	'WHERE state OPERATOR(pg_catalog.=) ANY (ARRAY[''done'', ''cancelled''])');
SELECT pg_catalog.pg_extension_config_dump('migrate.task_log_id_seq', '');

COMMENT ON TABLE migrate.task_log IS
	'statements carried out step by step; read it through migrate.tasks';
COMMENT ON SEQUENCE migrate.task_log_id_seq IS 'numbers the tasks';
COMMENT ON COLUMN migrate.task_log.id IS 'number of the task';
COMMENT ON COLUMN migrate.task_log.statement IS 'what was asked';
COMMENT ON COLUMN migrate.task_log.command IS 'its command tag';
COMMENT ON COLUMN migrate.task_log.rule IS
	'name of the rule because of which it was not run as it is';
COMMENT ON COLUMN migrate.task_log.relation IS 'relation concerned';
COMMENT ON COLUMN migrate.task_log.steps IS 'what is run instead, in order';
COMMENT ON COLUMN migrate.task_log.undos IS
	'for each step what takes it back, null where nothing has to or can be';
COMMENT ON COLUMN migrate.task_log.done IS 'number of steps that are committed';
COMMENT ON COLUMN migrate.task_log.state IS
	'waiting, running, failed, undoing, done or cancelled';
COMMENT ON COLUMN migrate.task_log.deferred IS
	'true if it is for the background, after the commit';
COMMENT ON COLUMN migrate.task_log.cancelled IS
	'true if somebody wants what it has done to be taken back';
COMMENT ON COLUMN migrate.task_log.settings IS
	'names and values of the settings that its text depends on, alternating';
COMMENT ON COLUMN migrate.task_log.relid IS 'the table, 0 for none';
COMMENT ON COLUMN migrate.task_log.made IS
	'what the steps have made, or a contract taken away: catalog, object and column, by their numbers';
COMMENT ON COLUMN migrate.task_log.witness IS
	'what the table looked like behind the last step';
COMMENT ON COLUMN migrate.task_log.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.task_log.session_role IS
	'role of the session (session_user)';
COMMENT ON COLUMN migrate.task_log.role_oid IS
	'OID of that role: one that gets its name later is another one';
COMMENT ON COLUMN migrate.task_log.session_role_oid IS
	'OID of the role of the session';
COMMENT ON COLUMN migrate.task_log.origin IS
	'database in which it was asked for, see migrate.origin(): it is run nowhere else';
COMMENT ON COLUMN migrate.task_log.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.task_log.application IS
	'application_name of the session';
COMMENT ON COLUMN migrate.task_log.pid IS
	'process that runs it, or ran it last';
COMMENT ON COLUMN migrate.task_log.attempts IS 'how often it was started';
COMMENT ON COLUMN migrate.task_log.created_at IS 'time at which it was asked for';
COMMENT ON COLUMN migrate.task_log.started_at IS 'time of its last start';
COMMENT ON COLUMN migrate.task_log.finished_at IS 'time of its end';
COMMENT ON COLUMN migrate.task_log.error IS 'message of the last error';
COMMENT ON COLUMN migrate.task_log.sqlstate IS 'SQLSTATE of the last error';
COMMENT ON COLUMN migrate.task_log.continued_by IS
	'the call that goes on with it, where it is a statement of a migration that is run at once';
COMMENT ON CONSTRAINT task_log_pkey ON migrate.task_log IS 'one row a task';
COMMENT ON CONSTRAINT task_log_state_check ON migrate.task_log IS
	'the states there are';
COMMENT ON INDEX migrate.task_log_unfinished_idx IS
	'tasks that are not finished';

/*
 * When the background tries a task again by itself: where waiting may help
 * (locks, deadlocks, cancelled queries, a lack of resources, the end of the
 * process), after 5 seconds, 30 seconds, 2 minutes, then every 10 minutes, 20
 * times in all.  Nobody else would send the statement again.
 */
CREATE FUNCTION migrate.next_attempt(state text, sqlstate text, attempts int,
	since timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN attempts OPERATOR(pg_catalog.>=) 20 THEN NULL
	WHEN state OPERATOR(pg_catalog.=) 'interrupted'
		OR (state OPERATOR(pg_catalog.=) 'failed'
			AND (sqlstate OPERATOR(pg_catalog.=) ANY
					(ARRAY['SM002', '55P03', '57014'])
				OR pg_catalog.left(sqlstate, 2) OPERATOR(pg_catalog.=) ANY
					(ARRAY['40', '53'])))
	THEN since OPERATOR(pg_catalog.+) CASE attempts
		WHEN 0 THEN interval '5 s'
		WHEN 1 THEN interval '5 s'
		WHEN 2 THEN interval '30 s'
		WHEN 3 THEN interval '2 min'
		ELSE interval '10 min' END
	END;
COMMENT ON FUNCTION migrate.next_attempt(text, text, int, timestamptz) IS
	'when a task of the background that has ended in such a way is tried again, null for never: see next_attempt_at of migrate.tasks';

/*
 * Whoever runs a task holds a lock that is named after the table and the
 * task's number, see task_lock.c; a row that says "running" without it was
 * left behind by a session that ended.
 *
 * Everybody sees the tasks of the roles he belongs to.
 */
CREATE VIEW migrate.tasks WITH (security_barrier) AS
SELECT t.id,
	t.statement,
	t.command,
	t.relation,
	s.state,
	t.deferred,
	t.done AS steps_done,
	pg_catalog.cardinality(t.steps) AS steps,
	t.steps[t.done OPERATOR(pg_catalog.+) 1] AS step,
	CASE WHEN s.state OPERATOR(pg_catalog.=) 'running' THEN (
		SELECT CASE
			WHEN p.blocks_total OPERATOR(pg_catalog.>) 0 THEN
				pg_catalog.format('%s, %s of %s blocks', p.phase,
					p.blocks_done, p.blocks_total)
			ELSE p.phase
			END
		FROM pg_catalog.pg_stat_progress_create_index p
		WHERE p.pid OPERATOR(pg_catalog.=) t.pid) END AS progress,
	t.error,
	t.sqlstate,
	CASE WHEN t.deferred THEN
		migrate.next_attempt(s.state, t.sqlstate, t.attempts,
			COALESCE(t.finished_at, t.started_at)) END AS next_attempt_at,
	t.role,
	t.session_role,
	t.client,
	t.application,
	t.pid,
	t.attempts,
	t.created_at,
	t.started_at,
	t.finished_at,
	t.continued_by
FROM migrate.task_log t
CROSS JOIN LATERAL (
	SELECT CASE
		WHEN t.state OPERATOR(pg_catalog.=) ANY (ARRAY['done', 'cancelled'])
			THEN t.state
		WHEN t.origin OPERATOR(pg_catalog.<>) migrate.origin()
			THEN 'elsewhere'
		WHEN t.state OPERATOR(pg_catalog.=) 'waiting' AND t.cancelled
			THEN 'undoing'
		WHEN t.state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'undoing'])
			AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_locks k
			WHERE k.locktype OPERATOR(pg_catalog.=) 'object'
				AND k.classid OPERATOR(pg_catalog.=)
					'migrate.task_log'::pg_catalog.regclass
				AND k.objid OPERATOR(pg_catalog.=)
					(t.id OPERATOR(pg_catalog.&) 4294967295::bigint)::pg_catalog.oid
				AND k.database OPERATOR(pg_catalog.=) (
					SELECT d.oid FROM pg_catalog.pg_database d
					WHERE d.datname OPERATOR(pg_catalog.=)
						pg_catalog.current_database())
				AND k.granted) THEN 'interrupted'
		ELSE t.state
		END) s (state)
WHERE pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')
	OR (SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER')
		FROM pg_catalog.pg_roles r
		WHERE r.rolname OPERATOR(pg_catalog.=) t.role
			AND (r.oid OPERATOR(pg_catalog.=) t.role_oid
				OR t.origin OPERATOR(pg_catalog.<>) migrate.origin()))
	OR (SELECT pg_catalog.pg_has_role(c.relowner, 'MEMBER')
		FROM pg_catalog.pg_class c
		WHERE c.oid OPERATOR(pg_catalog.=)
			'migrate.task_log'::pg_catalog.regclass)
ORDER BY t.id;
GRANT SELECT ON migrate.tasks TO PUBLIC;
COMMENT ON VIEW migrate.tasks IS
	'statements carried out step by step, at once or in the background, and how far they are; everybody sees those of the roles he belongs to, pg_read_all_data all';
COMMENT ON COLUMN migrate.tasks.id IS 'number of the task';
COMMENT ON COLUMN migrate.tasks.statement IS 'what was asked';
COMMENT ON COLUMN migrate.tasks.command IS 'its command tag';
COMMENT ON COLUMN migrate.tasks.relation IS 'relation concerned';
COMMENT ON COLUMN migrate.tasks.state IS
	'waiting (for a background worker), running, interrupted (the process ended), failed (see error), undoing, done, cancelled (what it had done was taken back), or elsewhere (this database is a copy of the one in which it was asked for, and it was not finished when that was copied: it is never run here)';
COMMENT ON COLUMN migrate.tasks.deferred IS
	'true if it is for the background, after the commit';
COMMENT ON COLUMN migrate.tasks.steps_done IS 'number of steps that are committed';
COMMENT ON COLUMN migrate.tasks.steps IS 'number of steps in all';
COMMENT ON COLUMN migrate.tasks.step IS 'the step that is next, or running';
COMMENT ON COLUMN migrate.tasks.progress IS
	'of an index that is being built: phase and blocks, as in pg_stat_progress_create_index';
COMMENT ON COLUMN migrate.tasks.error IS 'message of the last error';
COMMENT ON COLUMN migrate.tasks.sqlstate IS 'SQLSTATE of the last error';
COMMENT ON COLUMN migrate.tasks.next_attempt_at IS
	'when the background tries it again; null if it does not, or has not failed';
COMMENT ON COLUMN migrate.tasks.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.tasks.session_role IS
	'role of the session (session_user)';
COMMENT ON COLUMN migrate.tasks.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.tasks.application IS 'application_name of the session';
COMMENT ON COLUMN migrate.tasks.pid IS 'process that runs it, or ran it last';
COMMENT ON COLUMN migrate.tasks.attempts IS
	'how often it was started, since migrate.retry() if that was called';
COMMENT ON COLUMN migrate.tasks.created_at IS 'time at which it was asked for';
COMMENT ON COLUMN migrate.tasks.started_at IS 'time of its last start';
COMMENT ON COLUMN migrate.tasks.finished_at IS 'time of its end';
COMMENT ON COLUMN migrate.tasks.continued_by IS
	'the call that goes on with it, where it is a statement of a migration that is run at once: it cannot be retried by itself';

CREATE FUNCTION migrate.retry(task bigint) RETURNS text
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'migrate_retry';
COMMENT ON FUNCTION migrate.retry(bigint) IS
	'has a task that failed or was interrupted go on in the background, after the commit, and returns its new state; for members of the role that it runs as, and, where only the role of the session can be connected as, of that as well';

CREATE PROCEDURE migrate.wait(task bigint, timeout interval DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.wait(bigint, interval) IS
	'waits until a task is done, and raises its error if it fails, or an error after the timeout; send the CALL alone, outside a transaction block: what held a snapshot while it waits would be waited for by the task';
