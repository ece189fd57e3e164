/*-------------------------------------------------------------------------
 *
 * add_column_kind.c
 *	  A new column whose value is computed, or differs from row to row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/column_sync.h"
#include "online/dual_write.h"
#include "optimizer/optimizer.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(migrate_add_column);

static void build_add_column(Change *change, FunctionCallInfo fcinfo);
static char *type_name(const Change *change, const char *column,
					   const char *name);
static char *default_of(const Change *change, const char *column,
						const char *value);

static const ChangeKind add_column = {"add_column", 5, true, build_add_column, NULL};

/* migrate.add_column("table", "column", type, value, not_null, advance) */
Datum
migrate_add_column(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &add_column);
}

/*
 * A value that needs no other column is the default of the new one; another one
 * is given by a trigger to rows that clients insert without it.
 */
static void
build_add_column(Change *change, FunctionCallInfo fcinfo)
{
	char	   *column = needed_name(fcinfo, 1, "column");
	const char *quoted = quote_identifier(column);
	char	   *type = type_name(change, column,
								 needed_text(fcinfo, 2, "type"));
	char	   *value = needed_text(fcinfo, 3, "value");
	bool		not_null = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	char	   *computed;

	change->new_columns = list_make1(column);
	start_with(change, "ALTER TABLE %s ADD COLUMN %s %s", change->relation,
			   quoted, type);
	first_remove(change, "ALTER TABLE %s DROP COLUMN IF EXISTS %s",
				 change->relation, quoted);
	computed = default_of(change, column, value);
	if (computed != NULL)
		start_with(change, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
				   change->relation, quoted, computed);
	else
	{
		computed = fill_by_trigger(change, column, value,
								   not_null ? "INSERT OR UPDATE" : "INSERT");
		change->old_shape = psprintf("inserting into %s without column %s",
									 change->relation, quoted);
	}
	add_fill_step(change, column, computed);
	if (not_null)
		add_planned_steps(change,
						  psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
								   change->relation, quoted));
}

static char *
type_name(const Change *change, const char *column, const char *name)
{
	Oid			type;
	int32		typmod;

	/* the last argument is a flag on 15, and a pointer since */
	parseTypeString(name, &type, &typmod, 0);
	refuse_default_of_type(change, column, type);
	return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN |
								FORMAT_TYPE_FORCE_QUALIFY);
}

/* The text of a value that refers to no column; else NULL. */
static char *
default_of(const Change *change, const char *column, const char *value)
{
	Relation	rel = table_open(change->relid, NoLock);
	Node	   *expression = parse_row_expression(rel, value,
												  get_attnum(change->relid,
															 column),
												  psprintf("the value of column \"%s\"",
														   column),
												  false);
	char	   *text = contain_var_clause(expression) ? NULL :
	row_expression_text(rel, expression);

	table_close(rel, NoLock);
	return text;
}
