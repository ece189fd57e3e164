/*-------------------------------------------------------------------------
 *
 * column_sync.c
 *	  Columns that a trigger keeps in step, and how their values get there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "online/backfill.h"
#include "online/column_copy.h"
#include "nodes/nodeFuncs.h"
#include "online/column_sync.h"
#include "online/dual_write.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static List *read_expressions(Relation rel, List *texts, List *columns,
							  const char *argument);
static void refuse_variable(Node *expression, const char *text);
static bool depends_on_output(Node *node, void *context);
static void make_trigger(Change *change, const char *events,
						 const char *arguments);
static void refuse_shared_column(const Change *change, Oid trigger);
static char *array_literal(List *texts);
static char *differs(const Change *change, const ColumnSync *sync);
static Node *expression_of_column(const Change *change, const char *column,
								  const char *value);

/*
 * See column_sync.h.
 */
AttrNumber
column_of_change(const Change *change, const char *column)
{
	AttrNumber	attnum = get_attnum(change->relid, column);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist", column,
						change->relation)));
	if (attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" is a system column of %s, and cannot be changed",
						column, change->relation)));
	if (get_attgenerated(change->relid, attnum) != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of %s is generated from others, and cannot be changed online",
						column, change->relation)));
	return attnum;
}

/*
 * See column_sync.h.
 */
void
refuse_default_of_type(const Change *change, const char *column, Oid type)
{
	if (get_typdefault(type) == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column %s of type %s cannot be added to %s online: the type has a default, which rows would have in place of their value",
					quote_identifier(column), format_type_be(type),
					change->relation),
			 errhint("Drop the default of the type, and give its columns one of their own.")));
}

/*
 * See column_sync.h.
 */
bool
column_needs_value(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum));
	Form_pg_attribute form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_attribute) GETSTRUCT(tuple);
	result = form->attnotnull && !form->atthasdef &&
		form->attidentity == '\0';
	ReleaseSysCache(tuple);
	return result;
}

/*
 * See column_sync.h.
 */
void
sync_by_trigger(Change *change, ColumnSync *sync)
{
	Relation	rel = table_open(change->relid, NoLock);

	sync->ups = read_expressions(rel, sync->ups, sync->new_columns, "up");
	sync->downs = read_expressions(rel, sync->downs, sync->old_columns, "down");
	table_close(rel, NoLock);
	make_trigger(change, "INSERT OR UPDATE",
				 psprintf("'sync', %s, %s, %s, %s, %s",
						  quote_literal_cstr(sync->policy),
						  array_literal(sync->old_columns),
						  array_literal(sync->new_columns),
						  array_literal(sync->ups),
						  array_literal(sync->downs)));
	tell_early_triggers(change);
}

/*
 * See column_sync.h.
 */
char *
fill_by_trigger(Change *change, const char *column, const char *value,
				const char *events)
{
	Relation	rel = table_open(change->relid, NoLock);
	List	   *columns = list_make1(pstrdup(column));
	List	   *values = read_expressions(rel, list_make1(pstrdup(value)),
										  columns, NULL);

	table_close(rel, NoLock);
	make_trigger(change, events,
				 psprintf("'fill', '', %s, '{}', %s, '{}'",
						  array_literal(columns), array_literal(values)));
	return linitial(values);
}

/*
 * Their texts, to be read anywhere.  argument is that of the user's call, "up"
 * or "down"; NULL for a value that is not compared.  Rows have to be equal in
 * all sessions: so another one must not depend on a setting.
 */
static List *
read_expressions(Relation rel, List *texts, List *columns,
				 const char *argument)
{
	List	   *result = NIL;
	ListCell   *text;
	ListCell   *column;

	if (texts == NIL)
		return NIL;
	if (list_length(texts) != list_length(columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there have to be as many expressions (%d) as columns (%d)",
						list_length(texts), list_length(columns))));
	forboth(text, texts, column, columns)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(column));
		Node	   *expression = parse_row_expression(rel, lfirst(text), attnum,
													  psprintf("argument \"%s\", for column \"%s\"",
															   argument ? argument : "value",
															   (char *) lfirst(column)),
													  false);

		if (argument != NULL)
			refuse_variable(expression, lfirst(text));
		result = lappend(result, row_expression_text(rel, expression));
	}
	return result;
}

/*
 * As planned, for an inlined function may be no less constant than its body, and
 * || makes texts of other types in its body only.
 */
static void
refuse_variable(Node *expression, const char *text)
{
	Node	   *planned = (Node *) expression_planner((Expr *) copyObject(expression));

	if (contain_mutable_functions(planned) ||
		depends_on_output(expression, NULL) ||
		depends_on_output(planned, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("%s is not immutable: another session might compute another value; name the time zone, as in AT TIME ZONE 'UTC'; write ::numeric::text for a floating-point number, and encode() for bytea",
						text)));
}

/*
 * The texts of floating-point numbers and bytea count as immutable, but depend
 * on extra_float_digits and bytea_output.
 */
static bool
depends_on_output(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceViaIO))
	{
		Oid			type = getBaseType(exprType((Node *) ((CoerceViaIO *) node)->arg));
		Oid			element = get_base_element_type(type);

		if (OidIsValid(element))
			type = getBaseType(element);
		if (type == FLOAT4OID || type == FLOAT8OID || type == BYTEAOID)
			return true;
	}
	return expression_tree_walker(node, depends_on_output, context);
}

/* Whatever session_replication_role is. */
static void
make_trigger(Change *change, const char *events, const char *arguments)
{
	char	   *bare_name = psprintf(CHANGE_TRIGGER, change->id);
	const char *name = quote_identifier(bare_name);
	char	   *inheritance = inheritance_in_words(change->relid);
	Oid			trigger;

	refuse_subscribed_without_key(change);
	if (inheritance != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s cannot be changed online: %s", change->relation,
						inheritance)));
	start_with(change,
			   "CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION migrate.dual_write(%s)",
			   name, events, change->relation, arguments);
	start_with(change, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
			   change->relation, name);
	trigger = get_trigger_oid(change->relid, bare_name, false);
	refuse_late_triggers(change);
	record_dual_write_dependencies(trigger);
	refuse_shared_column(change, trigger);
	first_remove(change, "DROP TRIGGER IF EXISTS %s ON %s", name,
				 change->relation);
	then_contract(change, "DROP TRIGGER %s ON %s", name, change->relation);
}

/*
 * Triggers fire one after another: a column that one of them writes would be
 * out of step with what another one has made of it.
 */
static void
refuse_shared_column(const Change *change, Oid trigger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *column = NULL;
	char	   *other = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(trigger), false);
	run_own_query("SELECT a.attname::pg_catalog.text, "
				  "pg_catalog.substring(o.tgname::pg_catalog.text, '[0-9]+$') "
				  "FROM pg_catalog.pg_trigger t "
				  "JOIN pg_catalog.pg_trigger o "
				  "ON o.tgrelid OPERATOR(pg_catalog.=) t.tgrelid "
				  "AND o.tgfoid OPERATOR(pg_catalog.=) t.tgfoid "
				  "AND o.oid OPERATOR(pg_catalog.<>) t.oid "
				  "JOIN pg_catalog.pg_attribute a "
				  "ON a.attrelid OPERATOR(pg_catalog.=) t.tgrelid "
				  "AND a.attnum OPERATOR(pg_catalog.>) 0 "
				  "WHERE t.oid OPERATOR(pg_catalog.=) $1 AND 2 "
				  "OPERATOR(pg_catalog.=) (SELECT pg_catalog.count(DISTINCT d.objid) "
				  "FROM pg_catalog.pg_depend d "
				  "WHERE d.classid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_trigger'::pg_catalog.regclass "
				  "AND d.objid OPERATOR(pg_catalog.=) ANY (ARRAY[t.oid, o.oid]) "
				  "AND d.refclassid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_class'::pg_catalog.regclass "
				  "AND d.refobjid OPERATOR(pg_catalog.=) t.tgrelid "
				  "AND d.refobjsubid OPERATOR(pg_catalog.=) a.attnum) "
				  "ORDER BY a.attnum LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		column = own_text_column(&access, 0, 1);
		other = own_text_column(&access, 0, 2);
	}
	end_own_access(&access);
	if (column != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("column \"%s\" of %s is part of change %s: SELECT migrate.contract(%s) or migrate.cancel(%s) first",
						column, change->relation, other, other, other)));
}

/* A text[] as an SQL literal. */
static char *
array_literal(List *texts)
{
	Datum	   *values = palloc(Max(list_length(texts), 1) * sizeof(Datum));
	ArrayType  *array;
	ListCell   *cell;

	foreach(cell, texts)
		values[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	array = construct_array(values, list_length(texts), TEXTOID, -1, false,
							TYPALIGN_INT);
	return quote_literal_cstr(OidOutputFunctionCall(F_ARRAY_OUT,
													PointerGetDatum(array)));
}

/*
 * See column_sync.h.
 */
void
add_sync_step(Change *change, const ColumnSync *sync)
{
	StringInfoData set;
	ListCell   *column;
	ListCell   *up;

	initStringInfo(&set);
	forboth(column, sync->new_columns, up, sync->ups)
		appendStringInfo(&set, "%s%s = %s", set.len > 0 ? ", " : "",
						 quote_identifier(lfirst(column)),
						 (char *) lfirst(up));
	add_backfill_step(change, set.data, differs(change, sync));
}

/*
 * See column_sync.h.
 */
void
add_verify_step(Change *change, const ColumnSync *sync)
{
	add_change_step(change,
					psprintf("CALL migrate.verify_rows(%s, %s)",
							 quote_literal_cstr(change->relation),
							 quote_literal_cstr(differs(change, sync))),
					NULL);
}

/*
 * See column_sync.h.
 */
void
add_analyze_step(Change *change)
{
	add_change_step(change, psprintf("ANALYZE %s", change->relation), NULL);
}

/* Where the new columns are not what the old ones say. */
static char *
differs(const Change *change, const ColumnSync *sync)
{
	Relation	rel = table_open(change->relid, NoLock);
	StringInfoData condition;
	ListCell   *column;
	ListCell   *up;

	initStringInfo(&condition);
	forboth(column, sync->new_columns, up, sync->ups)
	{
		Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(rel),
					  get_attnum(change->relid, lfirst(column)) - 1);

		appendStringInfo(&condition, "%s%s", condition.len > 0 ? " OR " : "",
						 values_differ(attribute,
									   quote_identifier(lfirst(column)),
									   lfirst(up)));
	}
	table_close(rel, NoLock);
	return condition.data;
}

/*
 * See column_sync.h.
 */
void
add_fill_step(Change *change, const char *column, const char *value)
{
	const char *quoted = quote_identifier(column);
	Oid			type = get_atttype(change->relid,
								   get_attnum(change->relid, column));
	char	   *where = null_test(quoted, type, true);
	Node	   *expression = expression_of_column(change, column, value);

	/* where there is no value nothing is left to do; its text has no cast */
	if (!contain_volatile_functions((Node *) expression_planner((Expr *) expression)))
		where = psprintf("%s AND %s", where,
						 null_test(psprintf("(%s)", value),
								   exprType(strip_implicit_coercions(expression)),
								   false));
	add_backfill_step(change, psprintf("%s = %s", quoted, value), where);
}

static Node *
expression_of_column(const Change *change, const char *column,
					 const char *value)
{
	Relation	rel = table_open(change->relid, NoLock);
	Node	   *expression = parse_row_expression(rel, value,
												  get_attnum(change->relid,
															 column),
												  psprintf("the value of column \"%s\"",
														   column),
												  true);

	table_close(rel, NoLock);
	return expression;
}

/*
 * See column_sync.h.
 */
void
add_backfill_step(Change *change, const char *set, const char *where)
{
	add_change_step(change,
					psprintf("CALL migrate.backfill(%s, %s, %s)",
							 quote_literal_cstr(change->relation),
							 quote_literal_cstr(set),
							 where == NULL ? "NULL" :
							 quote_literal_cstr(where)),
					NULL);
	change->filling = list_length(change->steps);
}
