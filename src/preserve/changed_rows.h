/*-------------------------------------------------------------------------
 *
 * changed_rows.h
 *	  The rows that a migration changes, kept as they were.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CHANGED_ROWS_H
#define SAFE_MIGRATE_CHANGED_ROWS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A transaction whose rows are kept: a row of migrate.changed_rows. */
typedef struct ChangedRows
{
	int64		id;
	Oid			holder;			/* the hidden relation with the images */
	int			xid_count;
	TransactionId *xids;		/* of it and its subtransactions, sorted */
} ChangedRows;

/*
 * Keep what the rows were that this transaction has changed, in tables that
 * were there before it.  To be called when the transaction is about to commit
 * and after its files were parked, with an active snapshot.  Throws SM007 if
 * fewer rows were found than pgstat has counted.  Needs no lock that the
 * transaction does not have.
 */
extern void capture_changed_rows(bool by_rollback);

/*
 * Let the rows that this transaction changes be counted, whatever the setting
 * track_counts; to the end of the transaction.  What is not counted is found
 * all the same, but cannot be proved.
 */
extern void count_changed_rows(void);

/* True if this transaction may have written rows of a table, by its lock. */
extern bool writers_lock_is_held(Oid relid);

/* Throws if there is none of that number.  In the current memory context. */
extern ChangedRows *find_changed_rows(int64 id);

#endif							/* SAFE_MIGRATE_CHANGED_ROWS_H */
