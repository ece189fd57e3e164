/*-------------------------------------------------------------------------
 *
 * deferred.c
 *	  What migrations have left to the background.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/deferred.h"
#include "ledger/deploy_progress.h"
#include "run/host.h"
#include "run/run.h"
#include "task/task.h"

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
		wait_until_task_is_done(id, version);
	}
	progress_waits_for(NULL);
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
