/*-------------------------------------------------------------------------
 *
 * star_queries.c
 *	  Statements that a new column breaks where they are prepared.
 *
 * PostgreSQL refuses to run a prepared statement whose result has got another
 * shape ("cached plan must not change result type").  Which statements other
 * sessions have prepared cannot be seen, but which they run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "online/star_queries.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Statements that are named, and bytes of each. */
#define MAX_NAMED		5
#define NAMED_LENGTH	200

/* What is looked for, and what was found. */
typedef struct StarSearch
{
	const char *schema;			/* of the table, which nobody has locked */
	const char *table;
	const char *query;			/* that is run to get statements */
	const char *text;			/* of one, while it is looked at */
	bool		has_star;		/* for the table, in that */
	List	   *found;			/* of char *: in words */
} StarSearch;

/* One query, without those that are nested in it. */
typedef struct QueryLevel
{
	const StarSearch *search;
	bool		is_select;		/* not one that writes */
	List	   *names;			/* of char *: of the table in it */
	List	   *stars;			/* of ColumnRef: its results that are one */
} QueryLevel;

/* Columns: the text, and whose it is. */
static const char *const sessions_query =
"SELECT DISTINCT a.query, pg_catalog.concat_ws(', ', a.usename, "
"CASE WHEN a.application_name OPERATOR(pg_catalog.<>) '' "
"THEN a.application_name END) FROM pg_catalog.pg_stat_activity a "
"WHERE a.datid OPERATOR(pg_catalog.=) (SELECT d.oid "
"FROM pg_catalog.pg_database d WHERE d.datname "
"OPERATOR(pg_catalog.=) pg_catalog.current_database()) "
"AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() "
"AND pg_catalog.strpos(a.query, '*') OPERATOR(pg_catalog.>) 0 "
"UNION SELECT p.statement, 'this session' "
"FROM pg_catalog.pg_prepared_statements p "
"WHERE pg_catalog.strpos(p.statement, '*') OPERATOR(pg_catalog.>) 0";

static char *statistics_query(void);
static void search(StarSearch *search, const char *query);
static bool run_search(void *arg);
static bool parse_text(void *arg);
static bool find_star(Node *node, void *context);
static bool read_level(Node *node, void *context);
static bool takes_all_columns(const QueryLevel *level);
static bool is_searched(const StarSearch *search, const RangeVar *table);

/*
 * See star_queries.h.
 */
void
warn_of_star_queries(Oid relid)
{
	StarSearch	state = {0};
	char	   *statistics;
	int			count;

	state.table = get_rel_name(relid);
	if (state.table == NULL)
		return;
	state.schema = get_namespace_name(get_rel_namespace(relid));
	search(&state, sessions_query);
	statistics = statistics_query();
	if (statistics != NULL)
		search(&state, statistics);
	count = list_length(state.found);
	if (count > 0)
	{
		StringInfoData names;

		initStringInfo(&names);
		for (int i = 0; i < Min(count, MAX_NAMED); i++)
			appendStringInfo(&names, "%s%s", i > 0 ? "\n" : "",
							 (char *) list_nth(state.found, i));
		ereport(WARNING,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg_plural("%d statement takes all columns of %s by \"*\": a session that has prepared it gets an error (\"cached plan must not change result type\") once the table has another column, and again after the contract; list the columns",
							   "%d statements take all columns of %s by \"*\": a session that has prepared one gets an error (\"cached plan must not change result type\") once the table has another column, and again after the contract; list the columns",
							   count, count, relation_display_name(relid)),
				 errdetail("%s%s", names.data,
						   count > MAX_NAMED ? "\n..." : "")));
	}
}

/* NULL where the extension is not there. */
static char *
statistics_query(void)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *schema = NULL;

	SPI_connect();
	if (SPI_execute("SELECT n.nspname::pg_catalog.text "
					"FROM pg_catalog.pg_extension e "
					"JOIN pg_catalog.pg_namespace n "
					"ON n.oid OPERATOR(pg_catalog.=) e.extnamespace "
					"WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'",
					true, 1) == SPI_OK_SELECT && SPI_processed > 0)
		schema = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (schema != NULL)
		schema = MemoryContextStrdup(caller, schema);
	SPI_finish();
	if (schema == NULL)
		return NULL;
	return psprintf("SELECT DISTINCT s.query, r.rolname::pg_catalog.text "
					"FROM %s.pg_stat_statements s "
					"JOIN pg_catalog.pg_roles r "
					"ON r.oid OPERATOR(pg_catalog.=) s.userid "
					"WHERE s.dbid OPERATOR(pg_catalog.=) (SELECT d.oid "
					"FROM pg_catalog.pg_database d WHERE d.datname "
					"OPERATOR(pg_catalog.=) pg_catalog.current_database()) "
					"AND pg_catalog.strpos(s.query, '*') OPERATOR(pg_catalog.>) 0",
					quote_identifier(schema));
}

/* A view that cannot be read, for a library is not preloaded, tells nothing. */
static void
search(StarSearch *state, const char *query)
{
	ErrorData  *error;

	state->query = query;
	error = run_in_subtransaction(run_search, state);
	if (error != NULL &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
}

static bool
run_search(void *arg)
{
	StarSearch *state = arg;
	MemoryContext caller = CurrentMemoryContext;
	SPITupleTable *table;
	uint64		count;

	SPI_connect();
	if (SPI_execute(state->query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the statements of sessions");
	table = SPI_tuptable;
	count = SPI_processed;
	for (uint64 row = 0; row < count; row++)
	{
		char	   *whose = SPI_getvalue(table->vals[row], table->tupdesc, 2);
		MemoryContext old = MemoryContextSwitchTo(caller);

		state->text = SPI_getvalue(table->vals[row], table->tupdesc, 1);
		state->has_star = false;
		if (state->text != NULL &&
			run_in_subtransaction(parse_text, state) == NULL &&
			state->has_star)
			state->found = lappend(state->found,
								   psprintf("%s: %.*s", whose ? whose : "?",
											pg_mbcliplen(state->text,
														 strlen(state->text),
														 NAMED_LENGTH),
											state->text));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return true;
}

/* One that was cut off is not SQL any more. */
static bool
parse_text(void *arg)
{
	StarSearch *state = arg;

	(void) find_star((Node *) raw_parser(state->text, RAW_PARSE_DEFAULT), state);
	return true;
}

/* Each query in a statement has tables and results of its own. */
static bool
find_star(Node *node, void *context)
{
	StarSearch *state = context;

	if (node == NULL)
		return false;
	if (IsA(node, RawStmt))
		return find_star(((RawStmt *) node)->stmt, context);
	if (IsA(node, PrepareStmt))
		return find_star(((PrepareStmt *) node)->query, context);
	if (IsA(node, SelectStmt) || IsA(node, InsertStmt) ||
		IsA(node, UpdateStmt) || IsA(node, DeleteStmt) ||
		IsA(node, MergeStmt))
	{
		QueryLevel	level = {state, IsA(node, SelectStmt)};

		(void) raw_expression_tree_walker(node, read_level, &level);
		state->has_star |= takes_all_columns(&level);
	}
	return raw_expression_tree_walker(node, find_star, context);
}

static bool
read_level(Node *node, void *context)
{
	QueryLevel *level = context;

	if (node == NULL || IsA(node, SelectStmt) || IsA(node, InsertStmt) ||
		IsA(node, UpdateStmt) || IsA(node, DeleteStmt) ||
		IsA(node, MergeStmt) || IsA(node, LockingClause))
		return false;
	if (IsA(node, JoinExpr) && ((JoinExpr *) node)->alias != NULL)
	{
		int			count = list_length(level->names);

		(void) raw_expression_tree_walker(node, read_level, context);
		if (list_length(level->names) > count)
			level->names = lappend(level->names,
								   ((JoinExpr *) node)->alias->aliasname);
		return false;
	}
	if (IsA(node, RangeVar) && is_searched(level->search, (RangeVar *) node))
	{
		const RangeVar *table = (RangeVar *) node;

		level->names = lappend(level->names, table->alias != NULL ?
							   table->alias->aliasname : table->relname);
	}
	if (IsA(node, ResTarget))
	{
		Node	   *result = ((ResTarget *) node)->val;

		if (result != NULL && IsA(result, ColumnRef) &&
			IsA(llast(((ColumnRef *) result)->fields), A_Star))
			level->stars = lappend(level->stars, result);
	}
	return raw_expression_tree_walker(node, read_level, context);
}

/*
 * "*", or "t.*" where t is the table.  RETURNING has names of its own for the row
 * from 18 on.
 */
static bool
takes_all_columns(const QueryLevel *level)
{
	ListCell   *cell;

	if (level->names == NIL)
		return false;
	foreach(cell, level->stars)
	{
		List	   *fields = lfirst_node(ColumnRef, cell)->fields;
		const char *name = list_length(fields) < 2 ? NULL :
		strVal(list_nth(fields, list_length(fields) - 2));

		if (name == NULL || !level->is_select ||
			name_is_listed(level->names, name))
			return true;
	}
	return false;
}

/* By name: what search_path the other session has is not known. */
static bool
is_searched(const StarSearch *state, const RangeVar *table)
{
	return strcmp(table->relname, state->table) == 0 &&
		(table->schemaname == NULL || state->schema == NULL ||
		 strcmp(table->schemaname, state->schema) == 0);
}
