/*-------------------------------------------------------------------------
 *
 * changed_table.h
 *	  What others have done to a table since a statement that is taken back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CHANGED_TABLE_H
#define SAFE_MIGRATE_CHANGED_TABLE_H

#include "postgres.h"

#include "restore/storage.h"

/*
 * Throws SM007 if what a statement has removed does not fit the table any more:
 * that is gone, its file was written anew without the values that are to come
 * back, or the file that is to come back has other columns.  Does nothing
 * if the restore point is whole.  Needs a transaction, but no lock.
 */
extern void refuse_changed_table(const RestoreTarget *target,
								 const RestoredRelation *relation);

/*
 * True for a row of a catalog about a table whose file comes back that was made
 * after the table had lost that, but not by this transaction.
 */
extern bool row_is_later(const RestoredRelation *relation, HeapTuple row);

#endif							/* SAFE_MIGRATE_CHANGED_TABLE_H */
