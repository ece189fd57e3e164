/*-------------------------------------------------------------------------
 *
 * storage.c
 *	  Effects of VACUUM FULL, CLUSTER, REPACK and REFRESH.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "utils/lsyscache.h"

static bool vacuum_is_full(VacuumStmt *stmt);
static Effect *describe_rewrite(RangeVar *name, EffectCause cause,
								EffectContext *context);

/* Plain VACUUM and ANALYZE let readers and writers go on. */
void
describe_vacuum(Node *statement, EffectContext *context)
{
	VacuumStmt *stmt = castNode(VacuumStmt, statement);
	ListCell   *cell;

	if (!vacuum_is_full(stmt))
		return;
	if (stmt->rels == NIL)
		(void) describe_rewrite(NULL, CAUSE_VACUUM_FULL, context);
	foreach(cell, stmt->rels)
		(void) describe_rewrite(lfirst_node(VacuumRelation, cell)->relation,
								CAUSE_VACUUM_FULL, context);
}

static bool
vacuum_is_full(VacuumStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "full") == 0)
			return defGetBoolean(option);
	}
	return false;
}

/* A table copied under AccessExclusiveLock; without a name, every table. */
static Effect *
describe_rewrite(RangeVar *name, EffectCause cause, EffectContext *context)
{
	RelationFacts *relation = NULL;
	Effect	   *effect;

	if (name != NULL)
	{
		relation = target_relation(name, PERMISSION_ANYBODY, context);
		if (relation == NULL)
			return NULL;
	}
	effect = add_effect(context, cause, relation, AccessExclusiveLock);
	set_work(effect, WORK_REWRITE, name ? NULL :
			 "every table is rewritten, one after another");
	return effect;
}

/* CLUSTER; on 19 REPACK and VACUUM FULL as well */
void
describe_cluster(Node *statement, EffectContext *context)
{
	Effect	   *effect;

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
											  PERMISSION_ANYBODY, context);
	Effect	   *effect;

	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_REFRESH, relation,
						stmt->concurrent ? ExclusiveLock :
						AccessExclusiveLock);
	if (!stmt->skipData)
		set_work(effect, WORK_REWRITE, NULL);
}
