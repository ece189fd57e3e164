/*-------------------------------------------------------------------------
 *
 * column_values.c
 *	  Values of columns that come back, in rows that had none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "executor/spi.h"
#include "optimizer/optimizer.h"
#include "restore/catalog_diff.h"
#include "restore/column_values.h"
#include "restore/owner_sql.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static bool comes_back_in_place(HTAB *relations, Form_pg_attribute column);
static bool was_dropped(const CatalogDifference *difference,
						Form_pg_attribute column);
static bool is_of_partition(HTAB *relations, Form_pg_attribute column);
static void set_default(Oid relid, AttrNumber attnum);
static void compute_column(Oid relid, AttrNumber attnum);

/*
 * See column_values.h.
 */
void
fill_column_values(List *differences, HTAB *relations)
{
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid != AttributeRelationId)
			continue;
		foreach(row, difference->gone)
		{
			Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(row));

			if (!comes_back_in_place(relations, form))
				continue;
			if (form->attgenerated == ATTRIBUTE_GENERATED_STORED)
				compute_column(form->attrelid, form->attnum);
			else if (form->attnotnull && was_dropped(difference, form))
				set_default(form->attrelid, form->attnum);
		}
	}
}

/* True if the rows of the column's table stay where they are. */
static bool
comes_back_in_place(HTAB *relations, Form_pg_attribute column)
{
	RestoredRelation *relation = find_restored_relation(relations,
														column->attrelid);

	return !column->attisdropped && column->attnum > 0 && relation != NULL &&
		relation->is != NULL && relation->choice == STORAGE_KEPT &&
		((Form_pg_class) GETSTRUCT(relation->was))->relkind ==
		RELKIND_RELATION;
}

static bool
was_dropped(const CatalogDifference *difference, Form_pg_attribute column)
{
	ListCell   *cell;

	foreach(cell, difference->added)
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (form->attrelid == column->attrelid &&
			form->attnum == column->attnum)
			return form->attisdropped;
	}
	return false;
}

/*
 * See column_values.h.
 */
List *
returning_columns(List *differences, HTAB *relations)
{
	List	   *columns = NIL;
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid != AttributeRelationId)
			continue;
		foreach(row, difference->gone)
		{
			Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(row));

			if (comes_back_in_place(relations, form) &&
				is_of_partition(relations, form) &&
				form->attgenerated == '\0' && was_dropped(difference, form))
				columns = lappend(columns, form);
		}
	}
	return columns;
}

static bool
is_of_partition(HTAB *relations, Form_pg_attribute column)
{
	RestoredRelation *relation = find_restored_relation(relations,
														column->attrelid);

	return ((Form_pg_class) GETSTRUCT(relation->was))->relispartition ||
		((Form_pg_class) GETSTRUCT(relation->is))->relispartition;
}

/*
 * Rows that were there have kept their values: only new ones have none.  Of IS
 * NULL, the planner knows by now that it is false.
 */
static void
set_default(Oid relid, AttrNumber attnum)
{
	const char *column = quote_identifier(get_attname(relid, attnum, false));

	(void) run_as_owner(relid, psprintf("UPDATE ONLY %s SET %s = DEFAULT WHERE pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
										relation_display_name(relid), column, column), SPI_OK_UPDATE);
}

/*
 * PostgreSQL computes it only where a column changes on which it depends.  One
 * that depends on none is the same in all rows.
 */
static void
compute_column(Oid relid, AttrNumber attnum)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Node	   *expression = build_column_default(rel, attnum);
	const char *column = quote_identifier(get_attname(relid, attnum, false));
	const char *base;
	Bitmapset  *bases = NULL;
	char	   *text;

	if (expression == NULL)
		elog(ERROR, "generated column %d of relation %u has no expression",
			 attnum, relid);
	pull_varattnos(expression, 1, &bases);
	text = deparse_expression(expression, deparse_context_for("t", relid),
							  true, false);
	table_close(rel, NoLock);
	if (bms_is_empty(bases))
		return;
	base = quote_identifier(get_attname(relid,
										bms_next_member(bases, -1) +
										FirstLowInvalidHeapAttributeNumber,
										false));
	(void) run_as_owner(relid,
						psprintf("UPDATE ONLY %s t SET %s = t.%s WHERE t.%s::pg_catalog.text IS DISTINCT FROM (%s)::pg_catalog.text",
								 relation_display_name(relid), base, base,
								 column, text),
						SPI_OK_UPDATE);
}
