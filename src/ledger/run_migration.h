/*-------------------------------------------------------------------------
 *
 * run_migration.h
 *	  Running one migration, in one transaction or several.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RUN_MIGRATION_H
#define SAFE_MIGRATE_RUN_MIGRATION_H

#include "ledger/ledger.h"

/*
 * Run a pending migration, or what an earlier attempt has left of it, and wait
 * for what it leaves to the background; role is the one that deploys, for the
 * ledger.  To be called at top level, outside of a transaction, with the
 * ledger's lock of the session; returns outside of one, and throws so, with
 * the attempt recorded and the migration and its line in the message.  Nothing
 * is left in the current memory context.
 */
extern void run_migration(const LedgerEntry *pending, const char *role);

/* Let no statement_timeout run between the statements of migrations. */
extern void disarm_statement_timeout(void);

#endif							/* SAFE_MIGRATE_RUN_MIGRATION_H */
