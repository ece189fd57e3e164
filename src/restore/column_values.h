/*-------------------------------------------------------------------------
 *
 * column_values.h
 *	  Values of columns that come back, in rows that had none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_VALUES_H
#define SAFE_MIGRATE_COLUMN_VALUES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/revert_rows.h"
#include "utils/hsearch.h"

/*
 * Compute stored generated columns again where a row has another value than
 * the expression gives: rows that were written while the column was not
 * generated, or not there.  Rows that were inserted while a column that is NOT
 * NULL was not there get its default; if it has none, they are deleted with
 * ROW_CONFLICT_RESTORE, a WARNING tells how many, and SM007 is thrown otherwise.
 * By the differences that have been restored; tables that have got the file of
 * the label need nothing.  empty_values is from find_empty_values(); tables of
 * changed_tables were written to since that caught up.  To be called with
 * session_replication_role = replica.  Returns changed_tables with those of
 * which rows were deleted.
 */
extern List *fill_column_values(List *differences, HTAB *relations,
								List *empty_values, List *changed_tables,
								RowConflict on_conflict);

/* True if a column of the label was dropped until now. */
extern bool column_was_dropped(List *differences, Oid relid,
							   AttrNumber attnum);

#endif							/* SAFE_MIGRATE_COLUMN_VALUES_H */
