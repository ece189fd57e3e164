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
#include "catalog/dependency.h"
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
#include "lib/stringinfo.h"
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
static bool is_worth_telling(const ObjectAddress *object, List *whole);
static Oid	relation_of_part(const PartCatalog *parts, Oid object_oid,
							 bool *is_internal);

/*
 * The locks of dropping an object, with all that goes with it or, with
 * cascade, depends on it.
 */
void
add_deletion(const ObjectAddress *root, bool cascade, EffectContext *context)
{
	List	   *closure = dependent_objects(root, cascade ? SEARCH_CASCADE :
											SEARCH_PARTS);
	List	   *whole = NIL;
	ListCell   *cell;

	add_victim(root, context);
	foreach(cell, closure)
		add_victim(lfirst(cell), context);

	foreach(cell, lcons((void *) root, list_copy(closure)))
	{
		const ObjectAddress *object = lfirst(cell);

		if (object->classId == RelationRelationId && object->objectSubId == 0)
			whole = lappend_oid(whole, object->objectId);
	}
	foreach(cell, closure)
	{
		if (is_worth_telling(lfirst(cell), whole))
			context->dropped = lappend(context->dropped, lfirst(cell));
	}
}

/*
 * See effects.h.
 */
char *
dropped_in_words(const EffectContext *context, int most)
{
	StringInfoData words;
	int			count = 0;
	ListCell   *cell;

	initStringInfo(&words);
	foreach(cell, context->dropped)
	{
		char	   *description = NULL;

		if (++count <= most)
			description = getObjectDescription(lfirst(cell), true);
		if (description != NULL)
			appendStringInfo(&words, "%s%s", words.len > 0 ? ", " : "",
							 description);
	}
	if (count > most)
		appendStringInfo(&words, " and %d more", count - most);
	return words.len > 0 ? words.data : NULL;
}

/*
 * Whether an object is neither a part of a relation that goes as a whole nor
 * made by PostgreSQL for its own use.
 */
static bool
is_worth_telling(const ObjectAddress *object, List *whole)
{
	Oid			relid = object->objectId;
	char		relkind;
	Oid			owner;
	int32		column;

	if (object->classId == TypeRelationId)
		return get_typtype(object->objectId) != TYPTYPE_COMPOSITE &&
			!OidIsValid(get_element_type(object->objectId));
	if (object->classId == RewriteRelationId ||
		object->classId == AttrDefaultRelationId)
		return false;
	for (int i = 0; i < lengthof(part_catalogs); i++)
	{
		bool		is_internal;

		if (part_catalogs[i].catalog != object->classId)
			continue;
		relid = relation_of_part(&part_catalogs[i], object->objectId,
								 &is_internal);
		return OidIsValid(relid) && !is_internal &&
			!list_member_oid(whole, relid);
	}
	if (object->classId != RelationRelationId)
		return true;
	if (object->objectSubId != 0)
		return !list_member_oid(whole, relid);
	relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_SEQUENCE && sequenceIsOwned(relid, DEPENDENCY_INTERNAL,
													   &owner, &column))
		return !list_member_oid(whole, owner);
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		return !list_member_oid(whole, IndexGetRelation(relid, true)) &&
			!OidIsValid(get_index_constraint(relid));
	return relkind != RELKIND_TOASTVALUE;
}

static void
add_victim(const ObjectAddress *object, EffectContext *context)
{
	if (object->classId == RelationRelationId)
	{
		if (object->objectSubId != 0)
			add_lock_on(context, object->objectId, AccessExclusiveLock);
		else
			add_relation_victim(object->objectId, context);
		return;
	}
	for (int i = 0; i < lengthof(part_catalogs); i++)
	{
		const PartCatalog *parts = &part_catalogs[i];
		bool		is_internal;
		Oid			relid;

		if (parts->catalog != object->classId)
			continue;
		relid = relation_of_part(parts, object->objectId, &is_internal);
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

/*
 * InvalidOid for a constraint of a domain, and for a part that is gone.
 * *is_internal is true for the triggers of foreign keys.
 */
static Oid
relation_of_part(const PartCatalog *parts, Oid object_oid, bool *is_internal)
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
	*is_internal = false;
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		if (parts->catalog == TriggerRelationId)
			*is_internal = ((Form_pg_trigger) GETSTRUCT(tuple))->tgisinternal;
		relid = DatumGetObjectId(heap_getattr(tuple, parts->relid_column,
											  RelationGetDescr(catalog),
											  &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}
