/*-------------------------------------------------------------------------
 *
 * task_control.c
 *	  Having a task go on, and having it taken back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "task/task_internal.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/wait_event.h"

/* Milliseconds between two tries. */
#define LOCK_PAUSE		20
#define LOCK_TRIES		100

PG_FUNCTION_INFO_V1(migrate_retry);

static void require_control(int64 id, const char *function);
static bool lock_stopped_task(int64 id);
static void refuse_finished(const Task *task);
static void refuse_hosted(const Task *task);
static const char *cancel_stopped(const Task *task);
static const char *cancel_running(int64 id, bool even_if_done);
static void stop_runner(const TaskStatus *status);

/*
 * See the comment on the SQL function.
 */
Datum
migrate_retry(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);

	require_control(id, "migrate.retry()");
	if (!lock_stopped_task(id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("task " INT64_FORMAT " is being run", id),
				 errhint("CALL migrate.wait(" INT64_FORMAT ");", id)));
	PG_TRY();
	{
		Task	   *task = task_read(id);

		refuse_finished(task);
		refuse_hosted(task);
		task_hand_over(id, false);
	}
	PG_FINALLY();
	{
		task_unlock();
	}
	PG_END_TRY();
	task_after_commit();
	PG_RETURN_TEXT_P(cstring_to_text("waiting"));
}

/*
 * See task.h.
 */
const char *
cancel_task(int64 id, bool even_if_done)
{
	const char *volatile state = NULL;

	require_control(id, "migrate.cancel()");
	if (lock_stopped_task(id))
	{
		PG_TRY();
		{
			/* as it is now that nobody runs it */
			Task	   *task = task_read(id);

			if (task->state != TASK_DONE || !even_if_done)
				refuse_finished(task);
			state = cancel_stopped(task);
		}
		PG_FINALLY();
		{
			task_unlock();
		}
		PG_END_TRY();
	}
	else
		state = cancel_running(id, even_if_done);
	task_after_commit();
	return state;
}

/* Throw unless there is such a task and the current user may do that with it. */
static void
require_control(int64 id, const char *function)
{
	TaskStatus *status;

	require_preloaded();
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	status = task_status(id);
	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("task " INT64_FORMAT " does not exist", id)));
	if (!may_wait_for_task(status))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("task " INT64_FORMAT " belongs to role \"%s\"", id,
						status->role),
				 errdetail("Members of that role and the owner of the extension decide what becomes of it.")));
	if (!may_control_task(status))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("task " INT64_FORMAT " needs a session of role \"%s\"",
						id, status->session_role),
				 errdetail("A background worker cannot connect as role \"%s\" itself, so only members of both roles and the owner of the extension decide what becomes of it.",
						   status->role)));
	require_task_from_here(status);
}

/*
 * Take the lock of a task unless somebody runs it.  A worker that is about to
 * begin or to leave has it for a moment.
 */
static bool
lock_stopped_task(int64 id)
{
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		Task	   *task;

		if (task_lock(id))
			return true;
		task = task_read(id);
		if (task == NULL || task->state == TASK_RUNNING ||
			task->state == TASK_UNDOING)
			return false;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

static void
refuse_finished(const Task *task)
{
	if (task->state == TASK_DONE || task->state == TASK_CANCELLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task " INT64_FORMAT " is %s already", task->id,
						task->state == TASK_DONE ? "done" : "cancelled")));
}

/*
 * The ledger would not learn that the statement is done, and the migration
 * would run it again.
 */
static void
refuse_hosted(const Task *task)
{
	if (task->continued_by != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task " INT64_FORMAT " is a statement of a migration: %s goes on with it, or SELECT migrate.cancel(" INT64_FORMAT ") takes it back",
						task->id, task->continued_by, task->id)));
}

/* Returns the new state. */
static const char *
cancel_stopped(const Task *task)
{
	Task		cancelled = *task;

	if (task->state != TASK_WAITING || task->done > 0 || task->attempts > 0)
	{
		/* a step that failed may have left something behind, too */
		task_hand_over(task->id, true);
		return "undoing";
	}
	cancelled.state = TASK_CANCELLED;
	task_update(&cancelled, false);
	return "cancelled";
}

/*
 * Whoever runs the task overwrites its state when he stops, so leave word for
 * the time after that.
 */
static const char *
cancel_running(int64 id, bool even_if_done)
{
	TaskStatus *status;
	Task	   *task;

	task_mark_cancelled(id);
	CommandCounterIncrement();
	task = task_read(id);

	/* while we waited for its row: then nobody overwrites it any more */
	if (task->state == TASK_DONE && even_if_done)
	{
		task_hand_over(id, true);
		return "undoing";
	}
	refuse_finished(task);
	status = task_status(id);
	if (status != NULL && status->runner != 0)
		stop_runner(status);
	return "undoing";
}

/*
 * The worker is there for nothing else; a session is somebody's, and
 * PostgreSQL says who may cancel what it does.
 */
static void
stop_runner(const TaskStatus *status)
{
	if (!task_interrupt_worker(status->runner))
		(void) DirectFunctionCall1(pg_cancel_backend,
								   Int32GetDatum(status->runner));
}
