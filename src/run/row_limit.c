/*-------------------------------------------------------------------------
 *
 * row_limit.c
 *	  Stopping a query that changes too many rows.
 *
 * ModifyTable asks the node below it for one row after another.  That node's
 * function is replaced by one that looks first how many rows have been changed
 * by now, so that the statement ends with the first row too many.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/settings.h"
#include "effects/dml.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "run/judge.h"
#include "run/row_limit.h"

/* One ModifyTable that is watched; allocated with its executor state. */
typedef struct RowWatch
{
	struct RowWatch *next;
	QueryDesc  *query;
	ModifyTableState *modify;
	PlanState  *input;
	ExecProcNodeMtd next_row;	/* the function that was replaced */
	uint64		tried;
	int			limit;
	bool		judged;
	MemoryContextCallback callback;
} RowWatch;

/* Innermost first: the queries of a function before those that call it. */
static RowWatch *watches = NULL;

static void watch_node(QueryDesc *query, PlanState *node);
static void end_watch(void *arg);
static TupleTableSlot *next_watched_row(PlanState *input);
static void judge_rows(RowWatch *watch);
static uint64 rows_changed(const RowWatch *watch);
static void describe_rows(PlannedStmt *pstmt, EffectContext *context,
						  void *arg);

/*
 * See row_limit.h.
 */
void
watch_row_limit(QueryDesc *query)
{
	ListCell   *cell;

	watch_node(query, query->planstate);
	foreach(cell, query->estate->es_subplanstates)
		watch_node(query, lfirst(cell));
}

static void
watch_node(QueryDesc *query, PlanState *node)
{
	MemoryContext context = query->estate->es_query_cxt;
	ModifyTableState *modify = (ModifyTableState *) node;
	RowWatch   *watch;

	if (node == NULL || !IsA(node, ModifyTableState) ||
		modify->operation == CMD_INSERT || outerPlanState(node) == NULL)
		return;
	watch = MemoryContextAllocZero(context, sizeof(RowWatch));
	watch->query = query;
	watch->modify = modify;
	watch->input = outerPlanState(node);
	watch->next_row = watch->input->ExecProcNodeReal;
	watch->limit = setting_row_limit;
	watch->next = watches;
	watch->callback.func = end_watch;
	watch->callback.arg = watch;
	MemoryContextRegisterResetCallback(context, &watch->callback);
	watches = watch;
	ExecSetExecProcNode(watch->input, next_watched_row);
}

/* The executor state goes away, be it after an error. */
static void
end_watch(void *arg)
{
	RowWatch  **at = &watches;

	while (*at != NULL && *at != arg)
		at = &(*at)->next;
	if (*at != NULL)
		*at = (*at)->next;
}

static TupleTableSlot *
next_watched_row(PlanState *input)
{
	RowWatch   *watch = watches;
	TupleTableSlot *slot;

	while (watch->input != input)
		watch = watch->next;
	if (!watch->judged && rows_changed(watch) > watch->limit)
		judge_rows(watch);
	slot = watch->next_row(input);
	if (!TupIsNull(slot))
		watch->tried++;
	/* a foreign table may have been changed as a whole by now */
	else if (!watch->judged && rows_changed(watch) > watch->limit)
		judge_rows(watch);
	return slot;
}

/*
 * As the command tag has it; of MERGE without what it inserts.  The row that
 * was fetched last is changed by the time that the next is asked for.
 */
static uint64
rows_changed(const RowWatch *watch)
{
	const ModifyTableState *modify = watch->modify;

	if (modify->operation == CMD_MERGE)
		return (uint64) (modify->mt_merge_updated + modify->mt_merge_deleted);
	return modify->canSetTag ? watch->query->estate->es_processed :
		watch->tried;
}

static void
judge_rows(RowWatch *watch)
{
	watch->judged = true;
	judge_query(watch->query->plannedstmt, watch->query->sourceText,
				describe_rows, watch);
}

static void
describe_rows(PlannedStmt *pstmt, EffectContext *context, void *arg)
{
	RowWatch   *watch = arg;

	describe_many_rows(pstmt, (ModifyTable *) watch->modify->ps.plan,
					   watch->limit, context);
}
