/*-------------------------------------------------------------------------
 *
 * backfill_task.c
 *	  A backfill that is left to the background.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/catalog.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "online/backfill_task.h"
#include "plan/plan.h"
#include "run/host.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static char *same_call(const BackfillRequest *request);
static const char *literal_or_null(const char *text);

/*
 * See backfill_task.h.
 */
void
defer_backfill(const BackfillRequest *request)
{
	Task	   *task = palloc0(sizeof(Task));
	PlanStep   *step = palloc0(sizeof(PlanStep));
	char	   *reason = NULL;
	Backfill	b = {request};

	check_set_text(request->set);
	if (request->condition != NULL)
		check_condition_text(request->condition);
	b.relid = RangeVarGetRelid(range_var_of_name(request->table),
							   AccessShareLock, false);
	check_backfill_table(&b, b.relid);
	if (get_rel_persistence(b.relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s is a temporary table, which the background does not see: call migrate.backfill() without background",
						relation_display_name(b.relid))));
	if (!task_role_can_be_served(&reason))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the backfill of %s cannot be left to the background: %s",
						relation_display_name(b.relid), reason)));

	step->text = same_call(request);
	task->statement = step->text;
	task->command = "CALL";
	task->rule = request->procedure;
	task->relation = relation_display_name(b.relid);
	task->relid = b.relid;
	task->steps = list_make1(step);
	task->deferred = true;
	task->state = TASK_WAITING;
	task_insert(task);
	task_after_commit();
	(void) note_deferred_task(task->id);
	ereport(NOTICE,
			(errmsg("the backfill of %s is done in the background, as task " INT64_FORMAT,
					task->relation, task->id),
			 errhint("CALL migrate.wait(" INT64_FORMAT ") waits for it; migrate.progress shows how far it is.",
					 task->id)));
}

/* In the foreground of the background. */
static char *
same_call(const BackfillRequest *request)
{
	return psprintf("CALL migrate.backfill(%s, %s, %s, false, %s)",
					literal_or_null(request->table),
					literal_or_null(request->set),
					literal_or_null(request->condition),
					literal_or_null(request->throttle));
}

static const char *
literal_or_null(const char *text)
{
	return text == NULL ? "NULL" : quote_literal_cstr(text);
}
