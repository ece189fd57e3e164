CREATE FUNCTION migrate.carry_dropped_columns() RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'migrate_carry_dropped_columns';
REVOKE ALL ON FUNCTION migrate.carry_dropped_columns() FROM PUBLIC;
COMMENT ON FUNCTION migrate.carry_dropped_columns() IS
	'keeps the values of dropped columns in rows that are updated, while a restore point may bring the columns back';
