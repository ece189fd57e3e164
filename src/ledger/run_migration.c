/*-------------------------------------------------------------------------
 *
 * run_migration.c
 *	  Running one migration, in one transaction or several.
 *
 * Everything that has to survive a commit is in a memory context of its own.
 *
 * A migration in one transaction has its row in the ledger written by that
 * same transaction.  One that commits inside has its progress written by each
 * of its commits: whatever happens, the ledger tells how far it got, and the
 * next deploy goes on from there.  It does so because it says COMMIT, because
 * a statement cannot run in a transaction, or because the safe way of a
 * statement takes several.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/subtransaction.h"
#include "ledger/deferred.h"
#include "ledger/deploy_progress.h"
#include "ledger/deployment.h"
#include "ledger/done_settings.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "ledger/migration_script.h"
#include "ledger/run_migration.h"
#include "ledger/session_settings.h"
#include "miscadmin.h"
#include "plan/plan.h"
#include "run/host.h"
#include "run/step.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

static void settle_failure(Deployment *run, ErrorData *error);
static void add_remedy(const Deployment *run, ErrorData *error);
static char *deploy_call(const Deployment *run);
static void read_migration(Deployment *run);
static void prepare_deployment(Deployment *run);
static void enter_target_schema(Deployment *run);
static bool commits_inside(const MigrationScript *script);
static void run_statements(Deployment *run);
static void renew_settings(Deployment *run);
static void run_settings(Deployment *run, List *statements);
static void finish_migration(Deployment *run);
static void run_statement(Deployment *run, bool last);
static void run_begin(Deployment *run, TransactionStmt *stmt);
static void run_end(Deployment *run, TransactionStmt *stmt, bool last);
static bool must_run_alone(Deployment *run, Node *statement);
static void run_in_transaction(Deployment *run);
static void run_alone(Deployment *run);
static void run_hosted(Deployment *run);
static void divide_for_task(void *arg);
static void complete_task(void *arg);
static void leave_task(Deployment *run, bool last);
static void leave_statement(Deployment *run, bool last);
static void note_progress(Deployment *run);
static void run_timed(const ScriptStatement *statement);
static void drop_leftover(Deployment *run);
static void arm_statement_timeout(bool arm);
static void record_failure(Deployment *run, const ErrorData *error);
static void write_failure(void *arg);

/*
 * See run_migration.h.
 */
void
run_migration(const LedgerEntry *pending, const char *role)
{
	MemoryContext parent = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(parent,
												  "safe_migrate migration",
												  ALLOCSET_DEFAULT_SIZES);
	Deployment *run = MemoryContextAllocZero(context, sizeof(Deployment));

	run->context = context;
	run->pending = pending;
	run->entry = pending;
	run->role = role;
	note_deferred_tasks(true, GetUserId());
	PG_TRY();
	{
		run_statements(run);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();
		settle_failure(run, error);
		ReThrowError(error);
	}
	PG_END_TRY();
	note_deferred_tasks(false, InvalidOid);
	MemoryContextSwitchTo(parent);
	MemoryContextDelete(context);
}

/* An error has been caught: leave the transaction, and write it down. */
static void
settle_failure(Deployment *run, ErrorData *error)
{
	arm_statement_timeout(false);
	host_next_statement(NULL);
	note_deferred_tasks(false, InvalidOid);

	AbortOutOfAnyTransaction();
	settle_deployment_progress(run);
	record_failure(run, error);
	if (run->script == NULL)
		return;
	if (!run->waiting)
		locate_error(error, run->entry, run->statement);
	add_remedy(run, error);
}

/* What stays of a migration that has failed half way, and how it goes on. */
static void
add_remedy(const Deployment *run, ErrorData *error)
{
	if (run->committed.state == ATTEMPT_APPLIED)
		return;
	if (run->waiting)
	{
		/* without one, the task is well: we were told to wait no longer */
		if (error->hint == NULL)
			error->hint = psprintf("the rest goes on in the background, and %s waits for it again",
								   deploy_call(run));
		error->message = psprintf("migration %s is committed, but not all of it is done: %s; %s",
								  run->entry->label, error->message,
								  error->hint);
		error->hint = NULL;
	}
	else if (run->committed.statements > 0)
		error->message = psprintf(run->committed.statements == 1 ?
								  "%s; statement %d of %d stays committed, and %s goes on behind it" :
								  "%s; statements 1 to %d of %d stay committed, and %s goes on behind them",
								  error->message, run->committed.statements,
								  list_length(run->script->statements),
								  deploy_call(run));
}

/* The call that goes on with a migration of this history, as long as the run. */
static char *
deploy_call(const Deployment *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	const char *schema = ledger_target_schema();
	char	   *call;

	call = schema[0] == '\0' ? pstrdup("CALL migrate.deploy()") :
		psprintf("CALL migrate.deploy_all(schemas := ARRAY[%s])",
				 quote_literal_cstr(schema));
	MemoryContextSwitchTo(old);
	return call;
}

/*
 * Read the script in the first transaction, which goes on to run it.
 */
static void
read_migration(Deployment *run)
{
	start_deployment_transaction(run);
	run->entry = read_pending(run->pending);
	run->attempt.entry = run->entry;
	run->attempt.role = run->role;
	run->attempt.out_of_order = run->entry->runs_after != NULL;
	run->attempt.statements = run->entry->statements;
	run->attempt.done_bytes = run->entry->done_bytes;
	run->attempt.tasks = run->entry->tasks;
	run->attempt.started_at = GetCurrentStatementStartTimestamp();
	run->committed = run->attempt;
	run->script = read_migration_script(run->entry);
	progress_migration(run->entry->version, run->entry->name,
					   list_length(run->script->statements));
	tell_late(run->entry);

	/* nobody runs it, since we have the lock */
	if (run->entry->interrupted)
		ledger_end_interrupted(run->entry);
}

static void
prepare_deployment(Deployment *run)
{
	bool		has_characteristics = false;
	ListCell   *cell;

	foreach(cell, run->script->statements)
	{
		Node	   *node = ((ScriptStatement *) lfirst(cell))->raw->stmt;

		has_characteristics |= statement_role(node) == STATEMENT_SET_TRANSACTION ||
			(statement_role(node) == STATEMENT_BEGIN &&
			 ((TransactionStmt *) node)->options != NIL);
	}

	/* an isolation level must not be undone before the transaction ends */
	if (!has_characteristics && !commits_inside(run->script))
		run->guc_level = NewGUCNestLevel();
	else
		run->settings = save_session_settings();

	/* and cannot be chosen after a query, such as reading the migration */
	if (has_characteristics)
	{
		CommitTransactionCommand();
		start_deployment_transaction(run);
	}
	enter_target_schema(run);
}

/*
 * A migration of one of many schemas finds that first.  Where it commits
 * inside, a ROLLBACK in it must not take that back.
 */
static void
enter_target_schema(Deployment *run)
{
	if (ledger_target_schema()[0] == '\0')
		return;
	enter_target_search_path(GUC_ACTION_SET);
	if (run->guc_level > 0)
		return;
	CommitTransactionCommand();
	start_deployment_transaction(run);
}

/*
 * May the migration need more than one transaction?  Whether a CONCURRENTLY
 * is needless is known only when its turn comes.
 */
static bool
commits_inside(const MigrationScript *script)
{
	ListCell   *cell;

	if (script->no_transaction || script->commits_inside != NULL)
		return true;
	foreach(cell, script->statements)
	{
		const ScriptStatement *statement = lfirst(cell);

		if (statement_needs_no_transaction(statement->raw->stmt))
			return true;
	}
	return false;
}

static void
run_statements(Deployment *run)
{
	ListCell   *cell;

	read_migration(run);
	prepare_deployment(run);
	renew_settings(run);
	foreach(cell, run->script->statements)
	{
		if (statement_is_done(run->entry, lfirst(cell)))
			continue;
		run->statement = lfirst(cell);
		run->statement_number = foreach_current_index(cell) + 1;
		CHECK_FOR_INTERRUPTS();
		run_statement(run, lnext(run->script->statements, cell) == NULL);
	}
	run->statement = NULL;
	finish_migration(run);
}

/*
 * Those of an earlier attempt.  Where the migration commits inside, a ROLLBACK
 * in what is to come must not take back what lasts.
 */
static void
renew_settings(Deployment *run)
{
	DoneSettings settings = settings_of_done_part(run->script);

	run_settings(run, settings.lasting);
	if (settings.lasting != NIL && run->guc_level == 0)
	{
		EndImplicitTransactionBlock();
		CommitTransactionCommand();
		start_deployment_transaction(run);
	}
	run_settings(run, settings.open);
}

static void
run_settings(Deployment *run, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		run->statement = lfirst(cell);
		run_in_transaction(run);
	}
	run->statement = NULL;
}

/*
 * Behind the last statement: commit, unless that was a COMMIT or ran alone,
 * and wait for what was left to the background.
 */
static void
finish_migration(Deployment *run)
{
	if (IsTransactionState())
		commit_deployment(run, ATTEMPT_APPLIED);
	if (run->committed.state != ATTEMPT_APPLIED)
	{
		restore_deployment_settings(run);
		run->waiting = true;
		wait_for_deferred(run->committed.tasks, run->entry->version);
		run->waiting = false;
		run->has_waited = true;
		start_deployment_transaction(run);
		commit_deployment(run, ATTEMPT_APPLIED);
	}
	restore_deployment_settings(run);
}

/*
 * After the last statement no transaction is open if that statement has
 * committed, with the row that says that the migration is applied.
 */
static void
run_statement(Deployment *run, bool last)
{
	Node	   *node = run->statement->raw->stmt;

	pgstat_report_activity(STATE_RUNNING, run->statement->text);
	progress_statement(run->statement_number, CreateCommandTag(node));
	switch (statement_role(node))
	{
		case STATEMENT_BEGIN:
			run_begin(run, (TransactionStmt *) node);
			break;
		case STATEMENT_COMMIT:
		case STATEMENT_ROLLBACK:
			run_end(run, (TransactionStmt *) node, last);
			return;
		case STATEMENT_SAVEPOINT:
		case STATEMENT_RELEASE:
		case STATEMENT_ROLLBACK_TO:
			BeginImplicitTransactionBlock();
			run->savepoints = run_savepoint_statement(run->savepoints,
													  (TransactionStmt *) node);
			break;
		case STATEMENT_PREPARE:
			elog(ERROR, "PREPARE TRANSACTION in a migration");
			break;
		case STATEMENT_SET_TRANSACTION:
		case STATEMENT_ORDINARY:
			if (must_run_alone(run, node))
				run_alone(run);
			else
				run_in_transaction(run);
			if (run->completed)
				leave_task(run, last);
			else if (run->alone)
				leave_statement(run, last);
			break;
	}
	note_progress(run);
}

/*
 * BEGIN in a script: what ran before it in this transaction stays in it, as
 * in a message of several statements.
 */
static void
run_begin(Deployment *run, TransactionStmt *stmt)
{
	ListCell   *cell;

	if (run->explicit_block)
		ereport(WARNING,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("there is already a transaction in progress")));
	run->explicit_block = true;
	BeginImplicitTransactionBlock();
	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		SetPGVariable(option->defname, list_make1(option->arg), true);
	}
}

/*
 * COMMIT or ROLLBACK in a script.
 */
static void
run_end(Deployment *run, TransactionStmt *stmt, bool last)
{
	if (!run->explicit_block)
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("there is no transaction in progress")));
	note_progress(run);
	if (stmt->kind == TRANS_STMT_ROLLBACK)
	{
		roll_back_deployment(run);
		return;
	}
	commit_deployment(run, last ? ATTEMPT_APPLIED : ATTEMPT_RUNNING);
	if (!last)
		start_deployment_transaction(run);
}

static bool
must_run_alone(Deployment *run, Node *statement)
{
	if (run->explicit_block)
		return false;
	return run->script->no_transaction || statement_must_run_alone(statement);
}

/*
 * The block is what makes the server treat the statement as one of several
 * in a transaction: VACUUM is refused, SET LOCAL and LOCK TABLE are not.
 */
static void
run_in_transaction(Deployment *run)
{
	int			level;

	BeginImplicitTransactionBlock();
	run->used = true;
	run->alone = false;
	level = NewGUCNestLevel();
	set_override(run->statement, GUC_ACTION_SAVE);
	run_hosted(run);
	if (!run->divided)
		AtEOXact_GUC(true, level);
}

/*
 * Run a statement that may commit by itself.  Before it, what has been run is
 * committed, and that the migration is under way.
 */
static void
run_alone(Deployment *run)
{
	if (run->used || run->attempt.id == 0)
		divide_deployment(run);
	run->alone = true;
	drop_leftover(run);
	set_override(run->statement, GUC_ACTION_LOCAL);
	run_hosted(run);
}

/*
 * Run a statement, telling the hook what it may do with our transaction where
 * the safe way of the statement takes several.
 */
static void
run_hosted(Deployment *run)
{
	run->divided = run->completed = false;
	if (statement_may_have_plan(run->statement->raw->stmt))
	{
		bool		in_block = run->explicit_block || run->savepoints != NIL;

		run->host.divide = in_block || run->alone ? NULL : divide_for_task;
		run->host.complete = complete_task;
		run->host.arg = run;
		run->host.continued_by = deploy_call(run);
		run->host.remedy = !in_block ? NULL : run->explicit_block ?
			"CALL migrate.deploy() does it so where it is not between BEGIN and COMMIT" :
			"CALL migrate.deploy() does it so where it is not behind a SAVEPOINT";
		host_next_statement(&run->host);
	}
	run_timed(run->statement);
	host_next_statement(NULL);
}

/* For the hook, before it carries out a task in place of the statement. */
static void
divide_for_task(void *arg)
{
	Deployment *run = arg;

	MemoryContextSwitchTo(run->context);
	divide_deployment(run);
	run->divided = true;
}

/*
 * For the hook, in the last transaction of the task: the progress is written
 * by that.
 */
static void
complete_task(void *arg)
{
	Deployment *run = arg;
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	bool		last = run->statement == llast(run->script->statements);

	note_progress(run);
	write_deployment_progress(run, last ? ATTEMPT_APPLIED : ATTEMPT_RUNNING);
	run->completed = true;
	reach_deployment_progress(run, "before");
	MemoryContextSwitchTo(caller);
}

/* The task has committed, and left another transaction open. */
static void
leave_task(Deployment *run, bool last)
{
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
	run->committed = run->attempt;
	if (!last)
		start_deployment_transaction(run);
}

/*
 * The progress is written in the transaction that the statement has left open:
 * for most statements, CREATE INDEX CONCURRENTLY included, that is the one
 * which completes their work.
 */
static void
leave_statement(Deployment *run, bool last)
{
	note_progress(run);
	commit_deployment(run, last ? ATTEMPT_APPLIED : ATTEMPT_RUNNING);
	if (!last)
		start_deployment_transaction(run);
}

static void
note_progress(Deployment *run)
{
	run->attempt.statements = run->statement_number;
	run->attempt.done_bytes = run->statement->end;
}

/*
 * Before the statement at which the attempt before this one ended: drop what
 * it has left behind, which would only be in its way.
 */
static void
drop_leftover(Deployment *run)
{
	char	   *leftover;

	if (run->entry->attempt == 0 ||
		run->entry->statements != run->statement_number - 1)
		return;
	leftover = find_invalid_index(run->statement->raw->stmt);
	if (leftover == NULL)
		return;
	ereport(NOTICE,
			(errmsg("dropping index %s, which the last attempt left behind invalid",
					leftover)));
	run_statement_at_top_level(psprintf("DROP INDEX CONCURRENTLY %s",
										leftover));
	CommitTransactionCommand();
	start_deployment_transaction(run);
}

/*
 * Run a statement, which may take our lock away.
 */
static void
run_timed(const ScriptStatement *statement)
{
	arm_statement_timeout(true);
	run_statement_at_top_level(statement->text);
	arm_statement_timeout(false);
	keep_ledger_lock();
}

/*
 * statement_timeout counts for each statement of a migration, as it does when
 * a client sends them, and not for the CALL as a whole nor for what we do
 * between them.
 */
static void
arm_statement_timeout(bool arm)
{
	if (get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
	if (arm && StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

/*
 * See run_migration.h.
 */
void
disarm_statement_timeout(void)
{
	arm_statement_timeout(false);
}

/*
 * Write that the attempt has failed.  A failure to do so must not hide the
 * error that the user wants to see.
 */
static void
record_failure(Deployment *run, const ErrorData *error)
{
	ErrorData  *reason;

	/* it is not even known what was to be run */
	if (run->committed.entry == NULL)
		return;

	run->attempt = run->committed;
	if (run->attempt.state != ATTEMPT_APPLIED)
		run->attempt.state = ATTEMPT_FAILED;
	run->attempt.error = error->message;
	run->attempt.sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	if (run->statement != NULL)
	{
		run->attempt.error_statement = run->statement_number;
		run->attempt.error_line = run->statement->line;
	}

	MemoryContextSwitchTo(run->context);
	reason = run_after_error(write_failure, run);

	/* one error is to be sent for one command: that of the migration */
	if (reason != NULL)
		ereport(WARNING,
				(errcode(reason->sqlerrcode),
				 errmsg("the failed attempt at migration %s could not be recorded: %s",
						run->entry->label, reason->message)));
	MemoryContextSwitchTo(run->context);
}

static void
write_failure(void *arg)
{
	Deployment *run = arg;

	/* a copy: the number that it gets is gone when this is rolled back */
	Attempt		attempt = run->attempt;

	if (attempt.state != ATTEMPT_APPLIED)
	{
		start_deployment_transaction(run);
		if (run->entry->interrupted)
			ledger_end_interrupted(run->entry);
		ledger_write_attempt(&attempt);
		CommitTransactionCommand();
	}
	restore_deployment_settings(run);
}
