/*-------------------------------------------------------------------------
 *
 * ledgers.h
 *	  The tables in which migration tools keep their own books.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LEDGERS_H
#define SAFE_MIGRATE_LEDGERS_H

#include "utils/relcache.h"

/*
 * True if a relation is the ledger or the lock table of a known migration
 * tool: they are truncated, altered and emptied on every run, and refusing
 * that would break the tool, not a schema.  Name and a column that only such
 * a table has must agree, because names like "migrations" are common.
 */
extern bool is_runner_ledger(Relation rel);

#endif							/* SAFE_MIGRATE_LEDGERS_H */
