/*-------------------------------------------------------------------------
 *
 * version_contract.c
 *	  What becomes of the views of versions when their tables change.
 *
 * A view is in the way of dropping a column that it shows.  Where the new
 * column is of the same type it shows that from then on, and otherwise clients
 * have to leave the version first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "online/version_views.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static char *with_other_column(Oid view, AttrNumber old, const char *new);
static Oid	table_of_plain_view(const Query *query);
static void refuse_for_version(const char *what, const char *version,
							   const char *column, const Change *change);

/*
 * The views of versions that show such columns of a change ($1), or a table all
 * of which goes.
 */
#define VIEWS_THAT_SHOW(columns, all) \
	"SELECT DISTINCT ON (v.view) v.view::pg_catalog.int8, v.version, " \
	"v.attnum::pg_catalog.int4, " \
	"CASE WHEN NOT " all " THEN a.attname::pg_catalog.text END, " \
	"(SELECT n.attname FROM pg_catalog.pg_attribute n " \
	"WHERE c.kind OPERATOR(pg_catalog.=) 'rename_column' " \
	"AND n.attrelid OPERATOR(pg_catalog.=) c.relid " \
	"AND n.attnum OPERATOR(pg_catalog.=) c.new_columns[1])::pg_catalog.text " \
	"FROM migrate.change_log c JOIN migrate.version_columns v " \
	"ON v.relid OPERATOR(pg_catalog.=) c.relid " \
	"JOIN pg_catalog.pg_attribute a " \
	"ON a.attrelid OPERATOR(pg_catalog.=) v.relid " \
	"AND a.attnum OPERATOR(pg_catalog.=) v.attnum " \
	"WHERE c.id OPERATOR(pg_catalog.=) $1 " \
	"AND (v.attnum OPERATOR(pg_catalog.=) ANY (c." columns ") " \
	"OR " all ") ORDER BY v.view, v.attnum"

/*
 * See version_views.h.
 */
bool
is_version_view(Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	run_own_query("SELECT FROM migrate.version_log l "
				  "JOIN pg_catalog.pg_namespace n "
				  "ON n.nspname OPERATOR(pg_catalog.=) l.version "
				  "JOIN pg_catalog.pg_class v "
				  "ON v.relnamespace OPERATOR(pg_catalog.=) n.oid "
				  "AND v.relname OPERATOR(pg_catalog.=) ANY (l.views) "
				  "WHERE v.oid OPERATOR(pg_catalog.=) $1 "
				  "AND v.relkind OPERATOR(pg_catalog.=) 'v'",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0;
	end_own_access(&access);
	return result;
}

/*
 * See version_views.h.
 */
List *
drops_of_version_views(Oid relid, const char *column)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *statements = NIL;
	List	   *views;
	ListCell   *cell;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	add_own_argument(&arguments, INT4OID,
					 Int32GetDatum(column == NULL ? 0 :
								   get_attnum(relid, column)), column == NULL);
	run_own_query("SELECT DISTINCT view FROM migrate.version_columns "
				  "WHERE relid OPERATOR(pg_catalog.=) $1 "
				  "AND attnum OPERATOR(pg_catalog.=) COALESCE($2, attnum) "
				  "ORDER BY view",
				  &arguments, SPI_OK_SELECT);
	views = own_oid_column(&access, 1);
	end_own_access(&access);
	foreach(cell, views)
		statements = lappend(statements,
							 psprintf("DROP VIEW %s",
									  relation_display_name(lfirst_oid(cell))));
	return statements;
}

/*
 * See version_views.h.
 */
List *
carry_versions(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *statements = NIL;
	char	   *version = NULL;
	char	   *column = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	run_own_query(VIEWS_THAT_SHOW("old_columns",
								  "c.kind OPERATOR(pg_catalog.=) 'drop_table'"), &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		char	   *new_column = own_text_column(&access, row, 5);
		Oid			view = (Oid) own_bigint_column(row, 1);
		char	   *statement = NULL;

		/* that of the table may have changed since */
		if (new_column != NULL && compat_owns_relation(view, access.user))
			statement = with_other_column(view, own_int_column(row, 3),
										  new_column);
		if (statement != NULL)
			statements = lappend(statements, statement);
		else if (version == NULL)
		{
			version = own_text_column(&access, row, 2);
			column = own_text_column(&access, row, 4);
		}
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	if (version != NULL)
		refuse_for_version("contract", version, column, change);
	return statements;
}

/*
 * The statement by which the view shows another column in the place of one;
 * NULL if it is not as we have made it.
 */
static char *
with_other_column(Oid view, AttrNumber old, const char *new)
{
	Relation	rel = table_open(view, AccessShareLock);
	Query	   *query = get_view_query(rel);
	StringInfoData statement;
	Oid			relid = table_of_plain_view(query);
	ListCell   *cell;

	if (!OidIsValid(relid))
	{
		table_close(rel, NoLock);
		return NULL;
	}
	initStringInfo(&statement);
	appendStringInfo(&statement, "CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS SELECT ",
					 relation_display_name(view));
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		AttrNumber	attnum = ((Var *) entry->expr)->varattno;

		appendStringInfo(&statement, "%s%s AS %s",
						 foreach_current_index(cell) > 0 ? ", " : "",
						 quote_identifier(attnum == old ? new :
										  get_attname(relid, attnum, false)),
						 quote_identifier(entry->resname));
	}
	appendStringInfo(&statement, " FROM %s", relation_display_name(relid));
	table_close(rel, NoLock);
	return statement.data;
}

/* InvalidOid if it is more than columns of a table. */
static Oid
table_of_plain_view(const Query *query)
{
	int			table;
	ListCell   *cell;

	if (list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef) ||
		query->jointree->quals != NULL || query->cteList != NIL ||
		query->groupClause != NIL || query->groupingSets != NIL ||
		query->distinctClause != NIL || query->sortClause != NIL ||
		query->limitCount != NULL || query->limitOffset != NULL ||
		query->havingQual != NULL || query->setOperations != NULL)
		return InvalidOid;
	table = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *var = (Var *) entry->expr;

		if (!IsA(var, Var) || var->varno != table || var->varattno <= 0)
			return InvalidOid;
	}
	return rt_fetch(table, query->rtable)->relid;
}

/*
 * See version_views.h.
 */
void
refuse_cancel_of_versions(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *version = NULL;
	char	   *column = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(change->id), false);
	run_own_query(VIEWS_THAT_SHOW("new_columns", "false"), &arguments,
				  SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		version = own_text_column(&access, 0, 2);
		column = own_text_column(&access, 0, 4);
	}
	end_own_access(&access);
	if (version != NULL)
		refuse_for_version("cancel", version, column, change);
}

/* column: NULL for the table itself */
static void
refuse_for_version(const char *what, const char *version, const char *column,
				   const Change *change)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BREAKS_CLIENT),
			 errmsg("%s: version %s still shows %s%s%s: SELECT migrate.drop_version(%s) first",
					what, quote_identifier(version),
					column == NULL ? "" : "column ",
					column == NULL ? "" : psprintf("%s of ", quote_identifier(column)),
					change->relation, quote_literal_cstr(version))));
}
