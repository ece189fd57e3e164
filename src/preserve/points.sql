
/*
 * Restore points as users see them.  Whoever keeps what is worked out from the
 * images of the catalog: a file is needed by each point whose image has it, and
 * what rows were before a migration by each point of the whole catalog that is
 * older than that.
 */
DO $lz4$
BEGIN
	ALTER TABLE migrate.restore_catalog ALTER rows SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
	NULL;	/* a server without it: pglz takes three times as long */
END
$lz4$;

REVOKE ALL ON migrate.restore_point_data, migrate.restore_catalog,
	migrate.restore_manifest, migrate.restore_sequence,
	migrate.parked_storage, migrate.replaced_files, migrate.changed_rows,
	migrate.changed_rows_relation FROM PUBLIC;

CREATE FUNCTION migrate.files_of_point(point bigint)
RETURNS TABLE (relid oid, filenode oid)
LANGUAGE C STABLE STRICT ROWS 1000
AS 'MODULE_PATHNAME', 'migrate_files_of_point';
COMMENT ON FUNCTION migrate.files_of_point(bigint) IS
	'relations of a restore point and their files (pg_class.relfilenode)';

/*
 * Everything that is kept outside of the tables above: one row for each.
 */
CREATE VIEW migrate.kept AS
SELECT s.holder, 'file'::text AS kind, s.xid, s.relid, s.bytes,
	0::bigint AS row_count, s.filenode,
	s.relid OPERATOR(pg_catalog.<>) s.main_relid AS is_part
FROM migrate.parked_storage s
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.holder
UNION ALL
SELECT r.holder, 'rows', r.xid, NULL, r.bytes,
	(SELECT COALESCE(pg_catalog.sum(t.updated OPERATOR(pg_catalog.+)
			t.deleted), 0)::bigint
		FROM migrate.changed_rows_relation t
		WHERE t.id OPERATOR(pg_catalog.=) r.id), NULL, false
FROM migrate.changed_rows r;
REVOKE ALL ON migrate.kept FROM PUBLIC;
COMMENT ON VIEW migrate.kept IS
	'hidden relations that restore points keep: files of tables and indexes, and what rows were before migrations changed them';

/*
 * A file that two points need is there once: so what a point keeps is counted
 * for each of them, and as its own only where no other one needs it.
 */
CREATE VIEW migrate.kept_by_point AS
WITH label AS MATERIALIZED (
	SELECT p.id AS point, p.creator, p.data_snapshot, f.relid, f.filenode
	FROM migrate.restore_point_data p
	CROSS JOIN LATERAL migrate.files_of_point(p.id) f
), kept AS MATERIALIZED (
	SELECT k.* FROM migrate.kept k
), needed AS (
	SELECT DISTINCT l.point, k.holder, k.kind, k.bytes, k.row_count
	FROM label l
	JOIN kept k ON k.filenode OPERATOR(pg_catalog.=) l.filenode
	UNION ALL
	/* of a table that was rewritten in between, the first file that it lost */
	(SELECT DISTINCT ON (l.point, l.relid) l.point, k.holder, k.kind, k.bytes,
		k.row_count
	FROM label l
	JOIN kept k ON k.relid OPERATOR(pg_catalog.=) l.relid
		AND migrate.is_since(k.xid, l.creator, l.data_snapshot)
	WHERE NOT EXISTS (SELECT FROM kept x
		WHERE x.filenode OPERATOR(pg_catalog.=) l.filenode)
	ORDER BY l.point, l.relid, k.xid)
	UNION ALL
	SELECT p.id, k.holder, k.kind, k.bytes, k.row_count
	FROM migrate.restore_point_data p
	JOIN kept k ON k.kind OPERATOR(pg_catalog.=) 'rows'
		AND migrate.is_since(k.xid, p.creator, p.data_snapshot)
	WHERE p.kind OPERATOR(pg_catalog.<>) 'statement')
SELECT n.point, n.holder, n.kind, n.bytes, n.row_count,
	pg_catalog.count(*) OVER (PARTITION BY n.holder)
		OPERATOR(pg_catalog.=) 1 AS is_alone
FROM needed n;
REVOKE ALL ON migrate.kept_by_point FROM PUBLIC;
COMMENT ON VIEW migrate.kept_by_point IS
	'which restore point needs which of them, and whether it is the only one';

CREATE VIEW migrate.restore_points AS
SELECT p.label, p.kind, p.created_at, p.created_by, p.expires_at,
	COALESCE(c.bytes, 0) OPERATOR(pg_catalog.+) COALESCE(k.bytes, 0)
		AS size_bytes,
	COALESCE(c.bytes, 0) OPERATOR(pg_catalog.+) COALESCE(k.own_bytes, 0)
		AS own_bytes,
	COALESCE(k.files, 0) AS files_kept, COALESCE(k.row_count, 0) AS rows_kept,
	p.is_complete, p.problem AS cannot_be_undone, p.statement,
	p.ledger_position, p.lsn
FROM migrate.restore_point_data p
LEFT JOIN (
	SELECT r.point,
		pg_catalog.sum(pg_catalog.pg_column_size(r.rows))::bigint AS bytes
	FROM migrate.restore_catalog r
	GROUP BY r.point) c ON c.point OPERATOR(pg_catalog.=) p.id
LEFT JOIN (
	SELECT b.point, pg_catalog.sum(b.bytes)::bigint AS bytes,
		(pg_catalog.sum(b.bytes) FILTER (WHERE b.is_alone))::bigint
			AS own_bytes,
		pg_catalog.count(*) FILTER (WHERE b.kind OPERATOR(pg_catalog.=)
			'file') AS files,
		pg_catalog.sum(b.row_count)::bigint AS row_count
	FROM migrate.kept_by_point b
	GROUP BY b.point) k ON k.point OPERATOR(pg_catalog.=) p.id
ORDER BY p.id;
REVOKE ALL ON migrate.restore_points FROM PUBLIC;
COMMENT ON VIEW migrate.restore_points IS
	'restore points, the oldest first, and what each keeps';
COMMENT ON COLUMN migrate.restore_points.label IS 'name of the restore point, for one at a time';
COMMENT ON COLUMN migrate.restore_points.kind IS
	'who has made it: migration (migrate.apply(), revert() or deploy), manual (migrate.create_restore_point()), rollback (what a rollback has undone), or statement (one that destroys something, typed at top level)';
COMMENT ON COLUMN migrate.restore_points.created_at IS 'time to which it leads back';
COMMENT ON COLUMN migrate.restore_points.created_by IS
	'role of the session that made it (session_user)';
COMMENT ON COLUMN migrate.restore_points.expires_at IS
	'time after which it is dropped, null for never; as safe_migrate.restore_point_ttl was when it was made';
COMMENT ON COLUMN migrate.restore_points.size_bytes IS
	'bytes on disk that it keeps, alone or together with others: its image of the catalog, files of tables and indexes, and what rows were before; what several points need counts for each of them';
COMMENT ON COLUMN migrate.restore_points.own_bytes IS
	'bytes of that which no other point needs: what dropping it would free';
COMMENT ON COLUMN migrate.restore_points.files_kept IS
	'files of tables, indexes and TOAST tables that were dropped, truncated or rewritten since';
COMMENT ON COLUMN migrate.restore_points.rows_kept IS
	'rows that migrations have updated or deleted since';
COMMENT ON COLUMN migrate.restore_points.is_complete IS
	'false if something cannot be had back, see cannot_be_undone';
COMMENT ON COLUMN migrate.restore_points.cannot_be_undone IS
	'what cannot be had back, or not be compared afterwards; null if there is nothing of the kind';
COMMENT ON COLUMN migrate.restore_points.statement IS
	'text of the statement, for the kind statement';
COMMENT ON COLUMN migrate.restore_points.ledger_position IS
	'id of the last row of migrate.history by then, 0 for none';
COMMENT ON COLUMN migrate.restore_points.lsn IS
	'place of the restore point of the same name in the WAL, for recovery_target_name; null if wal_level is minimal, and for the kind statement';

CREATE FUNCTION migrate.create_restore_point(label text)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_create_restore_point';
REVOKE ALL ON FUNCTION migrate.create_restore_point(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.create_restore_point(text) IS
	'makes a restore point of the schema and the data as they are now, without copying data; returns its label, one that is made up for NULL';

CREATE FUNCTION migrate.drop_restore_point(label text)
RETURNS bigint
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_drop_restore_point';
REVOKE ALL ON FUNCTION migrate.drop_restore_point(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.drop_restore_point(text) IS
	'drops a restore point, and what no other one needs; returns the bytes that are freed at the commit';

CREATE FUNCTION migrate.drop_all_restore_points()
RETURNS int
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_drop_all_restore_points';
REVOKE ALL ON FUNCTION migrate.drop_all_restore_points() FROM PUBLIC;
COMMENT ON FUNCTION migrate.drop_all_restore_points() IS
	'drops all restore points and all that they keep, as before DROP EXTENSION or pg_upgrade; returns how many there were';
