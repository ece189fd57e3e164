/*-------------------------------------------------------------------------
 *
 * run_task.c
 *	  Carrying out a task, step by step, and taking it back.
 *
 * Every step is committed together with the row that says so, or, where it
 * commits by itself, that row is written by the transaction which it leaves
 * open.  Between the two a crash may fall: so whoever goes on from there first
 * looks at what the step has left, see leftover.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/errors.h"
#include "common/fault.h"
#include "common/migration_flag.h"
#include "common/script.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "plan/plan.h"
#include "preserve/preserve.h"
#include "record/record.h"
#include "run/leftover.h"
#include "run/made.h"
#include "run/run_task.h"
#include "run/step.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A task that is being run or taken back. */
typedef struct TaskRun
{
	Task	   *task;
	MemoryContext context;		/* outlives the transactions */
	MemoryContext witness_context;	/* reset with each step */
	TimestampTz started_at;
	bool		resumed;		/* the next step may have been tried before */
	bool		unchanged;		/* nobody else has changed the table since */
	bool		kept;			/* so something was not taken back */
	int			failed_step;	/* from 1 */
	const char *text;			/* of the statement that runs, or NULL */
} TaskRun;

static bool running_task = false;
static int64 task_to_undo = 0;
static bool next_is_step = false;

static List *exchange_settings(const List *settings);
static void begin_run(TaskRun *run, Task *task);
static void run_guarded(TaskRun *run, void (*work) (TaskRun *run));
static void run_steps(TaskRun *run);
static void run_next_step(TaskRun *run);
static void stop_if_cancelled(const Task *task);
static bool clear_way(TaskRun *run, const char *text);
static void run_statements(TaskRun *run, const char *text);
static void reach_step(const char *place, int number);
static void undo_steps(TaskRun *run);
static void undo_step(TaskRun *run, const PlanStep *step);
static void take_lock_again(Task *task);
static Node *first_statement(const char *text);
static bool drops_constraint(const Node *statement);
static char *settle_failure(TaskRun *run, ErrorData *error);
static void decide_failure(TaskRun *run, const ErrorData *error);
static bool will_never_succeed(int sqlerrcode);
static bool last_step_left_something(TaskRun *run);
static char *failure_in_words(const TaskRun *run);
static void record_run(const TaskRun *run, DecisionOutcome outcome,
					   const char *message);
static void start_transaction(TaskRun *run);
static void commit_transaction(TaskRun *run);
static void add_statement_to_context(void *arg);

/*
 * See run_task.h.
 */
bool
task_is_running(void)
{
	return running_task;
}

/*
 * See run_task.h.
 */
int64
task_being_undone(void)
{
	return running_task ? task_to_undo : 0;
}

/*
 * See run_task.h.
 */
void
mark_step(bool is_step)
{
	next_is_step = is_step;
}

/*
 * See run_task.h.
 */
bool
take_step_mark(void)
{
	bool		is_step = next_is_step;

	next_is_step = false;
	return is_step;
}

/*
 * See run_task.h.
 */
void
run_task(Task *task)
{
	TaskRun		run = {0};

	begin_run(&run, task);
	if (task->id == 0)
	{
		task->state = TASK_RUNNING;
		task->witness = take_witness(task);
		task_insert(task);
		(void) task_lock(task->id);
	}
	else
	{
		task_claim(task);
		if (task->state == TASK_DONE || task->state == TASK_CANCELLED)
		{
			task_unlock();
			return;
		}
		run.resumed = true;
		if (!witness_holds(task))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s has been changed since task " INT64_FORMAT " stopped; take it back with SELECT migrate.cancel(" INT64_FORMAT "), and do what is missing by hand",
							task->relation ? task->relation : "the database",
							task->id, task->id)));
		task->state = TASK_RUNNING;
		task_update(task, true);
		stop_if_cancelled(task);
	}
	commit_transaction(&run);
	reach_fault_point("task_claimed");
	run_guarded(&run, run_steps);
}

/*
 * See run_task.h.
 */
void
undo_task(Task *task)
{
	TaskRun		run = {0};

	begin_run(&run, task);
	task_claim(task);
	if (task->state == TASK_DONE || task->state == TASK_CANCELLED)
	{
		task_unlock();
		return;
	}
	task->state = TASK_UNDOING;
	task_update(task, true);
	run.unchanged = witness_holds(task);
	commit_transaction(&run);
	run_guarded(&run, undo_steps);
}

/*
 * See run_task.h.  The settings outlive the transactions, so they are set for
 * the session and put back.
 */
void
run_task_as_asked(Task *task)
{
	List	   *before = exchange_settings(task->settings);

	task->deferred = true;
	PG_TRY();
	{
		if (task->cancelled || task->state == TASK_UNDOING)
			undo_task(task);
		else
			run_task(task);
	}
	PG_FINALLY();
	{
		(void) exchange_settings(before);
	}
	PG_END_TRY();
}

/* Names and values, alternating.  Returns those that were in force. */
static List *
exchange_settings(const List *settings)
{
	List	   *before = NIL;

	for (int i = 0; i + 1 < list_length(settings); i += 2)
	{
		char	   *name = list_nth(settings, i);
		const char *value = GetConfigOption(name, true, false);

		/* another version of PostgreSQL may be without it */
		if (value == NULL || strcmp(value, list_nth(settings, i + 1)) == 0)
			continue;
		before = lappend(lappend(before, name), pstrdup(value));
		SetConfigOption(name, list_nth(settings, i + 1), PGC_USERSET,
						PGC_S_SESSION);
	}
	return before;
}

static void
begin_run(TaskRun *run, Task *task)
{
	task_to_undo = 0;
	run->task = task;
	run->context = CurrentMemoryContext;
	run->witness_context = AllocSetContextCreate(CurrentMemoryContext,
												 "safe_migrate witness",
												 ALLOCSET_SMALL_SIZES);
	run->started_at = GetCurrentTimestamp();
	reset_longest_lock_wait();
}

/* Do the work outside of a transaction, and leave one open behind it. */
static void
run_guarded(TaskRun *run, void (*work) (TaskRun *run))
{
	ErrorContextCallback callback;

	callback.callback = add_statement_to_context;
	callback.arg = run;
	callback.previous = error_context_stack;
	PG_TRY();
	{
		error_context_stack = &callback;
		running_task = true;
		work(run);
		running_task = false;
		error_context_stack = callback.previous;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		char	   *outcome;

		error_context_stack = callback.previous;
		mark_step(false);
		watch_made(NULL, false);
		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();
		outcome = settle_failure(run, error);
		running_task = false;
		error->context = error->context == NULL ? outcome :
			psprintf("%s\n%s", error->context, outcome);
		ReThrowError(error);
	}
	PG_END_TRY();
	task_unlock();
	start_transaction(run);
}

static void
run_steps(TaskRun *run)
{
	/* what a migration destroys is for its own restore point to bring back */
	if (run->task->destroys && !migration_is_running())
		begin_stepped_statement(run->task->id);
	PG_TRY();
	{
		while (run->task->done < list_length(run->task->steps))
			run_next_step(run);
	}
	PG_FINALLY();
	{
		end_stepped_statement();
	}
	PG_END_TRY();
}

static void
run_next_step(TaskRun *run)
{
	Task	   *task = run->task;
	const PlanStep *step = list_nth(task->steps, task->done);
	int			number = task->done + 1;

	CHECK_FOR_INTERRUPTS();
	start_transaction(run);
	reach_step("before", number);
	if (step_has_lost_its_part(task, step->text))
		ereport(NOTICE,
				(errmsg("task " INT64_FORMAT " leaves a step out, for what it is about is gone: %s",
						task->id, step->text)));
	else if (clear_way(run, step->text))
	{
		if (statement_is_stepped())
			note_destructive_statement(task->statement);
		run_statements(run, step->text);
	}
	reach_step("behind", number);

	task->done = number;
	MemoryContextReset(run->witness_context);
	MemoryContextSwitchTo(run->witness_context);
	task->witness = take_witness(task);
	MemoryContextSwitchTo(run->context);
	if (number == list_length(task->steps))
	{
		task->state = TASK_DONE;
		record_run(run, DECISION_REWRITTEN, NULL);
	}
	task_update(task, false);
	stop_if_cancelled(task);
	if (task->state == TASK_DONE && task->complete != NULL)
		task->complete(task->complete_arg);
	commit_transaction(run);
	run->resumed = false;
	reach_step("committed", number);
}

/*
 * After task_update().  The signal of migrate.cancel() goes to whoever runs the
 * task when it looks, and may be taken for that of lock_timeout; its mark stays.
 */
static void
stop_if_cancelled(const Task *task)
{
	if (task->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("task " INT64_FORMAT " was cancelled by migrate.cancel()",
						task->id)));
}

/*
 * Before a step: see what is there of it, and, if that is what an earlier
 * attempt has left, finish or remove it.  False if the step is done already.
 */
static bool
clear_way(TaskRun *run, const char *text)
{
	StepRemains *remains;
	ListCell   *cell;

	if (!run->resumed)
		return true;
	remains = find_step_remains(run->task, text);
	foreach(cell, remains->cleanup)
	{
		run_statements(run, lfirst(cell));
		commit_transaction(run);
		start_transaction(run);
	}
	return !remains->is_done;
}

/*
 * Most steps are one statement; several are for one transaction.
 */
static void
run_statements(TaskRun *run, const char *text)
{
	List	   *statements = parse_script(text, "step", 1);
	ListCell   *cell;

	run->text = text;
	watch_made(run->task, list_length(statements) == 1 &&
			   statement_needs_no_transaction(((ScriptStatement *) linitial(statements))->raw->stmt));
	pgstat_report_activity(STATE_RUNNING, text);
	if (list_length(statements) > 1)
		BeginImplicitTransactionBlock();
	foreach(cell, statements)
	{
		mark_step(true);
		run_statement_at_top_level(((ScriptStatement *) lfirst(cell))->text);
	}
	if (list_length(statements) > 1)
		EndImplicitTransactionBlock();
	watch_made(NULL, false);
	run->text = NULL;
}

/* For tests. */
static void
reach_step(const char *place, int number)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "step_%d_%s", number, place);
	reach_fault_point(name);
}

/*
 * Take back what is done, from the last step to the first.  The step that has
 * failed is one of them if it commits by itself and has left something.
 */
static void
undo_steps(TaskRun *run)
{
	Task	   *task = run->task;

	task_to_undo = task->id;
	start_transaction(run);
	if (task->done < list_length(task->steps) &&
		last_step_left_something(run))
	{
		undo_step(run, list_nth(task->steps, task->done));
		commit_transaction(run);
		start_transaction(run);
	}
	while (task->done > 0)
	{
		undo_step(run, list_nth(task->steps, task->done - 1));
		task->done--;
		task_update(task, false);
		commit_transaction(run);
		start_transaction(run);
	}
	task->state = TASK_CANCELLED;
	task_update(task, false);
	commit_transaction(run);
}

/*
 * Leaves a transaction open.  What is gone already, because somebody else has
 * dropped it, need not be taken back.  But a procedure has more to do than what
 * its error is about, and sees to what is gone itself.
 */
static void
undo_step(TaskRun *run, const PlanStep *step)
{
	Node	   *undo;

	if (step->undo == NULL)
		return;
	if (!undo_is_safe(run->task, step->undo, run->unchanged))
	{
		ereport(WARNING,
				(errmsg("task " INT64_FORMAT " leaves what others have changed since, see migrate.verify(): %s",
						run->task->id, step->undo)));
		run->kept = true;
		return;
	}
	undo = first_statement(step->undo);
	PG_TRY();
	{
		run_statements(run, step->undo);
	}
	PG_CATCH();
	{
		if (!error_says_gone(undo, geterrcode()) || IsA(undo, CallStmt))
			PG_RE_THROW();
		mark_step(false);
		watch_made(NULL, false);
		FlushErrorState();
		AbortOutOfAnyTransaction();
		start_transaction(run);
		take_lock_again(run->task);
	}
	PG_END_TRY();
}

/*
 * An error releases the locks of the session.  Somebody else may have gone on
 * with the task in that moment: then it is his.
 */
static void
take_lock_again(Task *task)
{
	TaskState	state = task->state;

	task_claim(task);
	if (task->state != state)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("task " INT64_FORMAT " is another session's now",
						task->id)));
}

static Node *
first_statement(const char *text)
{
	ScriptStatement *first = linitial(parse_script(text, "step", 1));

	return first->raw->stmt;
}

/*
 * See run_task.h.
 */
bool
error_says_gone(const Node *undo, int sqlerrcode)
{
	switch (sqlerrcode)
	{
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_SCHEMA:
			return true;
		case ERRCODE_INVALID_TABLE_DEFINITION:	/* a key, a parent */
		case ERRCODE_SYNTAX_ERROR:	/* an identity */
			return drops_constraint(undo);
	}
	return false;
}

static bool
drops_constraint(const Node *statement)
{
	const AlterTableCmd *cmd;

	if (!IsA(statement, AlterTableStmt))
		return false;
	cmd = linitial(((const AlterTableStmt *) statement)->cmds);
	return cmd->subtype == AT_DropNotNull ||
		cmd->subtype == AT_DropConstraint;	/* a NOT NULL is one from 18 on */
}

/*
 * An error has been caught: leave the transaction, take the task back or leave
 * it as it is, and write that down.  Returns what to tell the user.  A second
 * error on the way is told as a WARNING, for it is the first one that matters.
 */
static char *
settle_failure(TaskRun *run, ErrorData *error)
{
	Task	   *task = run->task;
	char	   *volatile outcome = NULL;

	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(run->context);
	run->text = NULL;

	/* what was to be the last thing may have failed in its commit */
	if (task->state == TASK_DONE)
		task->state = TASK_RUNNING;
	else if (task->state == TASK_CANCELLED)
		task->state = TASK_UNDOING;
	PG_TRY();
	{
		decide_failure(run, error);
		outcome = failure_in_words(run);
		start_transaction(run);
		record_run(run, DECISION_REWRITE_FAILED,
				   psprintf("%s: %s", outcome, error->message));
		commit_transaction(run);
	}
	PG_CATCH();
	{
		ErrorData  *second;

		mark_step(false);
		watch_made(NULL, false);
		MemoryContextSwitchTo(run->context);
		second = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(run->context);
		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("task " INT64_FORMAT " could not be settled: %s",
						task->id, second->message)));
	}
	PG_END_TRY();
	task_unlock();
	return outcome != NULL ? outcome : failure_in_words(run);
}

static void
decide_failure(TaskRun *run, const ErrorData *error)
{
	Task	   *task = run->task;
	bool		was_undoing = task->state == TASK_UNDOING;
	bool		is_left;

	/* the abort has taken the lock away */
	start_transaction(run);
	take_lock_again(task);
	task->error = task_error_text(error);
	task->sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	run->failed_step = task->done + 1;
	run->unchanged = witness_holds(task);
	is_left = task->done > 0 || last_step_left_something(run);

	/*
	 * What was deferred belongs to a transaction that has committed: it is
	 * for the user to mend the data, or to take it back.
	 */
	if (is_left && !was_undoing && !task->deferred &&
		will_never_succeed(error->sqlerrcode))
	{
		task->state = TASK_UNDOING;
		task_update(task, false);
		commit_transaction(run);
		undo_steps(run);
		return;
	}
	task->state = is_left || task->deferred ? TASK_FAILED : TASK_CANCELLED;
	task_update(task, false);
	commit_transaction(run);
}

/*
 * See run_task.h.
 */
char *
task_error_text(const ErrorData *error)
{
	return error->detail == NULL ? pstrdup(error->message) :
		psprintf("%s: %s", error->message, error->detail);
}

/*
 * The data or the catalog do not allow it: sending the statement again would
 * fail again.  A lock, a cancel, or a lack of space will pass.
 */
static bool
will_never_succeed(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return true;
		default:
			return false;
	}
}

static bool
last_step_left_something(TaskRun *run)
{
	const PlanStep *step = list_nth(run->task->steps, run->task->done);
	StepRemains *remains = find_step_remains(run->task, step->text);

	return remains->is_done || remains->cleanup != NIL;
}

static char *
failure_in_words(const TaskRun *run)
{
	const Task *task = run->task;
	int			count = list_length(task->steps);
	int			number = Max(run->failed_step, 1);

	switch (task->state)
	{
		case TASK_CANCELLED:
			return psprintf("step %d of %d failed, and %s is left of the statement",
							number, count, run->kept ?
							"what others have changed" : "nothing");
		case TASK_UNDOING:
			return psprintf("step %d of %d failed, and so did taking back what was done; SELECT migrate.cancel(" INT64_FORMAT ") tries that again",
							number, count, task->id);
		case TASK_FAILED:
		case TASK_WAITING:
		case TASK_RUNNING:
		case TASK_DONE:
			break;
	}
	return psprintf("step %d of %d failed, and something is left behind; %s, or take it back with SELECT migrate.cancel(" INT64_FORMAT ")",
					number, count,
					task->deferred ?
					psprintf("SELECT migrate.retry(" INT64_FORMAT ") goes on with it",
							 task->id) :
					task->continued_by != NULL ?
					psprintf("%s goes on with it", task->continued_by) :
					"send the statement again to finish it", task->id);
}

/* What was run instead, for migrate.decisions; message is NULL for success. */
static void
record_run(const TaskRun *run, DecisionOutcome outcome, const char *message)
{
	const Task *task = run->task;
	SafePlan	plan = {0};
	Decision	decision = {0};

	plan.steps = task->steps;
	decision.outcome = outcome;
	decision.rule = task->rule;
	decision.command = task->command;
	decision.relation = task->relation;
	decision.statement = task->statement;
	decision.executed = plan_as_script(&plan);
	decision.message = message != NULL ? message :
		psprintf(ngettext("done in %d step, as task " INT64_FORMAT,
						  "done in %d steps, as task " INT64_FORMAT,
						  list_length(task->steps)),
				 list_length(task->steps), task->id);
	decision.has_run = true;
	decision.duration_ms = (GetCurrentTimestamp() - run->started_at) / 1000;
	decision.lock_wait_ms = longest_lock_wait_us() / 1000;
	decision.size_bytes = task->size_bytes;
	(void) GetTopFullTransactionId();
	record_decision(&decision);
}

static void
start_transaction(TaskRun *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(run->context);
}

static void
commit_transaction(TaskRun *run)
{
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
}

/* A position is one in the step, not in what the client has sent. */
static void
add_statement_to_context(void *arg)
{
	const TaskRun *run = arg;
	int			position = geterrposition();

	if (run->text == NULL)
		return;
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(run->text);
	}
	errcontext("%s", run->text);
}
