/*-------------------------------------------------------------------------
 *
 * dependents.c
 *	  What else goes when an object is dropped, and who uses a type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "effects/describe.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

/* The objects found so far: a list to walk, and a set to look them up. */
typedef struct FoundObjects
{
	List	   *list;			/* of ObjectAddress */
	HTAB	   *set;
} FoundObjects;

static void add_dependents(Relation depend, const ObjectAddress *object,
						   DependencySearch search, FoundObjects *found);
static void add_owners(Relation depend, const ObjectAddress *object,
					   FoundObjects *found);
static bool is_followed(char deptype, DependencySearch search);
static void add_object(FoundObjects *found, Oid class_oid, Oid object_oid,
					   int32 sub_id);

/*
 * The objects that depend on root, root itself not included: what is part of
 * it, what uses it, or what a DROP ... CASCADE takes along.  Returns a list of
 * ObjectAddress in the current memory context.  Takes no lock on them: this is
 * a forecast, the DROP makes its own search.
 */
List *
dependent_objects(const ObjectAddress *root, DependencySearch search)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	FoundObjects found = {0};
	HASHCTL		control = {0};

	control.keysize = sizeof(ObjectAddress);
	control.entrysize = sizeof(ObjectAddress);
	control.hcxt = CurrentMemoryContext;
	found.set = hash_create("safe_migrate dependents", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	add_object(&found, root->classId, root->objectId, root->objectSubId);

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(found.list); i++)
	{
		const ObjectAddress *object = list_nth(found.list, i);

		CHECK_FOR_INTERRUPTS();
		add_dependents(depend, object, search, &found);
		if (i > 0 && search == SEARCH_CASCADE)
			add_owners(depend, object, &found);
	}
	table_close(depend, AccessShareLock);
	hash_destroy(found.set);
	return list_delete_first(found.list);
}

/* Those that refer to an object themselves, in the same form. */
List *
direct_dependents(const ObjectAddress *root)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	FoundObjects found = {0};
	HASHCTL		control = {0};

	control.keysize = sizeof(ObjectAddress);
	control.entrysize = sizeof(ObjectAddress);
	control.hcxt = CurrentMemoryContext;
	found.set = hash_create("safe_migrate dependents", 16, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	add_dependents(depend, root, SEARCH_USERS, &found);
	table_close(depend, AccessShareLock);
	hash_destroy(found.set);
	return found.list;
}

/* The objects that refer to one object. */
static void
add_dependents(Relation depend, const ObjectAddress *object,
			   DependencySearch search, FoundObjects *found)
{
	ScanKeyData key[3];
	int			nkeys = 2;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->objectId));
	if (object->objectSubId != 0)
		ScanKeyInit(&key[nkeys++], Anum_pg_depend_refobjsubid,
					BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(object->objectSubId));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL,
							  nkeys, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (is_followed(form->deptype, search))
			add_object(found, form->classid, form->objid, form->objsubid);
	}
	systable_endscan(scan);
}

/*
 * What an object is an internal part of goes with it: the view of a rule, the
 * generated column of an expression.  findDependentObjects() does so too.
 */
static void
add_owners(Relation depend, const ObjectAddress *object, FoundObjects *found)
{
	ScanKeyData key[3];
	int			nkeys = 2;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->objectId));
	if (object->objectSubId != 0)
		ScanKeyInit(&key[nkeys++], Anum_pg_depend_objsubid,
					BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(object->objectSubId));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL,
							  nkeys, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype == DEPENDENCY_INTERNAL)
			add_object(found, form->refclassid, form->refobjid,
					   form->refobjsubid);
	}
	systable_endscan(scan);
}

/* Without CASCADE a normal dependency stops the DROP. */
static bool
is_followed(char deptype, DependencySearch search)
{
	return search != SEARCH_PARTS || deptype == DEPENDENCY_AUTO ||
		deptype == DEPENDENCY_INTERNAL ||
		deptype == DEPENDENCY_PARTITION_PRI ||
		deptype == DEPENDENCY_PARTITION_SEC ||
		deptype == DEPENDENCY_EXTENSION;
}

/* A whole object covers its columns. */
static void
add_object(FoundObjects *found, Oid class_oid, Oid object_oid, int32 sub_id)
{
	ObjectAddress address;
	ObjectAddress *copy;
	bool		exists;

	ObjectAddressSet(address, class_oid, object_oid);
	(void) hash_search(found->set, &address, HASH_FIND, &exists);
	if (exists)
		return;
	address.objectSubId = sub_id;
	(void) hash_search(found->set, &address, HASH_ENTER, &exists);
	if (exists)
		return;
	copy = palloc(sizeof(ObjectAddress));
	*copy = address;
	found->list = lappend(found->list, copy);
}

/*
 * OIDs of the tables with a column of a type, of a domain over it, an array
 * or composite of it, however deep.  Takes no locks.
 */
List *
relations_with_type(Oid type_oid)
{
	List	   *types = list_make1_oid(type_oid);
	List	   *relids = NIL;

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(types); i++)
	{
		ObjectAddress type;
		ListCell   *cell;

		ObjectAddressSet(type, TypeRelationId, list_nth_oid(types, i));
		foreach(cell, direct_dependents(&type))
		{
			const ObjectAddress *object = lfirst(cell);

			if (object->classId == TypeRelationId)
				types = list_append_unique_oid(types, object->objectId);
			else if (object->classId == RelationRelationId &&
					 object->objectSubId > 0)
			{
				Oid			row_type = get_rel_type_id(object->objectId);

				relids = list_append_unique_oid(relids, object->objectId);
				if (OidIsValid(row_type))
					types = list_append_unique_oid(types, row_type);
			}
		}
	}
	return relids;
}
