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
#include "common/errors.h"
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

static bool comes_back_in_place(HTAB *relations, Form_pg_attribute column);
static bool complete_rows(Form_pg_attribute form, const EmptyColumn *empty,
						  RowConflict on_conflict);
static bool has_default(Form_pg_attribute form);
static char *row_condition(const EmptyColumn *empty);
static void compute_column(Oid relid, AttrNumber attnum);

/*
 * See column_values.h.
 */
List *
fill_column_values(List *differences, HTAB *relations, List *empty_values,
				   List *changed_tables, RowConflict on_conflict)
{
	List	   *changed = list_copy(changed_tables);
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
			else if (form->attnotnull &&
					 column_was_dropped(differences, form->attrelid,
										form->attnum) &&
					 complete_rows(form,
								   list_member_oid(changed_tables, form->attrelid) ? NULL :
								   empty_column(empty_values, form->attrelid,
												form->attnum), on_conflict))
				changed = list_append_unique_oid(changed, form->attrelid);
		}
	}
	return changed;
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
 * they are may be known.  Returns true if they were deleted.
 */
static bool
complete_rows(Form_pg_attribute form, const EmptyColumn *empty,
			  RowConflict on_conflict)
{
	char	   *table = relation_display_name(form->attrelid);
	char	   *column = pstrdup(quote_identifier(NameStr(form->attname)));
	char	   *condition;
	int64		count;

	if (empty != NULL && empty->is_complete && empty->count == 0)
		return false;

	/* of IS NULL, the planner knows by now that it is false */
	condition = psprintf("%spg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
						 empty != NULL && empty->is_complete ?
						 row_condition(empty) : "", column);
	if (has_default(form))
	{
		(void) run_as_owner(form->attrelid,
							psprintf("UPDATE ONLY %s SET %s = DEFAULT WHERE %s",
									 table, column, condition),
							SPI_OK_UPDATE);
		return false;
	}
	count = count_as_owner(form->attrelid,
						   psprintf("SELECT pg_catalog.count(*) FROM ONLY %s WHERE %s",
									table, condition));
	if (count == 0)
		return false;
	if (on_conflict != ROW_CONFLICT_RESTORE)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back: " INT64_FORMAT " rows that clients have inserted into %s since have no value for column %s, which was NOT NULL and has no default; delete them, or say on_conflict := 'restore' to have that done",
						count, table, column)));
	ereport(WARNING,
			(errmsg("deleting " INT64_FORMAT " rows that clients have inserted into %s since: they have no value for column %s, which was NOT NULL and has no default",
					count, table, column)));
	(void) run_as_owner(form->attrelid,
						psprintf("DELETE FROM ONLY %s WHERE %s", table,
								 condition), SPI_OK_DELETE);
	return true;
}

/* The generated value of an identity column is one. */
static bool
has_default(Form_pg_attribute form)
{
	Relation	rel = table_open(form->attrelid, AccessShareLock);
	bool		result = build_column_default(rel, form->attnum) != NULL;

	table_close(rel, NoLock);
	return result;
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
						psprintf("UPDATE ONLY %s t SET %s = t.%s WHERE ARRAY[t.%s::pg_catalog.text] OPERATOR(pg_catalog.<>) ARRAY[(%s)::pg_catalog.text]",
								 relation_display_name(relid), base, base,
								 column, text),
						SPI_OK_UPDATE);
}
