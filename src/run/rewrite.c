/*-------------------------------------------------------------------------
 *
 * rewrite.c
 *	  Running something safer instead of a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/compat.h"
#include "common/script.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "plan/alter_plan.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "preserve/destruction.h"
#include "record/record.h"
#include "run/host.h"
#include "run/made.h"
#include "run/rewrite.h"
#include "run/run_task.h"
#include "run/take_over.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

static MemoryContext rewrite_context(void);
static Task *make_task(const RewriteSource *source, const Finding *finding,
					   SafePlan *plan);
static bool drops_table_or_column(Node *statement);
static Oid	main_relid(List *effects);
static uint64 size_of_effects(List *effects);
static bool is_outdated(Task *task);
static bool all_made_is_there(const Task *task);
static void run_quick_steps(Task *task, ParamListInfo params,
							QueryEnvironment *query_env);
static void run_quick_step(Task *task, const char *text, ParamListInfo params,
						   QueryEnvironment *query_env);

/* Survives the commits of the task; the portal runs until they are done. */
static MemoryContext
rewrite_context(void)
{
	return AllocSetContextCreate(PortalContext, "safe_migrate rewrite",
								 ALLOCSET_DEFAULT_SIZES);
}

/*
 * See rewrite.h.
 */
Task *
choose_rewrite(const RewriteSource *source, char **refusal)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = rewrite_context();
	const Finding *heaviest;
	SafePlan   *plan;
	Task	   *task = NULL;

	MemoryContextSwitchTo(context);
	plan = plan_statement(source->statement, source->effects, source->text);
	settle_actions(source->findings, plan != NULL && !source->in_transaction,
				   plan != NULL && plan->quick_steps >= 0);
	heaviest = heaviest_finding(source->findings);
	if (heaviest->action == ACTION_REWRITE)
		task = make_task(source, heaviest, plan);
	else if (heaviest->action == ACTION_DEFER)
	{
		char	   *reason = NULL;

		if (task_role_can_be_served(&reason))
		{
			task = make_task(source, heaviest, plan);
			task->deferred = true;
			task->state = TASK_WAITING;
			task->done = plan->quick_steps;
		}
		else
		{
			MemoryContextSwitchTo(caller);
			*refusal = psprintf("It cannot be left for after the commit: %s.",
								reason);
		}
	}
	MemoryContextSwitchTo(caller);
	if (task == NULL)
		MemoryContextDelete(context);
	return task;
}

static Task *
make_task(const RewriteSource *source, const Finding *finding, SafePlan *plan)
{
	Task	   *task = palloc0(sizeof(Task));
	const Effect *effect = finding != NULL ? finding->effect :
	linitial(source->effects);
	const RelationFacts *relation = effect->relation;

	task->statement = statement_text(source->text, 0, -1);
	task->command = GetCommandTagName(CreateCommandTag(source->statement));
	task->rule = finding != NULL ? finding->rule->name : "foreign_keys";
	task->relation = relation != NULL ? pstrdup(relation->name) : NULL;
	task->relid = main_relid(source->effects);
	task->steps = plan->steps;
	task->destroys = statement_may_destroy(source->statement);
	task->size_bytes = size_of_effects(source->effects);
	return task;
}

/* That of the relation which the statement is about. */
static Oid
main_relid(List *effects)
{
	const Effect *first = effects == NIL ? NULL : linitial(effects);

	return first == NULL || first->relation == NULL ? InvalidOid :
		first->relation->relid;
}

/* Of the largest relation that work is done on. */
static uint64
size_of_effects(List *effects)
{
	uint64		size = 0;
	ListCell   *cell;

	foreach(cell, effects)
		size = Max(size, ((const Effect *) lfirst(cell))->size_bytes);
	return size;
}

/*
 * See rewrite.h.
 */
Task *
choose_careful_drop(const RewriteSource *source, char **refusal)
{
	const Finding *heaviest = heaviest_finding(source->findings);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	SafePlan   *plan;
	Task	   *task = NULL;

	/* with one effect there is one table */
	if (!drops_table_or_column(source->statement) ||
		list_length(source->effects) < 2)
		return NULL;
	context = rewrite_context();
	MemoryContextSwitchTo(context);
	plan = plan_allowed_drop(source->statement, source->effects, source->text);
	if (plan != NULL)
		task = make_task(source, heaviest, plan);
	MemoryContextSwitchTo(caller);
	if (task == NULL)
		MemoryContextDelete(context);
	return task;
}

static bool
drops_table_or_column(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, DropStmt))
		return ((DropStmt *) statement)->removeType == OBJECT_TABLE;
	if (!IsA(statement, AlterTableStmt))
		return false;
	foreach(cell, ((AlterTableStmt *) statement)->cmds)
	{
		if (lfirst_node(AlterTableCmd, cell)->subtype == AT_DropColumn)
			return true;
	}
	return false;
}

/*
 * See rewrite.h.
 */
Task *
make_rewrite(const RewriteSource *source, const Finding *finding)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = rewrite_context();
	SafePlan   *plan;
	Task	   *task = NULL;

	MemoryContextSwitchTo(context);
	plan = plan_statement(source->statement, source->effects, source->text);
	if (plan != NULL)
		task = make_task(source, finding, plan);
	MemoryContextSwitchTo(caller);
	if (task == NULL)
		MemoryContextDelete(context);
	return task;
}

/*
 * See rewrite.h.
 */
Task *
find_unfinished_rewrite(Node *statement, const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	Task	   *task;

	if ((!statement_may_have_plan(statement) &&
		 !drops_table_or_column(statement)) || !tasks_may_exist())
		return NULL;
	context = rewrite_context();
	MemoryContextSwitchTo(context);
	task = task_find_unfinished(statement_text(text, 0, -1));
	if (task != NULL && is_outdated(task))
		task = NULL;
	if (task != NULL)
		task->destroys = statement_may_destroy(statement);
	MemoryContextSwitchTo(caller);
	if (task == NULL)
		MemoryContextDelete(context);
	return task;
}

/*
 * See rewrite.h.
 */
void
run_rewrite(Task *task, const ScriptHost *host, CommandTag tag,
			QueryCompletion *qc)
{
	MemoryContext caller = CurrentMemoryContext;

	PreventCommandIfReadOnly(GetCommandTagName(tag));

	/* nothing has been done in the transaction but to judge the statement */
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	if (host != NULL)
	{
		if (host->divide != NULL)
			host->divide(host->arg);
		task->complete = host->complete;
		task->complete_arg = host->arg;
		task->continued_by = host->continued_by;
	}
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
	run_task(task);

	end_own_transactions(tag, qc);
	MemoryContextSwitchTo(caller);
}

/*
 * Others have changed the table since the task stopped: then the statement is
 * a new one, and what the task has left is for its user to see to.
 */
static bool
is_outdated(Task *task)
{
	if ((witness_holds(task) && all_made_is_there(task)) ||
		!task_lock(task->id))
		return false;
	task->state = TASK_CANCELLED;
	task->error = "the table was changed by others before the statement was sent again";
	task->sqlstate = NULL;
	task_update(task, false);
	task_unlock();
	ereport(WARNING,
			(errmsg("task " INT64_FORMAT ", an unfinished run of the same statement, is given up, because %s has been changed since",
					task->id, task->relation ? task->relation :
					"the database"),
			 errhint("SELECT * FROM migrate.verify() shows what it may have left.")));
	return true;
}

static bool
all_made_is_there(const Task *task)
{
	ListCell   *cell;

	foreach(cell, relations_made(task))
	{
		if (get_rel_name(lfirst_oid(cell)) == NULL)
			return false;
	}
	return true;
}

/*
 * See rewrite.h.
 */
void
tell_rewrite(const Task *task)
{
	SafePlan	plan = {0};

	if (task->id != 0)
	{
		ereport(NOTICE,
				(errmsg("%s: goes on with task " INT64_FORMAT ", %d of %d steps are done",
						task->rule, task->id, task->done,
						list_length(task->steps))));
		return;
	}
	plan.steps = task->steps;
	ereport(NOTICE,
			(errmsg_plural("%s: the safe way is run instead, in %d step",
						   "%s: the safe way is run instead, in %d steps",
						   list_length(task->steps), task->rule,
						   list_length(task->steps)),
			 errdetail("%s", plan_as_script(&plan))));
}

/*
 * See rewrite.h.
 */
void
defer_rewrite(Task *task, CommandTag tag, ParamListInfo params,
			  QueryEnvironment *query_env, QueryCompletion *qc)
{
	MemoryContext caller = CurrentMemoryContext;
	SafePlan	plan = {0};
	Decision	decision = {0};

	PreventCommandIfReadOnly(GetCommandTagName(tag));
	MemoryContextSwitchTo(GetMemoryChunkContext(task));
	run_quick_steps(task, params, query_env);
	task->witness = take_witness(task);
	task_insert(task);
	task_after_commit();
	(void) note_deferred_task(task->id);

	plan.steps = task->steps;
	decision.outcome = DECISION_DEFERRED;
	decision.rule = task->rule;
	decision.command = task->command;
	decision.relation = task->relation;
	decision.statement = task->statement;
	decision.executed = plan_as_script(&plan);
	decision.message = task->done == 0 ?
		psprintf("it is done after the commit, as task " INT64_FORMAT,
				 task->id) :
		psprintf("%d of %d steps were run, the others follow after the commit as task " INT64_FORMAT,
				 task->done, list_length(task->steps), task->id);
	(void) GetTopFullTransactionId();
	record_decision(&decision);
	ereport(NOTICE,
			(errmsg("%s: %s", task->rule, decision.message),
			 errhint("CALL migrate.wait(" INT64_FORMAT ") waits for it; migrate.tasks shows it.",
					 task->id)));
	if (qc != NULL)
		SetQueryCompletion(qc, tag, 0);
	MemoryContextSwitchTo(caller);
}

static void
run_quick_steps(Task *task, ParamListInfo params,
				QueryEnvironment *query_env)
{
	for (int i = 0; i < task->done; i++)
		run_quick_step(task,
					   ((PlanStep *) list_nth(task->steps, i))->text,
					   params, query_env);
}

/* As a part of the statement: one of a transaction, not at top level. */
static void
run_quick_step(Task *task, const char *text, ParamListInfo params,
			   QueryEnvironment *query_env)
{
	List	   *statements = parse_script(text, "step", 1);
	ListCell   *cell;

	foreach(cell, statements)
	{
		const ScriptStatement *statement = lfirst(cell);
		PlannedStmt *wrapper = makeNode(PlannedStmt);

		wrapper->commandType = CMD_UTILITY;
		wrapper->utilityStmt = statement->raw->stmt;
		wrapper->stmt_location = statement->raw->stmt_location;
		wrapper->stmt_len = statement->raw->stmt_len;
		mark_step(true);
		watch_made(task, false);
		PG_TRY();
		{
			ProcessUtility(wrapper, text, false, PROCESS_UTILITY_QUERY,
						   params, query_env, None_Receiver, NULL);
		}
		PG_FINALLY();
		{
			/* if another hook has raised an error before ours was reached */
			mark_step(false);
			watch_made(NULL, false);
		}
		PG_END_TRY();
		CommandCounterIncrement();
	}
}
