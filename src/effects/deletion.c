/*-------------------------------------------------------------------------
 *
 * deletion.c
 *	  What a deletion locks and takes along.
 *
 * Whatever is dropped, from a column to an extension, performMultipleDeletions()
 * collects the objects that go with it, and locks each before it drops any: a
 * relation itself, and for a part of a relation (a trigger, policy, rule,
 * default, constraint, extended statistics) the relation it belongs to.  So a
 * type or function that is dropped may lock a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "effects/describe.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A catalog whose rows are parts of relations. */
typedef struct PartCatalog
{
	Oid			catalog;
	Oid			oid_index;
	AttrNumber	oid_column;
	AttrNumber	relid_column;
	LOCKMODE	lockmode;		/* taken on the relation to drop the part */
} PartCatalog;

static const PartCatalog part_catalogs[] = {
	{TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid,
	Anum_pg_trigger_tgrelid, AccessExclusiveLock},
	{RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid,
	Anum_pg_rewrite_ev_class, AccessExclusiveLock},
	{PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid,
	Anum_pg_policy_polrelid, AccessExclusiveLock},
	{AttrDefaultRelationId, AttrDefaultOidIndexId, Anum_pg_attrdef_oid,
	Anum_pg_attrdef_adrelid, AccessExclusiveLock},
	{ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid,
	Anum_pg_constraint_conrelid, AccessExclusiveLock},
	{StatisticExtRelationId, StatisticExtOidIndexId, Anum_pg_statistic_ext_oid,
	Anum_pg_statistic_ext_stxrelid, ShareUpdateExclusiveLock},
};

static void add_victim(const ObjectAddress *object, EffectContext *context);
static void add_relation_victim(Oid relid, EffectContext *context);
static Oid	relation_of_part(const PartCatalog *parts, Oid object_oid);

/*
 * The locks of dropping an object, with all that goes with it or, with
 * cascade, depends on it.
 */
void
add_deletion(const ObjectAddress *root, bool cascade, EffectContext *context)
{
	ListCell   *cell;

	add_victim(root, context);
	foreach(cell, dependent_objects(root, cascade ? SEARCH_CASCADE :
									SEARCH_PARTS))
		add_victim(lfirst(cell), context);
}

static void
add_victim(const ObjectAddress *object, EffectContext *context)
{
	if (object->classId == RelationRelationId)
	{
		add_relation_victim(object->objectId, context);
		return;
	}
	for (int i = 0; i < lengthof(part_catalogs); i++)
	{
		const PartCatalog *parts = &part_catalogs[i];
		Oid			relid;

		if (parts->catalog != object->classId)
			continue;
		relid = relation_of_part(parts, object->objectId);
		if (OidIsValid(relid))
			add_lock_on(context, relid, parts->lockmode);
	}
}

/* A partition is dropped under a lock on its parent, and on its default. */
static void
add_relation_victim(Oid relid, EffectContext *context)
{
	char		relkind = get_rel_relkind(relid);

	/* who waits for an index or TOAST table waits for the table before */
	if (relkind == RELKIND_TOASTVALUE)
		return;
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
	{
		relid = IndexGetRelation(relid, true);
		if (get_rel_relkind(relid) != RELKIND_TOASTVALUE)
			add_lock_on(context, relid, AccessExclusiveLock);
		return;
	}
	add_lock_on(context, relid, AccessExclusiveLock);
	if (get_rel_relispartition(relid))
	{
		Oid			parent = get_partition_parent(relid, true);

		add_lock_on(context, parent, AccessExclusiveLock);
		add_lock_on(context, get_default_partition_oid(parent),
					AccessExclusiveLock);
	}
}

/* InvalidOid for a constraint of a domain, and for a part that is gone. */
static Oid
relation_of_part(const PartCatalog *parts, Oid object_oid)
{
	Relation	catalog = table_open(parts->catalog, AccessShareLock);
	Oid			relid = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, parts->oid_column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object_oid));
	scan = systable_beginscan(catalog, parts->oid_index, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		relid = DatumGetObjectId(heap_getattr(tuple, parts->relid_column,
											  RelationGetDescr(catalog),
											  &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}
