/*-------------------------------------------------------------------------
 *
 * deployment.h
 *	  The transactions of a migration that is being run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DEPLOYMENT_H
#define SAFE_MIGRATE_DEPLOYMENT_H

#include "postgres.h"

#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/session_settings.h"
#include "run/host.h"

/* A migration that is being run. */
typedef struct Deployment
{
	MemoryContext context;		/* outlives the transactions */
	const LedgerEntry *pending;
	const LedgerEntry *entry;	/* the same with its bodies */
	const char *role;
	MigrationScript *script;
	const ScriptStatement *statement;	/* running now, NULL between them */
	int			statement_number;
	Attempt		attempt;
	Attempt		committed;		/* the same, as of the last commit */
	Attempt		written;		/* the same, as it was written last, */
	TransactionId writer;		/* and by which transaction */
	ScriptHost	host;			/* of the statement */

	/* of the transaction that is open */
	bool		explicit_block; /* between BEGIN and COMMIT of the script */
	bool		used;			/* something has run in it */
	bool		alone;			/* the statement is to be alone in it */
	bool		divided;		/* before the statement that runs now */
	bool		completed;		/* that statement, as a task */
	List	   *savepoints;
	int			guc_level;		/* 0: settings last beyond a commit */

	/* what was left to the background */
	bool		waiting;		/* for it, now */
	bool		has_waited;		/* it is done */

	SessionSettings *settings;	/* before it, if guc_level is not used */
} Deployment;

/*
 * All of these leave the migration's memory context as the current one.
 *
 * Begin a transaction of the migration, with its own now().
 */
extern void start_deployment_transaction(Deployment *run);

/*
 * Commit what has been run, together with the row that says so.  A migration
 * that has left something to the background is not applied before that is
 * done: then APPLIED is written as RUNNING.
 */
extern void commit_deployment(Deployment *run, AttemptState state);

/* Write that row alone. */
extern void write_deployment_progress(Deployment *run, AttemptState state);

/*
 * Outside of a transaction, after an error: if what was written last has been
 * committed, it counts, wherever the error came from.
 */
extern void settle_deployment_progress(Deployment *run);

/* ROLLBACK in a script.  The lock that we have outlives it. */
extern void roll_back_deployment(Deployment *run);

/*
 * Commit although the script does not say so, before a statement that needs
 * transactions of its own, and begin another one.  To those who wrote it that
 * is still one transaction: what is SET in it, LOCAL or not, stays.
 */
extern void divide_deployment(Deployment *run);

/* Outside of a transaction: take back what a divided migration has SET. */
extern void restore_deployment_settings(Deployment *run);

/* A fault point, for tests, named by the statements that are done. */
extern void reach_deployment_progress(const Deployment *run,
									  const char *place);

#endif							/* SAFE_MIGRATE_DEPLOYMENT_H */
