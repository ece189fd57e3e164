/*-------------------------------------------------------------------------
 *
 * existence.c
 *	  Do the objects exist that a checked statement names?
 *
 * When a statement runs, PostgreSQL says so itself; a script that is only
 * checked would hear nothing of it.  The codes and words are PostgreSQL's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "check/check.h"
#include "check/existence.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef Node *(*ExistenceFunction) (Overlay *overlay, Node *statement);

static Node *check_create_table(Overlay *overlay, Node *statement);
static Node *check_create_table_as(Overlay *overlay, Node *statement);
static Node *check_create_view(Overlay *overlay, Node *statement);
static Node *check_create_sequence(Overlay *overlay, Node *statement);
static Node *check_create_schema(Overlay *overlay, Node *statement);
static Node *check_create_enum(Overlay *overlay, Node *statement);
static Node *check_alter_enum(Overlay *overlay, Node *statement);
static Node *check_alter_domain(Overlay *overlay, Node *statement);
static Node *check_drop(Overlay *overlay, Node *statement);
static Node *check_rename(Overlay *overlay, Node *statement);
static Node *check_set_schema(Overlay *overlay, Node *statement);
static Node *check_insert(Overlay *overlay, Node *statement);
static Node *check_update(Overlay *overlay, Node *statement);
static Node *check_delete(Overlay *overlay, Node *statement);
static Node *check_copy(Overlay *overlay, Node *statement);

static const struct
{
	NodeTag		tag;
	ExistenceFunction check;
}			checks[] =

{
	{T_CreateStmt, check_create_table},
	{T_CreateTableAsStmt, check_create_table_as},
	{T_ViewStmt, check_create_view},
	{T_CreateSeqStmt, check_create_sequence},
	{T_CreateSchemaStmt, check_create_schema},
	{T_CreateEnumStmt, check_create_enum},
	{T_IndexStmt, check_create_index},
	{T_AlterTableStmt, check_alter_table},
	{T_AlterEnumStmt, check_alter_enum},
	{T_AlterDomainStmt, check_alter_domain},
	{T_DropStmt, check_drop},
	{T_RenameStmt, check_rename},
	{T_AlterObjectSchemaStmt, check_set_schema},
	{T_InsertStmt, check_insert},
	{T_UpdateStmt, check_update},
	{T_DeleteStmt, check_delete},
	{T_CopyStmt, check_copy},
};

static void require_referenced(Overlay *overlay, const RangeVar *made,
							   List *constraints);
static bool relation_is_new(Overlay *overlay, RangeVar *name,
							bool if_not_exists);
static void require_schema(Overlay *overlay, const char *name);
static bool object_exists(Overlay *overlay, ObjectType type, Node *object);
static Node *name_in_catalog(Overlay *overlay, ObjectType type,
							 Node *object);
static void require_object(ObjectType type, Node *object);
static List *type_in_catalog(Overlay *overlay, List *names);

/*
 * See check.h.
 */
Node *
check_existence(Overlay *overlay, Node *statement)
{
	for (int i = 0; i < lengthof(checks); i++)
		if (checks[i].tag == nodeTag(statement))
			return checks[i].check(overlay, statement);
	return statement;
}

/* CREATE TABLE: its name, its types and the tables that it refers to. */
static Node *
check_create_table(Overlay *overlay, Node *statement)
{
	CreateStmt *stmt = castNode(CreateStmt, statement);
	ListCell   *cell;

	if (!relation_is_new(overlay, stmt->relation, stmt->if_not_exists))
		return NULL;
	foreach(cell, stmt->tableElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, ColumnDef))
		{
			require_column_type(overlay, (ColumnDef *) element);
			require_referenced(overlay, stmt->relation,
							   ((ColumnDef *) element)->constraints);
		}
		else if (IsA(element, TableLikeClause))
			(void) require_relation(overlay, ((TableLikeClause *) element)->relation);
		else
			require_referenced(overlay, stmt->relation, list_make1(element));
	}
	return statement;
}

/* The tables of foreign keys, unless it is the one that is being made. */
static void
require_referenced(Overlay *overlay, const RangeVar *made, List *constraints)
{
	ListCell   *cell;

	foreach(cell, constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_FOREIGN &&
			strcmp(constraint->pktable->relname, made->relname) != 0)
			(void) require_relation(overlay, constraint->pktable);
	}
}

/* False if it is there already and IF NOT EXISTS is given. */
static bool
relation_is_new(Overlay *overlay, RangeVar *name, bool if_not_exists)
{
	const char *nspname = overlay_creation_schema(overlay, name);

	if (!overlay_has_relation(overlay,
							  makeRangeVar(unconstify(char *, nspname),
										   name->relname, -1)))
		return true;
	if (!if_not_exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name->relname)));
	return false;
}

/* See existence.h. */
OverlayRelation *
require_relation(Overlay *overlay, RangeVar *name)
{
	EffectContext context = {0};
	OverlayRelation *relation;

	if (name == NULL)
		return NULL;
	context.overlay = overlay;
	(void) target_relation(name, PERMISSION_ANYBODY, &context);

	/* somebody may have renamed or dropped it in between */
	relation = overlay_find_relation(overlay, name);
	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist",
						NameListToString(name_of_relation(name)))));
	return relation;
}

static void
require_schema(Overlay *overlay, const char *name)
{
	if (!overlay_has_schema(overlay, name))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", name)));
}

/* See existence.h. */
void
require_type(Overlay *overlay, const TypeName *name)
{
	OverlayType *type;

	/* the type of a column: PostgreSQL resolves that only when it runs */
	if (name->names == NIL || name->pct_type)
		return;
	type = overlay_find_type(overlay, name);
	if (type == NULL || type->dropped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" does not exist",
						TypeNameToString(name))));
}

/* See existence.h. */
void
require_column_type(Overlay *overlay, ColumnDef *definition)
{
	if (definition->typeName != NULL &&
		!type_is_serial(definition->typeName))
		require_type(overlay, definition->typeName);
}

static Node *
check_create_table_as(Overlay *overlay, Node *statement)
{
	CreateTableAsStmt *stmt = castNode(CreateTableAsStmt, statement);

	return relation_is_new(overlay, stmt->into->rel, stmt->if_not_exists) ?
		statement : NULL;
}

static Node *
check_create_view(Overlay *overlay, Node *statement)
{
	ViewStmt   *stmt = castNode(ViewStmt, statement);

	(void) relation_is_new(overlay, stmt->view, stmt->replace);
	return statement;
}

static Node *
check_create_sequence(Overlay *overlay, Node *statement)
{
	CreateSeqStmt *stmt = castNode(CreateSeqStmt, statement);

	return relation_is_new(overlay, stmt->sequence, stmt->if_not_exists) ?
		statement : NULL;
}

static Node *
check_create_schema(Overlay *overlay, Node *statement)
{
	CreateSchemaStmt *stmt = castNode(CreateSchemaStmt, statement);

	if (stmt->schemaname == NULL ||
		!overlay_has_schema(overlay, stmt->schemaname))
		return statement;
	if (!stmt->if_not_exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", stmt->schemaname)));
	return NULL;
}

static Node *
check_create_enum(Overlay *overlay, Node *statement)
{
	CreateEnumStmt *stmt = castNode(CreateEnumStmt, statement);
	RangeVar   *name = makeRangeVarFromNameList(stmt->typeName);
	const char *nspname = overlay_creation_schema(overlay, name);
	List	   *names = list_make2(makeString(pstrdup(nspname)),
								   makeString(name->relname));
	OverlayType *type = overlay_find_type(overlay,
										  makeTypeNameFromNameList(names));

	if (type != NULL && !type->dropped)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("type \"%s\" already exists", name->relname)));
	return statement;
}

static Node *
check_alter_enum(Overlay *overlay, Node *statement)
{
	AlterEnumStmt *stmt = copyObject(castNode(AlterEnumStmt, statement));

	stmt->typeName = type_in_catalog(overlay, stmt->typeName);
	return stmt->typeName != NIL ? (Node *) stmt : NULL;
}

static Node *
check_alter_domain(Overlay *overlay, Node *statement)
{
	AlterDomainStmt *stmt = copyObject(castNode(AlterDomainStmt, statement));

	stmt->typeName = type_in_catalog(overlay, stmt->typeName);
	return stmt->typeName != NIL ? (Node *) stmt : NULL;
}

/*
 * What the catalog calls a type that is altered; NIL for one that the script
 * made.
 */
static List *
type_in_catalog(Overlay *overlay, List *names)
{
	TypeName   *name = makeTypeNameFromNameList(names);
	OverlayType *type;
	HeapTuple	tuple;
	Form_pg_type form;

	require_type(overlay, name);
	type = overlay_find_type(overlay, name);
	if (!OidIsValid(type->oid))
		return NIL;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type->oid));
	if (!HeapTupleIsValid(tuple))
		return names;
	form = (Form_pg_type) GETSTRUCT(tuple);
	names = list_make2(makeString(get_namespace_name(form->typnamespace)),
					   makeString(pstrdup(NameStr(form->typname))));
	ReleaseSysCache(tuple);
	return names;
}

/* With IF EXISTS, those of the objects that are there. */
static Node *
check_drop(Overlay *overlay, Node *statement)
{
	DropStmt   *stmt = castNode(DropStmt, statement);
	List	   *objects = NIL;
	ListCell   *cell;

	foreach(cell, stmt->objects)
	{
		Node	   *object = lfirst(cell);

		if (object_exists(overlay, stmt->removeType, object))
			object = name_in_catalog(overlay, stmt->removeType, object);
		else if (stmt->missing_ok)
			object = NULL;
		else
			require_object(stmt->removeType, object);
		if (object != NULL)
			objects = lappend(objects, object);
	}
	if (objects == NIL)
		return NULL;
	stmt = copyObject(stmt);
	stmt->objects = objects;
	return (Node *) stmt;
}

/* True also for kinds of objects that are not looked for. */
static bool
object_exists(Overlay *overlay, ObjectType type, Node *object)
{
	OverlayType *entry;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
			return overlay_has_relation(overlay,
										makeRangeVarFromNameList(castNode(List,
																		  object)));
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			entry = overlay_find_type(overlay, castNode(TypeName, object));
			return entry != NULL && !entry->dropped;
		case OBJECT_SCHEMA:
			return overlay_has_schema(overlay, strVal(object));
		default:
			return true;
	}
}

/*
 * What the catalog calls a schema or type, which is looked up there; NULL for
 * one that the script made.  Others are looked up in the overlay.
 */
static Node *
name_in_catalog(Overlay *overlay, ObjectType type, Node *object)
{
	OverlayType *entry;
	Oid			oid;

	switch (type)
	{
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			entry = overlay_find_type(overlay, castNode(TypeName, object));
			return OidIsValid(entry->oid) ?
				(Node *) makeTypeNameFromOid(entry->oid, -1) : NULL;
		case OBJECT_SCHEMA:
			oid = overlay_schema_oid(overlay, strVal(object));
			return OidIsValid(oid) ?
				(Node *) makeString(get_namespace_name(oid)) : NULL;
		default:
			return object;
	}
}

/* The error for one that is not there. */
static void
require_object(ObjectType type, Node *object)
{
	const char *kind = "relation";
	char	   *name;
	int			code = ERRCODE_UNDEFINED_TABLE;

	switch (type)
	{
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			kind = "type";
			name = TypeNameToString(castNode(TypeName, object));
			code = ERRCODE_UNDEFINED_OBJECT;
			break;
		case OBJECT_SCHEMA:
			kind = "schema";
			name = strVal(object);
			code = ERRCODE_UNDEFINED_SCHEMA;
			break;
		default:
			name = NameListToString(castNode(List, object));
			break;
	}
	ereport(ERROR,
			(errcode(code), errmsg("%s \"%s\" does not exist", kind, name)));
}

static Node *
check_rename(Overlay *overlay, Node *statement)
{
	RenameStmt *stmt = copyObject(castNode(RenameStmt, statement));

	switch (stmt->renameType)
	{
		case OBJECT_SCHEMA:
			require_schema(overlay, stmt->subname);
			if (!OidIsValid(overlay_schema_oid(overlay, stmt->subname)))
				return NULL;
			stmt->subname =
				get_namespace_name(overlay_schema_oid(overlay, stmt->subname));
			return (Node *) stmt;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			stmt->object = (Node *) type_in_catalog(overlay,
													castNode(List,
															 stmt->object));
			return stmt->object != NULL ? (Node *) stmt : NULL;
		case OBJECT_ATTRIBUTE:
			return statement;
		default:
			if (stmt->relation == NULL)
				return statement;
			if (stmt->missing_ok &&
				!overlay_has_relation(overlay, stmt->relation))
				return NULL;
			check_rename_relation(overlay, stmt);
			return statement;
	}
}

static Node *
check_set_schema(Overlay *overlay, Node *statement)
{
	AlterObjectSchemaStmt *stmt = castNode(AlterObjectSchemaStmt, statement);

	if (stmt->missing_ok && stmt->relation != NULL &&
		!overlay_has_relation(overlay, stmt->relation))
		return NULL;
	(void) require_relation(overlay, stmt->relation);
	require_schema(overlay, stmt->newschema);
	return statement;
}

static Node *
check_insert(Overlay *overlay, Node *statement)
{
	(void) require_relation(overlay, castNode(InsertStmt, statement)->relation);
	return statement;
}

static Node *
check_update(Overlay *overlay, Node *statement)
{
	(void) require_relation(overlay, castNode(UpdateStmt, statement)->relation);
	return statement;
}

static Node *
check_delete(Overlay *overlay, Node *statement)
{
	(void) require_relation(overlay, castNode(DeleteStmt, statement)->relation);
	return statement;
}

/* The table of COPY; a query is not analysed. */
static Node *
check_copy(Overlay *overlay, Node *statement)
{
	(void) require_relation(overlay, castNode(CopyStmt, statement)->relation);
	return statement;
}
