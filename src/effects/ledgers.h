/*-------------------------------------------------------------------------
 *
 * ledgers.h
 *	  The tables in which migration tools keep their own books.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LEDGERS_H
#define SAFE_MIGRATE_LEDGERS_H

#include "nodes/parsenodes.h"
#include "utils/relcache.h"

/*
 * True if a relation is the ledger or the lock table of a known migration
 * tool: they are truncated, altered and emptied on every run, and refusing
 * that would break the tool, not a schema.  Name and a column that only such
 * a table has must agree, because names like "migrations" are common.
 */
extern bool is_runner_ledger(Relation rel);

/*
 * True for a table that is called and built so, of whatever size, and for its
 * sequences.  Takes no lock; false for what is gone.
 */
extern bool has_shape_of_runner_ledger(Oid relid);

/* True if a statement makes such a table. */
extern bool creates_runner_ledger(const CreateStmt *stmt);

#endif							/* SAFE_MIGRATE_LEDGERS_H */
