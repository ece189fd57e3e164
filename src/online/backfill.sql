/*
 * Setting columns of all rows of a table, in many short transactions.
 */
CREATE TABLE migrate.backfill_log (
	id bigint GENERATED ALWAYS AS IDENTITY,
	relid oid NOT NULL,
	relation text NOT NULL,
	set_list text COLLATE "C" NOT NULL,
	condition text COLLATE "C",
	columns int2[] NOT NULL,
	role text NOT NULL,
	role_oid oid NOT NULL,
	state text COLLATE "C" NOT NULL,
	pass int NOT NULL,
	pid int,
	waits_for text,
	started_at timestamptz NOT NULL,
	finished_at timestamptz,
	run_started_at timestamptz NOT NULL,
	run_rows bigint NOT NULL DEFAULT 0,
	run_pages bigint NOT NULL DEFAULT 0,
	error text,
	sqlstate text,
	CONSTRAINT backfill_log_pkey PRIMARY KEY (id),
	CONSTRAINT backfill_log_state_check CHECK (state OPERATOR(pg_catalog.=) ANY
		(ARRAY['running', 'paused', 'failed', 'interrupted', 'done']))
);
CREATE INDEX backfill_log_unfinished_idx ON migrate.backfill_log (relid)
	WHERE state OPERATOR(pg_catalog.<>) 'done';
CREATE TABLE migrate.backfill_table_log (
	backfill bigint NOT NULL,
	relid oid NOT NULL,
	relation text NOT NULL,
	pages bigint NOT NULL,
	next_page bigint NOT NULL DEFAULT 0,
	rows bigint NOT NULL DEFAULT 0,
	CONSTRAINT backfill_table_log_pkey PRIMARY KEY (backfill, relid)
);
REVOKE ALL ON migrate.backfill_log FROM PUBLIC;
REVOKE ALL ON SEQUENCE migrate.backfill_log_id_seq FROM PUBLIC;
REVOKE ALL ON migrate.backfill_table_log FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migrate.backfill_log',
	'WHERE state OPERATOR(pg_catalog.=) ''done''');
SELECT pg_catalog.pg_extension_config_dump('migrate.backfill_log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.backfill_table_log',
	'WHERE backfill OPERATOR(pg_catalog.=) ANY (SELECT id FROM migrate.backfill_log WHERE state OPERATOR(pg_catalog.=) ''done'')');

COMMENT ON TABLE migrate.backfill_log IS
	'backfills; read it through migrate.progress';
COMMENT ON SEQUENCE migrate.backfill_log_id_seq IS 'numbers the backfills';
COMMENT ON COLUMN migrate.backfill_log.id IS 'number of the backfill';
COMMENT ON COLUMN migrate.backfill_log.relid IS 'the table';
COMMENT ON COLUMN migrate.backfill_log.relation IS 'its name';
COMMENT ON COLUMN migrate.backfill_log.set_list IS 'what stands behind SET';
COMMENT ON COLUMN migrate.backfill_log.condition IS
	'rows that are to be set, null for those that it would change';
COMMENT ON COLUMN migrate.backfill_log.columns IS
	'numbers of the columns that these texts name: one that gets such a name later is another one';
COMMENT ON COLUMN migrate.backfill_log.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.backfill_log.role_oid IS 'OID of that role';
COMMENT ON COLUMN migrate.backfill_log.state IS
	'running, paused, failed, interrupted or done';
COMMENT ON COLUMN migrate.backfill_log.pass IS
	'1 while the table is gone through first, then one more for each reading of all tables that looks for rows which are still to be set';
COMMENT ON COLUMN migrate.backfill_log.pid IS
	'process that runs it, or ran it last';
COMMENT ON COLUMN migrate.backfill_log.waits_for IS
	'what it waits for while it is paused';
COMMENT ON COLUMN migrate.backfill_log.started_at IS 'time of its first start';
COMMENT ON COLUMN migrate.backfill_log.finished_at IS
	'time of its end, or of its last error';
COMMENT ON COLUMN migrate.backfill_log.run_started_at IS
	'time of its last start';
COMMENT ON COLUMN migrate.backfill_log.run_rows IS
	'rows that were set before that';
COMMENT ON COLUMN migrate.backfill_log.run_pages IS
	'pages that were done before that';
COMMENT ON COLUMN migrate.backfill_log.error IS
	'message of the error that ended it';
COMMENT ON COLUMN migrate.backfill_log.sqlstate IS 'SQLSTATE of that error';
COMMENT ON CONSTRAINT backfill_log_pkey ON migrate.backfill_log IS
	'one row a backfill';
COMMENT ON CONSTRAINT backfill_log_state_check ON migrate.backfill_log IS
	'the states there are';
COMMENT ON INDEX migrate.backfill_log_unfinished_idx IS
	'backfills that are not finished';
COMMENT ON TABLE migrate.backfill_table_log IS
	'how far the tables of a backfill are: partitions, children, and the table itself';
COMMENT ON COLUMN migrate.backfill_table_log.backfill IS
	'number of the backfill';
COMMENT ON COLUMN migrate.backfill_table_log.relid IS 'the table';
COMMENT ON COLUMN migrate.backfill_table_log.relation IS 'its name';
COMMENT ON COLUMN migrate.backfill_table_log.pages IS
	'its size when it was looked at first, in pages';
COMMENT ON COLUMN migrate.backfill_table_log.next_page IS
	'all pages before this one are done';
COMMENT ON COLUMN migrate.backfill_table_log.rows IS 'rows that were set';
COMMENT ON CONSTRAINT backfill_table_log_pkey ON migrate.backfill_table_log IS
	'one row for each table of a backfill';

/*
 * Who runs a backfill holds a lock that is named after the table and its
 * number, see backfill_store.c.  Everybody sees those of the roles he belongs
 * to.
 */
CREATE VIEW migrate.progress WITH (security_barrier) AS
SELECT b.id,
	b.relation,
	b.set_list AS set,
	b.condition,
	b.role,
	CASE
		WHEN b.state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'paused'])
			AND NOT k.is_held THEN 'interrupted'
		ELSE b.state
		END AS state,
	t.rows AS rows_done,
	t.done OPERATOR(pg_catalog.*) s.block_size AS bytes_done,
	t.pages OPERATOR(pg_catalog.*) s.block_size AS bytes,
	t.done AS pages_done,
	t.pages,
	pg_catalog.round((t.rows OPERATOR(pg_catalog.-) b.run_rows)
		OPERATOR(pg_catalog./) s.seconds) AS rows_per_second,
	CASE WHEN k.is_held AND b.pass OPERATOR(pg_catalog.=) 1
		AND t.done OPERATOR(pg_catalog.>) b.run_pages THEN
		pg_catalog.make_interval(secs =>
			((t.pages OPERATOR(pg_catalog.-) t.done)
				OPERATOR(pg_catalog.*) s.seconds
				OPERATOR(pg_catalog./) (t.done OPERATOR(pg_catalog.-)
					b.run_pages))::double precision)
		END AS time_left,
	b.pass,
	CASE WHEN k.is_held THEN b.waits_for END AS waits_for,
	b.pid,
	b.started_at,
	b.finished_at,
	b.error,
	b.sqlstate
FROM migrate.backfill_log b
CROSS JOIN LATERAL (
	SELECT COALESCE(pg_catalog.sum(l.rows), 0) AS rows,
		COALESCE(pg_catalog.sum(l.pages), 0) AS pages,
		COALESCE(pg_catalog.sum(l.next_page), 0) AS done
	FROM migrate.backfill_table_log l
	WHERE l.backfill OPERATOR(pg_catalog.=) b.id) t
CROSS JOIN LATERAL (
	SELECT pg_catalog.current_setting('block_size')::int AS block_size,
		GREATEST(EXTRACT(epoch FROM
			COALESCE(b.finished_at, pg_catalog.clock_timestamp())
			OPERATOR(pg_catalog.-) b.run_started_at), 0.001) AS seconds) s
CROSS JOIN LATERAL (
	SELECT EXISTS (
		SELECT FROM pg_catalog.pg_locks k
		WHERE k.locktype OPERATOR(pg_catalog.=) 'object'
			AND k.classid OPERATOR(pg_catalog.=)
				'migrate.backfill_log'::pg_catalog.regclass
			AND k.objid OPERATOR(pg_catalog.=)
				(b.id OPERATOR(pg_catalog.&) 4294967295::bigint)::pg_catalog.oid
			AND k.database OPERATOR(pg_catalog.=) (
				SELECT d.oid FROM pg_catalog.pg_database d
				WHERE d.datname OPERATOR(pg_catalog.=)
					pg_catalog.current_database())
			AND k.granted) AS is_held) k
WHERE pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')
	OR (SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER')
		FROM pg_catalog.pg_roles r
		WHERE r.rolname OPERATOR(pg_catalog.=) b.role
			AND r.oid OPERATOR(pg_catalog.=) b.role_oid)
	OR (SELECT pg_catalog.pg_has_role(c.relowner, 'MEMBER')
		FROM pg_catalog.pg_class c
		WHERE c.oid OPERATOR(pg_catalog.=)
			'migrate.backfill_log'::pg_catalog.regclass)
ORDER BY b.id;
GRANT SELECT ON migrate.progress TO PUBLIC;
COMMENT ON VIEW migrate.progress IS
	'backfills, and how far they are; everybody sees those of the roles he belongs to, pg_read_all_data all';
COMMENT ON COLUMN migrate.progress.id IS 'number of the backfill';
COMMENT ON COLUMN migrate.progress.relation IS 'the table';
COMMENT ON COLUMN migrate.progress.set IS 'what stands behind SET';
COMMENT ON COLUMN migrate.progress.condition IS
	'rows that are to be set, null for those that it would change';
COMMENT ON COLUMN migrate.progress.role IS 'role in force (current_user)';
COMMENT ON COLUMN migrate.progress.state IS
	'running, paused (see waits_for), failed (see error), interrupted (the session has ended, or was told to stop), done (and verified: no row was left)';
COMMENT ON COLUMN migrate.progress.rows_done IS 'rows that were set';
COMMENT ON COLUMN migrate.progress.bytes_done IS 'size of the pages that are done';
COMMENT ON COLUMN migrate.progress.bytes IS 'size of the tables at the start';
COMMENT ON COLUMN migrate.progress.pages_done IS 'pages that are done';
COMMENT ON COLUMN migrate.progress.pages IS 'pages at the start';
COMMENT ON COLUMN migrate.progress.rows_per_second IS
	'rows per second since its last start';
COMMENT ON COLUMN migrate.progress.time_left IS
	'how long the first pass will take yet, at the rate of the pages since its last start; null while all tables are read again';
COMMENT ON COLUMN migrate.progress.pass IS
	'1 while the table is gone through first, then one more for each reading of all tables that looks for rows which are still to be set';
COMMENT ON COLUMN migrate.progress.waits_for IS
	'what it waits for, null if for nothing';
COMMENT ON COLUMN migrate.progress.pid IS
	'process that runs it, or ran it last';
COMMENT ON COLUMN migrate.progress.started_at IS 'time of its first start';
COMMENT ON COLUMN migrate.progress.finished_at IS
	'time of its end, or of its last error';
COMMENT ON COLUMN migrate.progress.error IS
	'message of the error that ended it';
COMMENT ON COLUMN migrate.progress.sqlstate IS 'SQLSTATE of that error';

CREATE PROCEDURE migrate.backfill("table" text, "set" text,
	"where" text DEFAULT NULL, background boolean DEFAULT false,
	throttle text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.backfill(text, text, text, boolean, text) IS
	'sets columns of all rows of a table, its partitions and children, for which a condition is true, by default of those that it would change, in many short transactions; the same call goes on with what was not finished; send the CALL alone, outside a transaction block';

CREATE PROCEDURE migrate.verify_rows("table" text, "where" text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_verify_rows';
COMMENT ON PROCEDURE migrate.verify_rows(text, text) IS
	'raises an error that counts and names rows of a table for which a condition is true; does nothing if there are none';
