/*
 * Taking over the records of other migration tools.
 */
CREATE FUNCTION migrate.tool_checksum(format text, file text,
	section text DEFAULT NULL)
RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migrate_tool_checksum';
REVOKE ALL ON FUNCTION migrate.tool_checksum(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migrate.tool_checksum(text, text, text) IS
	'checksum that a tool stores for a file, or for its own section of it; null for tools that store none';
