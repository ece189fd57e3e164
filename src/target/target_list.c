/*-------------------------------------------------------------------------
 *
 * target_list.c
 *	  The schemas and databases that patterns stand for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "target/target_internal.h"
#include "utils/builtins.h"

static List *list_targets(List *patterns, const char *query, int missing_code,
						  const char *kind);
static bool add_targets(List **targets, const char *query,
						OwnArguments *arguments);
static char *like_pattern(const char *pattern);
static void add_targets_of_result(List **targets, OwnAccess *access);
static List *each_once(List *targets);
static int	compare_targets(const ListCell *a, const ListCell *b);

/*
 * See target_internal.h.  The schemas of the server and ours are never meant.
 */
List *
list_target_schemas(List *patterns)
{
	return list_targets(patterns,
						"SELECT d.oid, d.datname::pg_catalog.text, "
						"n.nspname::pg_catalog.text "
						"FROM pg_catalog.pg_namespace n, pg_catalog.pg_database d "
						"WHERE d.datname OPERATOR(pg_catalog.=) "
						"pg_catalog.current_database() "
						"AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.~~) $1 "
						"AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_') "
						"AND n.nspname OPERATOR(pg_catalog.<>) ALL "
						"(ARRAY['information_schema', 'migrate']::pg_catalog.name[])",
						ERRCODE_UNDEFINED_SCHEMA, "schema");
}

/*
 * See target_internal.h.
 */
List *
list_known_schemas(void)
{
	OwnArguments arguments = {0};
	List	   *targets = NIL;

	(void) add_targets(&targets,
					   "SELECT d.oid, t.database, t.target_schema "
					   "FROM migrate.targets t "
					   "JOIN pg_catalog.pg_database d "
					   "ON d.datname::pg_catalog.text OPERATOR(pg_catalog.=) t.database "
					   "JOIN pg_catalog.pg_namespace n "
					   "ON n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) t.target_schema "
					   "WHERE d.datname OPERATOR(pg_catalog.=) "
					   "pg_catalog.current_database()",
					   &arguments);
	return each_once(targets);
}

/*
 * See target_internal.h.
 */
List *
list_target_databases(List *patterns)
{
	List	   *targets = list_targets(patterns,
									   "SELECT d.oid, d.datname::pg_catalog.text, "
									   "''::pg_catalog.text "
									   "FROM pg_catalog.pg_database d "
									   "WHERE d.datallowconn AND NOT d.datistemplate "
									   "AND d.datname::pg_catalog.text "
									   "OPERATOR(pg_catalog.~~) $1",
									   ERRCODE_UNDEFINED_DATABASE, "database");
	ListCell   *cell;

	/* a worker that may not connect could only say so in the server log */
	foreach(cell, targets)
	{
		Target	   *target = lfirst(cell);

		if (!compat_may_connect(target->database, GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for database %s: GRANT CONNECT ON DATABASE %s TO %s, or leave it out",
							target->database_name,
							quote_identifier(target->database_name),
							quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	}
	return targets;
}

/* query has one parameter, the pattern as LIKE takes it. */
static List *
list_targets(List *patterns, const char *query, int missing_code,
			 const char *kind)
{
	List	   *targets = NIL;
	ListCell   *cell;

	foreach(cell, patterns)
	{
		OwnArguments arguments = {0};

		add_own_text(&arguments, like_pattern(lfirst(cell)));
		if (!add_targets(&targets, query, &arguments))
			ereport(ERROR,
					(errcode(missing_code),
					 errmsg("no %s matches \"%s\": * stands for any characters, ? for one",
							kind, (char *) lfirst(cell))));
	}
	return each_once(targets);
}

/* False if the query finds none. */
static bool
add_targets(List **targets, const char *query, OwnArguments *arguments)
{
	OwnAccess	access;
	bool		found;

	begin_own_access(&access);
	run_own_query(query, arguments, SPI_OK_SELECT);
	found = SPI_processed > 0;
	add_targets_of_result(targets, &access);
	end_own_access(&access);
	return found;
}

/* A name with * and ? as a pattern for LIKE. */
static char *
like_pattern(const char *pattern)
{
	StringInfoData like;

	initStringInfo(&like);
	for (const char *at = pattern; *at; at++)
	{
		if (*at == '*')
			appendStringInfoChar(&like, '%');
		else if (*at == '?')
			appendStringInfoChar(&like, '_');
		else
		{
			if (*at == '%' || *at == '_' || *at == '\\')
				appendStringInfoChar(&like, '\\');
			appendStringInfoChar(&like, *at);
		}
	}
	return like.data;
}

static void
add_targets_of_result(List **targets, OwnAccess *access)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access->caller);
		Target	   *target = palloc0(sizeof(Target));
		bool		isnull;

		target->database = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
														  SPI_tuptable->tupdesc,
														  1, &isnull));
		target->database_name = own_text_column(access, row, 2);
		target->schema = own_text_column(access, row, 3);
		*targets = lappend(*targets, target);
		MemoryContextSwitchTo(old);
	}
}

/* Sorted, and each once, although several patterns may have matched it. */
static List *
each_once(List *targets)
{
	List	   *result = NIL;
	ListCell   *cell;

	list_sort(targets, compare_targets);
	foreach(cell, targets)
	{
		if (result == NIL ||
			compare_targets(list_tail(result), cell) != 0)
			result = lappend(result, lfirst(cell));
	}
	return result;
}

static int
compare_targets(const ListCell *a, const ListCell *b)
{
	const Target *target_a = lfirst(a);
	const Target *target_b = lfirst(b);
	int			order = strcmp(target_a->database_name, target_b->database_name);

	return order != 0 ? order : strcmp(target_a->schema, target_b->schema);
}
