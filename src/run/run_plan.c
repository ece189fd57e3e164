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
#include "common/settings.h"
#include "drift/ddl_record.h"
#include "effects/ddl.h"
#include "policy/design.h"
#include "policy/opt_in.h"
#include "nodes/nodeFuncs.h"
#include "plan/online_call.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "run/rewrite.h"
#include "run/run.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

static void run_safely(int nargs, const ProcedureArgument *args);
static Node *single_statement(const char *text);
static Task *plan_safely(Node *statement, const char *text);
static bool must_be_migration(Node *statement, EffectContext *context,
							  const char *text);
static void run_as_it_is(const char *text);
static void run_recorded(Task *task, Node *statement, const char *text);
static void move_position(void *arg);

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
 * Carry out the plan of the statement, or what an earlier run has left of it.
 * A statement that no rule refuses, or that has no plan, runs as it is: then
 * the hook decides, and an override counts.
 */
static void
run_safely(int nargs, const ProcedureArgument *args)
{
	MemoryContext context;
	ErrorContextCallback callback;
	Node	   *statement;
	Task	   *task;

	Assert(nargs == 1);
	if (args[0].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the statement for migrate.run() must not be null")));

	/* outlives the transactions that the steps run in */
	context = AllocSetContextCreate(PortalContext, "safe_migrate run",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	statement = single_statement(args[0].value);
	callback.callback = move_position;
	callback.arg = args[0].value;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	task = find_unfinished_rewrite(statement, args[0].value);
	if (task == NULL)
		task = plan_safely(statement, args[0].value);
	if (task == NULL)
		run_as_it_is(args[0].value);
	error_context_stack = callback.previous;
	if (task != NULL)
		run_recorded(task, statement, args[0].value);
	MemoryContextSwitchTo(CurTransactionContext);
}

static Node *
single_statement(const char *text)
{
	List	   *statements = parse_script(text, "statement", 1);
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
 * The task that does it step by step, whatever the policy says of that; NULL
 * when the statement may run as it is, or when there is no plan.
 */
static Task *
plan_safely(Node *statement, const char *text)
{
	EffectContext context = {0};
	RewriteSource source = {0};
	Finding    *heaviest;

	context.source_text = text;
	source.statement = statement;
	source.text = text;
	source.effects = describe_effects(statement, &context);
	if (must_be_migration(statement, &context, text))
		return NULL;
	source.findings = judge_effects(source.effects);
	heaviest = heaviest_finding(source.findings);
	if (heaviest == NULL || heaviest->action == ACTION_ALLOW)
		return NULL;
	/* the hook starts that */
	if (heaviest->action == ACTION_ONLINE && online_call(statement, text) != NULL)
		return NULL;
	return make_rewrite(&source, heaviest);
}

/* Then it is for the hook to refuse it. */
static bool
must_be_migration(Node *statement, EffectContext *context, const char *text)
{
	TraitSource source = {0};
	ListCell   *cell;

	if (!design_rules_count() || (setting_mode != MODE_AUTO &&
								  setting_mode != MODE_ENFORCE))
		return false;
	source.effects = context;
	source.text = text;
	foreach(cell, judge_design(statement, &source))
	{
		const Finding *finding = lfirst(cell);

		if (finding->rule->trait == TRAIT_NO_MIGRATION &&
			finding->action == ACTION_REJECT)
			return true;
	}
	return false;
}

/* What runs as it is, the hook records. */
static void
run_recorded(Task *task, Node *statement, const char *text)
{
	CommandTag	tag = CreateCommandTag(statement);
	DdlRecord  *record = NULL;

	if (setting_record_ddl && statement_changes_schema(statement) &&
		hook_is_active())
		record = begin_ddl_record(statement, text);
	PG_TRY();
	{
		run_rewrite(task, NULL, tag, NULL);
	}
	PG_CATCH();
	{
		if (record != NULL)
			abandon_ddl_record(record);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (record != NULL)
		end_ddl_record(record, NULL);
}

/* In a transaction of its own, as a client would have sent it. */
static void
run_as_it_is(const char *text)
{
	MemoryContext context = CurrentMemoryContext;

	/* the caller's transaction has done nothing but evaluate the argument */
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);

	run_statement_at_top_level(text);
}

/* A position is one in the statement, not in the CALL that was sent. */
static void
move_position(void *arg)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery((const char *) arg);
}
