-- Going back to a restore point

/*
 * After a rollback, the rows are those of the point that it went back to, and
 * of clients: what happened between the two does not count any more, rollbacks
 * included.  So from the last one of them one looks on at that point.  One that
 * took back a statement has changed nothing else.
 */
CREATE FUNCTION migrate.rollbacks_since(point bigint)
RETURNS SETOF migrate.rollbacks
LANGUAGE sql STABLE STRICT ROWS 5
AS $$
WITH RECURSIVE p AS (
	SELECT creator, data_snapshot FROM migrate.restore_point_data
	WHERE id OPERATOR(pg_catalog.=) $1
), since AS (
	SELECT b.* FROM migrate.rollbacks b, p
	WHERE NOT b.of_statement
		AND migrate.is_since(b.xid, p.creator, p.data_snapshot)
		AND (b.target_creator OPERATOR(pg_catalog.=) p.creator
			OR pg_catalog.pg_visible_in_snapshot(p.creator, b.target_snapshot))
), counting AS (
	(SELECT s.* FROM since s ORDER BY s.id DESC LIMIT 1)
	UNION ALL
	SELECT s.* FROM counting l, LATERAL (
		SELECT n.* FROM since n
		WHERE n.id OPERATOR(pg_catalog.<) l.id
			AND NOT migrate.is_since(n.xid, l.target_creator, l.target_snapshot)
		ORDER BY n.id DESC LIMIT 1) s
)
SELECT c.* FROM counting c
$$;
REVOKE ALL ON FUNCTION migrate.rollbacks_since(bigint) FROM PUBLIC;
COMMENT ON FUNCTION migrate.rollbacks_since(bigint) IS
	'rollbacks to this restore point or to later ones that no later rollback has undone';

CREATE FUNCTION migrate.changes_since(point bigint)
RETURNS SETOF bigint
LANGUAGE sql STABLE STRICT ROWS 10
AS $$
WITH counting AS MATERIALIZED (
	SELECT b.* FROM migrate.rollbacks_since($1) b
)
SELECT c.id FROM migrate.changed_rows c, migrate.restore_point_data p
WHERE p.id OPERATOR(pg_catalog.=) $1
	AND migrate.is_since(c.xid, p.creator, p.data_snapshot)
	AND NOT EXISTS (SELECT FROM migrate.rollbacks b
		WHERE b.of_statement AND b.xid OPERATOR(pg_catalog.=) c.xid)
	AND NOT EXISTS (SELECT FROM counting b
		WHERE c.xid OPERATOR(pg_catalog.=) b.xid
			OR (c.id OPERATOR(pg_catalog.<=) b.last_change
				AND migrate.is_since(c.xid, b.target_creator,
					b.target_snapshot)))
$$;
REVOKE ALL ON FUNCTION migrate.changes_since(bigint) FROM PUBLIC;
COMMENT ON FUNCTION migrate.changes_since(bigint) IS
	'migrate.changed_rows.id of the transactions whose changes of rows are there yet and come after a restore point';

CREATE FUNCTION migrate.rollback_plan(label text)
RETURNS TABLE (
	step int,
	action text,
	object text,
	rows bigint,
	later_writes bigint,
	conflicts bigint,
	unrepresentable bigint,
	detail text
)
LANGUAGE C VOLATILE ROWS 20
AS 'MODULE_PATHNAME', 'migrate_rollback_plan';
REVOKE ALL ON FUNCTION migrate.rollback_plan(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.rollback_plan(text) IS
	'what CALL migrate.rollback_to() would do: what comes back, what goes, how many rows of which table, what clients have written to it since, and where that is in the way; changes nothing';

CREATE PROCEDURE migrate.rollback_to(label text, mode text DEFAULT 'keep',
	on_conflict text DEFAULT 'refuse')
LANGUAGE C
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
REVOKE ALL ON PROCEDURE migrate.rollback_to(text, text, text) FROM PUBLIC;
COMMENT ON PROCEDURE migrate.rollback_to(text, text, text) IS
	'makes schema and data what they were at a restore point, in one transaction; mode keep: what clients have written since stays (on_conflict for rows that both have changed: refuse, keep theirs, or restore), as_of: the data of the restore point';

CREATE FUNCTION migrate.undo_last(relation text DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_undo_last';
REVOKE ALL ON FUNCTION migrate.undo_last(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.undo_last(text) IS
	'brings back what the last destructive statement of this session, or the last one of anybody about a relation, has removed; returns the statement';
