/*-------------------------------------------------------------------------
 *
 * drop.c
 *	  Effects of DROP, DROP OWNED, DROP DATABASE and TRUNCATE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_shdepend.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void describe_drop_table(DropStmt *stmt, RangeVar *name,
								EffectContext *context);
static void describe_drop_object(DropStmt *stmt, Node *name,
								 EffectContext *context);
static List *objects_of_role(Oid role);
static void add_cascade_victims(const ObjectAddress *root, bool cascade,
								EffectContext *context);
static void add_cascade_victim(const ObjectAddress *object,
							   EffectContext *context);
static bool is_drop_of_relation(ObjectType type);
static bool is_of_type(char relkind, ObjectType type);

/* DROP of anything that DropStmt covers. */
void
describe_drop(Node *statement, EffectContext *context)
{
	DropStmt   *stmt = castNode(DropStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		if (stmt->removeType == OBJECT_INDEX)
			describe_drop_index(makeRangeVarFromNameList(lfirst(cell)),
								stmt->concurrent, context);
		else if (is_drop_of_relation(stmt->removeType))
			describe_drop_table(stmt, makeRangeVarFromNameList(lfirst(cell)),
								context);
		else
			describe_drop_object(stmt, lfirst(cell), context);
	}
}

static bool
is_drop_of_relation(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_FOREIGN_TABLE ||
		type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
		type == OBJECT_SEQUENCE;
}

static bool
is_of_type(char relkind, ObjectType type)
{
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return type == OBJECT_TABLE;
		case RELKIND_VIEW:
			return type == OBJECT_VIEW;
		case RELKIND_MATVIEW:
			return type == OBJECT_MATVIEW;
		case RELKIND_SEQUENCE:
			return type == OBJECT_SEQUENCE;
		case RELKIND_FOREIGN_TABLE:
			return type == OBJECT_FOREIGN_TABLE;
		default:
			return false;
	}
}

/* DROP TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, FOREIGN TABLE */
static void
describe_drop_table(DropStmt *stmt, RangeVar *name, EffectContext *context)
{
	RelationFacts *relation;
	Effect	   *effect;
	ObjectAddress root;

	if (stmt->missing_ok && context->overlay != NULL &&
		overlay_find_relation(context->overlay, name) == NULL &&
		!OidIsValid(RangeVarGetRelid(name, NoLock, true)))
		return;
	relation = target_relation(name, PERMISSION_DROP, context);
	if (relation == NULL || !is_of_type(relation->relkind, stmt->removeType))
		return;
	effect = add_effect(context, stmt->removeType == OBJECT_TABLE ?
						CAUSE_DROP_TABLE : CAUSE_DROP_OBJECT, relation,
						AccessExclusiveLock);
	if (!OidIsValid(relation->relid))
		return;

	/* a view has no data; a foreign table's data stays where it is */
	if (stmt->removeType == OBJECT_TABLE)
		set_risk(effect, RISK_LOSES_DATA);
	else
		set_risk(effect, RISK_BREAKS_CLIENTS);
	add_foreign_key_partners(relation, InvalidAttrNumber,
							 AccessExclusiveLock, context);
	ObjectAddressSet(root, RelationRelationId, relation->relid);
	if (stmt->behavior == DROP_CASCADE)
		add_cascade_victims(&root, true, context);
}

/* DROP of a schema, type, function, extension ... */
static void
describe_drop_object(DropStmt *stmt, Node *name, EffectContext *context)
{
	ObjectAddress address;
	Oid			relid;
	Effect	   *effect;

	address = find_object(stmt->removeType, name, &relid);
	if (OidIsValid(relid))
	{
		RelationFacts *facts = relation_facts(relid, context);

		if (facts != NULL)
			(void) add_effect(context, CAUSE_METADATA, facts,
							  AccessExclusiveLock);
	}
	if (!OidIsValid(address.objectId))
		return;
	effect = add_effect(context, CAUSE_DROP_OBJECT, NULL, NoLock);
	effect->object = getObjectDescription(&address, true);
	set_risk(effect, RISK_BREAKS_CLIENTS);
	add_cascade_victims(&address, stmt->behavior == DROP_CASCADE, context);
}

/*
 * The object that a statement names, with an invalid OID if there is none.
 * *relid is that of the relation which it belongs to, or InvalidOid.
 */
ObjectAddress
find_object(ObjectType type, Node *name, Oid *relid)
{
	Relation	rel = NULL;
	ObjectAddress address = get_object_address(type, copyObject(name), &rel,
											   AccessShareLock, true);

	*relid = InvalidOid;
	if (rel != NULL)
	{
		*relid = RelationGetRelid(rel);
		relation_close(rel, AccessShareLock);
	}
	if (!OidIsValid(address.objectId) ||
		address.classId == RelationRelationId)
		return address;

	/* a lock held into the statement would be upgraded there */
	if (IsSharedRelation(address.classId))
		UnlockSharedObject(address.classId, address.objectId, 0,
						   AccessShareLock);
	else
		UnlockDatabaseObject(address.classId, address.objectId, 0,
							 AccessShareLock);
	return address;
}

/* Tables and columns that a DROP takes along. */
static void
add_cascade_victims(const ObjectAddress *root, bool cascade,
					EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, dependent_objects(root, cascade ? SEARCH_CASCADE :
									SEARCH_PARTS))
	{
		const ObjectAddress *object = lfirst(cell);

		if (object->classId == RelationRelationId &&
			object->objectId != root->objectId)
			add_cascade_victim(object, context);
	}
}

static void
add_cascade_victim(const ObjectAddress *object, EffectContext *context)
{
	RelationFacts *facts;
	Effect	   *effect;
	char		relkind = get_rel_relkind(object->objectId);

	/* indexes, TOAST and sequences go with their table */
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_MATVIEW && relkind != RELKIND_VIEW)
		return;
	facts = relation_facts(object->objectId, context);
	if (facts == NULL)
		return;
	/* a view has no rows of its own; a filled materialized one is missed */
	effect = add_effect(context, relkind == RELKIND_VIEW ||
						relkind == RELKIND_MATVIEW ? CAUSE_DROP_OBJECT :
						CAUSE_DROP_CASCADE, facts, AccessExclusiveLock);
	if (object->objectSubId > 0)
	{
		char	   *column = get_attname(object->objectId, object->objectSubId,
										 true);

		if (column != NULL)
			effect->object = psprintf("to column %s", quoted_name(column));
	}
	set_risk(effect, relkind == RELKIND_RELATION ||
			 relkind == RELKIND_PARTITIONED_TABLE ? RISK_LOSES_DATA :
			 RISK_BREAKS_CLIENTS);
}

/*
 * Lock the tables on the other side of a table's foreign keys, in both
 * directions; with attnum only of those that use the column.
 */
void
add_foreign_key_partners(RelationFacts *relation, AttrNumber attnum,
						 LOCKMODE lockmode, EffectContext *context)
{
	ListCell   *cell;

	foreach(cell, foreign_key_partners(relation->relid, attnum, false))
	{
		RelationFacts *facts = relation_facts(lfirst_oid(cell), context);

		if (facts != NULL)
			(void) add_effect(context, CAUSE_METADATA, facts, lockmode);
	}
}

/*
 * OIDs of the other tables in foreign keys of a table, or only of those that
 * refer to it; with attnum only where that column of it is concerned.
 */
List *
foreign_key_partners(Oid relid, AttrNumber attnum, bool referencing_only)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *partners = NIL;

	/*
	 * pg_constraint has no index on confrelid: read all of it, as
	 * heap_truncate_find_FKs() does.
	 */
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		bool		referenced = form->confrelid == relid;
		bool		isnull;
		Datum		columns;

		if (form->contype != CONSTRAINT_FOREIGN ||
			form->conrelid == form->confrelid ||
			(!referenced && (referencing_only || form->conrelid != relid)))
			continue;
		columns = heap_getattr(tuple, referenced ? Anum_pg_constraint_confkey :
							   Anum_pg_constraint_conkey,
							   RelationGetDescr(catalog), &isnull);
		if (attnum != InvalidAttrNumber &&
			(isnull || !array_has_attnum(columns, attnum)))
			continue;
		partners = list_append_unique_oid(partners, referenced ?
										  form->conrelid : form->confrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return partners;
}

/* True if an int2 array, as in pg_constraint.conkey, has that column. */
bool
array_has_attnum(Datum datum, AttrNumber attnum)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int16	   *attnums = (int16 *) ARR_DATA_PTR(array);

	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
		if (attnums[i] == attnum)
			return true;
	return false;
}

/*
 * DROP OWNED drops whatever the roles own in this database, and with CASCADE
 * what depends on it.
 */
void
describe_drop_owned(Node *statement, EffectContext *context)
{
	DropOwnedStmt *stmt = castNode(DropOwnedStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->roles)
	{
		Oid			role = get_rolespec_oid(lfirst(cell), true);
		ListCell   *inner;

		if (!OidIsValid(role) || !has_privs_of_role(GetUserId(), role))
			continue;			/* PostgreSQL will say so */
		foreach(inner, objects_of_role(role))
		{
			const ObjectAddress *object = lfirst(inner);

			if (object->classId == RelationRelationId)
				add_cascade_victim(object, context);
			add_cascade_victims(object, stmt->behavior == DROP_CASCADE,
								context);
		}
	}
}

/* What a role owns in this database, as ObjectAddress. */
static List *
objects_of_role(Oid role)
{
	Relation	catalog = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *objects = NIL;

	ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(catalog, SharedDependReferenceIndexId, true,
							  NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend form = (Form_pg_shdepend) GETSTRUCT(tuple);
		ObjectAddress *object;

		if (form->dbid != MyDatabaseId ||
			form->deptype != SHARED_DEPENDENCY_OWNER)
			continue;
		object = palloc(sizeof(ObjectAddress));
		ObjectAddressSet(*object, form->classid, form->objid);
		objects = lappend(objects, object);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return objects;
}

/* DROP DATABASE: nothing in it can be looked at from here. */
void
describe_drop_database(Node *statement, EffectContext *context)
{
	DropdbStmt *stmt = castNode(DropdbStmt, statement);
	Effect	   *effect = add_effect(context, CAUSE_DROP_DATABASE, NULL,
									AccessExclusiveLock);

	effect->object = quoted_name(stmt->dbname);
	set_risk(effect, RISK_LOSES_DATA);
}

/* TRUNCATE, and with CASCADE the tables that refer to it. */
void
describe_truncate(Node *statement, EffectContext *context)
{
	TruncateStmt *stmt = castNode(TruncateStmt, statement);
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		RelationFacts *facts = target_relation(lfirst_node(RangeVar, cell),
											   PERMISSION_TRUNCATE, context);
		Effect	   *effect;

		if (facts == NULL)
			continue;
		effect = add_effect(context, CAUSE_TRUNCATE, facts,
							AccessExclusiveLock);
		effect->alone = !lfirst_node(RangeVar, cell)->inh;
		set_risk(effect, RISK_LOSES_DATA);
		if (OidIsValid(facts->relid))
			relids = lappend_oid(relids, facts->relid);
	}
	if (stmt->behavior != DROP_CASCADE)
		return;

	/* relids grows while new referencing tables turn up */
	for (;;)
	{
		List	   *referencing = heap_truncate_find_FKs(relids);

		if (referencing == NIL)
			break;
		foreach(cell, referencing)
		{
			RelationFacts *facts = relation_facts(lfirst_oid(cell), context);

			relids = lappend_oid(relids, lfirst_oid(cell));
			if (facts != NULL)
				set_risk(add_effect(context, CAUSE_DROP_CASCADE, facts,
									AccessExclusiveLock), RISK_LOSES_DATA);
		}
	}
}
