/*-------------------------------------------------------------------------
 *
 * rows_between.h
 *	  What clients have written to a file that a table had in between.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROWS_BETWEEN_H
#define SAFE_MIGRATE_ROWS_BETWEEN_H

#include "postgres.h"

#include "restore/later_writes.h"

/*
 * Rows of files that a table had between that of the label and that of now, and
 * that a migration has taken from it: those that clients have written there.
 * What has become of them does not show in the file of now.
 */
extern int64 count_rows_between(const LaterWrites *later,
								const RestoreTarget *target);

/* True if a file that was in between was not kept, so that nobody knows. */
extern bool file_between_is_lost(const LaterWrites *later,
								 const RestoreTarget *target);

/*
 * Throws SM007 if there are any, and names the point to go back to before; or if
 * nobody knows and conflicts are to be refused.
 */
extern void refuse_rows_between(const LaterWrites *later,
								const RestoreTarget *target,
								RowConflict on_conflict);

#endif							/* SAFE_MIGRATE_ROWS_BETWEEN_H */
