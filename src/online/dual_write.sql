CREATE FUNCTION migrate.dual_write() RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'migrate_dual_write';
COMMENT ON FUNCTION migrate.dual_write() IS
	'keeps the old and the new columns of a table equal, whichever of them is written, while the table is being changed online';
