/*-------------------------------------------------------------------------
 *
 * lock.c
 *	  Effects of LOCK TABLE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "effects/describe.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

/* The walk over the queries of views. */
typedef struct ViewLocks
{
	EffectContext *context;
	LOCKMODE	lockmode;
	List	   *views;			/* OIDs of those seen */
} ViewLocks;

static void lock_view(Oid view, ViewLocks *locks);
static bool lock_relations_of_query(Node *node, void *arg);

/* LOCK TABLE goes down to the tables below, and through views. */
void
describe_lock(Node *statement, EffectContext *context)
{
	LockStmt   *stmt = castNode(LockStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		RangeVar   *name = lfirst_node(RangeVar, cell);
		RelationFacts *facts;
		ViewLocks	locks = {context, stmt->mode, NIL};

		context->nowait = stmt->nowait;
		facts = target_relation(name, PERMISSION_LOCK, context);
		if (facts == NULL)
			continue;
		add_lock(context, facts, stmt->mode,
				 name->inh && facts->relkind != RELKIND_VIEW);
		if (facts->relkind == RELKIND_VIEW && OidIsValid(facts->relid))
			lock_view(facts->relid, &locks);
	}
}

static void
lock_view(Oid view, ViewLocks *locks)
{
	Relation	rel;

	if (list_member_oid(locks->views, view))
		return;
	locks->views = lappend_oid(locks->views, view);
	if (!ConditionalLockRelationOid(view, AccessShareLock))
		return;
	rel = try_relation_open(view, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(view, AccessShareLock);
		return;
	}
	(void) lock_relations_of_query((Node *) copyObject(get_view_query(rel)),
								   locks);
	relation_close(rel, AccessShareLock);
}

static bool
lock_relations_of_query(Node *node, void *arg)
{
	ViewLocks  *locks = arg;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, lock_relations_of_query, arg);
	foreach(cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		char		relkind;

		/* before 16 a view's query has itself twice, as OLD and NEW */
		if (entry->rtekind != RTE_RELATION ||
			list_member_oid(locks->views, entry->relid))
			continue;
		relkind = get_rel_relkind(entry->relid);
		if (relkind != RELKIND_RELATION && relkind != RELKIND_VIEW &&
			relkind != RELKIND_PARTITIONED_TABLE)
			continue;
		add_lock(locks->context, relation_facts(entry->relid, locks->context),
				 locks->lockmode, entry->inh && relkind != RELKIND_VIEW);
		if (relkind == RELKIND_VIEW)
			lock_view(entry->relid, locks);
	}
	return query_tree_walker((Query *) node, lock_relations_of_query, arg,
							 QTW_IGNORE_JOINALIASES);
}
