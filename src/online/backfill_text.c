/*-------------------------------------------------------------------------
 *
 * backfill_text.c
 *	  The texts of a backfill: what users give, and what is run.
 *
 * The texts of users become parts of statements.  Each is parsed alone before,
 * so that it cannot be anything else than it is said to be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "online/backfill_internal.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_oper.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

/* What is put before a text to parse it. */
typedef struct TextPrefix
{
	const char *text;
	int			length;			/* characters */
} TextPrefix;

static RawStmt *parse_one(const char *prefix, const char *text,
						  const char *suffix);
static void point_into_text(void *arg);
static Query *analyze_texts(const BackfillRequest *request, Oid relid,
							const char *alias, bool with_condition);
static char *difference(const BackfillRequest *request, Relation rel,
						TargetEntry *target, List *context,
						const char *alias);
static char *assigned_value(Form_pg_attribute attribute, const char *value);
static char *elements_are_cut_off(Form_pg_attribute attribute,
								  const char *value);
static const char *type_of_limited_length(Oid type);
static Node *value_of_target(Relation rel, TargetEntry *target);
static bool changes_with_time(Node *node, void *context);
static bool function_changes_with_time(Oid function, void *context);
static bool is_partial_assignment(Node *node, void *context);
static bool differs_by_equality(Form_pg_attribute attribute);
static List *add_column(List *columns, Oid relid, AttrNumber attnum,
						bool is_set);

/*
 * See backfill_internal.h.
 */
void
check_set_text(const char *set)
{
	RawStmt    *raw = parse_one("UPDATE t SET ", set, "");

	/* a condition of its own, or RETURNING, cannot be followed by one */
	(void) parse_one("UPDATE t SET ", set, " WHERE true");
	if (((UpdateStmt *) raw->stmt)->fromClause != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"set\" of a backfill cannot have FROM; use a subquery: %s",
						set)));
}

/*
 * See backfill_internal.h.  With parentheses around it, nothing can follow it;
 * without them, it cannot close them.
 */
void
check_condition_text(const char *condition)
{
	(void) parse_one("SELECT WHERE ", condition, "");
	(void) parse_one("SELECT WHERE (", condition, ")");
}

/*
 * The one statement that a text is with what stands around it.  The text may
 * end in a comment; a semicolon ends the statement before its text does.
 */
static RawStmt *
parse_one(const char *prefix, const char *text, const char *suffix)
{
	TextPrefix	place = {text, pg_mbstrlen(prefix)};
	ErrorContextCallback callback = {error_context_stack, point_into_text, &place};
	List	   *statements;
	RawStmt    *raw;

	error_context_stack = &callback;
	statements = raw_parser(psprintf("%s%s\n%s", prefix, text, suffix),
							RAW_PARSE_DEFAULT);
	raw = statements == NIL ? NULL : linitial_node(RawStmt, statements);
	if (list_length(statements) != 1 || raw->stmt_len != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"set\" and \"where\" of a backfill are parts of one statement, without a semicolon: %s",
						text)));
	error_context_stack = callback.previous;
	return raw;
}

/* The position of an error is one in the text. */
static void
point_into_text(void *arg)
{
	const TextPrefix *place = arg;
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(Min(Max(position - place->length, 1),
							pg_mbstrlen(place->text) + 1));
	internalerrquery(place->text);
}

/*
 * See backfill_internal.h.
 */
char *
update_text(const Backfill *b, const BackfillLeaf *leaf, bool one_share)
{
	StringInfoData text;

	initStringInfo(&text);
	if (b->request->counted != NULL)
		appendStringInfoString(&text, "WITH filled AS (");
	appendStringInfo(&text,
					 "UPDATE ONLY %s AS %s SET %s\n"
					 "WHERE %s.ctid OPERATOR(pg_catalog.>=) $1 "
					 "AND %s.ctid OPERATOR(pg_catalog.<) $2 AND ",
					 leaf->name, b->alias, b->request->set, b->alias, b->alias);

	/* what is said to be true of something cannot be looked up in an index */
	if (one_share)
		appendStringInfo(&text,
						 "(CASE WHEN pg_catalog.hashtid(%s.ctid) "
						 "OPERATOR(pg_catalog.&) %d OPERATOR(pg_catalog.=) $3 "
						 "THEN (%s\n) END) IS TRUE",
						 b->alias, leaf->shares - 1, leaf->condition);
	else
		appendStringInfo(&text, "(%s\n) IS TRUE", leaf->condition);
	if (b->request->counted != NULL)
	{
		const char *column = quote_identifier(b->request->counted);

		appendStringInfo(&text,
						 " RETURNING %s.%s AS counted) "
						 "SELECT pg_catalog.count(counted), pg_catalog.count(*) FROM filled",
						 b->alias, column);
	}
	return text.data;
}

/*
 * See backfill_internal.h.
 */
char *
checked_update_text(const Backfill *b, const BackfillLeaf *leaf)
{
	return psprintf("%s RETURNING %s.ctid", update_text(b, leaf, false),
					b->alias);
}

/*
 * See backfill_internal.h.
 */
char *
check_text(const Backfill *b, const BackfillLeaf *leaf)
{
	return psprintf("SELECT %s.ctid FROM ONLY %s AS %s "
					"WHERE %s.ctid OPERATOR(pg_catalog.=) ANY ($1) "
					"AND (%s\n) IS TRUE",
					b->alias, leaf->name, b->alias, b->alias, leaf->condition);
}

/*
 * See backfill_internal.h.
 */
char *
search_text(const Backfill *b, const BackfillLeaf *leaf)
{
	/* an index, in which a row could be looked up, would have another order */
	return psprintf("SELECT %s.ctid FROM ONLY %s AS %s "
					"WHERE %s.ctid OPERATOR(pg_catalog.>=) $1 "
					"AND %s.ctid OPERATOR(pg_catalog.<) $2 "
					"AND (CASE WHEN %s.ctid OPERATOR(pg_catalog.<) $2 "
					"THEN (%s\n) END) IS TRUE",
					b->alias, leaf->name, b->alias, b->alias, b->alias,
					b->alias, leaf->condition);
}

static Query *
analyze_texts(const BackfillRequest *request, Oid relid, const char *alias,
			  bool with_condition)
{
	char	   *text = psprintf("UPDATE ONLY %s AS %s SET %s\n%s%s%s",
								relation_display_name(relid), alias,
								request->set,
								with_condition ? "WHERE (" : "",
								with_condition ? request->condition : "",
								with_condition ? "\n) IS TRUE" : "");

	return parse_analyze_fixedparams(linitial_node(RawStmt,
												   raw_parser(text, RAW_PARSE_DEFAULT)),
									 text, NULL, 0, NULL);
}

/*
 * See backfill_internal.h.
 */
char *
default_condition(const BackfillRequest *request, Oid relid, const char *alias)
{
	Query	   *query = analyze_texts(request, relid, alias, false);
	Relation	rel = relation_open(relid, AccessShareLock);
	List	   *context;
	StringInfoData condition;
	ListCell   *cell;

	context = deparse_context_for(rt_fetch(query->resultRelation,
										   query->rtable)->eref->aliasname,
								  relid);
	initStringInfo(&condition);
	foreach(cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (target->resjunk)
			continue;
		appendStringInfo(&condition, "%s%s", condition.len > 0 ? " OR " : "",
						 difference(request, rel, target, context, alias));
	}
	relation_close(rel, NoLock);
	return condition.data;
}

/* That a column has not the value that it would be set to. */
static char *
difference(const BackfillRequest *request, Relation rel, TargetEntry *target,
		   List *context, const char *alias)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
												target->resno - 1);
	const char *name = quote_identifier(NameStr(attribute->attname));
	Node	   *value = value_of_target(rel, target);
	char	   *text;

	if (contain_volatile_functions(value) || changes_with_time(value, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column %s of %s gets a value that differs from time to time: a backfill needs a \"where\" that is false for rows that are done",
						name, relation_display_name(RelationGetRelid(rel))),
				 errhint("For example, for a column that was null: \"where\" => '%s'.",
						 null_test(name, attribute->atttypid, true))));
	if (is_partial_assignment(value, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column %s of %s is set in a way that tells no value to compare with: a backfill needs a \"where\" that is false for rows that are done",
						name, relation_display_name(RelationGetRelid(rel)))));
	text = deparse_expression(value, context, true, false);
	return values_differ(attribute, psprintf("%s.%s", alias, name), text);
}

/*
 * See backfill.h.  Without the cast to record it would be a comparison column by
 * column.
 */
char *
values_differ(Form_pg_attribute attribute, const char *column,
			  const char *value)
{
	char	   *assigned = assigned_value(attribute, value);
	char	   *cut_off = elements_are_cut_off(attribute, value);

	if (differs_by_equality(attribute))
		return psprintf("%s IS DISTINCT FROM %s", column, assigned);	/* as the user */
	return psprintf("(ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(%s)%s)",
					column, assigned,
					cut_off == NULL ? "" : psprintf(" OR %s", cut_off));
}

/*
 * What an assignment would make of a value: a cast cuts off silently what is too
 * long, where an assignment is refused.
 */
static char *
assigned_value(Form_pg_attribute attribute, const char *value)
{
	int32		typmod = attribute->atttypmod;
	const char *limited = type_of_limited_length(getBaseTypeAndTypmod(attribute->atttypid,
																	  &typmod));

	if (limited != NULL && typmod >= 0)
		value = psprintf("pg_catalog.%s((%s)::pg_catalog.%s, %d, false)",
						 limited, value, limited, typmod);
	return psprintf("(%s)::%s", value,
					format_type_extended(attribute->atttypid,
										 attribute->atttypmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN |
										 FORMAT_TYPE_FORCE_QUALIFY));
}

/*
 * Of an array of such a type there is but the cast.  That it cuts off more than
 * spaces, which an assignment does as well; NULL for other types.
 */
static char *
elements_are_cut_off(Form_pg_attribute attribute, const char *value)
{
	int32		typmod = attribute->atttypmod;
	Oid			element = get_element_type(getBaseTypeAndTypmod(attribute->atttypid,
																&typmod));
	const char *limited;
	const char *compared;

	if (!OidIsValid(element))
		return NULL;
	limited = type_of_limited_length(getBaseTypeAndTypmod(element, &typmod));
	if (limited == NULL || typmod < 0)
		return NULL;
	compared = strstr(limited, "bit") == NULL ?
		"pg_catalog.bpchar[] COLLATE pg_catalog.\"C\"" : "pg_catalog.varbit[]";
	return psprintf("((%s)::%s)::%s OPERATOR(pg_catalog.<>) ((%s)::pg_catalog.%s[])::%s",
					value,
					format_type_extended(attribute->atttypid,
										 attribute->atttypmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN |
										 FORMAT_TYPE_FORCE_QUALIFY),
					compared, value, limited, compared);
}

/* The name of a type that is cut off by a cast, and of the function that does it. */
static const char *
type_of_limited_length(Oid type)
{
	switch (type)
	{
		case VARCHAROID:
			return "varchar";
		case BPCHAROID:
			return "bpchar";
		case BITOID:
			return "bit";
		case VARBITOID:
			return "varbit";
		default:
			return NULL;
	}
}

/* DEFAULT is known by name until the statement is rewritten. */
static Node *
value_of_target(Relation rel, TargetEntry *target)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
												target->resno - 1);
	Node	   *value = (Node *) target->expr;

	if (!IsA(value, SetToDefault))
		return value;
	value = build_column_default(rel, target->resno);
	if (value == NULL)
		value = (Node *) makeNullConst(attribute->atttypid,
									   attribute->atttypmod,
									   attribute->attcollation);
	return value;
}

/* Stable functions are as good as others, but for the clock. */
static bool
changes_with_time(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) &&
		((SQLValueFunction *) node)->op <= SVFOP_LOCALTIMESTAMP_N)
		return true;
	if (check_functions_in_node(node, function_changes_with_time, NULL))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, changes_with_time, context, 0);
	return expression_tree_walker(node, changes_with_time, context);
}

static bool
function_changes_with_time(Oid function, void *context)
{
	return function == F_NOW || function == F_TRANSACTION_TIMESTAMP ||
		function == F_STATEMENT_TIMESTAMP;
}

/* An element or a field, or a subquery that sets several columns. */
static bool
is_partial_assignment(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FieldStore) ||
		(IsA(node, SubscriptingRef) &&
		 ((SubscriptingRef *) node)->refassgnexpr != NULL) ||
		(IsA(node, Param) && ((Param *) node)->paramkind == PARAM_MULTIEXPR))
		return true;
	return expression_tree_walker(node, is_partial_assignment, context);
}

/*
 * True if values of a column are equal only if they are the same, by the
 * operator that IS DISTINCT FROM takes: that is faster than to compare images.
 */
static bool
differs_by_equality(Form_pg_attribute attribute)
{
	TypeCacheEntry *type = lookup_type_cache(attribute->atttypid,
											 TYPECACHE_EQ_OPR |
											 TYPECACHE_BTREE_OPFAMILY);
	Oid			function;

	if (!OidIsValid(type->eq_opr) || !OidIsValid(type->btree_opf) ||
		type->eq_opr != compatible_oper_opid(list_make1(makeString("=")),
											 attribute->atttypid,
											 attribute->atttypid, true))
		return false;
	function = get_opfamily_proc(type->btree_opf, type->btree_opintype,
								 type->btree_opintype, BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, attribute->attcollation,
										  ObjectIdGetDatum(type->btree_opintype)));
}

/*
 * See backfill_internal.h.
 */
List *
columns_of_texts(const BackfillRequest *request, Oid relid, const char *alias)
{
	Query	   *query = analyze_texts(request, relid, alias,
									  request->condition != NULL);
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk)
			columns = add_column(columns, relid, target->resno, true);
	}
	foreach(cell, pull_vars_of_level((Node *) query, 0))
	{
		Var		   *var = lfirst(cell);

		if (IsA(var, Var) && var->varno == query->resultRelation &&
			var->varattno > 0)
			columns = add_column(columns, relid, var->varattno, false);
	}
	return columns;
}

static List *
add_column(List *columns, Oid relid, AttrNumber attnum, bool is_set)
{
	BackfillColumn *column;
	ListCell   *cell;

	foreach(cell, columns)
	{
		if (((BackfillColumn *) lfirst(cell))->attnum == attnum)
			return columns;
	}
	column = palloc(sizeof(BackfillColumn));
	column->attnum = attnum;
	column->is_set = is_set;
	column->name = get_attname(relid, attnum, false);
	return lappend(columns, column);
}
