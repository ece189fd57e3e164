/* Running one statement the safe way. */

CREATE PROCEDURE migrate.run(statement text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.run(text) IS
'runs one statement that changes the schema, in several transactions where that is the safe way: what a refusal recommends; send the CALL alone, outside a transaction block';

CREATE PROCEDURE migrate.fill_column(table_name text, column_name text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migrate_top_level_only';
COMMENT ON PROCEDURE migrate.fill_column(text, text) IS
'sets a column of a table, and of all that inherit from it, to its default wherever it is null, also where clients write a null meanwhile, in many short transactions: a step of migrate.run(); send the CALL alone, outside a transaction block';
