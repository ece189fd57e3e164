/*-------------------------------------------------------------------------
 *
 * restored_rows.h
 *	  The rows that a rollback brings back, changes back, and keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RESTORED_ROWS_H
#define SAFE_MIGRATE_RESTORED_ROWS_H

#include "postgres.h"

#include "restore/revert_rows.h"
#include "restore/storage.h"

typedef struct RestoredRows RestoredRows;

/*
 * Tables, by OID, whose rows migrations have changed since the restore point,
 * and that are there.
 */
extern List *tables_with_changed_rows(const RestoreTarget *target);

/*
 * Before anything is locked against clients: bring what they have written to
 * files that go over to the files of the restore point, where that is to be
 * kept.  Takes ShareUpdateExclusiveLock on those tables.  Throws as
 * collect_later_writes().  In the current memory context.
 */
extern RestoredRows *begin_restored_rows(const RestoreTarget *target,
										 HTAB *relations,
										 RowConflict on_conflict);

/* Under the locks, before the catalogs change: the rest of it. */
extern void catch_up_restored_rows(RestoredRows *rows, HTAB *relations);


/*
 * Afterwards: undo what migrations have done to rows, from the last transaction
 * back, write what was copied, and compute generated columns that were not
 * there, by the differences of the catalogs.  Without triggers, rules and policies.
 * Throws SM007 on conflicts, if they are to be refused.
 */
extern void restore_rows(RestoredRows *rows, List *differences);

/* Tables whose rows may not be what they were before the rollback. */
extern List *restored_relids(const RestoredRows *rows);

/* Tables that were there, and get the file of the restore point. */
extern List *relations_with_other_file(HTAB *relations);

/*
 * Transactions of migrations and rollbacks since the restore point, from the
 * last one back: their numbers in migrate.changed_rows, as int64 *.
 */
extern List *changes_since(const RestoreTarget *target);

/*
 * Whose rows of a table are not written by clients: transaction IDs of
 * migrations that have changed rows since the restore point, and of those that
 * have given the table another file, with all of their subtransactions, as OIDs.
 * A rollback has brought over what clients had written: that is theirs.
 */
extern List *other_writers_since(const RestoreTarget *target, Oid relid);

/*
 * Rows that migrations have changed in the file that a table has now, and
 * somebody else again.
 */
extern int64 count_migrated_rows(const RestoreTarget *target,
								 const RestoredRelation *relation);

/* Tables to which later writes are brought over from another file. */
extern List *merged_relids(const RestoredRows *rows);

/*
 * What they have done to rows that is to be undone: of RevertedFile, a table and
 * the file that it had then, the counts 0.
 */
extern List *changed_files(const RestoreTarget *target, HTAB *relations);

#endif							/* SAFE_MIGRATE_RESTORED_ROWS_H */
