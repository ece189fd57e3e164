/*-------------------------------------------------------------------------
 *
 * overlay_type.c
 *	  Types and functions that a checked script made, renamed or dropped, and
 *	  expressions that use them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "effects/overlay_internal.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static OverlayType *type_in_schema(Overlay *overlay, const char *nspname,
								   const char *name);
static OverlayType *row_type(Overlay *overlay, OverlayRelation *relation);
static OverlayType *new_type(Overlay *overlay, const char *nspname,
							 const char *name);
static const char *schema_of_new(Overlay *overlay, List *names, char **name);
static bool names_of_script_walker(Node *node, void *context);
static bool is_catalog_name_type(const TypeName *name);
static bool volatile_walker(Node *node, void *context);
static bool function_is_volatile(Overlay *overlay, List *names);

/*
 * See overlay.h.
 */
OverlayType *
overlay_find_type(Overlay *overlay, const TypeName *name)
{
	OverlayType *dropped = NULL;
	char	   *nspname;
	char	   *type_name;
	ListCell   *cell;

	/* by OID, or the type of a column: there the catalog is asked */
	if (name->names == NIL || name->pct_type)
		return NULL;
	DeconstructQualifiedName(name->names, &nspname, &type_name);
	if (nspname != NULL)
		return type_in_schema(overlay, nspname, type_name);
	foreach(cell, overlay_search_path(overlay))
	{
		OverlayType *type = type_in_schema(overlay, lfirst(cell), type_name);

		if (type != NULL && !type->dropped)
			return type;
		if (dropped == NULL)
			dropped = type;
	}
	return dropped;
}

static OverlayType *
type_in_schema(Overlay *overlay, const char *nspname, const char *name)
{
	OverlayType *type = overlay_get(overlay, OVERLAY_TYPE, nspname, name);
	OverlayRelation *relation;
	Oid			nspoid;
	Oid			oid;

	if (type != NULL)
		return type;
	relation = overlay_get(overlay, OVERLAY_RELATION, nspname, name);
	if (relation != NULL && relation->index_of == NULL)
		return row_type(overlay, relation);

	nspoid = overlay_schema_oid(overlay, nspname);
	if (!OidIsValid(nspoid))
		return NULL;
	oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						  CStringGetDatum(name), ObjectIdGetDatum(nspoid));
	if (!OidIsValid(oid))
		return NULL;
	type = new_type(overlay, nspname, name);
	type->oid = oid;
	type->dropped = overlay_schema_is_dropped(overlay, nspname);
	return type;
}

/*
 * The row type of a relation.  It is not entered by its name, because it is
 * renamed and dropped with the relation.
 */
static OverlayType *
row_type(Overlay *overlay, OverlayRelation *relation)
{
	OverlayType *type = MemoryContextAllocZero(overlay->context,
											   sizeof(OverlayType));

	type->nspname = relation->nspname;
	type->name = relation->relname;
	type->dropped = relation->dropped;
	type->renamed = true;
	type->changed = relation->columns != NIL;
	if (OidIsValid(relation->relid))
		type->oid = get_rel_type_id(relation->relid);
	return type;
}

static OverlayType *
new_type(Overlay *overlay, const char *nspname, const char *name)
{
	OverlayType *type = MemoryContextAllocZero(overlay->context,
											   sizeof(OverlayType));

	type->nspname = MemoryContextStrdup(overlay->context, nspname);
	type->name = MemoryContextStrdup(overlay->context, name);
	overlay_put(overlay, OVERLAY_TYPE, nspname, name, type);
	return type;
}

/*
 * See overlay.h.
 */
bool
overlay_has_type(Overlay *overlay, const TypeName *name)
{
	OverlayType *type = overlay_find_type(overlay, name);

	return type != NULL && !type->dropped && !OidIsValid(type->oid);
}

/*
 * See overlay.h.
 */
bool
overlay_resolve_type(Overlay *overlay, const TypeName *name, Oid *type,
					 int32 *typmod)
{
	OverlayType *entry = overlay ? overlay_find_type(overlay, name) : NULL;
	TypeName   *by_oid;

	if (entry != NULL && entry->dropped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" was dropped or renamed by an earlier statement of the script",
						TypeNameToString(name))));
	if (entry != NULL && !OidIsValid(entry->oid))
	{
		*type = InvalidOid;
		*typmod = -1;
		return false;
	}
	if (entry == NULL || !entry->renamed)
	{
		typenameTypeIdAndMod(NULL, name, type, typmod);
		return true;
	}

	/* the catalog knows it by another name */
	by_oid = copyObject(unconstify(TypeName *, name));
	by_oid->names = NIL;
	by_oid->typeOid = name->arrayBounds != NIL ?
		get_array_type(entry->oid) : entry->oid;
	typenameTypeIdAndMod(NULL, by_oid, type, typmod);
	return true;
}

/* CREATE TYPE, CREATE DOMAIN.  names is that of the statement. */
OverlayType *
overlay_make_type(Overlay *overlay, List *names)
{
	char	   *name;
	const char *nspname = schema_of_new(overlay, names, &name);

	return new_type(overlay, nspname, name);
}

/* The schema in which a type or function of that name is made. */
static const char *
schema_of_new(Overlay *overlay, List *names, char **name)
{
	RangeVar	range_var = {0};

	DeconstructQualifiedName(names, &range_var.schemaname, name);
	range_var.relpersistence = RELPERSISTENCE_PERMANENT;
	return overlay_creation_schema(overlay, &range_var);
}

/* A type that the script is about to change; NULL if there is none. */
OverlayType *
overlay_touch_type(Overlay *overlay, List *names)
{
	OverlayType *type = overlay_find_type(overlay,
										  makeTypeNameFromNameList(names));

	if (type == NULL || type->dropped)
		return NULL;
	return type;
}

/* DROP TYPE, DROP DOMAIN */
void
overlay_drop_type(Overlay *overlay, List *names)
{
	OverlayType *type = overlay_touch_type(overlay, names);

	if (type != NULL)
		type->dropped = true;
}

/* RENAME and SET SCHEMA; NULL: stays as it is. */
void
overlay_move_type(Overlay *overlay, List *names, const char *nspname,
				  const char *name)
{
	OverlayType *type = overlay_touch_type(overlay, names);

	if (type == NULL)
		return;
	nspname = nspname ? nspname : type->nspname;
	name = name ? name : type->name;
	new_type(overlay, type->nspname, type->name)->dropped = true;
	type->nspname = MemoryContextStrdup(overlay->context, nspname);
	type->name = MemoryContextStrdup(overlay->context, name);
	type->renamed = true;
	overlay_put(overlay, OVERLAY_TYPE, nspname, name, type);
}

/* CREATE FUNCTION, CREATE OR REPLACE FUNCTION */
void
overlay_make_function(Overlay *overlay, List *names, char volatility)
{
	char	   *name;
	const char *nspname = schema_of_new(overlay, names, &name);
	OverlayFunction *function;

	function = MemoryContextAllocZero(overlay->context,
									  sizeof(OverlayFunction));
	function->nspname = MemoryContextStrdup(overlay->context, nspname);
	function->name = MemoryContextStrdup(overlay->context, name);
	function->volatility = volatility;
	overlay_put(overlay, OVERLAY_FUNCTION, nspname, name, function);
}

/* Only a function that the script made is known. */
void
overlay_rename_function(Overlay *overlay, List *names, const char *name)
{
	OverlayFunction *function = overlay_find_function(overlay, names);

	if (function == NULL)
		return;
	overlay_put(overlay, OVERLAY_FUNCTION, function->nspname, function->name,
				NULL);
	function->name = MemoryContextStrdup(overlay->context, name);
	overlay_put(overlay, OVERLAY_FUNCTION, function->nspname, name, function);
}

/* The function of that name that the script made, or NULL. */
OverlayFunction *
overlay_find_function(Overlay *overlay, List *names)
{
	char	   *nspname;
	char	   *name;
	ListCell   *cell;

	DeconstructQualifiedName(names, &nspname, &name);
	if (nspname != NULL)
		return overlay_get(overlay, OVERLAY_FUNCTION, nspname, name);
	foreach(cell, overlay_search_path(overlay))
	{
		OverlayFunction *function = overlay_get(overlay, OVERLAY_FUNCTION,
												lfirst(cell), name);

		if (function != NULL && !function->dropped)
			return function;
	}
	return NULL;
}

/*
 * See overlay.h.
 */
bool
overlay_concerns_expression(Overlay *overlay, Node *expression)
{
	return overlay != NULL && names_of_script_walker(expression, overlay);
}

static bool
names_of_script_walker(Node *node, void *context)
{
	Overlay    *overlay = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		List	   *names = ((FuncCall *) node)->funcname;

		if (overlay_find_function(overlay, names) != NULL)
			return true;
		/* its argument is the name of a sequence, which the script may make */
		if (strcmp(strVal(llast(names)), "nextval") == 0)
			return true;
	}
	else if (IsA(node, TypeCast))
	{
		TypeName   *name = ((TypeCast *) node)->typeName;
		OverlayType *type = overlay_find_type(overlay, name);

		if (is_catalog_name_type(name) ||
			(type != NULL && (type->dropped || type->renamed ||
							  type->changed || !OidIsValid(type->oid))))
			return true;
	}
	return raw_expression_tree_walker(node, names_of_script_walker, context);
}

/* regclass and its like: their values name objects of the catalog. */
static bool
is_catalog_name_type(const TypeName *name)
{
	return name->names != NIL &&
		strncmp(strVal(llast(name->names)), "reg", 3) == 0;
}

/*
 * See overlay.h.
 */
bool
overlay_expression_is_volatile(Overlay *overlay, Node *expression)
{
	return volatile_walker(expression, overlay);
}

static bool
volatile_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		function_is_volatile(context, ((FuncCall *) node)->funcname))
		return true;
	return raw_expression_tree_walker(node, volatile_walker, context);
}

/* Which of several functions of one name is meant is not known: one will do. */
static bool
function_is_volatile(Overlay *overlay, List *names)
{
	OverlayFunction *function = overlay_find_function(overlay, names);
	CatCList   *list;
	bool		result = false;

	if (function != NULL)
		return function->volatility == PROVOLATILE_VOLATILE;
	list = SearchSysCacheList1(PROCNAMEARGSNSP,
							   CStringGetDatum(strVal(llast(names))));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form;

		form = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);
		if (form->provolatile == PROVOLATILE_VOLATILE)
			result = true;
	}
	ReleaseSysCacheList(list);
	return result;
}
