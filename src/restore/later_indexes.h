/*-------------------------------------------------------------------------
 *
 * later_indexes.h
 *	  Indexes that come back, built while others write.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LATER_INDEXES_H
#define SAFE_MIGRATE_LATER_INDEXES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

/*
 * True if an index whose file is to be built can be left to the time after the
 * commit: it enforces nothing, and its table is larger than
 * safe_migrate.small_table.
 */
extern bool can_be_built_later(HTAB *relations,
							   const RestoredRelation *index);

/*
 * Mark it as an index that nobody reads or writes, or as a valid one.  A
 * CommandCounterIncrement() is the caller's.
 */
extern void mark_index(Oid relid, bool is_valid);

/*
 * REINDEX CONCURRENTLY for each, at top level, outside of a transaction; a
 * WARNING tells what remains to be done where that fails.  The current memory
 * context must outlive transactions.
 */
extern void build_later_indexes(const List *relids);

#endif							/* SAFE_MIGRATE_LATER_INDEXES_H */
