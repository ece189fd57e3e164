/*-------------------------------------------------------------------------
 *
 * constraint_kinds.c
 *	  Changes that tighten a table: NOT NULL, CHECK, FOREIGN KEY, UNIQUE.
 *
 * New rows are checked from the start where PostgreSQL can do that, and the
 * others when they are in order; which steps that takes the planner knows, as
 * for the statement that a client would send.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/column_sync.h"
#include "plan/plan.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(migrate_set_not_null);
PG_FUNCTION_INFO_V1(migrate_add_check);
PG_FUNCTION_INFO_V1(migrate_add_foreign_key);
PG_FUNCTION_INFO_V1(migrate_add_unique);

static void build_set_not_null(Change *change, FunctionCallInfo fcinfo);
static void build_add_check(Change *change, FunctionCallInfo fcinfo);
static void build_add_foreign_key(Change *change, FunctionCallInfo fcinfo);
static List *foreign_key_itself(const Change *change, FunctionCallInfo fcinfo);
static char *foreign_key_statement(const Change *change,
								   FunctionCallInfo fcinfo);
static void build_add_unique(Change *change, FunctionCallInfo fcinfo);
static char *constraint_clause(const char *name);
static char *quoted_columns(List *columns, const char *name);

static const ChangeKind set_not_null = {"set_not_null", 3, false, build_set_not_null, NULL};
static const ChangeKind add_check = {"add_check", 4, false, build_add_check, NULL};
static const ChangeKind add_foreign_key = {"add_foreign_key", 6, false, build_add_foreign_key, foreign_key_itself};
static const ChangeKind add_unique = {"add_unique", 3, false, build_add_unique, NULL};

/* migrate.set_not_null("table", "column", value, advance) */
Datum
migrate_set_not_null(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &set_not_null);
}

/*
 * With a value, rows without one get it, and those that clients write so; they
 * would fail the constraint when clients change something else in them, so it
 * has to wait until there are none.
 */
static void
build_set_not_null(Change *change, FunctionCallInfo fcinfo)
{
	char	   *column = needed_name(fcinfo, 1, "column");
	char	   *value = optional_text(fcinfo, 2);
	char	   *statement;

	(void) column_of_change(change, column);
	statement = psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
						 change->relation, quote_identifier(column));
	if (value == NULL)
	{
		start_planned(change, statement);
		return;
	}
	change->old_shape = psprintf("rows of %s without a value for column %s",
								 change->relation, quote_identifier(column));
	if (!is_marked_not_null_below(change->relid, column))
		first_remove(change, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL",
					 change->relation, quote_identifier(column));
	value = fill_by_trigger(change, column, value, "INSERT OR UPDATE");
	add_fill_step(change, column, value);
	add_planned_steps(change, statement);
}

/* migrate.add_check("table", "check", name, "set", advance) */
Datum
migrate_add_check(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &add_check);
}

/*
 * With a SET clause, rows that do not satisfy the condition are mended first;
 * and once more those that clients have written until new rows are checked.
 */
static void
build_add_check(Change *change, FunctionCallInfo fcinfo)
{
	char	   *check = needed_text(fcinfo, 1, "check");
	char	   *name = optional_name(fcinfo, 2);
	char	   *set = optional_text(fcinfo, 3);
	char	   *statement = psprintf("ALTER TABLE %s ADD %sCHECK (%s\n)",
									 change->relation,
									 constraint_clause(name), check);
	PlanStep   *mend;
	int			quick;
	int			nest_level;

	require_single_subcommand(statement, "condition");
	if (set == NULL)
	{
		start_planned(change, statement);
		return;
	}
	add_backfill_step(change, set, psprintf("NOT (%s\n)", check));
	mend = linitial(change->steps);

	/* of a small table as well, for clients write between two steps */
	nest_level = NewGUCNestLevel();
	(void) set_config_option("safe_migrate.small_table", "0", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	quick = add_planned_steps(change, statement);
	AtEOXact_GUC(true, nest_level);
	if (quick > 0)
	{
		change->filling = quick + 2;
		change->steps = list_insert_nth(change->steps, quick + 1, mend);
	}
}

/*
 * migrate.add_foreign_key("table", columns, "references", referenced, options,
 * name, advance)
 */
Datum
migrate_add_foreign_key(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &add_foreign_key);
}

static void
build_add_foreign_key(Change *change, FunctionCallInfo fcinfo)
{
	start_planned(change, foreign_key_statement(change, fcinfo));
}

/* It locks the table that it refers to. */
static List *
foreign_key_itself(const Change *change, FunctionCallInfo fcinfo)
{
	return list_make1(foreign_key_statement(change, fcinfo));
}

static char *
foreign_key_statement(const Change *change, FunctionCallInfo fcinfo)
{
	List	   *columns = name_list(fcinfo, 1, "columns");
	List	   *referenced = name_list(fcinfo, 3, "referenced");
	char	   *options = optional_text(fcinfo, 4);
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement,
					 "ALTER TABLE %s ADD %sFOREIGN KEY %s REFERENCES %s",
					 change->relation,
					 constraint_clause(optional_name(fcinfo, 5)),
					 quoted_columns(columns, "columns"),
					 needed_text(fcinfo, 2, "references"));
	if (referenced != NIL)
		appendStringInfo(&statement, " %s",
						 quoted_columns(referenced, "referenced"));
	if (options != NULL)
		appendStringInfo(&statement, " %s", options);
	require_single_subcommand(statement.data, "foreign key");
	return statement.data;
}

/* migrate.add_unique("table", columns, name, advance) */
Datum
migrate_add_unique(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &add_unique);
}

static void
build_add_unique(Change *change, FunctionCallInfo fcinfo)
{
	List	   *columns = name_list(fcinfo, 1, "columns");
	char	   *name = optional_name(fcinfo, 2);

	start_planned(change,
				  psprintf("ALTER TABLE %s ADD %sUNIQUE %s", change->relation,
						   constraint_clause(name),
						   quoted_columns(columns, "columns")));
}

static char *
constraint_clause(const char *name)
{
	return name == NULL ? "" :
		psprintf("CONSTRAINT %s ", quote_identifier(name));
}

/* (a, b); there must be one. */
static char *
quoted_columns(List *columns, const char *name)
{
	StringInfoData text;
	ListCell   *cell;

	if (columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must name a column", name)));
	initStringInfo(&text);
	foreach(cell, columns)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "(",
						 quote_identifier(lfirst(cell)));
	appendStringInfoChar(&text, ')');
	return text.data;
}
