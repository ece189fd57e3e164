-- Going back to a restore point

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
