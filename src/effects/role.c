/*-------------------------------------------------------------------------
 *
 * role.c
 *	  Effects of statements about all that a role owns: DROP OWNED, REASSIGN
 *	  OWNED; and of ALTER ... OWNER TO.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static List *objects_of_role(Oid role, char dependency);
static bool policy_has_other_role(const ObjectAddress *policy, Oid role);
static void add_new_owner(const ObjectAddress *object, EffectContext *context);

/*
 * DROP OWNED drops whatever the roles own in this database, and with CASCADE
 * what depends on it; and takes them out of policies.
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
		foreach(inner, objects_of_role(role, SHARED_DEPENDENCY_OWNER))
			describe_deletion(lfirst(inner), stmt->behavior == DROP_CASCADE,
							  context);
		foreach(inner, objects_of_role(role, SHARED_DEPENDENCY_POLICY))
		{
			/* with other roles in it, the lock is held for a moment only */
			if (!policy_has_other_role(lfirst(inner), role))
				add_deletion(lfirst(inner), false, context);
		}
	}
}

/* What depends on a role in this database, as ObjectAddress. */
static List *
objects_of_role(Oid role, char dependency)
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

		if (form->dbid != MyDatabaseId || form->deptype != dependency)
			continue;
		object = palloc(sizeof(ObjectAddress));
		ObjectAddressSet(*object, form->classid, form->objid);
		objects = lappend(objects, object);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return objects;
}

static bool
policy_has_other_role(const ObjectAddress *policy, Oid role)
{
	Relation	catalog = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		has_other = false;

	ScanKeyInit(&key, Anum_pg_policy_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(policy->objectId));
	scan = systable_beginscan(catalog, PolicyOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		roles = heap_getattr(tuple, Anum_pg_policy_polroles,
										 RelationGetDescr(catalog), &isnull);

		ArrayType  *array = DatumGetArrayTypeP(roles);

		for (int i = 0; i < ARR_DIMS(array)[0]; i++)
			if (((Oid *) ARR_DATA_PTR(array))[i] != role)
				has_other = true;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return has_other;
}

/* REASSIGN OWNED changes the owner of every relation, one after another. */
void
describe_reassign_owned(Node *statement, EffectContext *context)
{
	ReassignOwnedStmt *stmt = castNode(ReassignOwnedStmt, statement);
	ListCell   *cell;

	foreach(cell, stmt->roles)
	{
		Oid			role = get_rolespec_oid(lfirst(cell), true);
		ListCell   *inner;

		if (!OidIsValid(role) || !has_privs_of_role(GetUserId(), role))
			continue;			/* PostgreSQL will say so */
		foreach(inner, objects_of_role(role, SHARED_DEPENDENCY_OWNER))
			add_new_owner(lfirst(inner), context);
	}
}

static void
add_new_owner(const ObjectAddress *object, EffectContext *context)
{
	Oid			relid = InvalidOid;

	if (object->classId == RelationRelationId)
		relid = object->objectId;
	else if (object->classId == TypeRelationId)
		relid = get_typ_typrelid(object->objectId);
	if (!OidIsValid(relid))
		return;
	add_lock_on(context, relid, AccessExclusiveLock);
	add_locks_on_sequences(context, relid, AccessExclusiveLock);
}

/* ALTER ... OWNER TO; that of a composite type locks its relation. */
void
describe_alter_owner(Node *statement, EffectContext *context)
{
	AlterOwnerStmt *stmt = castNode(AlterOwnerStmt, statement);
	Oid			type;

	if (stmt->objectType != OBJECT_TYPE || stmt->object == NULL)
		return;
	type = LookupTypeNameOid(NULL,
							 makeTypeNameFromNameList(castNode(List,
															   stmt->object)),
							 true);
	if (OidIsValid(type) && OidIsValid(get_typ_typrelid(type)) &&
		relation_owner(get_typ_typrelid(type)) !=
		get_rolespec_oid(stmt->newowner, true))
		add_lock_on(context, get_typ_typrelid(type), AccessExclusiveLock);
}
