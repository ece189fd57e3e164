/*-------------------------------------------------------------------------
 *
 * concurrent.h
 *	  Whether a statement is to run CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CONCURRENT_H
#define SAFE_MIGRATE_CONCURRENT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Throws PostgreSQL's error for a value that is no boolean. */
extern bool reindex_is_concurrent(ReindexStmt *stmt);

/* ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY. */
extern bool detaches_concurrently(AlterTableStmt *stmt);

#endif							/* SAFE_MIGRATE_CONCURRENT_H */
