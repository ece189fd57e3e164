/*-------------------------------------------------------------------------
 *
 * overlay_proof.c
 *	  What the constraints that a checked script adds, validates and drops
 *	  prove about the rows of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "effects/overlay_internal.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* For a walk through an expression whose columns are renamed. */
typedef struct CatalogNames
{
	const OverlayRelation *relation;
	bool		unknown;		/* it names a column that the script made */
} CatalogNames;

static Node *analyse_condition(Relation rel, Node *expression);
static bool catalog_names_walker(Node *node, void *context);
static char *current_name(Overlay *overlay, Oid relid, AttrNumber attnum);

/*
 * See overlay.h.
 */
bool
overlay_proves_not_null(const OverlayRelation *relation, const char *column,
						List *except)
{
	OverlayColumn *entry = overlay_find_column(relation, column);
	ListCell   *cell;

	if (entry != NULL && entry->not_null)
		return true;
	foreach(cell, relation->constraints)
	{
		OverlayConstraint *constraint = lfirst(cell);

		if (!constraint->validated || constraint->dropped ||
			name_is_listed(except, constraint->name))
			continue;
		if (name_is_listed(constraint->not_null_columns, column))
			return true;
	}
	return false;
}

/*
 * See overlay.h.
 */
bool
overlay_check_is_valid(const OverlayRelation *relation,
					   const char *catalog_name, bool valid_in_catalog)
{
	ListCell   *cell;

	if (relation == NULL)
		return valid_in_catalog;
	foreach(cell, relation->constraints)
	{
		OverlayConstraint *constraint = lfirst(cell);

		if (constraint->catalog_name != NULL &&
			strcmp(constraint->catalog_name, catalog_name) == 0)
			return constraint->validated && !constraint->dropped;
	}
	return valid_in_catalog;
}

/*
 * See overlay.h.
 */
List *
overlay_check_conditions(const OverlayRelation *relation, Relation rel,
						 List *except)
{
	List	   *conditions = NIL;
	ListCell   *cell;

	if (relation == NULL)
		return NIL;
	foreach(cell, relation->constraints)
	{
		OverlayConstraint *constraint = lfirst(cell);
		Node	   *expression;

		if (constraint->expression == NULL || !constraint->validated ||
			constraint->dropped || name_is_listed(except, constraint->name))
			continue;
		expression = overlay_catalog_names(relation, constraint->expression);
		if (expression != NULL)
			expression = analyse_condition(rel, expression);
		if (expression != NULL)
			conditions = list_concat(conditions,
									 make_ands_implicit((Expr *) expression));
	}
	return conditions;
}

/* As a CHECK is kept for proofs; NULL if it is no condition.  May throw. */
static Node *
analyse_condition(Relation rel, Node *expression)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										 false, true);
	addNSItemToQuery(pstate, item, true, true, true);
	expression = transformExpr(pstate, expression,
							   EXPR_KIND_CHECK_CONSTRAINT);
	expression = coerce_to_boolean(pstate, expression, "CHECK");
	assign_expr_collations(pstate, expression);
	free_parsestate(pstate);
	expression = eval_const_expressions(NULL, expression);
	return (Node *) canonicalize_qual((Expr *) expression, true);
}

/*
 * See overlay.h.
 */
Node *
overlay_catalog_names(const OverlayRelation *relation, Node *expression)
{
	CatalogNames names = {0};

	expression = copyObject(expression);
	if (relation == NULL || relation->columns == NIL)
		return expression;
	names.relation = relation;
	(void) catalog_names_walker(expression, &names);
	return names.unknown ? NULL : expression;
}

/* Scribbles on the column references; true, and ends, at an unknown one. */
static bool
catalog_names_walker(Node *node, void *context)
{
	CatalogNames *names = context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		ColumnRef  *reference = (ColumnRef *) node;
		OverlayColumn *column;

		if (!IsA(llast(reference->fields), String))
			return false;
		column = overlay_find_column(names->relation,
									 strVal(llast(reference->fields)));
		if (column == NULL)
			return false;
		if (column->attnum == InvalidAttrNumber || column->dropped)
		{
			names->unknown = true;
			return true;
		}
		reference->fields =
			list_make1(makeString(get_attname(names->relation->relid,
											  column->attnum, false)));
		return false;
	}
	return raw_expression_tree_walker(node, catalog_names_walker, context);
}

/*
 * See overlay.h.
 */
List *
overlay_key_columns(Overlay *overlay, const OverlayRelation *index)
{
	HeapTuple	tuple;
	Form_pg_index form;
	List	   *names = NIL;

	if (!OidIsValid(index->relid))
		return index->key_columns;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index->relid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	for (int i = 0; i < form->indnkeyatts; i++)
		if (form->indkey.values[i] > 0)
			names = lappend(names, current_name(overlay, form->indrelid,
												form->indkey.values[i]));
	ReleaseSysCache(tuple);
	return names;
}

/* What a column of the catalog is called after what the script did. */
static char *
current_name(Overlay *overlay, Oid relid, AttrNumber attnum)
{
	OverlayRelation *relation = overlay_find_relid(overlay, relid);
	OverlayColumn *column = NULL;

	if (relation != NULL)
		column = overlay_find_attnum(relation, attnum);
	return column ? column->name : get_attname(relid, attnum, false);
}
