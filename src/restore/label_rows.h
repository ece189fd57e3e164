/*-------------------------------------------------------------------------
 *
 * label_rows.h
 *	  The catalog rows about one table, as they were at a restore point.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LABEL_ROWS_H
#define SAFE_MIGRATE_LABEL_ROWS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

/*
 * Rows of pg_attribute and of pg_index: of HeapTuple, in the current memory
 * context.  What the point of a statement does not have is as it is now.
 */
extern List *label_attributes(const RestoreTarget *target, Oid relid);
extern List *label_indexes(const RestoreTarget *target, Oid relid);

#endif							/* SAFE_MIGRATE_LABEL_ROWS_H */
