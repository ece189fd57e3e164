/*
 * The ledger: migrations as they were registered, and every attempt to apply
 * them.  Functions write it with the rights of the extension's owner, so that
 * a role needs no more than EXECUTE on them.
 */
CREATE FUNCTION migrate.version_key(version text)
RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_version_key';
COMMENT ON FUNCTION migrate.version_key(text) IS
	'text whose order, COLLATE "C", is that of versions by value';

CREATE TABLE migrate.migrations (
	version text COLLATE "C" NOT NULL,
	version_key text COLLATE "C" NOT NULL
		GENERATED ALWAYS AS (CASE
			WHEN listed_at IS NULL THEN migrate.version_key(version)
			ELSE migrate.version_key(listed_at::pg_catalog.text)
				OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) version
			END) STORED,
	listed_at int,
	repeatable boolean NOT NULL DEFAULT false,
	requires text[] NOT NULL DEFAULT '{}',
	name text NOT NULL,
	format text NOT NULL,
	body text NOT NULL,
	body_line int NOT NULL DEFAULT 1,
	down_body text,
	down_line int NOT NULL DEFAULT 1,
	checksum text NOT NULL,
	tool_checksum text,
	in_transaction boolean NOT NULL,
	missing_since timestamptz,
	registered_at timestamptz NOT NULL,
	registered_by text NOT NULL,
	CONSTRAINT migrations_pkey PRIMARY KEY (version),
	CONSTRAINT migrations_version_key_key UNIQUE (version_key)
);
REVOKE ALL ON migrate.migrations FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.migrations', '');

COMMENT ON TABLE migrate.migrations IS
	'migrations as registered by migrate.register() and migrate.load()';
COMMENT ON COLUMN migrate.migrations.version IS 'version as the files have it';
COMMENT ON COLUMN migrate.migrations.version_key IS
	'version in a form that sorts by value, or the place in the list of its format';
COMMENT ON COLUMN migrate.migrations.listed_at IS
	'its place, counted from 1, where a list says in which order to run, and not the version';
COMMENT ON COLUMN migrate.migrations.repeatable IS
	'true: runs after all others, and again whenever its text has changed';
COMMENT ON COLUMN migrate.migrations.requires IS
	'versions that have to be applied before it';
COMMENT ON COLUMN migrate.migrations.name IS 'what follows the version';
COMMENT ON COLUMN migrate.migrations.format IS
	'layout that the text was loaded from, sql when it was given to a function';
COMMENT ON COLUMN migrate.migrations.body IS
	'text, with LF line ends and no byte order mark; of a section of a file, from its first line that is not empty on';
COMMENT ON COLUMN migrate.migrations.body_line IS
	'line of the file with which body begins';
COMMENT ON COLUMN migrate.migrations.down_body IS
	'text that reverts it, if there is one';
COMMENT ON COLUMN migrate.migrations.down_line IS
	'line of its file with which down_body begins';
COMMENT ON COLUMN migrate.migrations.checksum IS
	'SHA-256 of body in UTF-8, in hexadecimal, without empty lines at its top';
COMMENT ON COLUMN migrate.migrations.tool_checksum IS
	'checksum of the file as the tool of that format computes it, if it does';
COMMENT ON COLUMN migrate.migrations.in_transaction IS
	'false: the metadata of the file ask for every statement by itself';
COMMENT ON COLUMN migrate.migrations.missing_since IS
	'time of the load that did not find its file any more, null if the last one did';
COMMENT ON COLUMN migrate.migrations.registered_at IS
	'time at which this text was registered';
COMMENT ON COLUMN migrate.migrations.registered_by IS
	'role that registered this text';
COMMENT ON CONSTRAINT migrations_pkey ON migrate.migrations IS
	'a version is registered once';
COMMENT ON CONSTRAINT migrations_version_key_key ON migrate.migrations IS
	'no two versions have the same place in the order';

/*
 * There is no foreign key: the record of what has run stays, whatever becomes
 * of the registered text.
 */
CREATE TABLE migrate.attempts (
	id bigint GENERATED ALWAYS AS IDENTITY,
	target_schema text COLLATE "C" NOT NULL DEFAULT '',
	version text COLLATE "C" NOT NULL,
	name text NOT NULL,
	checksum text NOT NULL,
	body text NOT NULL,
	kind text COLLATE "C" NOT NULL DEFAULT 'apply',
	state text COLLATE "C" NOT NULL,
	in_effect boolean NOT NULL GENERATED ALWAYS AS (
		kind OPERATOR(pg_catalog.=) 'apply' AND state OPERATOR(pg_catalog.=) ANY
		(ARRAY['applied', 'baseline', 'adopted', 'repaired'])) STORED,
	tool text,
	transactional boolean NOT NULL,
	role text NOT NULL,
	session_role text NOT NULL,
	client inet,
	application text,
	started_at timestamptz NOT NULL,
	finished_at timestamptz,
	duration_ms bigint,
	statements int NOT NULL,
	done_bytes int NOT NULL,
	error text,
	error_statement int,
	error_line int,
	sqlstate text,
	fingerprint text,
	tasks bigint[] NOT NULL DEFAULT '{}',
	out_of_order boolean NOT NULL DEFAULT false,
	restore_point bigint,
	CONSTRAINT attempts_pkey PRIMARY KEY (id),
	CONSTRAINT attempts_kind_check CHECK (kind OPERATOR(pg_catalog.=) ANY
		(ARRAY['apply', 'revert'])),
	CONSTRAINT attempts_state_check CHECK (state OPERATOR(pg_catalog.=) ANY
		(ARRAY['running', 'applied', 'failed', 'baseline', 'adopted', 'repaired',
			'reverted', 'superseded', 'restarted']))
);
CREATE UNIQUE INDEX attempts_applied_once
	ON migrate.attempts (target_schema, version) WHERE in_effect;
CREATE INDEX attempts_version_idx
	ON migrate.attempts (target_schema, version, id);
REVOKE ALL ON migrate.attempts FROM PUBLIC;
REVOKE ALL ON SEQUENCE migrate.attempts_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.attempts', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.attempts_id_seq', '');

COMMENT ON TABLE migrate.attempts IS
	'every attempt to apply a migration, with the text that was run';
COMMENT ON SEQUENCE migrate.attempts_id_seq IS 'numbers the attempts';
COMMENT ON COLUMN migrate.attempts.id IS 'number, in the order of their start';
COMMENT ON COLUMN migrate.attempts.target_schema IS
	'schema that it was applied to, empty for the database as a whole';
COMMENT ON COLUMN migrate.attempts.version IS 'version of the migration';
COMMENT ON COLUMN migrate.attempts.name IS 'name of the migration at that time';
COMMENT ON COLUMN migrate.attempts.checksum IS 'checksum of body';
COMMENT ON COLUMN migrate.attempts.body IS 'the text that was run';
COMMENT ON COLUMN migrate.attempts.kind IS
	'apply, or revert: its down script';
COMMENT ON COLUMN migrate.attempts.state IS
	'running, applied, failed; baseline, adopted, repaired: marked as applied without running it; reverted: it was applied before; superseded: a later row stands in its place; restarted: what had failed is to begin anew, or a repeatable one to run again behind another that was reverted';
COMMENT ON COLUMN migrate.attempts.in_effect IS
	'true: by this row the migration counts as applied';
COMMENT ON COLUMN migrate.attempts.tool IS
	'tool that had applied it, if its record was adopted from there';
COMMENT ON COLUMN migrate.attempts.transactional IS
	'true if all that was done of it is in one transaction';
COMMENT ON COLUMN migrate.attempts.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.attempts.session_role IS
	'role of the session (session_user)';
COMMENT ON COLUMN migrate.attempts.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.attempts.application IS
	'application_name of the session';
COMMENT ON COLUMN migrate.attempts.started_at IS 'time of its start';
COMMENT ON COLUMN migrate.attempts.finished_at IS
	'time of its end, null while it runs and when it was cut off';
COMMENT ON COLUMN migrate.attempts.duration_ms IS 'milliseconds it took';
COMMENT ON COLUMN migrate.attempts.statements IS
	'number of statements that are committed, counting those of earlier attempts';
COMMENT ON COLUMN migrate.attempts.done_bytes IS
	'length of the part of body that is committed';
COMMENT ON COLUMN migrate.attempts.error IS 'message of the error';
COMMENT ON COLUMN migrate.attempts.error_statement IS
	'number of the statement that failed, counted from 1';
COMMENT ON COLUMN migrate.attempts.error_line IS
	'line of the file, or of the registered text, with that statement';
COMMENT ON COLUMN migrate.attempts.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN migrate.attempts.fingerprint IS
	'fingerprint of the schema after it';
COMMENT ON COLUMN migrate.attempts.tasks IS
	'tasks that it has left to the background: it is applied when they are done';
COMMENT ON COLUMN migrate.attempts.out_of_order IS
	'true if a migration that comes after it was applied before it';
COMMENT ON COLUMN migrate.attempts.restore_point IS
	'number of the restore point that was made before it ran, null if there was none; that may be gone by now';
COMMENT ON CONSTRAINT attempts_kind_check ON migrate.attempts IS
	'the kinds there are';
COMMENT ON CONSTRAINT attempts_pkey ON migrate.attempts IS
	'one row an attempt';
COMMENT ON CONSTRAINT attempts_state_check ON migrate.attempts IS
	'the states there are';
COMMENT ON INDEX migrate.attempts_applied_once IS
	'a migration is applied once';
COMMENT ON INDEX migrate.attempts_version_idx IS
	'the last attempt at a migration';

/*
 * True while a deploy or apply runs in this database: see ledger_lock.c.
 */
CREATE FUNCTION migrate.ledger_is_locked()
RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (
	SELECT FROM pg_catalog.pg_locks k
	WHERE k.locktype OPERATOR(pg_catalog.=) 'object'
		AND k.classid OPERATOR(pg_catalog.=)
			'pg_catalog.pg_extension'::pg_catalog.regclass
		AND k.objid OPERATOR(pg_catalog.=) (
			SELECT e.oid FROM pg_catalog.pg_extension e
			WHERE e.extname OPERATOR(pg_catalog.=) 'safe_migrate')
		AND k.objsubid OPERATOR(pg_catalog.=) 1
		AND k.database OPERATOR(pg_catalog.=) (
			SELECT d.oid FROM pg_catalog.pg_database d
			WHERE d.datname OPERATOR(pg_catalog.=)
				pg_catalog.current_database())
		AND k.granted);
COMMENT ON FUNCTION migrate.ledger_is_locked() IS
	'true while a deploy or apply runs in this database, or something else has the lock of its ledger';

/*
 * Where each registered migration stands.  "running" means that a deploy is at
 * it now; a row left behind by a crash says so too, but then nobody holds the
 * lock.  The last attempt counts where none is in effect, and that at a
 * repeatable one since it was applied; what is pending again, because it was
 * reverted or is to begin anew, has done nothing.
 */
CREATE VIEW migrate.status AS
WITH tools AS MATERIALIZED (SELECT * FROM migrate.tool_history()),
registered AS (
SELECT m.version,
	m.name,
	s.state,
	COALESCE(h.applied_at, a.finished_at) AS applied_at,
	COALESCE(h.role, a.role, l.role) AS role,
	COALESCE(h.duration_ms, a.duration_ms, l.duration_ms) AS duration_ms,
	COALESCE(CASE WHEN l.is_open THEN l.statements END, a.statements, 0)
		AS statements,
	CASE WHEN l.is_open THEN l.error END AS error,
	CASE s.state
		WHEN 'pending' THEN CASE l.state
			WHEN 'reverted' THEN 'it was reverted; CALL migrate.deploy();'
			WHEN 'restarted' THEN 'it begins anew; CALL migrate.deploy();'
			ELSE 'CALL migrate.deploy();' END
		WHEN 'repeat' THEN 'CALL migrate.deploy();'
		WHEN 'failed' THEN CASE
			WHEN k.state OPERATOR(pg_catalog.=) 'cancelled' THEN pg_catalog.format(
				'do by hand what task %1$s was to do (SELECT statement FROM migrate.tasks WHERE id = %1$s;), then SELECT migrate.baseline(%2$L);',
				k.id, m.version)
			WHEN k.is_given_up THEN pg_catalog.format(
				'mend the cause, then SELECT migrate.retry(%1$s); and CALL migrate.deploy(); or SELECT migrate.cancel(%1$s); takes back what task %1$s was to do',
				k.id)
			WHEN k.id IS NOT NULL THEN pg_catalog.format(
				'CALL migrate.deploy(); waits for task %s, which goes on by itself',
				k.id)
			/* cut off, or not given what it waited for: as in deploy.md */
			WHEN l.state OPERATOR(pg_catalog.=) 'running'
				OR l.sqlstate OPERATOR(pg_catalog.=) ANY
					(ARRAY['SM002', '55P03'])
				OR pg_catalog.left(l.sqlstate, 2) OPERATOR(pg_catalog.=) ANY
					(ARRAY['08', '40', '53', '57'])
			THEN CASE WHEN l.statements OPERATOR(pg_catalog.=) 0
				THEN 'CALL migrate.deploy(); runs it again'
				ELSE 'CALL migrate.deploy(); goes on where it stopped' END
			WHEN l.statements OPERATOR(pg_catalog.=) 0 THEN
				'mend its file or the data and load it again, then CALL migrate.deploy();'
			ELSE pg_catalog.format(
				'mend the data, or what has not run yet of the file and load it again, then CALL migrate.deploy(); goes on there; only if you have taken back what has run, SELECT migrate.repair(%L); has it begin anew',
				m.version) END
		WHEN 'edited' THEN pg_catalog.format(
			'restore the text that ran and load it again (SELECT body FROM migrate.attempts WHERE version = %1$L AND in_effect;), or accept the new one: SELECT migrate.repair(%1$L);',
			m.version)
		WHEN 'missing' THEN pg_catalog.format(
			'restore its file and load it again, or forget it: SELECT migrate.repair(%L);',
			m.version)
		WHEN 'out of order' THEN pg_catalog.format(
			'give it a later version and SELECT migrate.unregister(%1$L); or, if its changes are there, SELECT migrate.baseline(%1$L);',
			m.version)
	END AS next_step,
	m.repeatable,
	m.version_key
FROM migrate.migrations m
LEFT JOIN tools h
	ON h.version OPERATOR(pg_catalog.=) m.version
	AND h.registered
LEFT JOIN migrate.attempts a
	ON a.version OPERATOR(pg_catalog.=) m.version
	AND a.target_schema OPERATOR(pg_catalog.=) ''
	AND a.in_effect
LEFT JOIN LATERAL (
	SELECT t.state, t.role, t.duration_ms, t.statements, t.error, t.sqlstate,
		t.tasks, t.state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'failed']) AS is_open
	FROM migrate.attempts t
	WHERE (a.id IS NULL OR m.repeatable)
		AND t.id OPERATOR(pg_catalog.>) COALESCE(a.id, 0)
		AND t.target_schema OPERATOR(pg_catalog.=) ''
		AND t.kind OPERATOR(pg_catalog.=) 'apply'
		AND t.version OPERATOR(pg_catalog.=) m.version
	ORDER BY t.id DESC
	LIMIT 1) l ON true
/* the first that is not done of what it has left to the background */
LEFT JOIN LATERAL (
	SELECT d.id, d.state, d.state OPERATOR(pg_catalog.=) 'failed'
		AND migrate.next_attempt(d.state, d.sqlstate, d.attempts,
			d.finished_at) IS NULL AS is_given_up
	FROM migrate.task_log d
	WHERE d.id OPERATOR(pg_catalog.=) ANY (l.tasks)
		AND d.state OPERATOR(pg_catalog.<>) 'done'
	ORDER BY d.id
	LIMIT 1) k ON l.is_open
CROSS JOIN LATERAL (
	SELECT CASE
		WHEN h.state IS NOT NULL THEN h.state
		WHEN l.state OPERATOR(pg_catalog.=) 'running'
			AND (SELECT migrate.ledger_is_locked()) THEN 'running'
		WHEN m.missing_since IS NOT NULL THEN 'missing'
		/* tried again since it was applied */
		WHEN a.id IS NOT NULL AND l.is_open
			AND (a.checksum OPERATOR(pg_catalog.<>) m.checksum
				OR l.statements OPERATOR(pg_catalog.>) 0) THEN 'failed'
		WHEN a.checksum OPERATOR(pg_catalog.<>) m.checksum THEN
			CASE WHEN m.repeatable THEN 'repeat' ELSE 'edited' END
		WHEN a.state IS NOT NULL THEN a.state
		WHEN NOT m.repeatable AND m.version_key OPERATOR(pg_catalog.<) (
			SELECT pg_catalog.max(o.version_key)
			FROM migrate.migrations o
			JOIN migrate.attempts t
				ON t.version OPERATOR(pg_catalog.=) o.version
			WHERE t.in_effect
				AND t.target_schema OPERATOR(pg_catalog.=) ''
				AND NOT o.repeatable) THEN 'out of order'
		WHEN l.is_open THEN 'failed'
		ELSE 'pending'
	END) s (state)
)
SELECT s.version, s.name, s.state, s.applied_at, s.role, s.duration_ms,
	s.statements, s.error, s.next_step, s.repeatable
FROM (
	SELECT r.* FROM registered r
	UNION ALL
	SELECT h.version, h.name, h.state, h.applied_at, h.role, h.duration_ms, 0,
		NULL, NULL, false, h.place
	FROM tools h
	WHERE NOT h.registered) s
ORDER BY s.repeatable, s.version_key COLLATE "C";
REVOKE ALL ON migrate.status FROM PUBLIC;
COMMENT ON VIEW migrate.status IS 'every registered migration and its state, in order';
COMMENT ON COLUMN migrate.status.version IS 'version as the files have it';
COMMENT ON COLUMN migrate.status.name IS 'what follows the version';
COMMENT ON COLUMN migrate.status.state IS
	'pending, running, failed; applied; baseline, adopted, repaired: marked as applied; repeat (repeatable, its text has changed), edited (not the text that was applied), missing (its file is gone), out of order (before one that is applied), or what a tool whose ledger was adopted says of it: applied by or failed in that tool';
COMMENT ON COLUMN migrate.status.applied_at IS
	'time at which it was applied or marked as applied';
COMMENT ON COLUMN migrate.status.role IS 'role that applied it, or tried last';
COMMENT ON COLUMN migrate.status.duration_ms IS
	'milliseconds that this took';
COMMENT ON COLUMN migrate.status.statements IS
	'number of its statements that are committed';
COMMENT ON COLUMN migrate.status.error IS
	'message of the last error, while it is not applied';
COMMENT ON COLUMN migrate.status.next_step IS
	'what to do about it, null if there is nothing to be done';
COMMENT ON COLUMN migrate.status.repeatable IS
	'true: it runs after all others, and again whenever its text has changed';

/*
 * What migrate.verify() tells of the ledger, to those who may read it.
 */
CREATE VIEW migrate.unfinished_migrations WITH (security_barrier) AS
SELECT CASE
		WHEN u.is_changed THEN 'half-done migration changed'
		WHEN s.state OPERATOR(pg_catalog.=) 'failed'
			AND l.state OPERATOR(pg_catalog.=) 'running'
			THEN 'interrupted migration'
		WHEN s.state OPERATOR(pg_catalog.=) 'missing' AND s.applied_at IS NULL
			THEN 'missing pending migration'
		WHEN s.state OPERATOR(pg_catalog.=) 'out of order'
			THEN 'migration out of order'
		ELSE s.state OPERATOR(pg_catalog.||) ' migration'
	END AS kind,
	/* as migration_label() has it */
	CASE WHEN s.name OPERATOR(pg_catalog.=) ''
			OR pg_catalog.right(s.version,
				pg_catalog.length(s.name) OPERATOR(pg_catalog.+) 1)
				OPERATOR(pg_catalog.=) ('_' OPERATOR(pg_catalog.||) s.name)
			THEN s.version
		ELSE pg_catalog.format('%s_%s', s.version, s.name)
	END AS object,
	CASE
		WHEN u.is_changed THEN pg_catalog.format(
			'%s statements of it have run, and their text is another one now: nothing will run',
			l.statements)
		WHEN s.state OPERATOR(pg_catalog.=) 'failed' THEN pg_catalog.concat(
			CASE s.statements WHEN 0 THEN 'nothing of it is committed'
				WHEN 1 THEN '1 statement is committed'
				ELSE pg_catalog.format('%s statements are committed',
					s.statements) END,
			'; ', COALESCE('line ' OPERATOR(pg_catalog.||) l.error_line::text
				OPERATOR(pg_catalog.||) ': ', '')
			OPERATOR(pg_catalog.||)
			COALESCE(l.error, 'the session ended before the migration did'))
		WHEN s.state OPERATOR(pg_catalog.=) 'missing' THEN pg_catalog.format(
			'its file was not there at %s', m.missing_since)
		WHEN s.state OPERATOR(pg_catalog.=) 'edited' THEN pg_catalog.format(
			'registered at %s by %s with another text than was applied: nothing will run',
			m.registered_at, m.registered_by)
		WHEN s.state OPERATOR(pg_catalog.=) 'out of order' THEN
			'not applied, but a later one is: nothing will run'
	END AS detail,
	CASE WHEN u.is_changed THEN pg_catalog.format(
			'restore the part that ran and load it again (SELECT body FROM migrate.attempts WHERE id = %1$s;), or take that part back and SELECT migrate.repair(%2$L); or finish it by hand and SELECT migrate.baseline(%2$L);',
			l.id, s.version)
		ELSE s.next_step
	END AS remedy
FROM migrate.status s
JOIN migrate.migrations m ON m.version OPERATOR(pg_catalog.=) s.version
LEFT JOIN LATERAL (
	SELECT t.id, t.state, t.statements, t.done_bytes, t.error, t.error_line,
		t.body
	FROM migrate.attempts t
	WHERE t.target_schema OPERATOR(pg_catalog.=) ''
		AND t.kind OPERATOR(pg_catalog.=) 'apply'
		AND t.version OPERATOR(pg_catalog.=) s.version
	ORDER BY t.id DESC
	LIMIT 1) l
	ON l.state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'failed'])
CROSS JOIN LATERAL (
	SELECT COALESCE(l.done_bytes OPERATOR(pg_catalog.>) 0
		AND pg_catalog.substr(pg_catalog.convert_to(m.body,
				pg_catalog.getdatabaseencoding()), 1, l.done_bytes)
			OPERATOR(pg_catalog.<>)
			pg_catalog.substr(pg_catalog.convert_to(l.body,
				pg_catalog.getdatabaseencoding()), 1, l.done_bytes), false)
	) u (is_changed)
WHERE s.state OPERATOR(pg_catalog.=) ANY
		(ARRAY['failed', 'edited', 'missing', 'out of order'])
	AND (SELECT pg_catalog.has_table_privilege('migrate.status', 'SELECT'))
ORDER BY m.repeatable, m.version_key;
GRANT SELECT ON migrate.unfinished_migrations TO PUBLIC;
COMMENT ON VIEW migrate.unfinished_migrations IS
	'what migrate.verify() tells of the ledger, to those who may read migrate.status';
COMMENT ON COLUMN migrate.unfinished_migrations.kind IS 'what it is';
COMMENT ON COLUMN migrate.unfinished_migrations.object IS 'its version and name';
COMMENT ON COLUMN migrate.unfinished_migrations.detail IS 'what is wrong with it';
COMMENT ON COLUMN migrate.unfinished_migrations.remedy IS 'what to do about it';

/* In a copy of the database that pg_dump has made, numbers of points begin anew. */
CREATE VIEW migrate.history AS
SELECT a.id, a.target_schema, a.version, a.name, a.kind, a.state, a.tool,
	a.transactional, a.role, a.session_role, a.client, a.application,
	a.started_at, a.finished_at, a.duration_ms, a.statements, a.error,
	a.error_statement, a.error_line, a.sqlstate, a.checksum, a.fingerprint,
	a.tasks, a.out_of_order, p.label AS restore_point
FROM migrate.attempts a
LEFT JOIN migrate.restore_point_data p
	ON p.id OPERATOR(pg_catalog.=) a.restore_point
	AND p.ledger_position OPERATOR(pg_catalog.<) a.id
ORDER BY a.id;
REVOKE ALL ON migrate.history FROM PUBLIC;
COMMENT ON VIEW migrate.history IS
	'every attempt to apply a migration: migrate.attempts without the text, but with the name of the restore point';
COMMENT ON COLUMN migrate.history.id IS
	'number, in the order of their start';
COMMENT ON COLUMN migrate.history.target_schema IS
	'schema that it was applied to, empty for the database as a whole';
COMMENT ON COLUMN migrate.history.version IS
	'version of the migration';
COMMENT ON COLUMN migrate.history.name IS
	'name of the migration at that time';
COMMENT ON COLUMN migrate.history.kind IS
	'apply, or revert: its down script';
COMMENT ON COLUMN migrate.history.state IS
	'running, applied, failed; baseline, adopted, repaired: marked as applied without running it; reverted: it was applied before; superseded: a later row stands in its place; restarted: what had failed is to begin anew, or a repeatable one to run again behind another that was reverted';
COMMENT ON COLUMN migrate.history.tool IS
	'tool that had applied it, if its record was adopted from there';
COMMENT ON COLUMN migrate.history.transactional IS
	'true if all that was done of it is in one transaction';
COMMENT ON COLUMN migrate.history.role IS
	'role in force (current_user)';
COMMENT ON COLUMN migrate.history.session_role IS
	'role of the session (session_user)';
COMMENT ON COLUMN migrate.history.client IS
	'address of the client, null for a local socket';
COMMENT ON COLUMN migrate.history.application IS
	'application_name of the session';
COMMENT ON COLUMN migrate.history.started_at IS
	'time of its start';
COMMENT ON COLUMN migrate.history.finished_at IS
	'time of its end, null while it runs and when it was cut off';
COMMENT ON COLUMN migrate.history.duration_ms IS
	'milliseconds it took';
COMMENT ON COLUMN migrate.history.statements IS
	'number of statements that are committed, counting those of earlier attempts';
COMMENT ON COLUMN migrate.history.error IS
	'message of the error';
COMMENT ON COLUMN migrate.history.error_statement IS
	'number of the statement that failed, counted from 1';
COMMENT ON COLUMN migrate.history.error_line IS
	'line of the file, or of the registered text, with that statement';
COMMENT ON COLUMN migrate.history.sqlstate IS
	'SQLSTATE of the error';
COMMENT ON COLUMN migrate.history.checksum IS
	'checksum of the text';
COMMENT ON COLUMN migrate.history.fingerprint IS
	'fingerprint of the schema after it';
COMMENT ON COLUMN migrate.history.tasks IS
	'tasks that it has left to the background, see migrate.tasks';
COMMENT ON COLUMN migrate.history.out_of_order IS
	'true if a migration that comes after it was applied before it';
COMMENT ON COLUMN migrate.history.restore_point IS
	'label of the restore point that was made before it ran; null if there was none, and when that is dropped or has expired';

CREATE FUNCTION migrate.register(version text, name text, sql text, down text DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_register';
REVOKE ALL ON FUNCTION migrate.register(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.register(text, text, text, text) IS
	'registers a migration; returns new, unchanged, changed, edited or restored';

CREATE FUNCTION migrate.load(directory text, format text DEFAULT 'auto')
RETURNS TABLE (version text, name text, state text)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_load';
REVOKE ALL ON FUNCTION migrate.load(text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.load(text, text) IS
	'registers the migrations of a directory of the server, all or none';

CREATE FUNCTION migrate.load_files(paths text[], texts text[],
	format text DEFAULT 'auto', directory text DEFAULT '.')
RETURNS TABLE (version text, name text, state text)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_load_files';
REVOKE ALL ON FUNCTION migrate.load_files(text[], text[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.load_files(text[], text[], text, text) IS
	'registers the migrations of a directory whose files the client sends: paths relative to it, the text of each, and what messages are to call the directory; pg_safe_migrate does so';

CREATE FUNCTION migrate.formats()
RETURNS TABLE (format text, layout text)
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'migrate_formats';
REVOKE ALL ON FUNCTION migrate.formats() FROM PUBLIC;
COMMENT ON FUNCTION migrate.formats() IS
	'the formats that migrate.load() reads, and what a directory of each has';

CREATE FUNCTION migrate.format_files()
RETURNS text[]
LANGUAGE C IMMUTABLE
AS 'MODULE_PATHNAME', 'migrate_format_files';
REVOKE ALL ON FUNCTION migrate.format_files() FROM PUBLIC;
COMMENT ON FUNCTION migrate.format_files() IS
	'names of files, with wildcards, that a client has to send to migrate.load_files(); of those that are no *.sql, *.conf, *.toml, *.plan or *.json the name will do';

CREATE FUNCTION migrate.unregister(version text)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_unregister';
REVOKE ALL ON FUNCTION migrate.unregister(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.unregister(text) IS
	'forgets a registered migration of which nothing has run, for one whose file was renamed or removed';

CREATE FUNCTION migrate.baseline(version text)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_baseline';
REVOKE ALL ON FUNCTION migrate.baseline(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.baseline(text) IS
	'marks the migrations up to a version as applied without running them; returns how many';

CREATE FUNCTION migrate.baseline(version text, target_schema text)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_baseline';
REVOKE ALL ON FUNCTION migrate.baseline(text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.baseline(text, text) IS
	'the same for one of the schemas that migrate.deploy_all() deploys to';

CREATE FUNCTION migrate.plan(target text DEFAULT NULL)
RETURNS TABLE (version text, name text, state text, statement int, line int,
	command text, relation text, lock_mode text, work text, size_bytes bigint,
	risk text, rule text, action text, message text, safe_sql text,
	estimated_ms bigint)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_plan';
REVOKE ALL ON FUNCTION migrate.plan(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.plan(text) IS
	'what CALL migrate.deploy() would run, in its order, and what becomes of each statement, as migrate.check() tells it; runs nothing and keeps no locks; state: pending, resume (what has run already is left out) or repeat (repeatable, its text has changed); estimated_ms: time of the work, null if this server has not done enough of its kind; raises what would keep deploy from running anything';

CREATE FUNCTION migrate.repair(version text)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_repair';
REVOKE ALL ON FUNCTION migrate.repair(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.repair(text) IS
	'has the ledger follow what was done by hand, and returns what that is: accepted (an edited migration: its text now counts as what was applied), restarted (one that has run in part begins anew) or forgotten (one whose file is gone is no longer registered); what was recorded before stays in migrate.history';

CREATE FUNCTION migrate.repair(version text, target_schema text)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_repair';
REVOKE ALL ON FUNCTION migrate.repair(text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.repair(text, text) IS
	'the same for one of the schemas that migrate.deploy_all() deploys to';

CREATE FUNCTION migrate.revert(version text)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_revert';
REVOKE ALL ON FUNCTION migrate.revert(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.revert(text) IS
	'runs the down script of the migration that was applied last, in the caller''s transaction, after which it is pending again; returns how many statements that were';

CREATE FUNCTION migrate.revert(version text, target_schema text)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_revert';
REVOKE ALL ON FUNCTION migrate.revert(text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.revert(text, text) IS
	'the same for one of the schemas that migrate.deploy_all() deploys to; search_path is that schema, then public';

CREATE FUNCTION migrate.apply(target text DEFAULT NULL)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_apply';
REVOKE ALL ON FUNCTION migrate.apply(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.apply(text) IS
	'applies all pending migrations, or those up to a version, in the caller''s transaction; returns how many';

CREATE FUNCTION migrate.apply(version text, sql text, name text DEFAULT NULL)
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_apply_sql';
REVOKE ALL ON FUNCTION migrate.apply(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.apply(text, text, text) IS
	'registers and applies one migration in the caller''s transaction; returns 1, or 0 if it is applied already';

CREATE PROCEDURE migrate.deploy(target text DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
REVOKE ALL ON PROCEDURE migrate.deploy(text) FROM PUBLIC;
COMMENT ON PROCEDURE migrate.deploy(text) IS
	'applies all pending migrations, or those up to a version, each in a transaction of its own';
