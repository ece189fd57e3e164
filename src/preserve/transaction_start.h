/*-------------------------------------------------------------------------
 *
 * transaction_start.h
 *	  What was there before the current transaction, and what it has counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TRANSACTION_START_H
#define SAFE_MIGRATE_TRANSACTION_START_H

#include "postgres.h"

#include "access/htup.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/*
 * A snapshot that sees what is committed, and nothing of what this transaction
 * has done: its rows are not there yet, and those that it deleted still are.
 * The caller ends it with UnregisterSnapshot().  Needs a transaction.
 */
extern Snapshot register_snapshot_before(void);

/*
 * The rows of a catalog whose first column of an index is that OID, as HeapTuple
 * copies in the current memory context; and the first of them, or NULL.
 */
extern List *fetch_catalog_rows(Relation catalog, Oid index, AttrNumber column,
								Oid key, Snapshot snapshot);
extern HeapTuple fetch_catalog_row(Relation catalog, Oid index,
								   AttrNumber column, Oid key,
								   Snapshot snapshot);

#endif							/* SAFE_MIGRATE_TRANSACTION_START_H */
