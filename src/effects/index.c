/*-------------------------------------------------------------------------
 *
 * index.c
 *	  Effects of CREATE INDEX, DROP INDEX and REINDEX.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/concurrent.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static List *partitions_with_index(IndexStmt *stmt, Oid relid,
								   EffectContext *context);
static bool index_exists(IndexStmt *stmt, RelationFacts *relation,
						 EffectContext *context);
static RelationFacts *table_of_index(RangeVar *index,
									 TargetPermission permission,
									 EffectContext *context);
static void add_index_locks(ReindexStmt *stmt, Oid table,
							EffectContext *context);
static void describe_reindex_scope(Oid schema, bool concurrent,
								   EffectContext *context);
static bool has_nothing_to_rebuild(Oid relid, void *parts);
static bool has_nothing_to_rebuild_concurrently(Oid relid, void *parts);
static bool table_has_indexes(Oid relid, bool concurrent);
static bool has_indexes(RelationFacts *relation, bool concurrent);

/* CREATE INDEX reads the whole table; writers wait unless CONCURRENTLY. */
void
describe_create_index(Node *statement, EffectContext *context)
{
	IndexStmt  *stmt = castNode(IndexStmt, statement);
	RelationFacts *relation = target_relation(stmt->relation, PERMISSION_OWNER,
											  context);
	Effect	   *effect;

	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_CREATE_INDEX, relation,
						stmt->concurrent ? ShareUpdateExclusiveLock :
						ShareLock);
	effect->object = quoted_name(stmt->idxname);
	if (relation->relkind == RELKIND_PARTITIONED_TABLE && stmt->relation->inh)
		effect->lockmode_below = effect->lockmode;

	/* the lock is taken even if the index is there already */
	if (stmt->if_not_exists && index_exists(stmt, relation, context))
		return;
	/* ON ONLY a partitioned table makes an empty, invalid parent index */
	if (relation->relkind == RELKIND_PARTITIONED_TABLE && !stmt->relation->inh)
		return;
	if (effect->lockmode_below != NoLock && context->overlay == NULL)
		effect->spared = partitions_with_index(stmt, relation->relid, context);
	set_work(effect, WORK_INDEX_BUILD, NULL);
}

/* Those that have an equal index, which becomes part of the new one. */
static List *
partitions_with_index(IndexStmt *stmt, Oid relid, EffectContext *context)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	List	   *found;

	if (rel == NULL)
		return NIL;
	found = tables_with_index(relid, relid,
							  wanted_index_of_statement(stmt, rel,
														context->source_text));
	relation_close(rel, AccessShareLock);
	return found;
}

static bool
index_exists(IndexStmt *stmt, RelationFacts *relation, EffectContext *context)
{
	if (relation->overlay != NULL && stmt->idxname != NULL)
		return overlay_has_relation(context->overlay,
									makeRangeVar(relation->overlay->nspname,
												 stmt->idxname, -1));
	return stmt->idxname != NULL && OidIsValid(relation->relid) &&
		OidIsValid(get_relname_relid(stmt->idxname,
									 get_rel_namespace(relation->relid)));
}

/*
 * DROP INDEX takes AccessExclusiveLock on the table as well, unless
 * CONCURRENTLY.
 */
void
describe_drop_index(RangeVar *index, bool concurrent, bool cascade,
					EffectContext *context)
{
	RelationFacts *table = table_of_index(index, PERMISSION_DROP, context);
	Effect	   *effect;

	if (table == NULL)
		return;
	effect = add_effect(context, CAUSE_DROP_INDEX, table,
						concurrent ? ShareUpdateExclusiveLock :
						AccessExclusiveLock);
	effect->object = range_var_display_name(index);
	measure_relation(table);
	if (context->overlay == NULL && !concurrent)
	{
		ObjectAddress root;

		ObjectAddressSet(root, RelationRelationId,
						 RangeVarGetRelid(index, NoLock, true));
		if (get_rel_relkind(root.objectId) == RELKIND_PARTITIONED_INDEX)
			effect->lockmode_below = AccessExclusiveLock;
		add_deletion(&root, cascade, context);
	}
}

/* Facts about the table of an index, or NULL where PostgreSQL is to speak. */
static RelationFacts *
table_of_index(RangeVar *index, TargetPermission permission,
			   EffectContext *context)
{
	RelationFacts *facts;
	Oid			table;

	if (context->overlay != NULL)
	{
		OverlayRelation *entry = overlay_find_relation(context->overlay,
													   index);

		/* an index that the script made: its table is what counts */
		if (entry != NULL && entry->index_of != NULL && !entry->dropped)
			return target_relation(entry->index_of, PERMISSION_OWNER, context);
	}
	/* the privilege is one of the table */
	facts = target_relation(index, permission == PERMISSION_MAINTAIN ?
							PERMISSION_ANYBODY : permission, context);
	if (facts == NULL || !OidIsValid(facts->relid) ||
		(facts->relkind != RELKIND_INDEX &&
		 facts->relkind != RELKIND_PARTITIONED_INDEX))
		return NULL;
	table = IndexGetRelation(facts->relid, true);
	if (!OidIsValid(table) ||
		(permission == PERMISSION_MAINTAIN &&
		 !relation_is_permitted(table, permission)))
		return NULL;
	return relation_facts(table, context);
}

/*
 * REINDEX blocks writers of the table, and by its lock on the index every
 * query that is planned meanwhile.
 */
void
describe_reindex(Node *statement, EffectContext *context)
{
	ReindexStmt *stmt = castNode(ReindexStmt, statement);
	bool		concurrent = reindex_is_concurrent(stmt);
	LOCKMODE	lockmode = concurrent ? ShareUpdateExclusiveLock : ShareLock;
	RelationFacts *relation = NULL;
	Effect	   *effect;

	switch (stmt->kind)
	{
		case REINDEX_OBJECT_INDEX:
			relation = table_of_index(stmt->relation, PERMISSION_MAINTAIN,
									  context);
			break;
		case REINDEX_OBJECT_TABLE:
			relation = target_relation(stmt->relation, PERMISSION_MAINTAIN,
									   context);
			break;
		case REINDEX_OBJECT_SCHEMA:
			describe_reindex_scope(get_namespace_oid(stmt->name, true),
								   concurrent, context);
			return;
		case REINDEX_OBJECT_DATABASE:
			describe_reindex_scope(InvalidOid, concurrent, context);
			return;
		case REINDEX_OBJECT_SYSTEM:
			return;				/* the catalogs are never judged */
	}
	if (relation == NULL)
		return;
	effect = add_effect(context, CAUSE_REINDEX, relation, lockmode);
	if (relation->relkind == RELKIND_PARTITIONED_TABLE)
		effect->lockmode_below = lockmode;
	if (stmt->kind == REINDEX_OBJECT_INDEX)
		effect->object = range_var_display_name(stmt->relation);
	if (!concurrent && OidIsValid(relation->relid))
		add_index_locks(stmt, relation->relid, context);
	if (context->overlay == NULL && relation->relkind == RELKIND_PARTITIONED_TABLE)
	{
		List	   *parts = NIL;

		if (stmt->kind == REINDEX_OBJECT_INDEX)
			parts = find_all_inheritors(RangeVarGetRelid(stmt->relation,
														 NoLock, true),
										NoLock, NULL);
		effect->spared = tables_that(relation->relid, concurrent ?
									 has_nothing_to_rebuild_concurrently :
									 has_nothing_to_rebuild, parts);
	}
	if (stmt->kind == REINDEX_OBJECT_INDEX ||
		has_indexes(relation, concurrent))
		set_work(effect, WORK_INDEX_REBUILD, NULL);
}

/* A partition without indexes, or without a part of the one named. */
static bool
has_nothing_to_rebuild(Oid relid, void *parts)
{
	Relation	rel;
	List	   *wanted = parts;
	bool		found = false;
	ListCell   *cell;

	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		return false;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return true;
	foreach(cell, RelationGetIndexList(rel))
		if (wanted == NIL || list_member_oid(wanted, lfirst_oid(cell)))
		found = true;
	relation_close(rel, AccessShareLock);
	return !found;
}

static bool
has_nothing_to_rebuild_concurrently(Oid relid, void *parts)
{
	return has_nothing_to_rebuild(relid, parts) ||
		!table_has_indexes(relid, true);
}

/* One table after another, each in a transaction of its own. */
static void
describe_reindex_scope(Oid schema, bool concurrent, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, tables_of_schema(schema))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);
		Effect	   *effect;

		if (facts == NULL || !has_indexes(facts, concurrent))
			continue;
		effect = add_effect(context, CAUSE_REINDEX, facts,
							concurrent ? ShareUpdateExclusiveLock : ShareLock);
		set_work(effect, WORK_INDEX_REBUILD, NULL);
	}
}

/* Queries that are planned meanwhile look at all indexes of the table. */
static void
add_index_locks(ReindexStmt *stmt, Oid table, EffectContext *context)
{
	Relation	rel;
	ListCell   *cell;

	if (stmt->kind == REINDEX_OBJECT_INDEX)
	{
		if (context->overlay == NULL)
			add_lock_on(context, RangeVarGetRelid(stmt->relation, NoLock, true),
						AccessExclusiveLock);
		return;
	}
	rel = try_relation_open(table, AccessShareLock);
	if (rel == NULL)
		return;
	foreach(cell, RelationGetIndexList(rel))
		add_lock_on(context, lfirst_oid(cell), AccessExclusiveLock);
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		add_index_locks(stmt, rel->rd_rel->reltoastrelid, context);
	relation_close(rel, AccessShareLock);
}

/*
 * A partitioned table may have none of its own, but partitions that do.
 * CONCURRENTLY leaves exclusion constraints and invalid indexes out.
 */
static bool
has_indexes(RelationFacts *relation, bool concurrent)
{
	if (!OidIsValid(relation->relid) ||
		relation->relkind == RELKIND_PARTITIONED_TABLE)
		return true;
	return table_has_indexes(relation->relid, concurrent);
}

static bool
table_has_indexes(Oid relid, bool concurrent)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		found = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	ListCell   *cell;

	if (rel == NULL)
		return false;
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (!concurrent || (index->rd_index->indisvalid &&
							!index->rd_index->indisexclusion))
			found = true;
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}
