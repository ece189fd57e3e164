/*-------------------------------------------------------------------------
 *
 * row_expression.c
 *	  Expressions over the columns of a row, as text and analysed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "online/row_expression.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* All that the text of an expression and its literals depend on. */
static const struct
{
	const char *name;
	const char *value;
}			fixed_settings[] =

{
	{"search_path", "pg_catalog, pg_temp"},
	{"standard_conforming_strings", "on"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"DateStyle", "ISO"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"bytea_output", "hex"},
	{"extra_float_digits", "1"},
	{"lc_monetary", "C"},
	{"quote_all_identifiers", "off"},
	{"xmloption", "content"},
};

/* For the messages of the parser. */
typedef struct ExpressionSource
{
	const char *text;
	const char *what;
} ExpressionSource;

/* For a walk over the columns of an expression. */
typedef struct UsedColumns
{
	ParseState *pstate;
	Relation	rel;
} UsedColumns;

static void add_source(void *arg);
static Node *raw_expression(ParseState *pstate);
static bool is_bare_expression(SelectStmt *select);
static bool has_foreign_literal(Node *node, void *context);
static bool is_builtin_type(TypeName *type);
static Node *analysed_as_owner(ParseState *pstate, Relation rel,
							   Node *expression, AttrNumber target);
static Node *analysed_expression(ParseState *pstate, Relation rel,
								 Node *expression, AttrNumber target);
static Node *coerced_to_column(ParseState *pstate, Node *expression,
							   Form_pg_attribute attribute);
static bool refuse_columns(Node *node, UsedColumns *used);
static void refuse_column(UsedColumns *used, Var *var);
static bool refuse_unnamed_operators(Node *node, void *context);
static bool are_of_one_schema(List *operators);
static Oid	schema_of_operator(Oid operator);
static void refuse_foreign_operators(List *operators);

/*
 * See row_expression.h.
 */
Node *
parse_row_expression(Relation rel, const char *text, AttrNumber target,
					 const char *what, bool fixed_search_path)
{
	ExpressionSource source = {text, what};
	ErrorContextCallback context;
	ParseState *pstate = make_parsestate(NULL);
	int			nest_level = fixed_search_path ? begin_fixed_settings() : 0;
	Node	   *expression;

	context.callback = add_source;
	context.arg = &source;
	context.previous = error_context_stack;
	error_context_stack = &context;

	pstate->p_sourcetext = text;
	expression = raw_expression(pstate);
	if (fixed_search_path && !has_foreign_literal(expression, NULL))
		expression = analysed_as_owner(pstate, rel, expression, target);
	else
		expression = analysed_expression(pstate, rel, expression, target);
	if (!fixed_search_path)
		(void) refuse_unnamed_operators(expression, NULL);
	free_parsestate(pstate);

	error_context_stack = context.previous;
	if (fixed_search_path)
		AtEOXact_GUC(false, nest_level);
	return expression;
}

/*
 * See row_expression.h.
 */
int
begin_fixed_settings(void)
{
	int			nest_level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(fixed_settings); i++)
		(void) set_config_option(fixed_settings[i].name,
								 fixed_settings[i].value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	return nest_level;
}

/* Error context callback: a position is one in the text of the expression. */
static void
add_source(void *arg)
{
	ExpressionSource *source = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(source->text);
	}
	errcontext("%s", source->what);
}

/* The grammar knows an expression as the target list of a SELECT only. */
static Node *
raw_expression(ParseState *pstate)
{
	List	   *statements = raw_parser(pstate->p_sourcetext,
										RAW_PARSE_PLPGSQL_EXPR);
	Node	   *statement = linitial_node(RawStmt, statements)->stmt;

	if (!IsA(statement, SelectStmt) ||
		!is_bare_expression((SelectStmt *) statement))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"%s\" is not one expression over the columns of a row",
						pstate->p_sourcetext)));
	return linitial_node(ResTarget,
						 ((SelectStmt *) statement)->targetList)->val;
}

static bool
is_bare_expression(SelectStmt *select)
{
	ResTarget  *target;

	if (select->op != SETOP_NONE || list_length(select->targetList) != 1 ||
		select->distinctClause != NIL || select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->windowClause != NIL ||
		select->sortClause != NIL || select->limitOffset != NULL ||
		select->limitCount != NULL || select->lockingClause != NIL)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL)
		return false;
	return !IsA(target->val, ColumnRef) ||
		!IsA(llast(((ColumnRef *) target->val)->fields), A_Star);
}

/*
 * Raw parse tree walker: could analysing a literal run code of users?  The input
 * functions of types that came with PostgreSQL do not.
 */
static bool
has_foreign_literal(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, A_Const))
		return IsA(&((A_Const *) node)->val, String);
	if (IsA(node, TypeCast) && IsA(((TypeCast *) node)->arg, A_Const))
		return !is_builtin_type(((TypeCast *) node)->typeName);
	return raw_expression_tree_walker(node, has_foreign_literal, context);
}

static bool
is_builtin_type(TypeName *type)
{
	Oid			type_oid;

	if (type->pct_type || list_length(type->names) > 2 ||
		(list_length(type->names) == 2 &&
		 strcmp(strVal(linitial(type->names)), "pg_catalog") != 0))
		return false;
	type_oid = LookupTypeNameOid(NULL, type, true);
	return OidIsValid(type_oid) && type_oid < FirstNormalObjectId;
}

/*
 * As the expression of a CHECK constraint, one that is read again must not ask
 * who writes into the table for the right to use the schema of its functions.
 * That takes the rights of the owner; nothing is executed with them.
 */
static Node *
analysed_as_owner(ParseState *pstate, Relation rel, Node *expression,
				  AttrNumber target)
{
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	expression = analysed_expression(pstate, rel, expression, target);
	SetUserIdAndSecContext(user, security_context);
	return expression;
}

static Node *
analysed_expression(ParseState *pstate, Relation rel, Node *expression,
					AttrNumber target)
{
	UsedColumns used = {pstate, rel};
	ParseNamespaceItem *item;

	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										 false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	expression = transformExpr(pstate, expression,
							   EXPR_KIND_ALTER_COL_TRANSFORM);
	expression = coerced_to_column(pstate, expression,
								   TupleDescAttr(RelationGetDescr(rel),
												 target - 1));
	assign_expr_collations(pstate, expression);
	(void) refuse_columns(expression, &used);
	return expression;
}

static Node *
coerced_to_column(ParseState *pstate, Node *expression,
				  Form_pg_attribute attribute)
{
	Oid			type = exprType(expression);
	Node	   *coerced;

	coerced = coerce_to_target_type(pstate, expression, type,
									attribute->atttypid, attribute->atttypmod,
									COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST,
									-1);
	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s but expression is of type %s",
						NameStr(attribute->attname),
						format_type_be(attribute->atttypid),
						format_type_be(type)),
				 errhint("You will need to rewrite or cast the expression.")));
	return coerced;
}

/* Expression tree walker. */
static bool
refuse_columns(Node *node, UsedColumns *used)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		refuse_column(used, (Var *) node);
	return expression_tree_walker(node, refuse_columns, used);
}

static void
refuse_column(UsedColumns *used, Var *var)
{
	Form_pg_attribute attribute;

	if (var->varattno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("cannot use a whole row in the expression; name the columns"),
				 parser_errposition(used->pstate, var->location)));
	if (var->varattno < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("cannot use a system column in the expression"),
				 parser_errposition(used->pstate, var->location)));
	attribute = TupleDescAttr(RelationGetDescr(used->rel), var->varattno - 1);
	if (attribute->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("cannot use generated column \"%s\" in the expression; write what it is generated from",
						NameStr(attribute->attname)),
				 parser_errposition(used->pstate, var->location)));
}

/*
 * Expression tree walker.  The text of these leaves out which operator it is,
 * and with fixed settings another one would be found than the user's.
 */
static bool
refuse_unnamed_operators(Node *node, void *context)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
		refuse_foreign_operators(list_make1_oid(((OpExpr *) node)->opno));
	else if (IsA(node, RowCompareExpr))
	{
		List	   *operators = ((RowCompareExpr *) node)->opnos;

		if (!are_of_one_schema(operators))
			refuse_foreign_operators(operators);
	}
	else if (IsA(node, CaseExpr) && ((CaseExpr *) node)->arg != NULL)
	{
		foreach(cell, ((CaseExpr *) node)->args)
		{
			Node	   *comparison = (Node *) lfirst_node(CaseWhen, cell)->expr;

			if (IsA(comparison, OpExpr))
				refuse_foreign_operators(list_make1_oid(((OpExpr *) comparison)->opno));
		}
	}
	return expression_tree_walker(node, refuse_unnamed_operators, context);
}

/* Those of a comparison of rows have the name that the text gives the first. */
static bool
are_of_one_schema(List *operators)
{
	Oid			schema = schema_of_operator(linitial_oid(operators));
	ListCell   *cell;

	foreach(cell, operators)
	{
		if (schema_of_operator(lfirst_oid(cell)) != schema)
			return false;
	}
	return true;
}

static Oid
schema_of_operator(Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;
	ReleaseSysCache(tuple);
	return schema;
}

static void
refuse_foreign_operators(List *operators)
{
	ListCell   *cell;

	foreach(cell, operators)
	{
		Oid			operator = lfirst_oid(cell);
		Oid			schema = schema_of_operator(operator);

		if (schema != PG_CATALOG_NAMESPACE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("CASE x WHEN y, NULLIF, IS DISTINCT FROM and comparisons of rows cannot name operator %s, and would mean another one where search_path is another; write a OPERATOR(%s.%s) b instead",
							format_operator_qualified(operator),
							quote_identifier(get_namespace_name(schema)),
							get_opname(operator))));
	}
}

/*
 * See row_expression.h.
 */
char *
row_expression_text(Relation rel, Node *expression)
{
	int			nest_level = begin_fixed_settings();
	List	   *context = deparse_context_for(RelationGetRelationName(rel),
											  RelationGetRelid(rel));
	char	   *text = deparse_expression(expression, context, false, false);

	AtEOXact_GUC(false, nest_level);
	return text;
}
