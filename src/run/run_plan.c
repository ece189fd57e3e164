/*-------------------------------------------------------------------------
 *
 * run_plan.c
 *	  CALL migrate.run(statement): one statement, done the safe way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/errors.h"
#include "common/script.h"
#include "nodes/nodeFuncs.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "record/record.h"
#include "run/run.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

/* Where in its plan a statement is, for the CONTEXT of an error. */
typedef struct PlanProgress
{
	List	   *steps;
	int			current;		/* from 0 */
} PlanProgress;

static void run_safely(int nargs, const ProcedureArgument *args);
static Node *single_statement(const char *text);
static SafePlan *plan_safely(Node *statement, const char *text,
							 Finding **finding);
static void run_steps(PlanProgress *progress);
static void add_progress_to_context(void *arg);

/*
 * Register the procedures of this folder.  Called once, from _PG_init.
 */
void
register_run_procedures(void)
{
	register_top_level_procedure("run", run_safely);
	register_top_level_procedure("wait", wait_for_task);
}

/*
 * Make a plan, then run each of its steps in a transaction of its own.  A
 * statement that no rule refuses runs as it is.
 */
static void
run_safely(int nargs, const ProcedureArgument *args)
{
	MemoryContext context;
	PlanProgress progress = {0};
	ErrorContextCallback callback;
	SafePlan   *plan;
	PlanStep	only_step = {0};
	char	   *text;
	Node	   *statement;
	Finding    *finding;

	Assert(nargs == 1);
	if (args[0].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the statement for migrate.run() must not be null")));
	text = args[0].value;

	/* the plan outlives the transactions that its steps run in */
	context = AllocSetContextCreate(PortalContext, "safe_migrate plan",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	statement = single_statement(text);

	only_step.text = text;
	progress.steps = list_make1(&only_step);
	callback.callback = add_progress_to_context;
	callback.arg = &progress;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	plan = plan_safely(statement, text, &finding);
	if (plan != NULL)
	{
		Decision	decision = {0};

		decision.outcome = DECISION_REWRITTEN;
		decision.rule = finding->rule->name;
		if (finding->effect->relation != NULL)
			decision.relation = finding->effect->relation->name;
		decision.command = GetCommandTagName(CreateCommandTag(statement));
		decision.statement = text;
		decision.executed = plan_as_script(plan);
		decision.message = "run step by step by migrate.run()";
		record_decision(&decision);
		progress.steps = plan->steps;
	}

	/* the caller's transaction has done nothing but evaluate the argument */
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	run_steps(&progress);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(CurTransactionContext);
}

static Node *
single_statement(const char *text)
{
	List	   *statements = parse_script(text, "statement");
	Node	   *statement;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.run() takes one statement, not %d; send each in a CALL of its own, or a script to migrate.apply()",
						list_length(statements))));
	statement = ((ScriptStatement *) linitial(statements))->raw->stmt;
	if (!statement_has_effects(statement) || IsA(statement, DoStmt) ||
		IsA(statement, CallStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.run() is for statements that change the schema, not for %s; send it directly",
						GetCommandTagName(CreateCommandTag(statement)))));
	return statement;
}

/*
 * The steps, and why they are needed; NIL when the statement may run as it is,
 * or when there is no plan: then the hook decides, and an override counts.
 */
static SafePlan *
plan_safely(Node *statement, const char *text, Finding **finding)
{
	EffectContext context = {0};

	context.source_text = text;
	*finding = heaviest_finding(judge_effects(describe_effects(statement,
															   &context)));
	if (*finding == NULL || (*finding)->action == ACTION_ALLOW)
		return NULL;
	return plan_statement(statement, context.effects, text);
}

/*
 * One transaction a step; leaves a new one open.  What is done stays done when
 * a later step fails: every state in between is one that can be left so.
 */
static void
run_steps(PlanProgress *progress)
{
	MemoryContext context = CurrentMemoryContext;

	for (; progress->current < list_length(progress->steps);
		 progress->current++)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		run_statement_at_top_level(((PlanStep *) list_nth(progress->steps,
														  progress->current))->text);
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
	}

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

static void
add_progress_to_context(void *arg)
{
	PlanProgress *progress = arg;
	int			total = list_length(progress->steps);
	char	   *step = ((PlanStep *) list_nth(progress->steps,
											  progress->current))->text;
	int			position = geterrposition();

	/* it is a position in the step, not in the CALL that the client sent */
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(step);
	}
	if (total > 1)
		errcontext("step %d of %d: %s\nThe steps before it are done; an INVALID index or a NOT VALID constraint may be left to drop.",
				   progress->current + 1, total, step);
}
