-- Restore points: what is kept so that one can go back

CREATE TABLE migrate.restore_point_data (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	label text NOT NULL UNIQUE,
	kind text NOT NULL CHECK (kind OPERATOR(pg_catalog.=) ANY
		(ARRAY['migration', 'manual', 'rollback', 'statement'])),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by name NOT NULL DEFAULT SESSION_USER,
	expires_at timestamptz,
	is_complete boolean NOT NULL DEFAULT true,
	problem text,
	statement text,
	session text,
	data_snapshot pg_catalog.pg_snapshot NOT NULL
		DEFAULT pg_catalog.pg_current_snapshot(),
	creator xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	lsn pg_lsn,
	ledger_position bigint NOT NULL DEFAULT 0,
	catalog_version text NOT NULL,
	manifest_sum text,
	last_change bigint NOT NULL DEFAULT 0,
	contracted bigint[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE migrate.restore_point_data IS
	'restore points; see the view migrate.restore_points';

CREATE TABLE migrate.restore_catalog (
	point bigint NOT NULL REFERENCES migrate.restore_point_data
		ON DELETE CASCADE,
	catalog oid NOT NULL,
	part int NOT NULL,
	row_count int NOT NULL,
	rows bytea NOT NULL,
	PRIMARY KEY (point, catalog, part)
);
COMMENT ON TABLE migrate.restore_catalog IS
	'rows of the system catalogs as they were at a restore point, as the server has them';

CREATE TABLE migrate.restore_manifest (
	point bigint NOT NULL REFERENCES migrate.restore_point_data
		ON DELETE CASCADE,
	kind text NOT NULL,
	identity text NOT NULL,
	hash text NOT NULL
);
ALTER TABLE migrate.restore_manifest REPLICA IDENTITY FULL;
CREATE INDEX restore_manifest_point ON migrate.restore_manifest (point);
COMMENT ON INDEX migrate.restore_manifest_point IS
	'the definitions of a restore point; their names may be too long for an index';
COMMENT ON TABLE migrate.restore_manifest IS
	'definitions of all objects at a restore point, hashed; compared after a rollback';

CREATE TABLE migrate.restore_sequence (
	point bigint NOT NULL REFERENCES migrate.restore_point_data
		ON DELETE CASCADE,
	relid oid NOT NULL,
	last_value bigint NOT NULL,
	is_called boolean NOT NULL,
	PRIMARY KEY (point, relid)
);
COMMENT ON TABLE migrate.restore_sequence IS
	'states of the sequences at a restore point';

CREATE TABLE migrate.parked_storage (
	holder oid PRIMARY KEY,
	relid oid NOT NULL,
	main_relid oid NOT NULL,
	kind "char" NOT NULL,
	tablespace oid NOT NULL,
	filenode oid NOT NULL,
	bytes bigint NOT NULL,
	cause text NOT NULL CHECK (cause OPERATOR(pg_catalog.=) ANY
		(ARRAY['dropped', 'truncated', 'rewritten', 'rolled back'])),
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	subxids xid[] NOT NULL DEFAULT '{}',
	parked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	by_migration boolean NOT NULL,
	rows_changed boolean NOT NULL DEFAULT false,
	rows_deleted boolean NOT NULL DEFAULT false,
	types_changed boolean NOT NULL DEFAULT false,
	columns_computed boolean NOT NULL DEFAULT false
);
CREATE INDEX parked_storage_filenode ON migrate.parked_storage (filenode);
COMMENT ON TABLE migrate.parked_storage IS
	'files that a DROP, TRUNCATE or rewrite would have removed, and the hidden relations that own them now';

/* No key: a transaction does it once to a table, or more often. */
CREATE TABLE migrate.replaced_files (
	relid oid NOT NULL,
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	subxids xid[] NOT NULL,
	by_migration boolean NOT NULL,
	by_rollback boolean NOT NULL,
	emptied boolean NOT NULL,
	changed_behind boolean NOT NULL,
	rows_deleted boolean NOT NULL,
	types_changed boolean NOT NULL,
	columns_computed boolean NOT NULL
);
ALTER TABLE migrate.replaced_files REPLICA IDENTITY FULL;
CREATE INDEX replaced_files_relid ON migrate.replaced_files (relid);
COMMENT ON INDEX migrate.replaced_files_relid IS
	'who has given a table another file';
COMMENT ON COLUMN migrate.replaced_files.changed_behind IS
	'the transaction may have changed rows of the new file as well';
COMMENT ON TABLE migrate.replaced_files IS
	'transactions that have given a table another file while there were restore points: the rows have their number, and are not written by clients';

CREATE TABLE migrate.changed_rows (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	holder oid NOT NULL UNIQUE,
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	subxids xid[] NOT NULL,
	bytes bigint NOT NULL,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	by_rollback boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE migrate.changed_rows IS
	'transactions of migrations that have changed rows, and the hidden relation with what those rows were';

CREATE TABLE migrate.changed_rows_relation (
	id bigint NOT NULL REFERENCES migrate.changed_rows ON DELETE CASCADE,
	relid oid NOT NULL,
	filenode oid NOT NULL,
	updated bigint NOT NULL,
	deleted bigint NOT NULL,
	inserted bigint NOT NULL,
	PRIMARY KEY (id, relid, filenode)
);
COMMENT ON TABLE migrate.changed_rows_relation IS
	'how many rows of which table a transaction of a migration has changed';

CREATE TABLE migrate.rollbacks (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	label text NOT NULL,
	mode text NOT NULL,
	role name NOT NULL DEFAULT SESSION_USER,
	rolled_back_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	target_creator xid8 NOT NULL,
	target_snapshot pg_catalog.pg_snapshot NOT NULL,
	of_statement boolean NOT NULL,
	last_change bigint NOT NULL,
	merged oid[] NOT NULL
);
COMMENT ON TABLE migrate.rollbacks IS
	'rollbacks to restore points: who, when, and which changes of rows they have undone';

/*
 * A snapshot says that its own transaction is visible once a younger one has
 * ended.
 */
CREATE FUNCTION migrate.is_since(xid xid8, creator xid8,
	snapshot pg_catalog.pg_snapshot)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
SELECT $1 OPERATOR(pg_catalog.=) $2
	OR NOT pg_catalog.pg_visible_in_snapshot($1, $3)
$$;
REVOKE ALL ON FUNCTION migrate.is_since(xid8, xid8, pg_catalog.pg_snapshot)
	FROM PUBLIC;
COMMENT ON FUNCTION migrate.is_since(xid8, xid8, pg_catalog.pg_snapshot) IS
	'true if a transaction comes after a restore point that another has made with a snapshot';
