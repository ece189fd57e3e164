/*-------------------------------------------------------------------------
 *
 * plan_names.c
 *	  The names that PostgreSQL would choose for what has none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "effects/overlay.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_target.h"
#include "plan/plan_names.h"
#include "utils/lsyscache.h"

static char *choose_name(NameChoice *names, const char *columns,
						 const char *label, bool is_index,
						 bool is_constraint);
static char *distinct_name(const char *name, List *others);
static bool collect_columns(Node *node, void *context);

/*
 * See plan_names.h.
 */
NameChoice *
names_of_table(const RelationFacts *relation)
{
	NameChoice *names = palloc0(sizeof(NameChoice));

	names->relname = relation->overlay != NULL ? relation->overlay->relname :
		get_rel_name(relation->relid);
	names->namespace_oid = get_rel_namespace(relation->relid);
	return names;
}

/*
 * See plan_names.h.
 */
bool
is_changed_by_script(const RelationFacts *relation)
{
	const OverlayRelation *overlay = relation->overlay;

	if (overlay == NULL)
		return false;
	return !OidIsValid(relation->relid) || overlay->columns != NIL ||
		overlay->constraints != NIL || overlay->owned != NIL ||
		strcmp(overlay->relname, get_rel_name(relation->relid)) != 0 ||
		strcmp(overlay->nspname,
			   get_namespace_name(get_rel_namespace(relation->relid))) != 0;
}

/*
 * See plan_names.h.
 */
char *
choose_constraint_name(NameChoice *names, const char *columns,
					   const char *label)
{
	return choose_name(names, columns, label, false, true);
}

/*
 * See plan_names.h.
 */
char *
choose_index_name(NameChoice *names, const char *columns, const char *label,
				  bool is_constraint)
{
	return choose_name(names, columns, label, true, is_constraint);
}

/*
 * As ChooseConstraintName() and ChooseRelationName(), which know nothing of
 * names that are given back, nor, for an index, of names chosen before.
 */
static char *
choose_name(NameChoice *names, const char *columns, const char *label,
			bool is_index, bool is_constraint)
{
	for (int pass = 0;; pass++)
	{
		char	   *name = makeObjectName(names->relname, columns, pass == 0 ?
										  label : psprintf("%s%d", label, pass));

		if (name_is_listed(names->used, name))
			continue;
		if (!name_is_listed(names->freed, name) &&
			((is_index && name_is_taken(names, name, true)) ||
			 (is_constraint && name_is_taken(names, name, false))))
			continue;
		names->used = lappend(names->used, name);
		return name;
	}
}

/*
 * See plan_names.h.
 */
bool
name_is_taken(const NameChoice *names, const char *name, bool is_index)
{
	return is_index ?
		OidIsValid(get_relname_relid(name, names->namespace_oid)) :
		ConstraintNameExists(name, names->namespace_oid);
}

/*
 * See plan_names.h.
 */
char *
name_of_columns(List *columns)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, columns)
	{
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "",
						 strVal(lfirst(cell)));
		if (names.len >= NAMEDATALEN)
			break;
	}
	return names.data;
}

/*
 * See plan_names.h.
 */
List *
index_column_names(List *params, List *including)
{
	List	   *names = NIL;
	List	   *strings = NIL;
	ListCell   *cell;

	foreach(cell, list_concat_copy(params, including))
	{
		IndexElem  *element = lfirst_node(IndexElem, cell);
		const char *name = element->indexcolname;

		if (name == NULL)
			name = element->name;
		if (name == NULL)
			name = FigureIndexColname(element->expr);
		names = lappend(names, distinct_name(name ? name : "expr", names));
		strings = lappend(strings, makeString(llast(names)));
	}
	return strings;
}

/* With a number behind it, if others have the name. */
static char *
distinct_name(const char *name, List *others)
{
	char	   *distinct = pstrdup(name);

	for (int i = 1; name_is_listed(others, distinct); i++)
	{
		char	   *number = psprintf("%d", i);
		int			length = pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1 -
										  strlen(number));

		distinct = psprintf("%s%s", pnstrdup(name, length), number);
	}
	return distinct;
}

/*
 * See plan_names.h.
 */
char *
only_column(Node *expression)
{
	List	   *columns = columns_of_expression(expression);

	return list_length(columns) == 1 ? linitial(columns) : NULL;
}

/*
 * See plan_names.h.
 */
List *
columns_of_expression(Node *expression)
{
	List	   *columns = NIL;

	(void) collect_columns(expression, &columns);
	return columns;
}

static bool
collect_columns(Node *node, void *context)
{
	List	  **columns = context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		if (IsA(last, String) && !name_is_listed(*columns, strVal(last)))
			*columns = lappend(*columns, strVal(last));
		return false;
	}
	return raw_expression_tree_walker(node, collect_columns, context);
}
