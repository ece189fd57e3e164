/*-------------------------------------------------------------------------
 *
 * deferred.c
 *	  What migrations have left to the background.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "ledger/deferred.h"
#include "ledger/deploy_progress.h"
#include "miscadmin.h"
#include "run/host.h"
#include "run/run.h"
#include "run/run_task.h"
#include "task/task.h"
#include "utils/memutils.h"

static void run_if_left_to_us(int64 id);
static void run_here(Task *task);

/*
 * See deferred.h.
 */
List *
tasks_left(void)
{
	int			count;
	const int64 *ids = deferred_tasks(&count);
	List	   *tasks = NIL;

	for (int i = 0; i < count; i++)
	{
		int64	   *id = palloc(sizeof(int64));

		*id = ids[i];
		tasks = lappend(tasks, id);
	}
	return tasks;
}

/*
 * See deferred.h.
 */
void
wait_for_deferred(List *tasks, const char *version)
{
	ListCell   *cell;

	foreach(cell, tasks)
	{
		int64		id = *(const int64 *) lfirst(cell);

		progress_waits_for("task " INT64_FORMAT, id);
		run_if_left_to_us(id);
		wait_until_task_is_done(id, version);
	}
	progress_waits_for(NULL);
}

/* One that no worker can run, and that was asked for by this role. */
static void
run_if_left_to_us(int64 id)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate left task",
												  ALLOCSET_DEFAULT_SIZES);
	TaskStatus *status;
	Oid			connect_as;
	char	   *reason;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	status = task_status(id);
	if (status != NULL)
		require_task_from_here(status);
	if (status != NULL && status->runner == 0 &&
		(!status->deferred ||
		 !task_can_be_served(status, &connect_as, &reason)) &&
		status->role_oid == GetUserId() &&
		strcmp(status->state, "done") != 0 &&
		strcmp(status->state, "cancelled") != 0 && task_lock(id))
		run_here(task_read(id));
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Nothing goes on in the background, as the error is told of others. */
static void
run_here(Task *task)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		run_task_as_asked(task);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (error->hint == NULL)
			error->hint = pstrdup("CALL migrate.deploy() goes on with it");
		ReThrowError(error);
	}
	PG_END_TRY();
}

/*
 * See deferred.h.
 */
void
require_finished(List *tasks, const char *label)
{
	ListCell   *cell;

	foreach(cell, tasks)
	{
		int64		id = *(const int64 *) lfirst(cell);
		const TaskStatus *status = task_status(id);

		if (status == NULL || strcmp(status->state, "done") == 0 ||
			strcmp(status->state, "cancelled") == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 strcmp(status->state, "failed") == 0 ?
				 errmsg("migration %s has left task " INT64_FORMAT " to the background, which has failed: SELECT migrate.retry(" INT64_FORMAT ") and CALL migrate.wait(" INT64_FORMAT ") first, or take it back with SELECT migrate.cancel(" INT64_FORMAT ")",
						label, id, id, id, id) :
				 errmsg("migration %s has left task " INT64_FORMAT " to the background, which is %s: CALL migrate.wait(" INT64_FORMAT ") first, or take it back with SELECT migrate.cancel(" INT64_FORMAT ")",
						label, id, status->state, id, id)));
	}
}

/*
 * See deferred.h.
 */
void
require_deferred(List *tasks, const char *label)
{
	ListCell   *cell;

	foreach(cell, tasks)
	{
		int64		id = *(const int64 *) lfirst(cell);
		const TaskStatus *status = task_status(id);

		if (status == NULL || strcmp(status->state, "done") == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration %s waits for task " INT64_FORMAT ", which is %s: CALL migrate.deploy() waits for it and goes on",
						label, id, status->state)));
	}
}
