/* What the index rules look for in statements, in all that is there. */

CREATE FUNCTION migrate.missing_index_list(
	OUT table_name text, OUT constraint_name text, OUT columns text[],
	OUT referenced_table text, OUT table_bytes bigint, OUT create_sql text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'migrate_missing_index_list';
COMMENT ON FUNCTION migrate.missing_index_list() IS
'see the view migrate.missing_indexes';

CREATE VIEW migrate.missing_indexes AS
SELECT table_name, constraint_name, columns, referenced_table, table_bytes,
	create_sql
FROM migrate.missing_index_list();
COMMENT ON VIEW migrate.missing_indexes IS
'foreign keys of which no index begins with the referencing columns, in any order: each DELETE or UPDATE of a key in the referenced table reads the whole referencing one; takes no locks on tables';
COMMENT ON COLUMN migrate.missing_indexes.columns IS 'the referencing columns';
COMMENT ON COLUMN migrate.missing_indexes.table_bytes IS
'size of the referencing table as of the last VACUUM or ANALYZE';
COMMENT ON COLUMN migrate.missing_indexes.create_sql IS
'a statement that makes the index; not for partitioned tables as it stands';

CREATE FUNCTION migrate.duplicate_index_list(
	OUT table_name text, OUT index_name text, OUT covered_by text,
	OUT columns text, OUT index_bytes bigint, OUT drop_sql text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'migrate_duplicate_index_list';
COMMENT ON FUNCTION migrate.duplicate_index_list() IS
'see the view migrate.duplicate_indexes';

CREATE VIEW migrate.duplicate_indexes AS
SELECT table_name, index_name, covered_by, columns, index_bytes, drop_sql
FROM migrate.duplicate_index_list();
COMMENT ON VIEW migrate.duplicate_indexes IS
'indexes that do nothing which another one does not do: the same keys, or the first keys of a B-tree, with equal operators, collations and predicate; none of a constraint, of replica identity or of a single partition; takes no locks on tables';
COMMENT ON COLUMN migrate.duplicate_indexes.columns IS 'the keys of the index';
COMMENT ON COLUMN migrate.duplicate_indexes.index_bytes IS
'size of the index as of the last VACUUM or ANALYZE';
COMMENT ON COLUMN migrate.duplicate_indexes.drop_sql IS
'a statement that drops it; not for partitioned tables as it stands';

GRANT SELECT ON migrate.missing_indexes, migrate.duplicate_indexes TO PUBLIC;
