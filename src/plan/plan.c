/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The safer sequence that ends in the same schema.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/concurrent.h"
#include "common/script.h"
#include "common/settings.h"
#include "lib/stringinfo.h"
#include "plan/alter_plan.h"
#include "plan/concurrently.h"
#include "plan/drop_plan.h"
#include "plan/partition_plan.h"
#include "plan/plan.h"
#include "plan/plan_text.h"
#include "plan/rename_plan.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static bool *concurrent_flag(Node *statement);
static void leave_out_reindex_option(ReindexStmt *stmt);

/*
 * See plan.h.
 */
SafePlan *
plan_statement(Node *statement, List *effects, const char *source_text)
{
	Node	   *parsed = NULL;

	if (statement_may_have_plan(statement))
	{
		source_text = statement_text(source_text, 0, -1);
		parsed = parse_again(statement, source_text);
	}
	if (parsed == NULL)
		return NULL;
	switch (nodeTag(parsed))
	{
		case T_IndexStmt:
			return plan_create_index((IndexStmt *) parsed, effects, source_text);
		case T_DropStmt:
			/* a table: see plan_allowed_drop() */
			return ((DropStmt *) parsed)->removeType == OBJECT_INDEX ?
				plan_drop_index((DropStmt *) parsed) : NULL;
		case T_ReindexStmt:
			return plan_reindex((ReindexStmt *) parsed, effects, source_text);
		case T_RefreshMatViewStmt:
			return plan_refresh((RefreshMatViewStmt *) parsed, effects,
								source_text);
		case T_AlterTableStmt:
			return plan_alter_table((AlterTableStmt *) parsed, effects,
									source_text, false);
		case T_CreateStmt:
			return plan_create_partition((CreateStmt *) parsed, source_text);
		case T_VacuumStmt:
		case COMPAT_CLUSTER_TAG:
			return plan_repack(parsed);
		case T_RenameStmt:
			return plan_rename((RenameStmt *) parsed);
		default:
			return NULL;
	}
}

/*
 * See plan.h.
 */
bool
statement_may_have_plan(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropStmt:
			return ((DropStmt *) statement)->removeType == OBJECT_INDEX ||
				((DropStmt *) statement)->removeType == OBJECT_TABLE;
		case T_CreateStmt:
			return ((CreateStmt *) statement)->partbound != NULL;
		case T_RenameStmt:
			return setting_rename_with_view;
		case T_IndexStmt:
		case T_ReindexStmt:
		case T_RefreshMatViewStmt:
		case T_AlterTableStmt:
		case T_VacuumStmt:
		case COMPAT_CLUSTER_TAG:
			return true;
		default:
			return false;
	}
}

/*
 * See plan.h.
 */
SafePlan *
plan_allowed_drop(Node *statement, List *effects, const char *source_text)
{
	Node	   *parsed;
	SafePlan   *plan;

	source_text = statement_text(source_text, 0, -1);
	parsed = parse_again(statement, source_text);
	if (parsed == NULL)
		return NULL;
	if (IsA(parsed, DropStmt))
		return ((DropStmt *) parsed)->removeType == OBJECT_TABLE ?
			plan_drop_table((DropStmt *) parsed) : NULL;
	if (!IsA(parsed, AlterTableStmt))
		return NULL;
	plan = plan_drop_column((AlterTableStmt *) parsed, effects, source_text);
	return plan != NULL ? plan :
		plan_alter_table((AlterTableStmt *) parsed, effects, source_text, true);
}

/*
 * See plan.h.
 */
void
add_plan_step(SafePlan *plan, char *text, char *undo)
{
	PlanStep   *step = palloc(sizeof(PlanStep));

	step->text = text;
	step->undo = undo;
	plan->steps = lappend(plan->steps, step);
}

/*
 * See plan.h.
 */
char *
plan_as_script(const SafePlan *plan)
{
	StringInfoData script;
	ListCell   *cell;

	if (plan == NULL)
		return NULL;
	initStringInfo(&script);
	foreach(cell, plan->steps)
	{
		if (script.len > 0)
			appendStringInfoChar(&script, '\n');
		appendStringInfo(&script, "%s;", ((PlanStep *) lfirst(cell))->text);
	}
	return script.data;
}

/*
 * See plan.h.
 */
bool
concurrently_is_needless(Node *statement)
{
	EffectContext context = {0};
	bool	   *flag = concurrent_flag(statement);
	ListCell   *cell;

	if (flag == NULL ? !(IsA(statement, ReindexStmt) &&
						 reindex_is_concurrent((ReindexStmt *) statement))
		: !*flag)
		return false;

	/* a schema or database, which only PostgreSQL's own words may refuse */
	if (IsA(statement, ReindexStmt) && ((ReindexStmt *) statement)->relation == NULL)
		return false;

	/* nothing to describe: the index or table is not there, see IF EXISTS */
	foreach(cell, describe_effects(statement, &context))
	{
		RelationFacts *relation = ((Effect *) lfirst(cell))->relation;

		/* PostgreSQL refuses the word for these; let it say so */
		if (relation->relkind == RELKIND_PARTITIONED_TABLE)
			return false;
		measure_relation(relation);
		if (!relation->is_new && !relation->is_temp &&
			relation->table_bytes > (uint64) setting_small_table * 1024)
			return false;
	}
	return true;
}

/* Where a statement keeps the word, or NULL. */
static bool *
concurrent_flag(Node *statement)
{
	if (IsA(statement, IndexStmt))
		return &((IndexStmt *) statement)->concurrent;
	if (IsA(statement, DropStmt) &&
		((DropStmt *) statement)->removeType == OBJECT_INDEX)
		return &((DropStmt *) statement)->concurrent;
	return NULL;
}

static void
leave_out_reindex_option(ReindexStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->params)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "concurrently") == 0)
			stmt->params = foreach_delete_current(stmt->params, cell);
	}
}

/*
 * See plan.h.
 */
char *
remove_concurrently(Node *statement, const char *text)
{
	bool	   *flag = concurrent_flag(statement);
	SqlTokens  *tokens = scan_sql(text);

	if (flag != NULL)
		*flag = false;
	else
		leave_out_reindex_option(castNode(ReindexStmt, statement));

	for (int i = 1; i < tokens->count; i++)
	{
		int			start = tokens->tokens[i].location;
		int			before = tokens->tokens[i - 1].location +
		tokens->tokens[i - 1].length;

		/* in REINDEX (CONCURRENTLY) it cannot be cut out so simply */
		if (token_is(tokens, i, "concurrently") && text[before] != '(' &&
			text[before - 1] != '(')
			return psprintf("%s%s", statement_text(text, 0, before),
							text + start + tokens->tokens[i].length);
	}
	return pstrdup(text);
}
