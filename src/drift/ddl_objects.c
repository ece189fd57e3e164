/*-------------------------------------------------------------------------
 *
 * ddl_objects.c
 *	  The objects that a statement has made, altered or dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "drift/ddl_objects.h"
#include "drift/dependents.h"
#include "drift/touched.h"
#include "effects/ledgers.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Objects that are named in a record, and those that it can explain. */
#define MAX_SHOWN	20
#define MAX_UNITS	1000

/* Stands for any object. */
#define ALL_UNITS	"*"

typedef struct DdlObject
{
	Oid			classid;
	Oid			objid;
	bool		is_dropped;
	bool		counts;			/* of one that is dropped, or found before */
	Oid			table;			/* that it is a part of, or InvalidOid */
	char	   *runner;			/* ledger of a migration tool, or NULL */
	char	   *shown;			/* as it was before, or NULL */
	char	   *unit;
} DdlObject;

static DdlObject *find_object(const DdlObjects *objects, Oid classid, Oid objid);
static void describe_object(DdlObject *object);
static char *ledger_of_object(const DdlObject *object);
static Oid	domain_of_constraint(Oid constraint);
static Oid	relation_of_part(Oid classid, Oid objid);
static AttrNumber relation_column(Oid classid);
static Oid	table_of_relation(Oid relid);
static bool object_exists(const DdlObject *object);
static bool is_made_along(const DdlObject *object);
static bool object_counts(const DdlObject *object);
static bool namespace_counts(Oid namespace_oid);
static char *identity_of(Oid classid, Oid objid);
static char *description_of(Oid classid, Oid objid);
static void add_description(DdlObjects *objects, DdlObject *object, int *hidden);
static void add_text(List **texts, char *text);
static void add_dependents(DdlObjects *objects, const DdlObject *object);
static void note_target(DdlObjects *objects, ObjectType type, Node *name);
static void note_relation_target(DdlObjects *objects, RangeVar *relation);

/*
 * See ddl_objects.h.
 */
bool
hook_tells_nothing_of(Node *statement)
{
	return IsA(statement, CommentStmt) || IsA(statement, SecLabelStmt) ||
		IsA(statement, GrantStmt) || IsA(statement, AlterEnumStmt) ||
		IsA(statement, AlterTableStmt);
}

/*
 * See ddl_objects.h.
 */
bool
reaches_others(Node *statement)
{
	ObjectType	type;

	switch (nodeTag(statement))
	{
		case T_RenameStmt:
			type = ((RenameStmt *) statement)->renameType;
			return type == OBJECT_SCHEMA || type == OBJECT_TYPE ||
				type == OBJECT_DOMAIN;
		case T_AlterObjectSchemaStmt:
			type = ((AlterObjectSchemaStmt *) statement)->objectType;
			return type == OBJECT_TYPE || type == OBJECT_DOMAIN ||
				type == OBJECT_EXTENSION;
		case T_GrantStmt:
			return ((GrantStmt *) statement)->targtype != ACL_TARGET_OBJECT;
		case T_CreateExtensionStmt:
		case T_AlterExtensionStmt:
		case T_AlterExtensionContentsStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
		case T_ImportForeignSchemaStmt:
			return true;
		default:
			return false;
	}
}

/*
 * See ddl_objects.h.  What is made is not visible yet; what is altered still
 * has its old name, which the manifest has as well.
 */
void
note_ddl_object(DdlObjects *objects, ObjectAccessType access, Oid classid,
				Oid objid)
{
	MemoryContext old = MemoryContextSwitchTo(objects->context);
	DdlObject  *object;

	/* these come with the number of the relation, a new default as well */
	if (classid == InheritsRelationId || classid == IndexRelationId ||
		(classid == AttrDefaultRelationId && access != OAT_DROP))
		classid = RelationRelationId;
	object = find_object(objects, classid, objid);
	if (object == NULL && list_length(objects->objects) < MAX_UNITS)
	{
		object = palloc0(sizeof(DdlObject));
		object->classid = classid;
		object->objid = objid;
		objects->objects = lappend(objects->objects, object);
		if (access != OAT_POST_CREATE)
			describe_object(object);
	}
	else if (object == NULL)
		objects->reaches_others = true;
	else if (access == OAT_DROP && object->shown == NULL)
		describe_object(object);
	if (object != NULL && access == OAT_DROP)
		object->is_dropped = true;
	MemoryContextSwitchTo(old);
}

static DdlObject *
find_object(const DdlObjects *objects, Oid classid, Oid objid)
{
	ListCell   *cell;

	foreach(cell, objects->objects)
	{
		DdlObject  *object = lfirst(cell);

		if (object->classid == classid && object->objid == objid)
			return object;
	}
	return NULL;
}

/* What it is called now, if it is there and is not a part that nobody names. */
static void
describe_object(DdlObject *object)
{
	if (is_made_along(object) || !object_exists(object))
		return;
	object->counts = object_counts(object);
	if (!object->counts)
		return;
	object->table = relation_of_part(object->classid, object->objid);
	object->runner = ledger_of_object(object);
	if (object->classid == ConstraintRelationId && !OidIsValid(object->table))
	{
		Oid			domain = domain_of_constraint(object->objid);

		object->shown = description_of(TypeRelationId, domain);
		object->unit = identity_of(TypeRelationId, domain);
		return;
	}
	if (object->classid == ConstraintRelationId ||
		object->classid == AttrDefaultRelationId)
	{
		if (!OidIsValid(object->table))
			return;
		object->shown = description_of(RelationRelationId, object->table);
	}
	else
		object->shown = description_of(object->classid, object->objid);
	if (object->classid == RelationRelationId && OidIsValid(object->table) &&
		get_rel_relkind(object->objid) == RELKIND_SEQUENCE)
		object->unit = identity_of(RelationRelationId, object->objid);
	else if (OidIsValid(object->table))
		object->unit = identity_of(RelationRelationId, object->table);
	else
		object->unit = identity_of(object->classid, object->objid);
}

/* Anybody can make a table that looks like one: so that is recorded as well. */
static char *
ledger_of_object(const DdlObject *object)
{
	Oid			relid = OidIsValid(object->table) ? object->table :
	object->classid == RelationRelationId ? object->objid : InvalidOid;

	if (!OidIsValid(relid) || !has_shape_of_runner_ledger(relid))
		return NULL;
	return get_rel_name(relid);
}

static Oid
domain_of_constraint(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->contypid;
	ReleaseSysCache(tuple);
	return result;
}

/* The table that a trigger, an index or the like is on; InvalidOid for others. */
static Oid
relation_of_part(Oid classid, Oid objid)
{
	AttrNumber	column = relation_column(classid);
	Oid			result = InvalidOid;
	Relation	catalog;
	HeapTuple	tuple;
	bool		isnull;

	if (classid == RelationRelationId)
		return table_of_relation(objid);
	if (classid == AttrDefaultRelationId)
		return GetAttrDefaultColumnAddress(objid).objectId;
	if (column == InvalidAttrNumber)
		return InvalidOid;
	catalog = table_open(classid, AccessShareLock);
	tuple = get_catalog_object_by_oid(catalog, get_object_attnum_oid(classid),
									  objid);
	if (HeapTupleIsValid(tuple))
		result = DatumGetObjectId(heap_getattr(tuple, column,
											   RelationGetDescr(catalog),
											   &isnull));
	table_close(catalog, AccessShareLock);
	return result;
}

static AttrNumber
relation_column(Oid classid)
{
	switch (classid)
	{
		case ConstraintRelationId:
			return Anum_pg_constraint_conrelid;
		case PolicyRelationId:
			return Anum_pg_policy_polrelid;
		case RewriteRelationId:
			return Anum_pg_rewrite_ev_class;
		case TriggerRelationId:
			return Anum_pg_trigger_tgrelid;
		default:
			return InvalidAttrNumber;
	}
}

/* Of an index, or a sequence that belongs to a column. */
static Oid
table_of_relation(Oid relid)
{
	Oid			table = InvalidOid;
	int32		column;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return IndexGetRelation(relid, true);
		case RELKIND_SEQUENCE:
			if (sequenceIsOwned(relid, DEPENDENCY_AUTO, &table, &column) ||
				sequenceIsOwned(relid, DEPENDENCY_INTERNAL, &table, &column))
				return table;
			return InvalidOid;
		default:
			return InvalidOid;
	}
}

/* One that was made only for a moment, as a copy of a table is, does not. */
static bool
object_exists(const DdlObject *object)
{
	int			cacheid;

	if (!is_objectclass_supported(object->classid))
		return false;
	cacheid = get_object_catcache_oid(object->classid);
	return cacheid < 0 ||
		SearchSysCacheExists1(cacheid, ObjectIdGetDatum(object->objid));
}

/* The row type of a table, the array of a type, the rule of a view. */
static bool
is_made_along(const DdlObject *object)
{
	Oid			relid;

	if (object->classid == RelationRelationId)
		return get_rel_relkind(object->objid) == RELKIND_TOASTVALUE;
	if (object->classid == RewriteRelationId)
	{
		relid = relation_of_part(object->classid, object->objid);
		return get_rel_relkind(relid) == RELKIND_VIEW ||
			get_rel_relkind(relid) == RELKIND_MATVIEW;
	}
	if (object->classid != TypeRelationId)
		return false;
	relid = get_typ_typrelid(object->objid);
	return OidIsValid(get_element_type(object->objid)) ||
		(OidIsValid(relid) && get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE);
}

/* False for what is temporary, of the system or ours. */
static bool
object_counts(const DdlObject *object)
{
	Oid			table = relation_of_part(object->classid, object->objid);
	ObjectAddress address;

	if (object->classid == NamespaceRelationId)
		return namespace_counts(object->objid);
	if (!OidIsValid(table) && object->classid == RelationRelationId)
		table = object->objid;
	if (OidIsValid(table))
		return namespace_counts(get_rel_namespace(table));
	ObjectAddressSet(address, object->classid, object->objid);
	if (get_object_attnum_namespace(object->classid) == InvalidAttrNumber)
		return true;
	return namespace_counts(get_object_namespace(&address));
}

static bool
namespace_counts(Oid namespace_oid)
{
	char	   *nspname = get_namespace_name(namespace_oid);

	return nspname != NULL && !isAnyTempNamespace(namespace_oid) &&
		!IsCatalogNamespace(namespace_oid) &&
		!IsToastNamespace(namespace_oid) &&
		strcmp(nspname, MIGRATE_SCHEMA) != 0 &&
		strcmp(nspname, "information_schema") != 0;
}

/* As the manifest has it: without the schema of the types of the system. */
static char *
identity_of(Oid classid, Oid objid)
{
	static const char *const hidden = "pg_catalog.";
	ObjectAddress address;
	char	   *identity;
	char	   *found;

	ObjectAddressSet(address, classid, objid);
	if (!is_objectclass_supported(classid))
		return NULL;
	identity = getObjectIdentity(&address, true);
	while (identity != NULL && (found = strstr(identity, hidden)) != NULL)
		memmove(found, found + strlen(hidden),
				strlen(found + strlen(hidden)) + 1);
	return identity;
}

static char *
description_of(Oid classid, Oid objid)
{
	char	   *identity = identity_of(classid, objid);
	ObjectAddress address;

	if (identity == NULL)
		return NULL;
	ObjectAddressSet(address, classid, objid);
	return psprintf("%s %s", getObjectTypeDescription(&address, true),
					identity);
}

/*
 * See ddl_objects.h.  A statement of which no object is known counts.
 */
bool
describe_ddl_objects(DdlObjects *objects)
{
	int			hidden = 0;
	bool		counts = false;
	bool		of_schema = false;
	ListCell   *cell;

	foreach(cell, objects->objects)
	{
		DdlObject  *object = lfirst(cell);
		char	   *unit_before = object->unit;

		if (!object->is_dropped)
			describe_object(object);
		counts |= object->counts;
		of_schema |= object->counts && object->runner == NULL;
		if (object->runner != NULL)
			objects->runner = object->runner;
		if (unit_before != NULL)
			add_text(&objects->units, unit_before);
		if (object->unit != NULL)
			add_text(&objects->units, object->unit);
		if (object->shown != NULL)
			add_description(objects, object, &hidden);
		if (objects->renames && object->counts && !object->is_dropped)
			add_dependents(objects, object);
	}
	if (hidden > 0)
		objects->shown = lappend(objects->shown, psprintf("and %d more", hidden));
	if (of_schema)
		objects->runner = NULL;
	/* what is left for after the commit has not touched anything yet */
	if (objects->reaches_others || objects->objects == NIL)
		objects->units = list_make1(ALL_UNITS);
	return counts || objects->objects == NIL;
}

/* An index is not worth naming beside its table. */
static void
add_description(DdlObjects *objects, DdlObject *object, int *hidden)
{
	if (object->classid == RelationRelationId && OidIsValid(object->table) &&
		find_object(objects, RelationRelationId, object->table) != NULL)
		return;
	if (list_length(objects->shown) < MAX_SHOWN)
		add_text(&objects->shown, object->shown);
	else
		(*hidden)++;
}

static void
add_text(List **texts, char *text)
{
	if (!name_is_listed(*texts, text))
		*texts = lappend(*texts, text);
}

/* The definitions that name the object have another text now. */
static void
add_dependents(DdlObjects *objects, const DdlObject *object)
{
	TouchedObject key = {object->classid, object->objid};
	ListCell   *cell;

	foreach(cell, dependents_of(list_make1(&key)))
	{
		TouchedObject *dependent = lfirst(cell);
		char	   *unit = identity_of(dependent->classid, dependent->objid);

		if (unit != NULL)
			add_text(&objects->units, unit);
	}
}

/*
 * See ddl_objects.h.
 */
void
note_ddl_targets(DdlObjects *objects, Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, CommentStmt))
		note_target(objects, ((CommentStmt *) statement)->objtype,
					((CommentStmt *) statement)->object);
	else if (IsA(statement, SecLabelStmt))
		note_target(objects, ((SecLabelStmt *) statement)->objtype,
					((SecLabelStmt *) statement)->object);
	else if (IsA(statement, AlterTableStmt))
	{
		/* of row security and the replica identity the hook tells nothing */
		if (objects->objects == NIL)
			note_relation_target(objects,
								 ((AlterTableStmt *) statement)->relation);
	}
	else if (IsA(statement, AlterEnumStmt))
		note_target(objects, OBJECT_TYPE,
					(Node *) makeTypeNameFromNameList(((AlterEnumStmt *) statement)->typeName));
	else if (IsA(statement, GrantStmt) &&
			 ((GrantStmt *) statement)->targtype == ACL_TARGET_OBJECT)
	{
		GrantStmt  *grant = (GrantStmt *) statement;

		foreach(cell, grant->objects)
		{
			Node	   *name = lfirst(cell);

			if (IsA(name, RangeVar))
				note_relation_target(objects, (RangeVar *) name);
			else if (grant->objtype == OBJECT_TYPE ||
					 grant->objtype == OBJECT_DOMAIN)
				note_target(objects, grant->objtype,
							(Node *) makeTypeNameFromNameList((List *) name));
			else
				note_target(objects, grant->objtype, name);
		}
	}
}

/* The statement that has run holds a lock, or needs none. */
static void
note_target(DdlObjects *objects, ObjectType type, Node *name)
{
	Relation	relation = NULL;
	ObjectAddress address;

	address = get_object_address(type, name, &relation, AccessShareLock, true);
	if (OidIsValid(address.objectId))
		note_ddl_object(objects, OAT_POST_ALTER, address.classId,
						address.objectId);
	if (relation != NULL)
		relation_close(relation, AccessShareLock);
}

static void
note_relation_target(DdlObjects *objects, RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);

	if (OidIsValid(relid))
		note_ddl_object(objects, OAT_POST_ALTER, RelationRelationId, relid);
}
