/*-------------------------------------------------------------------------
 *
 * later_values.c
 *	  Old values of columns whose type was changed with an expression.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/errors.h"
#include "lib/stringinfo.h"
#include "restore/later_columns.h"
#include "restore/later_values.h"

static void collect_pairs_of_column(const LaterWrites *later,
									LaterColumn *column);
static int64 count_unknown_of_column(const LaterWrites *later,
									 const LaterColumn *column);

/*
 * See later_values.h.
 */
void
collect_pairs(LaterWrites *later)
{
	ListCell   *cell;

	if (!later->relation->parked->columns_computed || later->was_truncated ||
		later->key == NIL)
		return;
	foreach(cell, later->columns)
	{
		LaterColumn *column = lfirst(cell);

		if (column->is_retyped && !list_member_ptr(later->key, column))
			collect_pairs_of_column(later, column);
	}
}

static void
collect_pairs_of_column(const LaterWrites *later, LaterColumn *column)
{
	char	   *name = psprintf("safe_migrate_pairs_%u_%d", later->relid,
								column->attnum);
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	appendStringInfo(&query, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT DISTINCT %s AS was, %s AS now FROM %s h JOIN ONLY %s c ON ",
					 name,
					 text_of_value(psprintf("h.%s", column->holder_name)),
					 text_of_value(psprintf("c.%s", column->name)),
					 relation_display_name(later->relation->parked->holder),
					 relation_display_name(later->relid));
	foreach(cell, later->key)
	{
		const LaterColumn *key = lfirst(cell);

		appendStringInfo(&query, "%sc.%s %s h.%s::%s",
						 foreach_current_index(cell) ? " AND " : "", key->name,
						 key->equals, key->holder_name, key->type);
	}
	appendStringInfo(&query, " WHERE NOT (%s)", later->condition);
	column->pairs = psprintf("pg_temp.%s", name);
	(void) make_later_table(later, column->pairs, query.data);
}

/*
 * See later_values.h.
 */
bool
has_pairs(const LaterWrites *later)
{
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		if (((LaterColumn *) lfirst(cell))->pairs != NULL)
			return true;
	}
	return false;
}

/*
 * See later_values.h.  Counts a row once for each such column.
 */
int64
count_unknown_values(const LaterWrites *later)
{
	int64		count = 0;
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		if (((LaterColumn *) lfirst(cell))->pairs != NULL)
			count += count_unknown_of_column(later, lfirst(cell));
	}
	return count;
}

/*
 * See later_values.h.
 */
char *
holder_key_condition(const LaterWrites *later)
{
	StringInfoData condition;
	ListCell   *cell;

	initStringInfo(&condition);
	foreach(cell, later->key)
	{
		const LaterColumn *key = lfirst(cell);

		appendStringInfo(&condition, "%sl.c%d %s t.%s::%s",
						 foreach_current_index(cell) ? " AND " : "",
						 key->attnum, key->equals, key->holder_name,
						 key->type);
	}
	return condition.data;
}

static int64
count_unknown_of_column(const LaterWrites *later, const LaterColumn *column)
{
	char	   *copy = text_of_value(psprintf("l.c%d", column->attnum));

	return count_for_rollback(psprintf("SELECT pg_catalog.count(*) FROM %s l LEFT JOIN %s t ON %s WHERE NOT EXISTS (SELECT FROM %s p WHERE ARRAY[p.was, p.now] OPERATOR(pg_catalog.=) ARRAY[%s, %s]) AND (SELECT pg_catalog.count(*) FROM %s p WHERE ARRAY[p.now] OPERATOR(pg_catalog.=) ARRAY[%s]) OPERATOR(pg_catalog.<>) 1",
									   later->changed,
									   relation_display_name(later->relation->parked->holder),
									   holder_key_condition(later),
									   column->pairs,
									   text_of_value(psprintf("t.%s",
															  column->holder_name)),
									   copy, column->pairs, copy));
}

/*
 * See later_values.h.
 */
void
refuse_unknown_values(const LaterWrites *later)
{
	int64		count = has_pairs(later) ? count_unknown_values(later) : 0;

	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back and keep later writes: " INT64_FORMAT " values that clients have written to %s have no way back through the expression by which a migration has changed the type; change those rows, or use mode 'as_of'",
						count, relation_display_name(later->relid))));
}
