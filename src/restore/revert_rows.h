/*-------------------------------------------------------------------------
 *
 * revert_rows.h
 *	  Putting rows back that migrations have changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_REVERT_ROWS_H
#define SAFE_MIGRATE_REVERT_ROWS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A row that was changed again since the migration has changed it. */
typedef enum RowConflict
{
	ROW_CONFLICT_REFUSE,		/* throw SM007 */
	ROW_CONFLICT_KEEP,			/* leave it as it is */
	ROW_CONFLICT_RESTORE		/* put it back all the same */
} RowConflict;

/*
 * A table, and the file in which migrations have changed its rows.  What is
 * counted are rows by what the migrations did to them; those with a conflict
 * are counted only as such, once.
 */
typedef struct RevertedFile
{
	Oid			relid;
	Oid			filenode;
	Oid			place;			/* before the rollback: a holder, or the table */
	List	   *rollbacks;		/* transaction IDs, as OIDs, of rollbacks that
								 * have made rows again what they were */
	int64		updated;
	int64		deleted;
	int64		inserted;
	int64		conflicts;
} RevertedFile;

/*
 * Undo what transactions have done to the rows of tables, and add to the
 * counts of the files.  ids is a list of int64 *, of migrate.changed_rows, the
 * newest first; files one of RevertedFile *.  What the transactions have done
 * in other files is left alone.  If a table has another file by now, with the
 * same columns, its rows are found by their key; without a key those count as
 * conflicts.
 *
 * With count_only nothing is written, conflicts do not throw, a parked file is
 * read where it is, and no lock is taken but AccessShareLock; otherwise
 * ShareRowExclusiveLock is, and kept.
 * Fires no triggers, and checks no constraints but those that indexes enforce:
 * foreign keys are the caller's.  Works in the current memory context.
 */
extern void revert_rows(List *ids, List *files, RowConflict on_conflict,
						bool count_only);

#endif							/* SAFE_MIGRATE_REVERT_ROWS_H */
