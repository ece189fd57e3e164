/*-------------------------------------------------------------------------
 *
 * owner_sql.h
 *	  SQL that runs what belongs to the owner of a table.
 *
 * Defaults, generated columns, CHECK constraints, expressions of indexes and
 * casts call functions that the owner of the table may have written: they must
 * not run with the rights of whoever rolls back, nor with those of the
 * extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OWNER_SQL_H
#define SAFE_MIGRATE_OWNER_SQL_H

#include "postgres.h"

/*
 * Run a query with the rights of a table's owner, in a security-restricted
 * operation, without row level security; an UPDATE, which is of that table, may
 * set columns that are GENERATED ALWAYS AS IDENTITY.  The caller has the table
 * locked.  Returns the number of rows, or the count that the query selects.
 * Throws what PostgreSQL says.
 */
extern int64 run_as_owner(Oid relid, const char *query, int expected);
extern int64 count_as_owner(Oid relid, const char *query);

/*
 * Let the text of values tell all of them, whatever the session has set; until
 * AtEOXact_GUC() of the level that is returned, or the end of the transaction.
 */
extern int	begin_exact_text(void);

#endif							/* SAFE_MIGRATE_OWNER_SQL_H */
