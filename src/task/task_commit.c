/*-------------------------------------------------------------------------
 *
 * task_commit.c
 *	  Telling the launcher of tasks when their transaction has committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "task/task_internal.h"
#include "utils/memutils.h"

/* The subtransactions that tell it if they commit, in TopTransactionContext. */
static List *pending = NIL;

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId ended,
							   SubTransactionId parent, void *arg);

/*
 * See task.h.
 */
void
register_task_callbacks(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * See task.h.
 */
void
task_after_commit(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	pending = list_append_unique_int(pending,
									 (int) GetCurrentSubTransactionId());
	MemoryContextSwitchTo(old);
}

static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			return;
		case XACT_EVENT_PRE_PREPARE:
			/* another session will commit it, or roll it back */
			if (pending != NIL)
				ereport(NOTICE,
						(errmsg("what a prepared transaction leaves to the background is found by safe_migrate within five minutes after COMMIT PREPARED")));
			return;
		case XACT_EVENT_COMMIT:
			if (pending != NIL)
				task_queue_tell(MyDatabaseId);
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			break;
	}
	pending = NIL;
}

/* What a subtransaction leaves is its parent's business now, or nobody's. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId ended,
				   SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, pending)
	{
		if (lfirst_int(cell) != (int) ended)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			lfirst_int(cell) = (int) parent;
		else
			pending = foreach_delete_current(pending, cell);
	}
}
