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
#include "catalog/pg_attribute.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "executor/spi.h"
#include "optimizer/optimizer.h"
#include "restore/catalog_diff.h"
#include "restore/column_values.h"
#include "restore/empty_values.h"
#include "restore/owner_sql.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static void set_default(Oid relid, AttrNumber attnum,
						const EmptyColumn *empty);
static char *row_condition(const EmptyColumn *empty);
static void compute_column(Oid relid, AttrNumber attnum);

/*
 * See column_values.h.
 */
void
fill_column_values(List *differences, HTAB *relations, List *empty_values,
				   const List *changed_tables)
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
			RestoredRelation *relation = find_restored_relation(relations,
																form->attrelid);

			if (form->attisdropped || form->attnum <= 0 || relation == NULL ||
				relation->is == NULL || relation->choice != STORAGE_KEPT ||
				((Form_pg_class) GETSTRUCT(relation->was))->relkind !=
				RELKIND_RELATION)
				continue;
			if (form->attgenerated == ATTRIBUTE_GENERATED_STORED)
				compute_column(form->attrelid, form->attnum);
			else if (form->attnotnull &&
					 column_was_dropped(differences, form->attrelid,
										form->attnum))
				set_default(form->attrelid, form->attnum,
							list_member_oid(changed_tables, form->attrelid) ?
							NULL : empty_column(empty_values, form->attrelid,
												form->attnum));
		}
	}
}

/*
 * See column_values.h.
 */
bool
column_was_dropped(List *differences, Oid relid, AttrNumber attnum)
{
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid != AttributeRelationId)
			continue;
		foreach(row, difference->added)
		{
			Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(row));

			if (form->attrelid == relid && form->attnum == attnum)
				return form->attisdropped;
		}
	}
	return false;
}

/*
 * Rows that were there have kept their values: only new ones have none.  Which
 * they are may be known.
 */
static void
set_default(Oid relid, AttrNumber attnum, const EmptyColumn *empty)
{
	const char *column = quote_identifier(get_attname(relid, attnum, false));

	if (empty != NULL && empty->is_complete && empty->count == 0)
		return;
	(void) run_as_owner(relid,
						psprintf("UPDATE ONLY %s SET %s = DEFAULT WHERE %s%s IS NULL",
								 relation_display_name(relid), column,
								 empty != NULL && empty->is_complete ?
								 row_condition(empty) : "", column),
						SPI_OK_UPDATE);
}

/* As SQL, with AND. */
static char *
row_condition(const EmptyColumn *empty)
{
	StringInfoData condition;

	initStringInfo(&condition);
	appendStringInfoString(&condition, "ctid OPERATOR(pg_catalog.=) ANY ('{");
	for (int i = 0; i < empty->count; i++)
		appendStringInfo(&condition, "%s\"(%u,%u)\"", i > 0 ? "," : "",
						 ItemPointerGetBlockNumber(&empty->rows[i]),
						 ItemPointerGetOffsetNumber(&empty->rows[i]));
	appendStringInfoString(&condition, "}'::pg_catalog.tid[]) AND ");
	return condition.data;
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
