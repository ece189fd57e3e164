/*-------------------------------------------------------------------------
 *
 * comment_rule.c
 *	  New tables without a comment, judged when their transaction commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "common/catalog.h"
#include "effects/ledgers.h"
#include "policy/opt_in.h"
#include "run/comment_rule.h"
#include "run/judge.h"
#include "run/run.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

struct NewTable
{
	PlannedStmt *pstmt;			/* the CREATE TABLE, for its position, and for
								 * what its comments say */
	char	   *query_string;
	Oid			namespace_oid;
	char	   *relname;
	Oid			relid;			/* once it is made */
};

/* In TopTransactionContext, which ends with the transaction. */
static List *new_tables = NIL;

static void judge_new_tables(XactEvent event, void *arg);
static void judge_new_table(const NewTable *table);
static void forget(void *arg);

/*
 * See comment_rule.h.
 */
NewTable *
expect_new_table(PlannedStmt *pstmt, const char *query_string)
{
	CreateStmt *stmt = (CreateStmt *) pstmt->utilityStmt;
	MemoryContext old;
	NewTable   *table;
	Oid			namespace_oid;

	if (!design_rules_may_count || !IsA(stmt, CreateStmt) ||
		!design_rules_count() || !wanted_traits()[TRAIT_NO_COMMENT] ||
		stmt->relation->relpersistence == RELPERSISTENCE_TEMP ||
		stmt->partbound != NULL || creates_runner_ledger(stmt))
		return NULL;
	namespace_oid = RangeVarGetCreationNamespace(stmt->relation);
	if (isTempNamespace(namespace_oid) ||
		OidIsValid(get_relname_relid(stmt->relation->relname, namespace_oid)))
		return NULL;

	old = MemoryContextSwitchTo(TopTransactionContext);
	table = palloc0(sizeof(NewTable));
	table->pstmt = copyObject(pstmt);
	table->query_string = pstrdup(query_string);
	table->namespace_oid = namespace_oid;
	table->relname = pstrdup(stmt->relation->relname);
	MemoryContextSwitchTo(old);
	return table;
}

/*
 * See comment_rule.h.
 */
void
note_new_table(NewTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	if (new_tables == NIL)
	{
		MemoryContextCallback *callback = palloc0(sizeof(*callback));

		callback->func = forget;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	table->relid = get_relname_relid(table->relname, table->namespace_oid);
	new_tables = lappend(new_tables, table);
	MemoryContextSwitchTo(old);
}

static void
forget(void *arg)
{
	new_tables = NIL;
}

/*
 * See comment_rule.h.
 */
void
register_comment_rule(void)
{
	RegisterXactCallback(judge_new_tables, NULL);
}

/* The last moment at which an error still takes everything back. */
static void
judge_new_tables(XactEvent event, void *arg)
{
	ListCell   *cell;

	if (new_tables == NIL ||
		(event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE) ||
		!hook_is_active())
		return;
	foreach(cell, new_tables)
		judge_new_table(lfirst(cell));
}

static void
judge_new_table(const NewTable *table)
{
	Trait		trait = {0};
	RelationFacts facts = {0};

	/* rolled back, dropped again, or commented */
	if (get_rel_name(table->relid) == NULL ||
		GetComment(table->relid, RelationRelationId, 0) != NULL)
		return;
	facts.relid = table->relid;
	facts.name = relation_display_name(table->relid);
	facts.relkind = get_rel_relkind(table->relid);
	facts.is_new = true;
	facts.measured = true;
	trait.kind = TRAIT_NO_COMMENT;
	trait.relation = &facts;
	trait.nspname = get_namespace_name(get_rel_namespace(table->relid));
	trait.relname = get_rel_name(table->relid);
	trait.detail = "has no comment";
	trait.location = ((CreateStmt *) table->pstmt->utilityStmt)->relation->location;
	judge_late_trait(table->pstmt, table->query_string, &trait);
}
