/*-------------------------------------------------------------------------
 *
 * generated.c
 *	  Values of generated columns that come back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "restore/catalog_diff.h"
#include "restore/generated.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static void compute_column(Oid relid, AttrNumber attnum);
static char *expression_of(Oid relid, AttrNumber attnum);

/*
 * See generated.h.
 */
void
compute_generated_columns(List *differences, HTAB *relations)
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

			if (form->attgenerated == ATTRIBUTE_GENERATED_STORED &&
				!form->attisdropped && relation != NULL &&
				relation->is != NULL && relation->choice == STORAGE_KEPT)
				compute_column(form->attrelid, form->attnum);
		}
	}
}

static void
compute_column(Oid relid, AttrNumber attnum)
{
	OwnAccess	access;
	const char *column = quote_identifier(get_attname(relid, attnum, false));
	char	   *query = psprintf("UPDATE ONLY %s t SET %s = DEFAULT WHERE t.%s::pg_catalog.text IS DISTINCT FROM (%s)::pg_catalog.text",
								 relation_display_name(relid), column, column,
								 expression_of(relid, attnum));

	begin_own_access(&access);
	if (SPI_execute(query, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not compute column %s of %s", column,
			 relation_display_name(relid));
	end_own_access(&access);
	CommandCounterIncrement();
}

/* As SQL, of columns of t. */
static char *
expression_of(Oid relid, AttrNumber attnum)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Node	   *expression = build_column_default(rel, attnum);
	char	   *text;

	if (expression == NULL)
		elog(ERROR, "generated column %d of relation %u has no expression",
			 attnum, relid);
	text = deparse_expression(expression, deparse_context_for("t", relid),
							  true, false);
	table_close(rel, NoLock);
	return text;
}
