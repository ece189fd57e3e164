/*-------------------------------------------------------------------------
 *
 * column_sync.h
 *	  Columns that a trigger keeps in step, and how their values get there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_SYNC_H
#define SAFE_MIGRATE_COLUMN_SYNC_H

#include "postgres.h"

#include "access/attnum.h"
#include "online/change.h"

/*
 * Two sets of columns with the same content.  The lists are of char *: names
 * of columns that are there, and for each an expression over the row, as the
 * user has written it.
 */
typedef struct ColumnSync
{
	List	   *old_columns;
	List	   *downs;			/* NIL: the new ones alone tell nothing */
	List	   *new_columns;
	List	   *ups;
	const char *policy;			/* when a client writes both: error, old, new */
} ColumnSync;

/* The column, or an error if there is none that can be changed. */
extern AttrNumber column_of_change(const Change *change, const char *column);

/*
 * Throw if a new column of that type would have the default of the type, such
 * as that of a domain, where clients and the backfill expect none.
 */
extern void refuse_default_of_type(const Change *change, const char *column,
								   Oid type);

/* True if whoever inserts a row has to give it. */
extern bool column_needs_value(Oid relid, AttrNumber attnum);

/*
 * Make the trigger that keeps them in step, and have it removed by the contract
 * and with the change; and the steps that fill the new columns.  Expressions
 * are read under the search_path, and become texts that mean the same under any
 * other; throws if one is not immutable.
 */
extern void sync_by_trigger(Change *change, ColumnSync *sync);
extern void add_sync_step(Change *change, const ColumnSync *sync);

/* The planner knows nothing of the new columns and of indexes on them. */
extern void add_analyze_step(Change *change);

/* The last step: that the columns are in step everywhere. */
extern void add_verify_step(Change *change, const ColumnSync *sync);

/*
 * The same for a column that gets a value where it is null, on these events of
 * the trigger.  The value may be any expression over the row; returns its text.
 */
extern char *fill_by_trigger(Change *change, const char *column,
							 const char *value, const char *events);
extern void add_fill_step(Change *change, const char *column,
						  const char *value);

/* A step that changes rows; where may be NULL. */
extern void add_backfill_step(Change *change, const char *set,
							  const char *where);

#endif							/* SAFE_MIGRATE_COLUMN_SYNC_H */
