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
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void replace_view(ColumnCopier *copier, Oid view);
static char *view_options(Oid view);
static char *query_of_view(Oid view);
static bool names_columns(Node *node, void *relid);

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

	if (relkind == RELKIND_VIEW && is_select && copier->same_type &&
		compat_owns_relation(relid, GetUserId()))
	{
		replace_view(copier, relid);
		return;
	}
	if (is_select)
		ObjectAddressSet(address, RelationRelationId, relid);
	else
		ObjectAddressSet(address, RewriteRelationId, rule);
	if (is_select && relkind == RELKIND_VIEW && copier->same_type)
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
	char	   *name = relation_display_name(view);
	char	   *query = query_of_view(view);
	Node	   *tree = linitial_node(RawStmt, pg_parse_query(query))->stmt;
	Oid			relid = RelationGetRelid(copier->rel);

	/* they would be those of the columns by their numbers */
	if (names_columns(tree, &relid))
		refuse_copy(copier,
					psprintf("view %s gives the columns of table %s other names, or joins USING column %s: drop it first, and make it again after the contract",
							 name, copier->table,
							 quote_identifier(copier->old_name)));
	else
		add_sql(&copier->switches, psprintf("CREATE OR REPLACE VIEW %s%s AS %s",
											name, view_options(view), query));
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

/* True if the table has an alias with names of its columns. */
static bool
names_columns(Node *node, void *relid)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *relation = (RangeVar *) node;

		return relation->alias != NULL && relation->alias->colnames != NIL &&
			relation->schemaname != NULL &&
			get_relname_relid(relation->relname,
							  get_namespace_oid(relation->schemaname, true)) ==
			*(Oid *) relid;
	}
	return raw_expression_tree_walker(node, names_columns, relid);
}
