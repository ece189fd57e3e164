/*-------------------------------------------------------------------------
 *
 * run.h
 *	  The utility hook, and running statements in one or many transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RUN_H
#define SAFE_MIGRATE_RUN_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "tcop/dest.h"

/* Install the ProcessUtility hook.  Called once, from _PG_init. */
extern void install_utility_hook(void);

/* The same for the hooks of the executor. */
extern void install_executor_hooks(void);

/* True if statements are judged here and now. */
extern bool hook_is_active(void);

/*
 * A procedure of ours that the hook takes over when it is called at top level
 * and outside a transaction block, because its work needs transactions of its
 * own.  The handler is called with a transaction open and must leave one open;
 * args are the evaluated arguments, copied into a context that outlives them.
 */
typedef struct ProcedureArgument
{
	bool		isnull;
	char	   *value;			/* text output of the argument */
} ProcedureArgument;

typedef void (*TopLevelProcedure) (int nargs, const ProcedureArgument *args);

/* name is that of a procedure in schema migrate which our extension owns. */
extern void register_top_level_procedure(const char *name,
										 TopLevelProcedure procedure);

/*
 * Have each statement with effects but the steps of ours looked at before it is
 * refused or run, by something that may throw; in a transaction, where our
 * extension is created.  Not where an online change takes its place.
 */
typedef void (*StatementCheck) (Node *statement);

extern void register_statement_check(StatementCheck check);

/* The handler of migrate.wait(). */
extern void wait_for_task(int nargs, const ProcedureArgument *args);

/*
 * Wait until a task is done, polling, outside of a transaction, in the current
 * session; one that does not exist counts as done.  Throws its error if it
 * fails or was cancelled, with a HINT that tells what to do about it for the
 * migration of that version, which has left it, as the end of a sentence.  The
 * current memory context must outlive transactions.
 */
extern void wait_until_task_is_done(int64 id, const char *version);

/* Register migrate.run() and migrate.wait().  Called once, from _PG_init. */
extern void register_run_procedures(void);

#endif							/* SAFE_MIGRATE_RUN_H */
