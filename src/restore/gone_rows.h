/*-------------------------------------------------------------------------
 *
 * gone_rows.h
 *	  Rows that clients have deleted from a file that goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_GONE_ROWS_H
#define SAFE_MIGRATE_GONE_ROWS_H

#include "postgres.h"

#include "restore/later_writes.h"

/*
 * Copy the keys of rows that are in the file of the restore point and not in
 * the one that the table has, to a temporary table; for a file that a rollback
 * has replaced, only of those that it has left in the other one.
 */
extern void collect_gone_rows(LaterWrites *later);

/*
 * As SQL: a row, of the table of that name, was written since a snapshot (as
 * text) was taken, and not by one of some transactions (IDs, as OIDs).
 */
extern char *later_condition(const char *row, const char *snapshot,
							 List *others);

#endif							/* SAFE_MIGRATE_GONE_ROWS_H */
