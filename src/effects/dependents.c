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
#include "utils/fmgroids.h"

static bool is_followed(char deptype, bool cascade);
static bool address_is_member(List *addresses, const ObjectAddress *address);
static List *direct_dependents(Relation depend, const ObjectAddress *object,
							   bool cascade, List *found);

/*
 * The objects that are dropped together with root, root itself not included:
 * with cascade everything that depends on it, otherwise what is part of it.
 * Returns a list of ObjectAddress in the current memory context.  Takes no
 * lock on them: this is a forecast, the DROP makes its own search.
 */
List *
dependent_objects(const ObjectAddress *root, bool cascade)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	List	   *found = list_make1((void *) root);

	/* found grows while it is walked */
	for (int i = 0; i < list_length(found); i++)
		found = direct_dependents(depend, list_nth(found, i), cascade, found);
	table_close(depend, AccessShareLock);
	return list_delete_first(found);
}

/* Append the objects that refer to one object and are not listed yet. */
static List *
direct_dependents(Relation depend, const ObjectAddress *object, bool cascade,
				  List *found)
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
		ObjectAddress dependent;

		if (!is_followed(form->deptype, cascade))
			continue;
		ObjectAddressSubSet(dependent, form->classid, form->objid,
							form->objsubid);
		if (!address_is_member(found, &dependent))
		{
			ObjectAddress *copy = palloc(sizeof(ObjectAddress));

			*copy = dependent;
			found = lappend(found, copy);
		}
	}
	systable_endscan(scan);
	return found;
}

/* Without CASCADE a normal dependency stops the DROP. */
static bool
is_followed(char deptype, bool cascade)
{
	return cascade || deptype == DEPENDENCY_AUTO ||
		deptype == DEPENDENCY_INTERNAL ||
		deptype == DEPENDENCY_PARTITION_PRI ||
		deptype == DEPENDENCY_PARTITION_SEC ||
		deptype == DEPENDENCY_EXTENSION;
}

/* A whole object covers its columns. */
static bool
address_is_member(List *addresses, const ObjectAddress *address)
{
	ListCell   *cell;

	foreach(cell, addresses)
	{
		const ObjectAddress *member = lfirst(cell);

		if (member->classId == address->classId &&
			member->objectId == address->objectId &&
			(member->objectSubId == 0 ||
			 member->objectSubId == address->objectSubId))
			return true;
	}
	return false;
}

/*
 * OIDs of the tables with a column of a type, of a domain over it, an array
 * or composite of it, however deep.  Takes no locks.
 */
List *
relations_with_type(Oid type_oid)
{
	ObjectAddress root;
	List	   *relids = NIL;
	ListCell   *cell;

	ObjectAddressSet(root, TypeRelationId, type_oid);
	foreach(cell, dependent_objects(&root, true))
	{
		const ObjectAddress *object = lfirst(cell);

		if (object->classId == RelationRelationId && object->objectSubId > 0)
			relids = list_append_unique_oid(relids, object->objectId);
	}
	return relids;
}
