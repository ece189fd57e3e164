
CREATE FUNCTION migrate.create_restore_point(label text)
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'migrate_create_restore_point';
REVOKE ALL ON FUNCTION migrate.create_restore_point(text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.create_restore_point(text) IS
	'makes a restore point of the schema and the data as they are now, without copying data; returns its label, one that is made up for NULL';
