/*-------------------------------------------------------------------------
 *
 * column_type.c
 *	  Does a change of a column's type rewrite the table?
 *
 * The expression that converts a value is built and planned as
 * ATPrepAlterColumnType() does it, and the question asked of the result is
 * that of ATColumnChangeRequiresRewrite() (both static in tablecmds.c and
 * alike in 15-19): only what leaves the stored bytes alone may be left of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

static Node *conversion_expression(ParseState *pstate, Relation rel,
								   ColumnDef *definition, AttrNumber attnum,
								   Oid target_type, int32 target_typmod);
static bool calls_user_function(Node *node, void *context);
static bool is_user_function(Oid function_oid, void *context);
static char *expression_rewrite_reason(Node *expression, AttrNumber attnum);

/*
 * Why changing column attnum to the target type rewrites the table, as a
 * palloc'd clause; NULL if it does not.  *possible is false if there is no such
 * conversion, so that PostgreSQL will refuse it.  The caller holds a lock on
 * rel.  Throws what the analysis of USING throws, which ALTER TABLE would throw
 * as well.
 */
char *
column_type_rewrite_reason(ParseState *pstate, Relation rel,
						   ColumnDef *definition, AttrNumber attnum,
						   Oid target_type, int32 target_typmod, bool may_run,
						   bool *possible)
{
	Node	   *expression = conversion_expression(pstate, rel, definition, attnum,
												   target_type, target_typmod);

	*possible = expression != NULL;
	if (expression == NULL)
		return NULL;
	return expression_rewrite_reason(plan_expression(expression, may_run),
									 attnum);
}

/*
 * The same for a column that is not in the catalog as it is to be changed, by
 * its type alone.
 */
char *
type_change_rewrite_reason(Oid source_type, int32 source_typmod,
						   Oid target_type, int32 target_typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression;

	expression = (Node *) makeVar(1, 1, source_type, source_typmod,
								  get_typcollation(source_type), 0);
	expression = coerce_to_target_type(pstate, expression, source_type,
									   target_type, target_typmod,
									   COERCION_ASSIGNMENT,
									   COERCE_IMPLICIT_CAST, -1);
	if (expression == NULL)
		return NULL;
	assign_expr_collations(pstate, expression);
	free_parsestate(pstate);
	expression = plan_expression(expression, false);
	return expression_rewrite_reason(expression, 1);
}

static Node *
conversion_expression(ParseState *pstate, Relation rel, ColumnDef *definition,
					  AttrNumber attnum, Oid target_type, int32 target_typmod)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
												attnum - 1);
	Node	   *expression;

	if (definition->raw_default != NULL)
	{
		ParseNamespaceItem *item;

		item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
											 NULL, false, true);
		addNSItemToQuery(pstate, item, false, true, true);
		/* transformation scribbles on its input */
		expression = transformExpr(pstate, copyObject(definition->raw_default),
								   EXPR_KIND_ALTER_COL_TRANSFORM);
	}
	else
		expression = (Node *) makeVar(1, attnum, attribute->atttypid,
									  attribute->atttypmod,
									  attribute->attcollation, 0);

	expression = coerce_to_target_type(pstate, expression,
									   exprType(expression), target_type,
									   target_typmod, COERCION_ASSIGNMENT,
									   COERCE_IMPLICIT_CAST, -1);
	if (expression == NULL)
		return NULL;
	assign_expr_collations(pstate, expression);
	expression = compat_expand_virtual_columns(expression, rel);
	free_parsestate(pstate);
	return expression;
}

static char *
expression_rewrite_reason(Node *expression, AttrNumber attnum)
{
	for (;;)
	{
		if (IsA(expression, Var) && ((Var *) expression)->varattno == attnum)
			return NULL;
		else if (IsA(expression, RelabelType))
			expression = (Node *) ((RelabelType *) expression)->arg;
		else if (IsA(expression, CoerceToDomain))
		{
			CoerceToDomain *coercion = (CoerceToDomain *) expression;

			if (compat_domain_has_constraints(coercion->resulttype))
				return pstrdup("the new type is a domain with constraints");
			expression = (Node *) coercion->arg;
		}
		else if (IsA(expression, FuncExpr))
		{
			FuncExpr   *function = (FuncExpr *) expression;

			/* free when the session's time zone is UTC */
			if ((function->funcid != F_TIMESTAMPTZ_TIMESTAMP &&
				 function->funcid != F_TIMESTAMP_TIMESTAMPTZ) ||
				TimestampTimestampTzRequiresRewrite())
				return pstrdup("each value is converted");
			expression = (Node *) linitial(function->args);
		}
		else
			return pstrdup("each value is converted");
	}
}

/*
 * The expression as the planner leaves it.  Planning calls functions that are
 * said to be immutable: when a script is only checked (may_run is false),
 * those that users have made are left as they are.
 */
Node *
plan_expression(Node *expression, bool may_run)
{
	if (!may_run && calls_user_function(expression, NULL))
		return expression;
	return (Node *) expression_planner((Expr *) expression);
}

static bool
calls_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_user_function, context))
		return true;
	return expression_tree_walker(node, calls_user_function, context);
}

static bool
is_user_function(Oid function_oid, void *context)
{
	return function_oid >= FirstNormalObjectId;
}
