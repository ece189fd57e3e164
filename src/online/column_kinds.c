/*-------------------------------------------------------------------------
 *
 * column_kinds.c
 *	  Changes in which new columns take the place of old ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/script.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/column_copy.h"
#include "online/column_sync.h"
#include "online/version_views.h"
#include "optimizer/optimizer.h"
#include "parser/parse_type.h"
#include "plan/plan.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(migrate_rename_column);
PG_FUNCTION_INFO_V1(migrate_change_type);
PG_FUNCTION_INFO_V1(migrate_split_column);
PG_FUNCTION_INFO_V1(migrate_merge_columns);

/* A type as it is written for a column. */
typedef struct ColumnType
{
	Oid			type;
	int32		typmod;
	Oid			collation;
} ColumnType;

static void build_rename_column(Change *change, FunctionCallInfo fcinfo);
static void build_change_type(Change *change, FunctionCallInfo fcinfo);
static void build_split_column(Change *change, FunctionCallInfo fcinfo);
static void build_merge_columns(Change *change, FunctionCallInfo fcinfo);
static List *drops_of_split(const Change *change, FunctionCallInfo fcinfo);
static List *drops_of_columns(const Change *change, List *columns);
static List *drops_of_merge(const Change *change, FunctionCallInfo fcinfo);
static char *policy_argument(FunctionCallInfo fcinfo, int number);
static void replace_column(Change *change, ColumnSync *sync,
						   const ColumnType *type);
static void contract_copy(Change *change, const ColumnCopy *copy,
						  const char *column, const char *new_column);
static List *statements_of_start(const Change *change);
static char *first_dropped_column(List *statements);
static void replace_columns(Change *change, ColumnSync *sync, List *types);
static void refuse_what_is_lost(const Change *change, const char *column,
								List *refused);
static ColumnType column_type(const Change *change, const char *column);
static ColumnType named_type(const char *name);
static char *type_in_words(const ColumnType *type);
static char *collation_name(Oid collation);
static void add_new_column(Change *change, const char *column,
						   const ColumnType *type);
static char *columns_in_words(const Change *change, List *columns);
static void run_all(Change *change, List *statements);
static void contract_all(Change *change, List *statements);

static const ChangeKind rename_column = {"rename_column", 4, true, build_rename_column, NULL};
static const ChangeKind change_type = {"change_type", 7, true, build_change_type, NULL};
static const ChangeKind split_column = {"split_column", 7, true, build_split_column, drops_of_split};
static const ChangeKind merge_columns = {"merge_columns", 7, true, build_merge_columns, drops_of_merge};

/* migrate.rename_column("table", "column", new_name, on_conflict, advance) */
Datum
migrate_rename_column(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &rename_column);
}

static void
build_rename_column(Change *change, FunctionCallInfo fcinfo)
{
	ColumnSync	sync = {0};
	char	   *column = needed_name(fcinfo, 1, "column");
	char	   *new_name = needed_name(fcinfo, 2, "new_name");
	ColumnType	type = column_type(change, column);

	sync.policy = policy_argument(fcinfo, 3);
	sync.old_columns = list_make1(column);
	sync.new_columns = list_make1(new_name);
	sync.ups = list_make1(pstrdup(quote_identifier(column)));
	sync.downs = list_make1(pstrdup(quote_identifier(new_name)));
	replace_column(change, &sync, &type);
}

/*
 * migrate.change_type("table", "column", new_type, up, down, new_name,
 * on_conflict, advance)
 */
Datum
migrate_change_type(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &change_type);
}

/* Until the contract the column of the new type has a name of its own. */
static void
build_change_type(Change *change, FunctionCallInfo fcinfo)
{
	ColumnSync	sync = {0};
	char	   *column = needed_name(fcinfo, 1, "column");
	ColumnType	type = named_type(needed_text(fcinfo, 2, "new_type"));
	char	   *up = optional_text(fcinfo, 3);
	char	   *down = optional_text(fcinfo, 4);
	char	   *new_name = optional_name(fcinfo, 5);

	if (new_name == NULL)
		new_name = makeObjectName(column, NULL, "new");

	/* an assignment, as ALTER TABLE has it: what does not fit is no value */
	if (up == NULL)
		up = pstrdup(quote_identifier(column));
	if (down == NULL)
		down = pstrdup(quote_identifier(new_name));
	sync.policy = policy_argument(fcinfo, 6);
	sync.old_columns = list_make1(column);
	sync.new_columns = list_make1(new_name);
	sync.ups = list_make1(up);
	sync.downs = list_make1(down);
	replace_column(change, &sync, &type);
}

/*
 * migrate.split_column("table", "column", new_columns, new_types, up, down,
 * on_conflict, advance)
 */
Datum
migrate_split_column(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &split_column);
}

static void
build_split_column(Change *change, FunctionCallInfo fcinfo)
{
	ColumnSync	sync = {0};
	char	   *down = optional_text(fcinfo, 5);

	sync.old_columns = list_make1(needed_name(fcinfo, 1, "column"));
	sync.new_columns = name_list(fcinfo, 2, "new_columns");
	sync.ups = text_list(fcinfo, 4, "up");
	sync.downs = down == NULL ? NIL : list_make1(down);
	sync.policy = policy_argument(fcinfo, 6);
	replace_columns(change, &sync, text_list(fcinfo, 3, "new_types"));
}

/*
 * migrate.merge_columns("table", columns, new_name, new_type, up, down,
 * on_conflict, advance)
 */
Datum
migrate_merge_columns(PG_FUNCTION_ARGS)
{
	return start_change(fcinfo, &merge_columns);
}

static void
build_merge_columns(Change *change, FunctionCallInfo fcinfo)
{
	ColumnSync	sync = {0};

	sync.old_columns = name_list(fcinfo, 1, "columns");
	sync.new_columns = list_make1(needed_name(fcinfo, 2, "new_name"));
	sync.ups = list_make1(needed_text(fcinfo, 4, "up"));
	sync.downs = text_list(fcinfo, 5, "down");
	sync.policy = policy_argument(fcinfo, 6);
	replace_columns(change, &sync,
					list_make1(needed_text(fcinfo, 3, "new_type")));
}

/* What is tried there. */
static List *
drops_of_split(const Change *change, FunctionCallInfo fcinfo)
{
	return drops_of_columns(change,
							list_make1(needed_name(fcinfo, 1, "column")));
}

static List *
drops_of_merge(const Change *change, FunctionCallInfo fcinfo)
{
	return drops_of_columns(change, name_list(fcinfo, 1, "columns"));
}

/* With the views of versions, which whoever reads one has locked first. */
static List *
drops_of_columns(const Change *change, List *columns)
{
	List	   *statements = NIL;
	ListCell   *cell;

	foreach(cell, columns)
	{
		statements = list_concat(statements,
								 drops_of_version_views(change->relid,
														lfirst(cell)));
		statements = lappend(statements,
							 drop_column_statement(change, lfirst(cell)));
	}
	return statements;
}

static char *
policy_argument(FunctionCallInfo fcinfo, int number)
{
	char	   *policy = needed_text(fcinfo, number, "on_conflict");

	if (strcmp(policy, "error") != 0 && strcmp(policy, "old") != 0 &&
		strcmp(policy, "new") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict => '%s': give 'error', 'old' or 'new', for clients that write both shapes with different contents",
						policy)));
	return policy;
}

/* One for one, with all that belongs to it. */
static void
replace_column(Change *change, ColumnSync *sync, const ColumnType *type)
{
	char	   *column = linitial(sync->old_columns);
	char	   *new_column = linitial(sync->new_columns);
	AttrNumber	attnum = column_of_change(change, column);
	ColumnCopy *copy = plan_column_copy(change->relid, attnum, new_column,
										type->type, type->typmod,
										type->collation, change->id);
	ListCell   *cell;

	refuse_what_is_lost(change, column, copy->refused);
	change->old_shape = columns_in_words(change, sync->old_columns);
	add_new_column(change, new_column, type);
	run_all(change, copy->start);
	for (int i = list_length(copy->start_undo) - 1; i >= 0; i--)
		first_remove(change, "%s", (char *) list_nth(copy->start_undo, i));
	change->old_columns = sync->old_columns;
	change->new_columns = sync->new_columns;
	sync_by_trigger(change, sync);
	add_sync_step(change, sync);
	foreach(cell, copy->builds)
	{
		PlanStep   *step = lfirst(cell);

		add_change_step(change, step->text, step->undo);
	}
	add_analyze_step(change);
	add_verify_step(change, sync);

	contract_copy(change, copy, column, new_column);
}

/* A column that gets another type keeps its name. */
static void
contract_copy(Change *change, const ColumnCopy *copy, const char *column,
			  const char *new_column)
{
	contract_all(change, copy->contract_before);
	then_contract(change, "%s", drop_column_statement(change, column));
	if (strcmp(change->kind, change_type.name) == 0)
		then_contract(change, "ALTER TABLE %s RENAME COLUMN %s TO %s",
					  change->relation, quote_identifier(new_column),
					  quote_identifier(column));
	contract_all(change, copy->contract_after);
}

/*
 * See change.h.
 */
void
renew_column_contract(Change *change)
{
	char	   *column;
	char	   *new_column;
	ColumnCopy *copy;
	List	   *stored = change->contract;

	if (strcmp(change->kind, rename_column.name) != 0 &&
		strcmp(change->kind, change_type.name) != 0)
		return;
	column = first_dropped_column(stored);
	new_column = first_dropped_column(change->removal);
	require_own_column(change, new_column, true);
	copy = plan_column_contract(change->relid, column_of_change(change, column),
								column_of_change(change, new_column),
								change->id, statements_of_start(change));
	refuse_what_is_lost(change, column, copy->refused);

	/* what is no part of the copies stays: the trigger goes first */
	change->contract = list_make1(linitial(stored));
	contract_all(change, copy->start);
	contract_copy(change, copy, column, new_column);
}

/* Of ScriptStatement. */
static List *
statements_of_start(const Change *change)
{
	const PlanStep *start = linitial(task_read(change->id)->steps);

	return parse_script(start->text, "step", 1);
}

/* The first column that one of the statements drops. */
static char *
first_dropped_column(List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		ScriptStatement *parsed = linitial(parse_script(lfirst(cell),
														"statement", 1));
		char	   *column = dropped_column(parsed->raw->stmt);

		if (column != NULL)
			return column;
	}
	elog(ERROR, "no column is dropped");
}

/*
 * Some for some others: which index or constraint means what of the new ones
 * nobody but the user knows.
 */
static void
replace_columns(Change *change, ColumnSync *sync, List *types)
{
	ListCell   *cell;

	if (sync->old_columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no column to be merged")));
	for (int i = 1; i < list_length(sync->old_columns); i++)
	{
		const char *column = list_nth(sync->old_columns, i);

		if (name_is_listed(list_truncate(list_copy(sync->old_columns), i), column))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is to be merged twice", column)));
	}
	if (sync->new_columns == NIL ||
		list_length(types) != list_length(sync->new_columns) ||
		list_length(sync->ups) != list_length(sync->new_columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d new columns need as many types and expressions, not %d and %d",
						list_length(sync->new_columns), list_length(types),
						list_length(sync->ups))));
	foreach(cell, sync->old_columns)
	{
		(void) column_of_change(change, lfirst(cell));

		/* what depends on it PostgreSQL tells now, and not at the end */
		try_change_statements(lappend(drops_of_version_views(change->relid,
															 lfirst(cell)),
									  drop_column_statement(change,
															lfirst(cell))));
		tell_what_goes(change, lfirst(cell));
	}
	change->old_shape = columns_in_words(change, sync->old_columns);
	foreach(cell, types)
	{
		ColumnType	type = named_type(lfirst(cell));

		add_new_column(change,
					   list_nth(sync->new_columns, foreach_current_index(cell)),
					   &type);
	}
	change->old_columns = sync->old_columns;
	change->new_columns = sync->new_columns;
	sync_by_trigger(change, sync);
	add_sync_step(change, sync);
	add_analyze_step(change);
	add_verify_step(change, sync);
	foreach(cell, sync->old_columns)
		then_contract(change, "%s", drop_column_statement(change, lfirst(cell)));
}

static void
refuse_what_is_lost(const Change *change, const char *column, List *refused)
{
	StringInfoData others;

	if (refused == NIL)
		return;
	initStringInfo(&others);
	for (int i = 1; i < list_length(refused); i++)
		appendStringInfo(&others, "%s%s", i > 1 ? "\n" : "",
						 (char *) list_nth(refused, i));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column %s of %s cannot be changed online: %s",
					quote_identifier(column), change->relation,
					(char *) linitial(refused)),
			 others.len > 0 ? errdetail("%s", others.data) : 0));
}

static ColumnType
column_type(const Change *change, const char *column)
{
	ColumnType	type;

	get_atttypetypmodcoll(change->relid, column_of_change(change, column),
						  &type.type, &type.typmod, &type.collation);
	return type;
}

static ColumnType
named_type(const char *name)
{
	ColumnType	type;

	/* the last argument is a flag on 15, and a pointer since */
	parseTypeString(name, &type.type, &type.typmod, 0);
	type.collation = get_typcollation(type.type);
	return type;
}

static char *
type_in_words(const ColumnType *type)
{
	return format_type_extended(type->type, type->typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN |
								FORMAT_TYPE_FORCE_QUALIFY);
}

/* Qualified, for it is read under another search_path. */
static char *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/* It has no default until the contract: see the trigger. */
static void
add_new_column(Change *change, const char *column, const ColumnType *type)
{
	char	   *collate = "";

	refuse_default_of_type(change, column, type->type);
	if (OidIsValid(type->collation) &&
		type->collation != get_typcollation(type->type))
		collate = psprintf(" COLLATE %s",
						   collation_name(type->collation));
	start_with(change, "ALTER TABLE %s ADD COLUMN %s %s%s", change->relation,
			   quote_identifier(column), type_in_words(type), collate);
	first_remove(change, "ALTER TABLE %s DROP COLUMN IF EXISTS %s",
				 change->relation, quote_identifier(column));
}

static char *
columns_in_words(const Change *change, List *columns)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "column%s ", list_length(columns) > 1 ? "s" : "");
	foreach(cell, columns)
		appendStringInfo(&text, "%s%s",
						 foreach_current_index(cell) > 0 ? ", " : "",
						 quote_identifier(lfirst(cell)));
	appendStringInfo(&text, " of %s", change->relation);
	return text.data;
}

static void
run_all(Change *change, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
		start_with(change, "%s", (char *) lfirst(cell));
}

static void
contract_all(Change *change, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
		then_contract(change, "%s", (char *) lfirst(cell));
}
