/*-------------------------------------------------------------------------
 *
 * deployment.c
 *	  The transactions of a migration that is being run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "common/fault.h"
#include "drift/fingerprint.h"
#include "ledger/deferred.h"
#include "ledger/deployment.h"
#include "preserve/preserve.h"
#include "run/step.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/*
 * See deployment.h.
 */
void
start_deployment_transaction(Deployment *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	keep_extension();
	MemoryContextSwitchTo(run->context);
	run->explicit_block = false;
	run->used = false;
	run->savepoints = NIL;
}

/*
 * See deployment.h.
 */
void
commit_deployment(Deployment *run, AttemptState state)
{
	release_all_savepoints(run->savepoints);
	run->savepoints = NIL;
	EndImplicitTransactionBlock();
	if (run->guc_level > 0)
	{
		AtEOXact_GUC(false, run->guc_level);
		run->guc_level = 0;
	}

	write_deployment_progress(run, state);
	reach_deployment_progress(run, "before");
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
	run->committed = run->attempt;
	reach_deployment_progress(run, "committed");
}

/*
 * See deployment.h.
 */
void
write_deployment_progress(Deployment *run, AttemptState state)
{
	run->attempt.tasks = list_concat_copy(run->entry->tasks, tasks_left());
	run->attempt.state = state == ATTEMPT_APPLIED && !run->has_waited &&
		run->attempt.tasks != NIL ? ATTEMPT_RUNNING : state;
	if (run->attempt.state == ATTEMPT_APPLIED)
		run->attempt.fingerprint = fingerprint_now();
	ledger_write_attempt(&run->attempt);
	run->written = run->attempt;
	run->writer = GetTopTransactionId();
}

/*
 * See deployment.h.  A task commits by itself what it has completed, and an
 * error may come between that and our hearing of it.
 */
void
settle_deployment_progress(Deployment *run)
{
	if (TransactionIdIsValid(run->writer) &&
		TransactionIdDidCommit(run->writer))
		run->committed = run->written;
}

/*
 * See deployment.h.
 */
void
roll_back_deployment(Deployment *run)
{
	AbortOutOfAnyTransaction();
	run->attempt.id = run->committed.id;
	start_deployment_transaction(run);
}

/*
 * See deployment.h.
 */
void
divide_deployment(Deployment *run)
{
	const ScriptStatement *statement = run->statement;
	SessionSettings *in_force = save_session_settings();

	run->statement = NULL;
	if (run->guc_level > 0)
	{
		AtEOXact_GUC(false, run->guc_level);
		run->guc_level = 0;
		run->settings = save_session_settings();
	}
	commit_deployment(run, ATTEMPT_RUNNING);
	start_deployment_transaction(run);
	renew_session_settings(in_force);
	run->statement = statement;
}

/*
 * See deployment.h.
 */
void
restore_deployment_settings(Deployment *run)
{
	if (run->settings == NULL)
		return;
	start_deployment_transaction(run);
	restore_session_settings(run->settings);
	CommitTransactionCommand();
}

/*
 * See deployment.h.
 */
void
reach_deployment_progress(const Deployment *run, const char *place)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "progress_%d_%s", run->attempt.statements,
			 place);
	reach_fault_point(name);
}
