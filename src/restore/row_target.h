/*-------------------------------------------------------------------------
 *
 * row_target.h
 *	  A table in which rows are found and put back.
 *
 * Rows are written below the executor: no triggers, no rules, no row security,
 * and no constraints but those that indexes enforce.  A row that was once in
 * the table is put back as it was, and that it is allowed again is for the
 * whole of the rollback to see to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROW_TARGET_H
#define SAFE_MIGRATE_ROW_TARGET_H

#include "postgres.h"

#include "access/htup.h"
#include "executor/tuptable.h"
#include "preserve/changed_rows.h"
#include "preserve/row_images.h"
#include "utils/rel.h"

typedef struct RowTarget RowTarget;

typedef enum RowState
{
	ROW_AS_LEFT,				/* as the transaction left it */
	ROW_CHANGED_SINCE,			/* another transaction has written it again */
	ROW_NOT_FOUND
} RowState;

/*
 * Open a table.  filenode is the file that the TIDs of the images are of: if
 * the table has another one by now, rows are found by their key alone.
 * rollbacks are transaction IDs, as OIDs: what they have written is as older
 * transactions had left it.  To
 * read, AccessShareLock is taken, else ShareRowExclusiveLock; both are kept.
 * Lives in the current memory context.
 */
extern RowTarget *open_row_target(Oid relid, Oid filenode,
								  const List *rollbacks, bool to_write);

/*
 * Find the row that a transaction has updated or inserted.  tid is set unless
 * it is not found.
 */
extern RowState find_written_row(RowTarget *target, const ChangedRows *rows,
								 const RowImage *image, ItemPointer tid);

/*
 * Find the row that has the place of one that was deleted: the one with its
 * key.  ROW_AS_LEFT if it was written by the transaction, or by this one.
 */
extern RowState find_row_instead(RowTarget *target, const ChangedRows *rows,
								 HeapTuple old_row, ItemPointer tid);

/* True if a transaction has made a version of a row with that raw xmin. */
extern bool has_made_version(const ChangedRows *rows, TransactionId xid);

/*
 * Around all that writes: functions in indexes run with the rights of the
 * owner of the table.  An error in between needs no care.
 */
extern void begin_row_writes(RowTarget *target);
extern void end_row_writes(RowTarget *target);

/*
 * Write a row; tid is where it is then.  What comes before or after in the
 * same command is not seen.
 */
extern void put_row_over(RowTarget *target, ItemPointer old_tid,
						 HeapTuple row, ItemPointer tid);
extern void put_row(RowTarget *target, HeapTuple row, ItemPointer tid);
extern void take_row(RowTarget *target, ItemPointer tid);

/*
 * Check the unique and exclusion constraints that could not be checked row by
 * row, when all rows are where they belong.  Throws what PostgreSQL throws.
 */
extern void check_row_target(RowTarget *target);

extern void close_row_target(RowTarget *target);

#endif							/* SAFE_MIGRATE_ROW_TARGET_H */
