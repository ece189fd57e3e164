/*-------------------------------------------------------------------------
 *
 * check_rows.c
 *	  The rows of migrate.check() for one statement.
 *
 * The effects on one relation make one row: the strongest lock, the heaviest
 * work and risk, and the finding, if there is one.  If several rules apply,
 * each has a row of its own, with the effects that it is about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_parameter_acl.h"
#include "check/check.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "plan/online_call.h"
#include "plan/plan.h"
#include "policy/design.h"
#include "policy/opt_in.h"
#include "policy/policy.h"
#include "rates/rates.h"
#include "run/step.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/acl.h"

/* The effects on one relation, or those on none. */
typedef struct RelationRows
{
	const RelationFacts *relation;	/* NULL: not about a relation */
	LOCKMODE	lockmode;
	List	   *effects;		/* of Effect */
	List	   *findings;		/* of Finding */
} RelationRows;

typedef struct PlanRequest
{
	Node	   *node;
	List	   *effects;
	const char *text;
	SafePlan   *plan;			/* the answers */
	char	   *call;			/* of an online change */
} PlanRequest;

static char *settle_findings(const ScriptState *state, Node *node,
							 List *effects, List *findings, const char *text);
static void plan_in_script(PlanRequest *request);
static bool make_plan(void *arg);
static List *design_findings(EffectContext *context, Node *node,
							 const ScriptStatement *statement);
static void hold_locks(ScriptState *state, List *effects);
static List *group_by_relation(List *effects, List *findings);
static RelationRows *group_of(List **groups, const RelationFacts *relation);
static List *rows_of_group(const RelationRows *group);
static CheckRow *make_row(const RelationRows *group, List *effects,
						  List *findings);
static List *effects_of(List *findings);
static CheckRow *row_without_effect(void);
static const Effect *heaviest_effect(List *effects);
static char *message_of(List *findings);
static void forbid_in_transaction(ScriptState *state, Node *statement,
								  List *effects, List *rows);
static bool is_confined(const ScriptState *state);
static bool has_to_run_alone(Node *statement, List *effects, List *rows);
static bool concurrently_can_go(Node *statement, List *effects);
static void apply_override(const ScriptStatement *statement, List *rows);
static char *with_line(const ScriptState *state,
					   const ScriptStatement *statement, const char *message);

/*
 * See check.h.
 */
List *
check_rows(ScriptState *state, const ScriptStatement *statement)
{
	EffectContext context = {0};
	Node	   *node = check_existence(state->overlay, statement->raw->stmt);
	List	   *effects = NIL;
	List	   *findings;
	List	   *rows = NIL;
	char	   *safe_sql = NULL;
	ListCell   *cell;

	context.source_text = state->text;
	context.overlay = state->overlay;
	if (node != NULL)
		effects = describe_effects(node, &context);
	findings = judge_effects(effects);
	if (findings != NIL)
		safe_sql = settle_findings(state, node, effects, findings,
								   statement->text);
	if (node != NULL && design_rules_count())
		findings = list_concat(findings,
							   design_findings(&context, node, statement));

	foreach(cell, group_by_relation(effects, findings))
		rows = list_concat(rows, rows_of_group(lfirst(cell)));
	if (rows == NIL)
		rows = list_make1(row_without_effect());
	if (state->in_transaction && node != NULL)
		forbid_in_transaction(state, node, effects, rows);
	apply_override(statement, rows);
	state->runs_alone = state->divisible && node != NULL &&
		has_to_run_alone(node, effects, rows);

	foreach(cell, rows)
	{
		CheckRow   *row = lfirst(cell);

		if (row->rule != NULL &&
			rule_registry[rule_index(row->rule)].rule_class != RULE_DESIGN)
			row->safe_sql = safe_sql;
		if (row->message != NULL)
			row->message = with_line(state, statement, row->message);
	}
	if (state->in_transaction)
		hold_locks(state, effects);
	return rows;
}

/*
 * The findings get the actions that can be done.  Returns the safe way: the
 * online change, if it is to be started or there is no plan, else the plan.
 */
static char *
settle_findings(const ScriptState *state, Node *node, List *effects,
				List *findings, const char *text)
{
	PlanRequest request = {node, effects, text, NULL, NULL};
	SafePlan   *plan;
	const Finding *heaviest;

	plan_in_script(&request);
	plan = request.plan;
	settle_online(findings, request.call != NULL);
	settle_actions(findings, plan != NULL && !is_confined(state),
				   plan != NULL && plan->quick_steps >= 0);
	heaviest = heaviest_finding(findings);
	if (request.call != NULL &&
		(heaviest->action == ACTION_ONLINE ||
		 (plan == NULL && heaviest->action == ACTION_REJECT &&
		  rule_may_go_online(heaviest->rule))))
		return psprintf("SELECT %s;", request.call);
	return plan_as_script(plan);
}

/*
 * A plan is made from the catalog, which does not know what the script makes:
 * where it asks for that there is none.
 */
static void
plan_in_script(PlanRequest *request)
{
	ErrorData  *error = run_in_subtransaction(make_plan, request);

	if (error != NULL &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION)
		ReThrowError(error);
}

static bool
make_plan(void *arg)
{
	PlanRequest *request = arg;

	request->plan = plan_statement(request->node, request->effects,
								   request->text);
	request->call = online_call(request->node, request->text);
	return true;
}

static List *
design_findings(EffectContext *context, Node *node,
				const ScriptStatement *statement)
{
	TraitSource source = {0};
	List	   *findings;

	source.effects = context;
	source.text = statement->text;
	source.offset = statement->offset;
	source.by_migration = true;
	findings = judge_design(node, &source);
	settle_online(findings, false);
	return findings;
}

/* Later statements of the transaction work under the locks of this one. */
static void
hold_locks(ScriptState *state, List *effects)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->relation != NULL && effect->relation->overlay != NULL)
			overlay_hold_lock(state->overlay, effect->relation->overlay,
							  effect->lockmode);
	}
}

/* A list of RelationRows, in the order in which the effects were found. */
static List *
group_by_relation(List *effects, List *findings)
{
	List	   *groups = NIL;
	ListCell   *cell;

	foreach(cell, effects)
	{
		Effect	   *effect = lfirst(cell);
		RelationRows *group = group_of(&groups, effect->relation);

		group->effects = lappend(group->effects, effect);
		group->lockmode = Max(group->lockmode, effect->lockmode);
	}
	foreach(cell, findings)
	{
		Finding    *finding = lfirst(cell);
		RelationRows *group = group_of(&groups, finding->effect->relation);

		/* it stands for a trait, and may be all there is about the table */
		if (finding->effect->cause == CAUSE_DESIGN)
			group->effects = lappend(group->effects,
									 unconstify(Effect *, finding->effect));
		group->findings = lappend(group->findings, finding);
	}
	return groups;
}

/* The group of a relation, which is added if need be. */
static RelationRows *
group_of(List **groups, const RelationFacts *relation)
{
	RelationRows *group;
	ListCell   *cell;

	foreach(cell, *groups)
	{
		group = lfirst(cell);
		if (group->relation == relation)
			return group;
	}
	group = palloc0(sizeof(RelationRows));
	group->relation = relation;
	*groups = lappend(*groups, group);
	return group;
}

static List *
rows_of_group(const RelationRows *group)
{
	List	   *rows = NIL;
	List	   *rules = NIL;
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, group->findings)
	{
		const Finding *finding = lfirst(cell);

		rules = list_append_unique_ptr(rules, unconstify(Rule *,
														 finding->rule));
	}
	if (list_length(rules) <= 1)
		return list_make1(make_row(group, group->effects, group->findings));

	foreach(cell, rules)
	{
		List	   *findings = NIL;

		foreach(inner, group->findings)
		{
			if (((Finding *) lfirst(inner))->rule == lfirst(cell))
				findings = lappend(findings, lfirst(inner));
		}
		rows = lappend(rows, make_row(group, effects_of(findings), findings));
	}
	return rows;
}

static List *
effects_of(List *findings)
{
	List	   *effects = NIL;
	ListCell   *cell;

	foreach(cell, findings)
		effects = lappend(effects, unconstify(Effect *,
											  ((Finding *) lfirst(cell))->effect));
	return effects;
}

/* findings are of one rule, or none. */
static CheckRow *
make_row(const RelationRows *group, List *effects, List *findings)
{
	CheckRow   *row = palloc0(sizeof(CheckRow));
	const Effect *heaviest = heaviest_effect(effects);
	EffectRisk	risk = RISK_NONE;
	bool		is_rewritten = false;
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		risk = Max(risk, effect->risk);
		row->size_bytes = Max(row->size_bytes, effect->size_bytes);
	}
	row->work = work_name(heaviest->work);
	row->risk = risk_name(risk);
	row->lock_mode = group->lockmode == NoLock ? "none" :
		GetLockmodeName(DEFAULT_LOCKMETHOD, group->lockmode);
	row->action = action_name(ACTION_ALLOW);
	if (group->relation != NULL)
	{
		row->relation = group->relation->name;
		row->has_size = true;
	}
	if (findings != NIL)
	{
		const Finding *finding = heaviest_finding(findings);

		row->rule = finding->rule->name;
		row->action = action_name(finding->action);
		row->message = message_of(findings);
		is_rewritten = finding->action == ACTION_REWRITE ||
			finding->action == ACTION_ONLINE;
	}
	else if (heaviest->cause == CAUSE_OPAQUE)
	{
		/* nothing is known of it */
		row->lock_mode = NULL;
		row->risk = NULL;
		row->action = action_name(ACTION_NOTE);
		row->message = heaviest->reason;
	}
	row->seconds = work_seconds(heaviest, is_rewritten);
	return row;
}

static CheckRow *
row_without_effect(void)
{
	CheckRow   *row = palloc0(sizeof(CheckRow));

	row->lock_mode = "none";
	row->work = work_name(WORK_NONE);
	row->risk = risk_name(RISK_NONE);
	row->action = action_name(ACTION_ALLOW);
	return row;
}

static const Effect *
heaviest_effect(List *effects)
{
	const Effect *heaviest = linitial(effects);
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->work > heaviest->work ||
			(effect->work == heaviest->work &&
			 effect->size_bytes > heaviest->size_bytes))
			heaviest = effect;
	}
	return heaviest;
}

/*
 * The message of the heaviest of several findings of one rule, and the other
 * objects that the rule was found to apply to.
 */
static char *
message_of(List *findings)
{
	const Finding *heaviest = heaviest_finding(findings);
	List	   *named = NIL;
	StringInfoData message;
	ListCell   *cell;

	foreach(cell, findings)
	{
		const Finding *finding = lfirst(cell);

		if (finding->effect->work > heaviest->effect->work)
			heaviest = finding;
	}
	initStringInfo(&message);
	appendStringInfoString(&message, heaviest->message);
	if (heaviest->effect->object != NULL)
		named = list_make1(makeString(heaviest->effect->object));
	foreach(cell, findings)
	{
		char	   *object = ((Finding *) lfirst(cell))->effect->object;

		if (object == NULL || list_member(named, makeString(object)))
			continue;
		appendStringInfo(&message, "%s %s",
						 list_length(named) > 1 ? "," : "; likewise", object);
		named = lappend(named, makeString(object));
	}
	return message.data;
}

/*
 * In a transaction, PostgreSQL will refuse CONCURRENTLY and its like; our hook
 * leaves the word out where nobody would notice.
 */
static void
forbid_in_transaction(ScriptState *state, Node *statement, List *effects,
					  List *rows)
{
	CheckRow   *first = linitial(rows);
	const char *command = GetCommandTagName(CreateCommandTag(statement));

	if (!statement_needs_no_transaction(statement))
		return;
	if (concurrently_can_go(statement, effects))
	{
		first->message = "CONCURRENTLY is left out: the table is new, empty or small, and the statement is inside a transaction";
		first->action = action_name(ACTION_NOTE);
		return;
	}
	if (state->divisible)
		return;
	first->action = "error";
	first->message = psprintf("%s%s cannot run inside a transaction block",
							  command,
							  IsA(statement, IndexStmt) ||
							  IsA(statement, DropStmt) ? " CONCURRENTLY" : "");
}

/* In a transaction that nothing can end before this statement? */
static bool
is_confined(const ScriptState *state)
{
	return state->in_transaction && !state->divisible;
}

/* Does a transaction that can be divided end before it? */
static bool
has_to_run_alone(Node *statement, List *effects, List *rows)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		if (strcmp(((CheckRow *) lfirst(cell))->action,
				   action_name(ACTION_REWRITE)) == 0)
			return true;
	}
	return statement_needs_no_transaction(statement) &&
		!concurrently_can_go(statement, effects);
}

/* As concurrently_is_needless() has it, for relations of the script too. */
static bool
concurrently_can_go(Node *statement, List *effects)
{
	ListCell   *cell;

	if (!IsA(statement, IndexStmt) && !IsA(statement, DropStmt) &&
		!IsA(statement, ReindexStmt))
		return false;
	foreach(cell, effects)
	{
		RelationFacts *relation = ((Effect *) lfirst(cell))->relation;

		if (relation == NULL ||
			relation->relkind == RELKIND_PARTITIONED_TABLE)
			return false;
		measure_relation(relation);
		if (!relation->is_new && !relation->is_temp &&
			relation->table_bytes > (uint64) setting_small_table * 1024)
			return false;
	}
	return true;
}

/* A reason in a comment counts as it will when the statement runs. */
static void
apply_override(const ScriptStatement *statement, List *rows)
{
	const char *reason = setting_override;
	ListCell   *cell;

	if (reason == NULL || reason[0] == '\0')
	{
		reason = find_directive(statement->text, "override");
		if (reason == NULL || reason[0] == '\0' ||
			pg_parameter_aclcheck("safe_migrate.override", GetUserId(),
								  ACL_SET) != ACLCHECK_OK)
			return;
	}
	foreach(cell, rows)
	{
		CheckRow   *row = lfirst(cell);

		if (row->rule == NULL)
			continue;
		row->action = action_name(ACTION_ALLOW);
		row->message = psprintf("overridden (%s): %s", reason, row->message);
	}
}

/*
 * See check.h.
 */
CheckRow *
check_error_row(ScriptState *state, const ScriptStatement *statement,
				const ErrorData *error)
{
	CheckRow   *row = palloc0(sizeof(CheckRow));
	const char *message = error->message;

	row->work = work_name(WORK_UNKNOWN);
	row->action = "error";
	if (error_may_be_opaque(state, error))
	{
		const char *command;
		char	   *place = script_opaque_place(state, &command);

		row->action = action_name(ACTION_WARN);
		message = psprintf("%s, but %s on %s may change that",
						   error->message, command, place);
	}
	row->message = with_line(state, statement, message);
	return row;
}

/*
 * See check.h.
 */
bool
error_may_be_opaque(const ScriptState *state, const ErrorData *error)
{
	const char *command;

	if (overlay_opaque_line(state->overlay, &command) == 0)
		return false;
	switch (error->sqlerrcode)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_COLUMN:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_DUPLICATE_SCHEMA:
			return true;
		default:
			return false;
	}
}

/* Where it is, unless that is the only line. */
static char *
with_line(const ScriptState *state, const ScriptStatement *statement,
		  const char *message)
{
	if (!state->many_lines)
		return pstrdup(message);
	return psprintf("%s (line %d)", message, statement->line);
}
