/*-------------------------------------------------------------------------
 *
 * overlay_constraint.c
 *	  Constraints and indexes of a table that a checked script made, changed
 *	  or dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/overlay_internal.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_target.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static OverlayConstraint *touch_constraint(OverlayRelation *relation,
										   const char *name);
static OverlayConstraint *new_constraint(OverlayRelation *relation,
										 const char *name, char contype);
static char *constraint_name(Overlay *overlay, OverlayRelation *relation,
							 const Constraint *constraint, List *columns,
							 const char *label);
static void add_check(Overlay *overlay, OverlayRelation *relation,
					  Constraint *constraint);
static void add_not_null(Overlay *overlay, OverlayRelation *relation,
						 Constraint *constraint, List *columns);
static void add_key(Overlay *overlay, OverlayRelation *relation,
					Constraint *constraint, List *columns);
static void adopt_index(Overlay *overlay, OverlayRelation *relation,
						Constraint *constraint, char contype);
static List *not_null_columns(Node *expression);
static List *copy_names(OverlayRelation *relation, List *names);
static bool columns_walker(Node *node, void *context);
static char *join_names(List *names);
static bool name_is_taken(Overlay *overlay, OverlayRelation *relation,
						  const char *name);
static void drop_constraint(Overlay *overlay, OverlayRelation *relation,
							const char *name);
static OverlayRelation *find_owned(OverlayRelation *relation,
								   const char *name);

/*
 * See overlay.h.
 */
OverlayConstraint *
overlay_find_constraint(const OverlayRelation *relation, const char *name)
{
	OverlayConstraint *dropped = NULL;
	ListCell   *cell;

	foreach(cell, relation->constraints)
	{
		OverlayConstraint *constraint = lfirst(cell);

		if (strcmp(constraint->name, name) != 0)
			continue;
		if (!constraint->dropped)
			return constraint;
		dropped = constraint;
	}
	return dropped;
}

/*
 * A constraint that the script is about to change, taken from the catalog if
 * need be; NULL if there is none.
 */
static OverlayConstraint *
touch_constraint(OverlayRelation *relation, const char *name)
{
	OverlayConstraint *constraint = overlay_find_constraint(relation, name);
	Oid			oid;
	HeapTuple	tuple;
	Form_pg_constraint form;

	if (constraint != NULL)
		return constraint->dropped ? NULL : constraint;
	if (!OidIsValid(relation->relid))
		return NULL;
	oid = get_relation_constraint_oid(relation->relid, name, true);
	if (!OidIsValid(oid))
		return NULL;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	constraint = new_constraint(relation, name, form->contype);
	constraint->catalog_name = constraint->name;
	constraint->validated = form->convalidated;
	ReleaseSysCache(tuple);
	return constraint;
}

static OverlayConstraint *
new_constraint(OverlayRelation *relation, const char *name, char contype)
{
	MemoryContext old_context;
	OverlayConstraint *constraint;

	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(relation));
	constraint = palloc0(sizeof(OverlayConstraint));
	constraint->name = pstrdup(name);
	constraint->contype = contype;
	relation->constraints = lappend(relation->constraints, constraint);
	MemoryContextSwitchTo(old_context);
	return constraint;
}

/*
 * A constraint of CREATE TABLE or ADD CONSTRAINT, or with column one that is
 * written behind that column.
 */
void
overlay_add_constraint(Overlay *overlay, OverlayRelation *relation,
					   Constraint *constraint, const char *column)
{
	List	   *columns;
	MemoryContext old_context;
	OverlayConstraint *entry;
	char	   *name;

	columns = constraint->contype == CONSTR_FOREIGN ? constraint->fk_attrs :
		constraint->keys;
	if (columns == NIL && column != NULL)
		columns = list_make1(makeString(pstrdup(column)));

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			add_check(overlay, relation, constraint);
			break;
		case CONSTR_NOTNULL:
			add_not_null(overlay, relation, constraint, columns);
			break;
		case CONSTR_PRIMARY:
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
			add_key(overlay, relation, constraint, columns);
			break;
		case CONSTR_FOREIGN:
			name = constraint_name(overlay, relation, constraint, columns,
								   "fkey");
			entry = new_constraint(relation, name, CONSTRAINT_FOREIGN);
			entry->validated = !constraint->skip_validation;
			old_context = MemoryContextSwitchTo(overlay->context);
			entry->referenced = copyObject(constraint->pktable);
			MemoryContextSwitchTo(old_context);
			break;
		default:				/* DEFAULT, GENERATED, DEFERRABLE … */
			break;
	}
}

/* The name given, or one as PostgreSQL would choose it. */
static char *
constraint_name(Overlay *overlay, OverlayRelation *relation,
				const Constraint *constraint, List *columns,
				const char *label)
{
	if (constraint->conname != NULL)
		return constraint->conname;
	return overlay_free_name(overlay, relation, join_names(columns), label);
}

static void
add_check(Overlay *overlay, OverlayRelation *relation, Constraint *constraint)
{
	List	   *columns = NIL;
	OverlayConstraint *entry;
	MemoryContext old_context;

	/* a name of PostgreSQL's own has the column's if there is only one */
	(void) columns_walker(constraint->raw_expr, &columns);
	if (list_length(columns) != 1)
		columns = NIL;
	entry = new_constraint(relation,
						   constraint_name(overlay, relation, constraint,
										   columns, "check"),
						   CONSTRAINT_CHECK);
	if (!compat_constraint_is_enforced(constraint))
		return;
	entry->validated = !constraint->skip_validation;
	entry->not_null_columns = copy_names(relation,
										 not_null_columns(constraint->raw_expr));

	/* for proofs about rows that are there; they need an analysis */
	if (!OidIsValid(relation->relid) ||
		overlay_concerns_expression(overlay, constraint->raw_expr))
		return;
	old_context = MemoryContextSwitchTo(overlay->context);
	entry->expression = copyObject(constraint->raw_expr);
	MemoryContextSwitchTo(old_context);
}

/* Behind a column, or on 18 and later as a constraint of the table */
static void
add_not_null(Overlay *overlay, OverlayRelation *relation,
			 Constraint *constraint, List *columns)
{
	OverlayConstraint *entry;
	OverlayColumn *column;
	char	   *name;

	if (columns == NIL)
		return;
	name = strVal(linitial(columns));
	column = overlay_touch_column(relation, name);
	if (column != NULL && column->made && !constraint->skip_validation)
		column->not_null = true;
	entry = new_constraint(relation,
						   constraint_name(overlay, relation, constraint,
										   columns, "not_null"),
						   COMPAT_CONSTRAINT_NOTNULL);
	entry->validated = !constraint->skip_validation;
	entry->not_null_columns = copy_names(relation, list_make1(name));
}

/* PRIMARY KEY, UNIQUE, EXCLUDE: with an index of the same name */
static void
add_key(Overlay *overlay, OverlayRelation *relation, Constraint *constraint,
		List *columns)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	char		contype = primary ? CONSTRAINT_PRIMARY :
	constraint->contype == CONSTR_UNIQUE ? CONSTRAINT_UNIQUE :
	CONSTRAINT_EXCLUSION;
	OverlayRelation *index;
	char	   *name;
	List	   *names = NIL;
	ListCell   *cell;

	if (constraint->indexname != NULL)
	{
		adopt_index(overlay, relation, constraint, contype);
		return;
	}
	name = constraint_name(overlay, relation, constraint,
						   primary ? NIL : columns,
						   primary ? "pkey" :
						   contype == CONSTRAINT_UNIQUE ? "key" : "excl");
	new_constraint(relation, name, contype)->validated = true;
	index = overlay_make_relation(overlay, relation->nspname, name,
								  RELKIND_INDEX);
	overlay_own(relation, index);
	foreach(cell, columns)
	{
		OverlayColumn *column;

		names = lappend(names, strVal(lfirst(cell)));
		if (!primary)
			continue;
		column = overlay_touch_column(relation, strVal(lfirst(cell)));
		if (column != NULL)
			column->not_null = true;
	}
	index->key_columns = copy_names(relation, names);
}

/* USING INDEX: the index gets the constraint's name. */
static void
adopt_index(Overlay *overlay, OverlayRelation *relation,
			Constraint *constraint, char contype)
{
	const char *name = constraint->conname ? constraint->conname :
	constraint->indexname;
	RangeVar   *range_var = makeRangeVar(relation->nspname,
										 constraint->indexname, -1);
	OverlayRelation *index = overlay_find_relation(overlay, range_var);
	ListCell   *cell;

	new_constraint(relation, name, contype)->validated = true;
	if (index == NULL || index->dropped)
		return;
	if (strcmp(index->relname, name) != 0)
		overlay_move_relation(overlay, index, relation->nspname, name);
	if (contype != CONSTRAINT_PRIMARY)
		return;
	foreach(cell, overlay_key_columns(overlay, index))
	{
		OverlayColumn *column = overlay_touch_column(relation, lfirst(cell));

		if (column != NULL)
			column->not_null = true;
	}
}

/* Columns that a CHECK says are not NULL, whatever else it says: names. */
static List *
not_null_columns(Node *expression)
{
	List	   *names = NIL;
	ListCell   *cell;

	if (expression == NULL)
		return NIL;
	if (IsA(expression, NullTest))
	{
		NullTest   *test = (NullTest *) expression;
		Node	   *field;

		if (test->nulltesttype != IS_NOT_NULL ||
			!IsA(test->arg, ColumnRef))
			return NIL;
		field = llast(((ColumnRef *) test->arg)->fields);
		return IsA(field, String) ? list_make1(strVal(field)) : NIL;
	}
	if (IsA(expression, BoolExpr) &&
		((BoolExpr *) expression)->boolop == AND_EXPR)
		foreach(cell, ((BoolExpr *) expression)->args)
			names = list_concat(names, not_null_columns(lfirst(cell)));
	return names;
}

static List *
copy_names(OverlayRelation *relation, List *names)
{
	MemoryContext old_context;
	List	   *copy = NIL;
	ListCell   *cell;

	old_context = MemoryContextSwitchTo(GetMemoryChunkContext(relation));
	foreach(cell, names)
		copy = lappend(copy, pstrdup(lfirst(cell)));
	MemoryContextSwitchTo(old_context);
	return copy;
}

/* Collects the columns of a raw expression, as String nodes, each once. */
static bool
columns_walker(Node *node, void *context)
{
	List	  **columns = context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *field = llast(((ColumnRef *) node)->fields);

		if (IsA(field, String))
			*columns = list_append_unique(*columns, field);
		return false;
	}
	return raw_expression_tree_walker(node, columns_walker, context);
}

/* String nodes joined as in the names that PostgreSQL makes up. */
static char *
join_names(List *names)
{
	StringInfoData joined;
	ListCell   *cell;

	if (names == NIL)
		return NULL;
	initStringInfo(&joined);
	foreach(cell, names)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? "_" : "",
						 strVal(lfirst(cell)));
	return joined.data;
}

/*
 * A name for a part of a relation that the script did not name, as
 * ChooseRelationName() and ChooseConstraintName() would choose it.  addition
 * may be NULL.  Returns it in the current memory context.
 */
char *
overlay_free_name(Overlay *overlay, OverlayRelation *relation,
				  const char *addition, const char *label)
{
	char	   *numbered = pstrdup(label);

	for (int i = 1;; i++)
	{
		char	   *name = makeObjectName(relation->relname, addition,
										  numbered);

		if (!name_is_taken(overlay, relation, name))
			return name;
		numbered = psprintf("%s%d", label, i);
	}
}

static bool
name_is_taken(Overlay *overlay, OverlayRelation *relation, const char *name)
{
	OverlayConstraint *constraint = overlay_find_constraint(relation, name);
	RangeVar   *range_var = makeRangeVar(relation->nspname,
										 unconstify(char *, name), -1);

	if (constraint != NULL && !constraint->dropped)
		return true;
	if (constraint == NULL && OidIsValid(relation->relid) &&
		OidIsValid(get_relation_constraint_oid(relation->relid, name, true)))
		return true;
	return overlay_has_relation(overlay, range_var);
}

/* Sub-commands about constraints; the others change nothing here. */
void
overlay_alter_constraint(Overlay *overlay, OverlayRelation *relation,
						 AlterTableCmd *command)
{
	OverlayConstraint *constraint;

	switch (command->subtype)
	{
		case AT_AddConstraint:
			overlay_add_constraint(overlay, relation,
								   castNode(Constraint, command->def), NULL);
			break;
		case AT_ValidateConstraint:
			constraint = touch_constraint(relation, command->name);
			if (constraint != NULL)
				constraint->validated = true;
			break;
		case AT_DropConstraint:
			drop_constraint(overlay, relation, command->name);
			break;
		case AT_AttachPartition:
			relation->emptied = false;
			break;
		default:				/* nothing that a later statement asks for */
			break;
	}
}

static void
drop_constraint(Overlay *overlay, OverlayRelation *relation, const char *name)
{
	OverlayConstraint *constraint = touch_constraint(relation, name);
	OverlayRelation *index;

	if (constraint == NULL)
		return;
	constraint->dropped = true;
	if (constraint->contype != CONSTRAINT_PRIMARY &&
		constraint->contype != CONSTRAINT_UNIQUE &&
		constraint->contype != CONSTRAINT_EXCLUSION)
		return;
	overlay_load_owned(overlay, relation);
	index = find_owned(relation, name);
	if (index != NULL)
		index->dropped = true;
}

/* An index or sequence of a table by its name, or NULL. */
static OverlayRelation *
find_owned(OverlayRelation *relation, const char *name)
{
	ListCell   *cell;

	foreach(cell, relation->owned)
	{
		OverlayRelation *owned = lfirst(cell);

		if (strcmp(owned->relname, name) == 0 && !owned->dropped)
			return owned;
	}
	return NULL;
}

/* RENAME CONSTRAINT; an index behind it is called the same. */
void
overlay_rename_constraint(Overlay *overlay, OverlayRelation *relation,
						  const char *old_name, const char *new_name)
{
	OverlayConstraint *constraint = touch_constraint(relation, old_name);
	OverlayRelation *index;

	if (constraint == NULL)
		return;
	new_constraint(relation, old_name, constraint->contype)->dropped = true;
	constraint->name = MemoryContextStrdup(overlay->context, new_name);

	overlay_load_owned(overlay, relation);
	index = find_owned(relation, old_name);
	if (index != NULL)
		overlay_move_relation(overlay, index, index->nspname, new_name);
}

/* CREATE INDEX on a table */
void
overlay_add_index(Overlay *overlay, OverlayRelation *table, IndexStmt *stmt)
{
	OverlayRelation *index;
	List	   *names = NIL;
	List	   *keys = NIL;
	ListCell   *cell;
	char	   *name = stmt->idxname;

	foreach(cell, list_concat_copy(stmt->indexParams,
								   stmt->indexIncludingParams))
	{
		IndexElem  *element = lfirst_node(IndexElem, cell);
		char	   *column = element->name;

		if (column != NULL && list_length(names) < list_length(stmt->indexParams))
			keys = lappend(keys, column);
		if (column == NULL)
			column = FigureIndexColname(element->expr);
		names = lappend(names, makeString(column ? column : "expr"));
	}
	if (name == NULL)
		name = overlay_free_name(overlay, table, join_names(names), "idx");
	index = overlay_make_relation(overlay, table->nspname, name,
								  RELKIND_INDEX);
	index->key_columns = copy_names(table, keys);
	overlay_own(table, index);
}
