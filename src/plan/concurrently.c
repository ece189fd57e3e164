/*-------------------------------------------------------------------------
 *
 * concurrently.c
 *	  Statements that get the word CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "plan/concurrently.h"
#include "plan/plan_names.h"
#include "plan/plan_text.h"
#include "plan/tree_plan.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static SafePlan *plan_with_word(const char *source_text, const char *after);
static bool index_may_be_dropped(RangeVar *name, bool may_be_missing,
								 char **qualified);
static bool all_indexes_can_be_rebuilt(List *effects);
static bool indexes_can_be_rebuilt(Oid relid);
static bool has_usable_unique_index(Oid relid);
static bool can_be_repacked(Oid relid);

/*
 * CREATE INDEX: a partitioned table gets it part by part.
 */
SafePlan *
plan_create_index(IndexStmt *stmt, List *effects, const char *source_text)
{
	SafePlan   *plan;
	RelationFacts *relation = effects == NIL ? NULL :
	((Effect *) linitial(effects))->relation;
	NameChoice *names;
	char	   *name = stmt->idxname;
	char	   *index;

	if (stmt->concurrent || relation == NULL || !OidIsValid(relation->relid))
		return NULL;
	names = names_of_table(relation);

	/* IF NOT EXISTS: it does nothing but say so */
	if (stmt->if_not_exists && !is_changed_by_script(relation) &&
		name_is_taken(names, name, true))
		return NULL;
	if (name == NULL)
		name = choose_index_name(names,
								 name_of_columns(index_column_names(stmt->indexParams,
																	stmt->indexIncludingParams)),
								 "idx", false);
	if (relation->relkind == RELKIND_PARTITIONED_TABLE)
		return plan_partitioned_index(stmt, relation, name, source_text);
	plan = palloc0(sizeof(SafePlan));
	index = quote_qualified_identifier(get_namespace_name(names->namespace_oid),
									   name);

	/*
	 * Without IF NOT EXISTS: an index that somebody else makes meanwhile is
	 * an error, and not one of ours that is dropped when a later step fails.
	 */
	add_step(plan, name_is_taken(names, name, true) ? NULL :
			 psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s", index),
			 "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
			 stmt->unique ? "UNIQUE " : "",
			 quote_identifier(name), relation->name,
			 text_behind_name(source_text, stmt->relation->location));

	/* what comes later in a transaction may count on it being unique */
	plan->quick_steps = stmt->unique ? -1 : 0;
	return plan;
}

/*
 * DROP INDEX: PostgreSQL takes one at a time CONCURRENTLY, and no CASCADE.
 */
SafePlan *
plan_drop_index(DropStmt *stmt)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	bool		is_only_one = list_length(stmt->objects) == 1;
	ListCell   *cell;

	if (stmt->concurrent || stmt->behavior == DROP_CASCADE)
		return NULL;
	plan->quick_steps = -1;
	foreach(cell, stmt->objects)
	{
		RangeVar   *index = makeRangeVarFromNameList(lfirst(cell));
		char	   *name;

		if (!index_may_be_dropped(index, stmt->missing_ok || is_only_one, &name))
			return NULL;

		/* in a script that is checked, it may have been made or renamed */
		if (name == NULL && is_only_one)
			name = range_var_display_name(index);
		if (name != NULL)
			add_step(plan, NULL, "DROP INDEX CONCURRENTLY %s%s",
					 stmt->missing_ok ? "IF EXISTS " : "", name);
	}
	return plan->steps == NIL ? NULL : plan;
}

/*
 * False if PostgreSQL would refuse that one, since then none is to be dropped,
 * or if it is partitioned, where CONCURRENTLY is refused.  The name is NULL if
 * there is none.
 */
static bool
index_may_be_dropped(RangeVar *name, bool may_be_missing, char **qualified)
{
	Oid			index = RangeVarGetRelid(name, NoLock, true);
	ObjectAddress root;

	*qualified = NULL;
	if (!OidIsValid(index))
		return may_be_missing;
	if (get_rel_relkind(index) != RELKIND_INDEX ||
		get_rel_relispartition(index) ||
		!relation_is_permitted(index, PERMISSION_DROP))
		return false;
	ObjectAddressSet(root, RelationRelationId, index);
	if (OidIsValid(get_index_constraint(index)) ||
		dependent_objects(&root, SEARCH_USERS) != NIL)
		return false;
	*qualified = relation_display_name(index);
	return true;
}

/*
 * REINDEX, of whatever PostgreSQL neither refuses nor skips CONCURRENTLY.
 */
SafePlan *
plan_reindex(ReindexStmt *stmt, List *effects, const char *source_text)
{
	char	   *text = pstrdup(source_text);

	if (!all_indexes_can_be_rebuilt(effects))
		return NULL;
	if (stmt->relation != NULL)
	{
		Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);

		/* in a script that is checked, it may have been made or renamed */
		if (OidIsValid(relid))
			text = with_other_name(source_text, stmt->relation->location,
								   relation_display_name(relid));
	}
	switch (stmt->kind)
	{
		case REINDEX_OBJECT_INDEX:
			return plan_with_word(text, "index");
		case REINDEX_OBJECT_TABLE:
			return plan_with_word(text, "table");
		case REINDEX_OBJECT_SCHEMA:
			return plan_with_word(text, "schema");
		case REINDEX_OBJECT_DATABASE:
			/* before 16 the catalogs are part of it, but not CONCURRENTLY */
			return COMPAT_REINDEX_LEAVES_CATALOGS ?
				plan_with_word(text, "database") : NULL;
		case REINDEX_OBJECT_SYSTEM:
			return NULL;
	}
	return NULL;
}

/* The statement with CONCURRENTLY behind the first token that is "after". */
static SafePlan *
plan_with_word(const char *source_text, const char *after)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	SqlTokens  *tokens = scan_sql(source_text);

	for (int i = 0; i < tokens->count; i++)
	{
		int			end = tokens->tokens[i].location +
		tokens->tokens[i].length;

		if (!token_is(tokens, i, after))
			continue;
		add_step(plan, NULL, "%s CONCURRENTLY %s",
				 statement_text(source_text, 0, end),
				 statement_text(source_text, end, -1));
		plan->quick_steps = -1;
		return plan;
	}
	return NULL;
}

static bool
all_indexes_can_be_rebuilt(List *effects)
{
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->cause != CAUSE_REINDEX || effect->relation == NULL ||
			!OidIsValid(effect->relation->relid))
			continue;
		foreach(inner, find_all_inheritors(effect->relation->relid, NoLock,
										   NULL))
		{
			if (!indexes_can_be_rebuilt(lfirst_oid(inner)))
				return false;
		}
	}
	return true;
}

/* Exclusion constraints and invalid indexes are left out CONCURRENTLY. */
static bool
indexes_can_be_rebuilt(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		possible = true;
	ListCell   *cell;

	if (rel == NULL)
		return true;
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_rel->relkind == RELKIND_INDEX &&
			(index->rd_index->indisexclusion || !index->rd_index->indisvalid))
			possible = false;
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return possible;
}

/*
 * REFRESH CONCURRENTLY needs a filled view with a unique index.
 */
SafePlan *
plan_refresh(RefreshMatViewStmt *stmt, List *effects, const char *source_text)
{
	const Effect *effect;

	if (stmt->concurrent || stmt->skipData || effects == NIL)
		return NULL;
	effect = linitial(effects);
	if (effect->relation == NULL || !OidIsValid(effect->relation->relid) ||
		!has_usable_unique_index(effect->relation->relid))
		return NULL;
	return plan_with_word(with_other_name(source_text, stmt->relation->location,
										  effect->relation->name), "view");
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
 * CLUSTER, REPACK and VACUUM FULL: REPACK (CONCURRENTLY).
 */
SafePlan *
plan_repack(Node *statement)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	RangeVar   *name;
	char	   *index;
	bool		is_ordered;
	Oid			relid;

	if (!compat_may_be_repacked(statement, &name, &index, &is_ordered))
		return NULL;
	relid = RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(relid) || !can_be_repacked(relid))
		return NULL;
	plan->quick_steps = -1;
	add_step(plan, NULL, "REPACK (CONCURRENTLY) %s%s%s%s",
			 relation_display_name(relid), is_ordered ? " USING INDEX" : "",
			 index ? " " : "", index ? quote_identifier(index) : "");
	return plan;
}

/*
 * Changes made meanwhile are found in the WAL and belong to a row by the
 * table's replica identity, which has to be an index.
 */
static bool
can_be_repacked(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		possible;
	ListCell   *cell;

	if (rel == NULL)
		return false;
	possible = rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		OidIsValid(RelationGetReplicaIndex(rel));
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (!index->rd_index->indisvalid || !index->rd_index->indimmediate ||
			index->rd_index->indisexclusion)
			possible = false;
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return possible;
}
