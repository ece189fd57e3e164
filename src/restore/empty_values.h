/*-------------------------------------------------------------------------
 *
 * empty_values.h
 *	  Rows that have no value in a column that comes back and must have one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_EMPTY_VALUES_H
#define SAFE_MIGRATE_EMPTY_VALUES_H

#include "postgres.h"

#include "restore/storage.h"
#include "storage/itemptr.h"

/* More rows than these are looked for again when they are needed. */
#define MAX_EMPTY_ROWS	50000

/* A dropped column. */
typedef struct EmptyColumn
{
	AttrNumber	attnum;
	const char *name;			/* at the restore point */
	bool		has_default;	/* or is an identity column */
	bool		is_nullable;	/* only counted */
	bool		has_missing;	/* what short rows have was kept aside */
	ItemPointerData *rows;		/* that may have no value, or may be gone */
	int			count;
	int			room;
	bool		is_complete;	/* false: there are more */
} EmptyColumn;

/* How many rows of a table have no value in one. */
typedef struct EmptyCount
{
	Oid			relid;
	const char *column;
	bool		has_default;
	bool		is_nullable;
	int64		rows;
} EmptyCount;

/*
 * Count those that were written since the restore point, as EmptyCount *, where
 * there are any; in partitions also those that may be without a value, for an
 * UPDATE may have moved them there and lost it.  Takes AccessShareLock.  In the
 * current memory context.
 */
extern List *count_empty_values(const RestoreTarget *target, HTAB *relations);

/*
 * Find them, before anything is locked against clients.  Takes, patiently,
 * ShareUpdateExclusiveLock on the tables, which keeps VACUUM away until the end
 * of the transaction.  In the current memory context.
 */
extern List *find_empty_values(const RestoreTarget *target, HTAB *relations);

/* Add what was written since, when nobody can write any more. */
extern void catch_up_empty_values(List *tables);

/* NULL if the column was not looked at. */
extern const EmptyColumn *empty_column(List *tables, Oid relid,
									   AttrNumber attnum);

#endif							/* SAFE_MIGRATE_EMPTY_VALUES_H */
