/* Running one statement the safe way. */

CREATE PROCEDURE migrate.run(statement text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.run(text) IS
'runs one statement that changes the schema, in several transactions where that is the safe way: what a refusal recommends; send the CALL alone, outside a transaction block';
