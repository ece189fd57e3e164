/*-------------------------------------------------------------------------
 *
 * later_writes.h
 *	  Bringing what clients have written to a file over to the file of the
 *	  restore point that takes its place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LATER_WRITES_H
#define SAFE_MIGRATE_LATER_WRITES_H

#include "postgres.h"

#include "restore/revert_rows.h"
#include "restore/storage.h"

/* Those of one table. */
typedef struct LaterWrites
{
	Oid			relid;
	const RestoredRelation *relation;
	Oid			destination;	/* what they are written to */
	char	   *condition;		/* of a row that is one of them, as SQL */
	Snapshot	snapshot;		/* by which they were collected */
	struct LaterWrites *caught_up;	/* those that came later, or NULL */
	bool		was_truncated;	/* the rows of the label are not in the file */
	bool		may_conflict;	/* or a migration may have changed them there */
	RowConflict on_conflict;	/* as they were written before the lock */
	List	   *columns;		/* of LaterColumn, without generated ones */
	List	   *key;			/* of LaterColumn: the primary key, or NIL */
	char	   *changed;		/* temporary tables, as SQL: rows to be
								 * written */
	char	   *gone;			/* and keys to be deleted; NULL without a key */
	int64		changed_rows;
	int64		gone_rows;
	int64		unknown_rows;	/* changed or deleted, nobody knows which */
} LaterWrites;

/*
 * Copy, to temporary tables, the rows that were written by others than
 * transactions with these IDs (of a list), and the keys that are there no
 * more.  The table still has the file.  The snapshot stays registered until
 * release_later_writes().  Throws SM007 if rows were changed or deleted in a table
 * without a primary key, of which nobody knows which they were.
 */
extern LaterWrites *collect_later_writes(const RestoreTarget *target,
										 const RestoredRelation *relation,
										 List *migration_xids);

/*
 * While nobody is kept from writing: write them to the hidden relation that has
 * the file of the restore point.  Returns false, having done nothing, if that
 * is not possible; then they are to be collected and written under the lock.
 * The caller holds ShareUpdateExclusiveLock.
 */
extern bool write_before_lock(LaterWrites *later, const RestoreTarget *target,
							  HTAB *relations, RowConflict on_conflict);

/*
 * True when keys are gone that a migration may have deleted behind the rewrite,
 * or a client; and throw SM007 then, if conflicts are to be refused.  It is
 * thrown anyway when rows were changed or deleted in a table without a primary
 * key, of which nobody knows which they were, and for those of rows_between.h.
 */
extern bool rows_are_ambiguous(const LaterWrites *later,
							   const RestoreTarget *target);
extern void refuse_ambiguous_rows(const LaterWrites *later,
								  const RestoreTarget *target,
								  RowConflict on_conflict);

/* Forget what was collected, to collect it again; and only its snapshots. */
extern void drop_later_writes(const LaterWrites *later);
extern void release_later_writes(const LaterWrites *later);

/* Under the lock: write there what was written since. */
extern void catch_up_later_writes(LaterWrites *later);

/*
 * When the schema is what it was: throws SM007 if rows that were written to the
 * hidden relation contradict NOT NULL or CHECK.
 */
extern void check_later_writes(LaterWrites *later);

/*
 * Write them to the table, which has the file of the restore point by now.  No
 * triggers, rules or policies; constraints other than foreign keys are checked
 * as ever.  Throws SM007 for rows with a key that the label has too, if
 * conflicts are to be refused, and what PostgreSQL says of values that the old
 * type of a column cannot have.
 */
extern void write_later_writes(const LaterWrites *later,
							   RowConflict on_conflict);

/*
 * For a plan, before anything has changed: rows whose key the file of the
 * restore point has too, if it was emptied; and rows with values that the old
 * type of a column cannot have, -1 if that type is not there now.
 */
extern int64 count_later_conflicts(const LaterWrites *later);
extern int64 count_unrepresentable(const LaterWrites *later);

#endif							/* SAFE_MIGRATE_LATER_WRITES_H */
