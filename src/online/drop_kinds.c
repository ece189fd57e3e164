/*-------------------------------------------------------------------------
 *
 * drop_kinds.c
 *	  Changes that take away or rename: columns and tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "common/script.h"
#include "effects/effects.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/column_sync.h"
#include "online/version_views.h"
#include "plan/plan.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(migrate_drop_column);
PG_FUNCTION_INFO_V1(migrate_drop_table);
PG_FUNCTION_INFO_V1(migrate_rename_table);

static void build_drop_column(Change *change, FunctionCallInfo fcinfo);
static List *drops_of_column(const Change *change, FunctionCallInfo fcinfo);
static List *drop_of_table(const Change *change, FunctionCallInfo fcinfo);
static void build_drop_table(Change *change, FunctionCallInfo fcinfo);
static void build_rename_table(Change *change, FunctionCallInfo fcinfo);
static void refuse_column_privileges(const Change *change);
static void refuse_second_drop(const Change *change, const char *statement);
static TimestampTz end_of_grace(FunctionCallInfo fcinfo, int number);
static SafePlan *plan_rename_with_view(const char *statement);

static const ChangeKind drop_column = {"drop_column", 4, true, build_drop_column, drops_of_column};
static const ChangeKind drop_table = {"drop_table", 2, false, build_drop_table, drop_of_table};
static const ChangeKind rename_table = {"rename_table", 2, false, build_rename_table, NULL};

/* migrate.drop_column("table", "column", value, grace, advance) */
Datum
migrate_drop_column(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &drop_column);
}

/* Until the contract clients may leave it out, and it gets the value then. */
static void
build_drop_column(Change *change, FunctionCallInfo fcinfo)
{
	char	   *column = needed_name(fcinfo, 1, "column");
	char	   *value = optional_text(fcinfo, 2);
	AttrNumber	attnum = column_of_change(change, column);
	char	   *statement = drop_column_statement(change, column);

	change->old_shape = psprintf("column %s of %s", quote_identifier(column),
								 change->relation);
	change->old_columns = list_make1(column);
	change->grace_until = end_of_grace(fcinfo, 3);
	refuse_second_drop(change, statement);
	if (value == NULL && column_needs_value(change->relid, attnum))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("%s is NOT NULL and has no default, so that new clients could not leave it out: give value => an expression for it, or drop its NOT NULL first",
						change->old_shape)));
	/* what depends on it PostgreSQL tells now, and not when its time has come */
	try_change_statements(lappend(drops_of_version_views(change->relid, column),
								  statement));
	tell_what_goes(change, column);
	if (value != NULL)
		(void) fill_by_trigger(change, column, value, "INSERT");
	then_contract(change, "%s", statement);
}

/* What is tried there: foreign keys of the column have another side. */
static List *
drops_of_column(const Change *change, FunctionCallInfo fcinfo)
{
	char	   *column = needed_name(fcinfo, 1, "column");

	return lappend(drops_of_version_views(change->relid, column),
				   drop_column_statement(change, column));
}

/* migrate.drop_table("table", grace, advance) */
Datum
migrate_drop_table(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &drop_table);
}

static void
build_drop_table(Change *change, FunctionCallInfo fcinfo)
{
	char	   *statement = linitial(drop_of_table(change, fcinfo));

	change->old_shape = psprintf("table %s", change->relation);
	change->grace_until = end_of_grace(fcinfo, 1);
	change->uses = count_uses(change->relid);
	/* what depends on it PostgreSQL tells now, and not when its time has come */
	try_change_statements(lappend(drops_of_version_views(change->relid, NULL),
								  statement));
	then_contract(change, "%s", statement);
}

static List *
drop_of_table(const Change *change, FunctionCallInfo fcinfo)
{
	return list_make1(psprintf("DROP TABLE %s", change->relation));
}

/* migrate.rename_table("table", new_name, advance) */
Datum
migrate_rename_table(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &rename_table);
}

/* The old name becomes that of a view which can be written to. */
static void
build_rename_table(Change *change, FunctionCallInfo fcinfo)
{
	char	   *new_name = needed_name(fcinfo, 1, "new_name");
	char	   *old_name = get_rel_name(change->relid);
	char	   *schema = get_namespace_name(get_rel_namespace(change->relid));
	SafePlan   *plan = plan_rename_with_view(psprintf("ALTER TABLE %s RENAME TO %s",
													  change->relation,
													  quote_identifier(new_name)));
	ListCell   *cell;

	refuse_column_privileges(change);
	change->old_shape = psprintf("the name %s", change->relation);
	foreach(cell, plan->steps)
		start_with(change, "%s", ((PlanStep *) lfirst(cell))->text);
	first_remove(change, "ALTER TABLE %s RENAME TO %s",
				 quote_qualified_identifier(schema, new_name),
				 quote_identifier(old_name));
	first_remove(change, "DROP VIEW IF EXISTS %s", change->relation);
	then_contract(change, "DROP VIEW IF EXISTS %s", change->relation);
}

/* Who reads a view needs a privilege on all the columns that it has. */
static void
refuse_column_privileges(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *column = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(change->relid),
					 false);
	run_own_query("SELECT a.attname::pg_catalog.text "
				  "FROM pg_catalog.pg_attribute a "
				  "WHERE a.attrelid OPERATOR(pg_catalog.=) $1 "
				  "AND NOT a.attisdropped AND a.attacl IS NOT NULL "
				  "ORDER BY a.attnum LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		column = own_text_column(&access, 0, 1);
	end_own_access(&access);
	if (column != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s has privileges on single columns, such as %s: roles that have nothing else could not read the view under the old name; grant them the table, or rename it at once",
						change->relation, quote_identifier(column))));
}

/* The second one would drop what has got its name by then. */
static void
refuse_second_drop(const Change *change, const char *statement)
{
	int64		other = change_that_contracts(change->relid, statement);

	if (other != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s is to be dropped by change " INT64_FORMAT " already",
						change->old_shape, other)));
}

/* 0 for none. */
static TimestampTz
end_of_grace(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		return 0;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   PG_GETARG_DATUM(number)));
}

static SafePlan *
plan_rename_with_view(const char *statement)
{
	int			nest_level = NewGUCNestLevel();
	Node	   *node = ((ScriptStatement *) linitial(parse_script(statement, "name", 1)))->raw->stmt;
	EffectContext context = {0};
	SafePlan   *plan;

	(void) set_config_option("safe_migrate.rename_with_view", "on", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	context.source_text = statement;
	plan = plan_statement(node, describe_effects(node, &context), statement);
	AtEOXact_GUC(true, nest_level);
	if (plan == NULL)
		elog(ERROR, "no plan for: %s", statement);
	return plan;
}
