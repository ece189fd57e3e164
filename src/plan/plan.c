/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The safer sequence that ends in the same schema.
 *
 * A step is made from the user's own text, by the tokens of the server's
 * scanner: a word put in, a clause cut out.  PostgreSQL cannot print a parse
 * tree of DDL as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "common/script.h"
#include "common/settings.h"
#include "lib/stringinfo.h"
#include "plan/alter_plan.h"
#include "plan/plan.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static SafePlan *plan_with_word(const char *source_text, const char *after,
								int quick_steps);
static bool has_partitioned_relation(List *effects);
static bool has_exclusion_index(List *effects);
static SafePlan *plan_refresh(RefreshMatViewStmt *stmt, List *effects,
							  const char *source_text);
static bool has_usable_unique_index(Oid relid);
static bool *concurrent_flag(Node *statement);
static bool drop_reindex_option(ReindexStmt *stmt, bool remove);

/*
 * See plan.h.
 */
SafePlan *
plan_statement(Node *statement, List *effects, const char *source_text)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			if (((IndexStmt *) statement)->concurrent ||
				has_partitioned_relation(effects))
				return NULL;
			/* what comes later in a transaction may count on it being unique */
			return plan_with_word(source_text, "index",
								  ((IndexStmt *) statement)->unique ? -1 : 0);
		case T_DropStmt:
			{
				DropStmt   *drop = (DropStmt *) statement;

				/* PostgreSQL takes one index at a time, and no CASCADE */
				if (drop->removeType != OBJECT_INDEX || drop->concurrent ||
					list_length(drop->objects) != 1 ||
					drop->behavior == DROP_CASCADE ||
					has_partitioned_relation(effects))
					return NULL;
				return plan_with_word(source_text, "index", -1);
			}
		case T_ReindexStmt:
			/* PostgreSQL refuses or skips those CONCURRENTLY */
			if (has_exclusion_index(effects))
				return NULL;
			switch (((ReindexStmt *) statement)->kind)
			{
				case REINDEX_OBJECT_INDEX:
					return plan_with_word(source_text, "index", -1);
				case REINDEX_OBJECT_TABLE:
					return plan_with_word(source_text, "table", -1);
				case REINDEX_OBJECT_SCHEMA:
					return plan_with_word(source_text, "schema", -1);
				case REINDEX_OBJECT_DATABASE:
					return plan_with_word(source_text, "database", -1);
				case REINDEX_OBJECT_SYSTEM:
					return NULL;
			}
			return NULL;
		case T_RefreshMatViewStmt:
			return plan_refresh((RefreshMatViewStmt *) statement, effects,
								source_text);
		case T_AlterTableStmt:
			return plan_alter_table((AlterTableStmt *) statement, effects,
									source_text);
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
		case T_IndexStmt:
		case T_DropStmt:
		case T_ReindexStmt:
		case T_RefreshMatViewStmt:
		case T_AlterTableStmt:
			return true;
		default:
			return false;
	}
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

/* The statement with CONCURRENTLY behind the first token that is "after". */
static SafePlan *
plan_with_word(const char *source_text, const char *after, int quick_steps)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	SqlTokens  *tokens = scan_sql(source_text);

	for (int i = 0; i < tokens->count; i++)
	{
		int			end = tokens->tokens[i].location +
		tokens->tokens[i].length;

		if (!token_is(tokens, i, after))
			continue;
		add_plan_step(plan,
					  psprintf("%s CONCURRENTLY %s",
							   statement_text(source_text, 0, end),
							   statement_text(source_text, end, -1)), NULL);
		plan->quick_steps = quick_steps;
		return plan;
	}
	return NULL;
}

static bool
has_partitioned_relation(List *effects)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		const RelationFacts *relation = ((Effect *) lfirst(cell))->relation;

		if (relation != NULL && relation->relkind == RELKIND_PARTITIONED_TABLE)
			return true;
	}
	return false;
}

static bool
has_exclusion_index(List *effects)
{
	const RelationFacts *relation = effects == NIL ? NULL :
	((Effect *) linitial(effects))->relation;
	Relation	rel;
	ListCell   *cell;
	bool		found = false;

	if (relation == NULL || !OidIsValid(relation->relid))
		return false;
	rel = try_relation_open(relation->relid, AccessShareLock);
	if (rel == NULL)
		return false;
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		found = found || index->rd_index->indisexclusion;
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/* REFRESH CONCURRENTLY needs a filled view with a unique index. */
static SafePlan *
plan_refresh(RefreshMatViewStmt *stmt, List *effects, const char *source_text)
{
	const Effect *effect;

	if (stmt->concurrent || stmt->skipData || effects == NIL)
		return NULL;
	effect = linitial(effects);
	if (effect->relation == NULL || !OidIsValid(effect->relation->relid) ||
		!has_usable_unique_index(effect->relation->relid))
		return NULL;
	return plan_with_word(source_text, "view", -1);
}

static bool
has_usable_unique_index(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	if (rel == NULL)
		return false;
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisunique && index->rd_index->indisvalid &&
			RelationGetIndexExpressions(index) == NIL &&
			RelationGetIndexPredicate(index) == NIL)
			found = true;
		relation_close(index, AccessShareLock);
	}
	found = found && rel->rd_rel->relispopulated;
	relation_close(rel, AccessShareLock);
	return found;
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
						 drop_reindex_option((ReindexStmt *) statement, false))
		: !*flag)
		return false;

	/* nothing to describe: the index or table is not there, see IF EXISTS */
	foreach(cell, describe_effects(statement, &context))
	{
		RelationFacts *relation = ((Effect *) lfirst(cell))->relation;

		/* every table of a schema or database */
		if (relation == NULL)
			return false;

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

/* True if REINDEX has the option; takes it out when asked to. */
static bool
drop_reindex_option(ReindexStmt *stmt, bool remove)
{
	ListCell   *cell;

	foreach(cell, stmt->params)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "concurrently") != 0 ||
			!defGetBoolean(option))
			continue;
		if (remove)
			stmt->params = list_delete_ptr(stmt->params, option);
		return true;
	}
	return false;
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
		(void) drop_reindex_option(castNode(ReindexStmt, statement), true);

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
