/*-------------------------------------------------------------------------
 *
 * row_scan.h
 *	  The rows of a file that this transaction has changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROW_SCAN_H
#define SAFE_MIGRATE_ROW_SCAN_H

#include "postgres.h"

#include "preserve/row_images.h"
#include "utils/rel.h"

typedef struct FoundRows
{
	/* the rows as others will see it */
	int64		updated;
	int64		deleted;
	int64		inserted;

	/* the tuples: made, and replaced or deleted, by this transaction */
	int64		made;
	int64		replaced;

	/*
	 * Tuples that an INSERT ... ON CONFLICT took back: counted by pgstat as
	 * inserted and deleted.
	 */
	int64		taken_back;
} FoundRows;

/*
 * Write the images of all rows of a heap that this transaction has changed,
 * with all its subtransactions that were not rolled back.  Reads the pages
 * that are not marked all-visible, one at a time; memory does not grow with
 * the rows.  The lock that the caller holds keeps the file in place.
 *
 * If the transaction has rewritten the file, only what it has changed after that
 * counts.
 */
extern void write_changed_rows(Relation heap, bool is_rewritten,
							   RowImageWriter *writer, FoundRows *found);

#endif							/* SAFE_MIGRATE_ROW_SCAN_H */
