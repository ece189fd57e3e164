/*-------------------------------------------------------------------------
 *
 * loss.c
 *	  What is lost to restore points, for one because nothing is to be kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "catalog/storage.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "preserve/catalog_image.h"
#include "preserve/loss.h"
#include "preserve/point.h"

static void mark_point(int64 point, CompatFile *files, int count);
static bool is_needed(Form_pg_class form, CompatFile *files, int count);

/*
 * See loss.h.
 */
void
mark_losses(bool by_migration)
{
	CompatFile *files;
	int			count = smgrGetPendingDeletes(true, &files);
	List	   *points = living_points();
	ListCell   *cell;

	if (points == NIL)
		return;
	if (by_migration)
		mark_incomplete(ALL_FULL_POINTS,
						"a migration ran while safe_migrate.restore_points was off, so that rows which it changed are not kept");
	foreach(cell, points)
		mark_point(*(int64 *) lfirst(cell), files, count);
}

/* The first such table will do. */
static void
mark_point(int64 point, CompatFile *files, int count)
{
	List	   *rows = count == 0 ? NIL :
	load_catalog_rows(point, RelationRelationId);
	ListCell   *cell;

	foreach(cell, rows)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT((HeapTuple) lfirst(cell));

		if (!is_needed(form, files, count))
			continue;
		mark_incomplete(point,
						psprintf("\"%s\" was dropped, truncated or rewritten while safe_migrate.restore_points was off",
								 NameStr(form->relname)));
		break;
	}
	list_free_deep(rows);
}

/* An index can be built again. */
static bool
is_needed(Form_pg_class form, CompatFile *files, int count)
{
	if (form->relkind == RELKIND_INDEX || !OidIsValid(form->relfilenode))
		return false;
	for (int i = 0; i < count; i++)
	{
		if (compat_file_number(files[i]) == form->relfilenode &&
			compat_file_database(files[i]) == MyDatabaseId)
			return true;
	}
	return false;
}

/*
 * See loss.h.
 */
void
mark_incomplete(int64 point, const char *problem)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point),
					 point == ALL_FULL_POINTS);
	add_own_text(&arguments, problem);
	run_own_query("UPDATE migrate.restore_point_data SET is_complete = false, "
				  "problem = pg_catalog.concat_ws('; ', problem, $2) "
				  "WHERE CASE WHEN $1 IS NULL "
				  "THEN kind OPERATOR(pg_catalog.<>) 'statement' "
				  "ELSE id OPERATOR(pg_catalog.=) $1 END "
				  "AND COALESCE(pg_catalog.strpos(problem, $2), 0) "
				  "OPERATOR(pg_catalog.=) 0",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
