/*-------------------------------------------------------------------------
 *
 * column_copy_views.c
 *	  Views that use a column.
 *
 * The columns of the view keep their names, so that nothing above it notices.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "online/column_copy_internal.h"
#include "online/version_views.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The names of a table in a query that are followed by names of its columns. */
typedef struct AliasSearch
{
	Oid			relid;
	List	   *found;			/* of RangeVar */
} AliasSearch;

static void replace_view(ColumnCopier *copier, Oid view);
static char *with_moved_alias(ColumnCopier *copier, Oid view);
static int	later_first(const ListCell *a, const ListCell *b);
static char *move_alias(ColumnCopier *copier, const char *query,
						const RangeVar *relation);
static int	live_position(ColumnCopier *copier, AttrNumber attnum);
static char *view_options(Oid view);
static char *query_of_view(Oid view);
static bool find_aliases(Node *node, void *context);

/*
 * The rule of a view, or another one, which is refused.
 */
void
copy_view(ColumnCopier *copier, Oid rule)
{
	bool		is_select;
	Oid			relid = relation_of_rule(rule, &is_select);
	char		relkind = get_rel_relkind(relid);
	ObjectAddress address;

	/* the contract sees to it, if it is still there then */
	if (is_version_view(relid))
		return;
	if (relkind == RELKIND_VIEW && is_select && copier->same_type &&
		get_rel_persistence(relid) != RELPERSISTENCE_TEMP &&
		compat_owns_relation(relid, GetUserId()))
	{
		replace_view(copier, relid);
		return;
	}
	if (is_select)
		ObjectAddressSet(address, RelationRelationId, relid);
	else
		ObjectAddressSet(address, RewriteRelationId, rule);
	if (is_select && relkind == RELKIND_VIEW && copier->same_type &&
		get_rel_persistence(relid) != RELPERSISTENCE_TEMP)
		refuse_copy(copier,
					psprintf("%s uses column %s of table %s: only the owner of the view can change it",
							 getObjectDescription(&address, false),
							 quote_identifier(copier->old_name), copier->table));
	else
		refuse_copy(copier,
					psprintf("%s uses column %s of table %s: drop it first, and make it again after the contract",
							 getObjectDescription(&address, false),
							 quote_identifier(copier->old_name), copier->table));
}

/* The relation of a rule, and whether that makes a view of it. */
Oid
relation_of_rule(Oid rule, bool *is_select)
{
	Relation	catalog = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(catalog, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for rule %u", rule);
	relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	*is_select = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_type == '1';
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}

/* Privileges, owner, comments and triggers of the view stay as they are. */
static void
replace_view(ColumnCopier *copier, Oid view)
{
	require_creation(copier, get_rel_namespace(view));
	add_sql(&copier->switches,
			psprintf("CREATE OR REPLACE VIEW %s%s AS %s",
					 relation_display_name(view), view_options(view),
					 with_moved_alias(copier, view)));
}

/*
 * Other names of the columns of a table, which PostgreSQL writes where the
 * view has some or joins USING the column, go by position: that of the column
 * is then the last one.
 */
static char *
with_moved_alias(ColumnCopier *copier, Oid view)
{
	char	   *query = query_of_view(view);
	AliasSearch search = {RelationGetRelid(copier->rel), NIL};
	ListCell   *cell;

	(void) find_aliases(linitial_node(RawStmt, pg_parse_query(query))->stmt,
						&search);
	list_sort(search.found, later_first);
	foreach(cell, search.found)
		query = move_alias(copier, query, lfirst(cell));

	/* the new column has lost its name to the old one there */
	if (copier->at_contract && search.found != NIL &&
		strstr(query, copier->hidden_name) != NULL)
		refuse_copy(copier,
					psprintf("view %s uses both columns %s and %s under other names or in a join USING them: drop it first, and make it again after the contract",
							 relation_display_name(view),
							 quote_identifier(copier->old_name),
							 quote_identifier(copier->new_name)));
	return query;
}

static int
later_first(const ListCell *a, const ListCell *b)
{
	return ((RangeVar *) lfirst(b))->location -
		((RangeVar *) lfirst(a))->location;
}

static char *
move_alias(ColumnCopier *copier, const char *query, const RangeVar *relation)
{
	SqlTokens  *tokens = scan_sql(query);
	int			open = token_at(tokens, relation->location);
	int			close;
	StringInfoData result;
	const char *alias;
	ListCell   *cell;

	while (tokens->tokens[open].code != '(')
		open++;
	for (close = open; tokens->tokens[close].code != ')';)
		close++;
	initStringInfo(&result);
	appendBinaryStringInfo(&result, query, tokens->tokens[open].location + 1);
	alias = strVal(list_nth(relation->alias->colnames,
							live_position(copier, copier->attnum)));
	foreach(cell, relation->alias->colnames)
	{
		int			position = foreach_current_index(cell);
		const char *name = strVal(lfirst(cell));

		if (position == live_position(copier, copier->attnum))
			name = name_of_copy(copier, copier->old_name);
		else if (copier->at_contract &&
				 position == live_position(copier, copier->new_attnum))
			name = alias;
		appendStringInfo(&result, "%s%s", position > 0 ? ", " : "",
						 quote_identifier(name));
	}
	if (!copier->at_contract)
		appendStringInfo(&result, ", %s", quote_identifier(alias));
	appendStringInfoString(&result, query + tokens->tokens[close].location);
	return result.data;
}

/* The number of columns before one. */
static int
live_position(ColumnCopier *copier, AttrNumber attnum)
{
	int			position = 0;

	for (int i = 0; i < attnum - 1; i++)
		if (!TupleDescAttr(RelationGetDescr(copier->rel), i)->attisdropped)
			position++;
	return position;
}

static char *
view_options(Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	StringInfoData list;
	ListCell   *cell;
	bool		isnull;
	Datum		options;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", view);
	initStringInfo(&list);
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	foreach(cell, isnull ? NIL : untransformRelOptions(options))
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		appendStringInfo(&list, "%s%s = %s", list.len > 0 ? ", " : " WITH (",
						 quote_identifier(option->defname),
						 quote_literal_cstr(defGetString(option)));
	}
	if (list.len > 0)
		appendStringInfoChar(&list, ')');
	ReleaseSysCache(tuple);
	return list.data;
}

/* Without its semicolon. */
static char *
query_of_view(Oid view)
{
	char	   *query =
	TextDatumGetCString(DirectFunctionCall1(pg_get_viewdef,
											ObjectIdGetDatum(view)));
	int			length = strlen(query);

	if (length > 0 && query[length - 1] == ';')
		query[length - 1] = '\0';
	return query;
}

/* Where the table has an alias with names of its columns. */
static bool
find_aliases(Node *node, void *context)
{
	AliasSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *relation = (RangeVar *) node;

		if (relation->alias != NULL && relation->alias->colnames != NIL &&
			relation->schemaname != NULL &&
			get_relname_relid(relation->relname,
							  get_namespace_oid(relation->schemaname, true)) ==
			search->relid)
			search->found = lappend(search->found, relation);
		return false;
	}
	return raw_expression_tree_walker(node, find_aliases, context);
}
