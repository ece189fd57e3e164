/*-------------------------------------------------------------------------
 *
 * script_in_function.h
 *	  The text of a migration, up or down, run in the caller's transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SCRIPT_IN_FUNCTION_H
#define SAFE_MIGRATE_SCRIPT_IN_FUNCTION_H

#include "postgres.h"

#include "ledger/migration_script.h"

/*
 * What functions begin with that change the ledger and run what is in it: take
 * its lock until the end of the transaction, or throw.  With a snapshot of the
 * whole transaction we would not see what another deploy has done since, so
 * that is refused; instead names what does not need one, or is NULL.
 */
extern void begin_ledger_script(const char *function, const char *instead);

/*
 * Run the statements that are not done yet.  Savepoints of the script are
 * subtransactions, BEGIN and COMMIT do nothing: precheck.h refuses what would
 * need more than one transaction.  current is the statement that is being run,
 * for the message of its error, and NULL in the end.
 */
extern void run_script_in_function(const MigrationScript *script,
								   const ScriptStatement *volatile *current);

/*
 * Keep a failure among the decisions, since the ledger goes back with the
 * caller's transaction.  statement may be NULL.
 */
extern void record_failed_script(const ErrorData *error,
								 const ScriptStatement *statement);

#endif							/* SAFE_MIGRATE_SCRIPT_IN_FUNCTION_H */
