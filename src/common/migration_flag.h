/*-------------------------------------------------------------------------
 *
 * migration_flag.h
 *	  Whether what runs now is part of a migration of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MIGRATION_FLAG_H
#define SAFE_MIGRATE_MIGRATION_FLAG_H

#include "postgres.h"

/* To be set to false again on every path. */
extern void set_migration_running(bool running);

/* True for all that a migration runs, in functions that it calls as well. */
extern bool migration_is_running(void);

/*
 * True if that was so at some time of the transaction, unless it was in a
 * subtransaction that is undone: migrate.apply() has returned long before the
 * commit of its caller.  The ends of subtransactions are to be told, and the end
 * of the transaction to forget it.
 */
extern bool migration_ran_in_transaction(void);
extern void end_subtransaction_of_migration(SubTransactionId ended,
											SubTransactionId parent,
											bool is_undone);
extern void forget_migration_in_transaction(void);

#endif							/* SAFE_MIGRATE_MIGRATION_FLAG_H */
