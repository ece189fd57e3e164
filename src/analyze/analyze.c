/*-------------------------------------------------------------------------
 *
 * analyze.c
 *	  What the current transaction will have analyzed if it commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "analyze/analyze_internal.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

typedef struct PendingAnalyze
{
	SubTransactionId subtransaction;
	AnalyzeTask task;
} PendingAnalyze;

/* Of PendingAnalyze, in TopTransactionContext. */
static List *pending = NIL;

static PendingAnalyze *find_pending(SubTransactionId subtransaction,
									Oid relid);
static void end_transaction(XactEvent event, void *arg);
static void queue_pending(void);
static void end_subtransaction(SubXactEvent event, SubTransactionId ended,
							   SubTransactionId parent, void *arg);

void
register_analyze_callbacks(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * See analyze.h.
 */
void
analyze_after_commit(Oid relid, AttrNumber attnum)
{
	SubTransactionId current = GetCurrentSubTransactionId();
	PendingAnalyze *entry = find_pending(current, relid);
	AnalyzeTask task = {0};
	MemoryContext old;

	task.relid = relid;
	if (attnum != InvalidAttrNumber)
	{
		task.column_count = 1;
		task.columns[0] = attnum;
	}
	if (entry != NULL)
	{
		add_to_task(&entry->task, &task);
		return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc(sizeof(PendingAnalyze));
	entry->subtransaction = current;
	entry->task = task;
	pending = lappend(pending, entry);
	MemoryContextSwitchTo(old);
}

static PendingAnalyze *
find_pending(SubTransactionId subtransaction, Oid relid)
{
	ListCell   *cell;

	foreach(cell, pending)
	{
		PendingAnalyze *entry = lfirst(cell);

		if (entry->task.relid == relid &&
			entry->subtransaction == subtransaction)
			return entry;
	}
	return NULL;
}

/*
 * See analyze_internal.h.  Too many columns are all of them.
 */
void
add_to_task(AnalyzeTask *task, const AnalyzeTask *more)
{
	if (more->column_count == 0)
		task->column_count = 0;
	for (int i = 0; i < more->column_count && task->column_count > 0; i++)
	{
		bool		known = false;

		for (int j = 0; j < task->column_count; j++)
			known |= task->columns[j] == more->columns[i];
		if (known)
			continue;
		if (task->column_count == MAX_ANALYZE_COLUMNS)
			task->column_count = 0;
		else
			task->columns[task->column_count++] = more->columns[i];
	}
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (pending == NIL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			return;
		case XACT_EVENT_PRE_PREPARE:
			/* another session will commit it, or roll it back */
			ereport(NOTICE,
					(errmsg("statistics lost in a prepared transaction are not renewed by safe_migrate: run ANALYZE after COMMIT PREPARED")));
			return;
		case XACT_EVENT_COMMIT:
			queue_pending();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			break;
	}
	pending = NIL;
}

/* The transaction has committed: nothing may throw any more. */
static void
queue_pending(void)
{
	int			lost = 0;
	ListCell   *cell;

	foreach(cell, pending)
	{
		if (!analyze_queue_put(MyDatabaseId,
							   &((PendingAnalyze *) lfirst(cell))->task))
			lost++;
	}
	if (lost > 0)
		ereport(LOG_SERVER_ONLY,
				(errmsg("could not queue ANALYZE of %d tables that have lost statistics: the queue is full",
						lost),
				 errhidestmt(true)));
}

/*
 * What a subtransaction lost is its parent's business now, or nobody's.
 */
static void
end_subtransaction(SubXactEvent event, SubTransactionId ended,
				   SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, pending)
	{
		PendingAnalyze *entry = lfirst(cell);
		PendingAnalyze *of_parent;

		if (entry->subtransaction != ended)
			continue;
		of_parent = event == SUBXACT_EVENT_COMMIT_SUB ?
			find_pending(parent, entry->task.relid) : NULL;
		if (of_parent != NULL)
			add_to_task(&of_parent->task, &entry->task);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			entry->subtransaction = parent;
			continue;
		}
		pending = foreach_delete_current(pending, cell);
	}
}
