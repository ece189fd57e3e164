/*-------------------------------------------------------------------------
 *
 * run_task.c
 *	  Carrying out a task, step by step, and taking it back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/script.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "plan/plan.h"
#include "run/run_task.h"
#include "run/step.h"
#include "utils/memutils.h"

static void begin_task(Task *task, TaskState state);
static void next_step(Task *task, const char *text, int done);
static void run_in_transaction(const char *text, Task *task, int done);
static void fail_task(Task *task, MemoryContext context);
static void finish(Task *task, TaskState state);

void
run_task(Task *task)
{
	MemoryContext context = CurrentMemoryContext;

	begin_task(task, TASK_RUNNING);
	PG_TRY();
	{
		while (task->done < list_length(task->steps))
			next_step(task, ((PlanStep *) list_nth(task->steps, task->done))->text,
					  task->done + 1);
		finish(task, TASK_DONE);
	}
	PG_CATCH();
	{
		fail_task(task, context);
	}
	PG_END_TRY();
}

void
undo_task(Task *task)
{
	MemoryContext context = CurrentMemoryContext;

	begin_task(task, TASK_UNDOING);
	PG_TRY();
	{
		while (task->done > 0)
			next_step(task, ((PlanStep *) list_nth(task->steps, task->done - 1))->undo,
					  task->done - 1);
		finish(task, TASK_CANCELLED);
	}
	PG_CATCH();
	{
		fail_task(task, context);
	}
	PG_END_TRY();
}

static void
begin_task(Task *task, TaskState state)
{
	if (task->id == 0)
		task_insert(task);
	if (!task_lock(task->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("task " INT64_FORMAT " is being run", task->id)));
	task->state = state;
	task_update(task, true);
	CommitTransactionCommand();
}

static void
next_step(Task *task, const char *text, int done)
{
	MemoryContext context = MemoryContextSwitchTo(GetMemoryChunkContext(task));
	const char *leftover = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
	if (text != NULL)
		leftover = find_invalid_index(((ScriptStatement *) linitial(parse_script(text, "step")))->raw->stmt);
	CommitTransactionCommand();
	if (leftover != NULL)
		run_in_transaction(psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s", leftover), task, -1);
	run_in_transaction(text, task, done);
	MemoryContextSwitchTo(context);
}

static void
run_in_transaction(const char *text, Task *task, int done)
{
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
	if (text != NULL)
	{
		pgstat_report_activity(STATE_RUNNING, text);
		run_statement_at_top_level(text);
	}
	if (done >= 0)
	{
		task->done = done;
		task_update(task, false);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
}

static void
finish(Task *task, TaskState state)
{
	StartTransactionCommand();
	task->state = state;
	task->error = NULL;
	task->sqlstate = NULL;
	task_update(task, false);
	CommitTransactionCommand();
	task_unlock(task->id);
	StartTransactionCommand();
}

static void
fail_task(Task *task, MemoryContext context)
{
	ErrorData  *error;
	Task	   *row;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	RESUME_INTERRUPTS();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	row = task_read(task->id);
	task->done = row->done;
	task->state = TASK_FAILED;
	task->error = error->message;
	task->sqlstate = unpack_sql_state(error->sqlerrcode);
	task_update(task, false);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	ReThrowError(error);
}
