/*-------------------------------------------------------------------------
 *
 * storage.c
 *	  Effects of VACUUM FULL, CLUSTER, REPACK and REFRESH.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static bool option_is_set(VacuumStmt *stmt, const char *name, bool otherwise);
static void describe_rewrite_of_all(EffectCause cause,
									EffectContext *context);
static bool may_not_maintain(Oid relid, void *arg);
static bool is_left_out(Oid relid);
static bool is_clustered(Oid relid);
static Effect *describe_rewrite(RangeVar *name, EffectCause cause,
								EffectContext *context);

/* Plain VACUUM and ANALYZE let readers and writers go on. */
void
describe_vacuum(Node *statement, EffectContext *context)
{
	VacuumStmt *stmt = castNode(VacuumStmt, statement);
	ListCell   *cell;

	if (!option_is_set(stmt, "full", false) ||
		!option_is_set(stmt, "process_main", true))
		return;
	context->nowait = option_is_set(stmt, "skip_locked", false);
	if (stmt->rels == NIL)
		describe_rewrite_of_all(CAUSE_VACUUM_FULL, context);
	foreach(cell, stmt->rels)
		(void) describe_rewrite(lfirst_node(VacuumRelation, cell)->relation,
								CAUSE_VACUUM_FULL, context);
}

static bool
option_is_set(VacuumStmt *stmt, const char *name, bool otherwise)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return otherwise;
}

/* Every table of the database, or those that were clustered once. */
static void
describe_rewrite_of_all(EffectCause cause, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, tables_of_schema(InvalidOid))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);

		if (facts != NULL && !is_left_out(facts->relid) &&
			(cause != CAUSE_CLUSTER || is_clustered(facts->relid)))
			set_work(add_effect(context, cause, facts, AccessExclusiveLock),
					 WORK_REWRITE, NULL);
	}
}

/* Tables of others are left out, with a WARNING at most. */
static bool
may_not_maintain(Oid relid, void *arg)
{
	return !compat_may_maintain(relid, GetUserId()) &&
		!compat_owns_database(MyDatabaseId, GetUserId());
}

/* One of others, or a materialized view that was never filled. */
static bool
is_left_out(Oid relid)
{
	Relation	rel;
	bool		is_empty_view;

	if (may_not_maintain(relid, NULL))
		return true;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return true;
	is_empty_view = rel->rd_rel->relkind == RELKIND_MATVIEW &&
		!RelationIsPopulated(rel);
	relation_close(rel, AccessShareLock);
	return is_empty_view;
}

static bool
is_clustered(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	if (rel == NULL)
		return false;
	foreach(cell, RelationGetIndexList(rel))
		if (get_index_isclustered(lfirst_oid(cell)))
		found = true;
	relation_close(rel, AccessShareLock);
	return found;
}

/* A table copied under AccessExclusiveLock, with the partitions below. */
static Effect *
describe_rewrite(RangeVar *name, EffectCause cause, EffectContext *context)
{
	RelationFacts *relation = target_relation(name, PERMISSION_ANYBODY,
											  context);
	Effect	   *effect;

	if (relation == NULL ||
		(OidIsValid(relation->relid) && is_left_out(relation->relid)))
		return NULL;
	effect = add_effect(context, cause, relation, AccessExclusiveLock);
	if (relation->relkind == RELKIND_PARTITIONED_TABLE)
	{
		effect->lockmode_below = AccessExclusiveLock;
		if (OidIsValid(relation->relid) && !context->nowait)
			effect->spared = tables_that(relation->relid, may_not_maintain,
										 NULL);
	}
	set_work(effect, WORK_REWRITE, NULL);
	return effect;
}

/* CLUSTER; on 19 REPACK and VACUUM FULL as well */
void
describe_cluster(Node *statement, EffectContext *context)
{
	Effect	   *effect;

	if (compat_cluster_relation(statement) == NULL)
	{
		describe_rewrite_of_all(CAUSE_CLUSTER, context);
		return;
	}
	effect = describe_rewrite(compat_cluster_relation(statement),
							  CAUSE_CLUSTER, context);
	if (effect != NULL && compat_cluster_is_concurrent(statement))
		effect->lockmode = ShareUpdateExclusiveLock;
}

/* REFRESH MATERIALIZED VIEW: readers wait unless CONCURRENTLY. */
void
describe_refresh(Node *statement, EffectContext *context)
{
	RefreshMatViewStmt *stmt = castNode(RefreshMatViewStmt, statement);
	RelationFacts *relation = target_relation(stmt->relation,
											  PERMISSION_MAINTAIN, context);
	Effect	   *effect;

	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_REFRESH, relation,
						stmt->concurrent ? ExclusiveLock :
						AccessExclusiveLock);
	if (stmt->skipData)
		effect->truncates = true;
	else if (stmt->concurrent)
		set_work(effect, WORK_SCAN, "its rows are compared with the new ones");
	else
		set_work(effect, WORK_REWRITE, NULL);
}
