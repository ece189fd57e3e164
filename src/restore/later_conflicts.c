/*-------------------------------------------------------------------------
 *
 * later_conflicts.c
 *	  Later writes that are in the way, or cannot be brought over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "restore/later_columns.h"
#include "restore/later_values.h"
#include "restore/later_writes.h"
#include "restore/owner_sql.h"
#include "restore/rows_between.h"
#include "utils/syscache.h"

/* A row for which it is tried whether it can be written; below 0: all. */
typedef struct ConvertedRow
{
	const LaterWrites *later;
	int64		number;
} ConvertedRow;

static bool migration_deleted_rows(const LaterWrites *later,
								   const RestoreTarget *target);
static bool convert_row(void *arg);

/*
 * See later_writes.h.
 */
void
refuse_ambiguous_rows(const LaterWrites *later, const RestoreTarget *target,
					  RowConflict on_conflict)
{
	refuse_rows_between(later, target, on_conflict);
	if (later->unknown_rows > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back to restore point \"%s\" and keep later writes: " INT64_FORMAT " rows of %s, which has no primary key, were changed or deleted since, and nobody knows which; use mode 'as_of'",
						target->label, later->unknown_rows,
						relation_display_name(later->relid))));
	if (on_conflict != ROW_CONFLICT_REFUSE ||
		!rows_are_ambiguous(later, target))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("cannot roll back to restore point \"%s\": " INT64_FORMAT " rows of %s are gone, and the migration that has rewritten it has deleted rows as well: say on_conflict := 'restore' to have all of them back, or 'keep' for none",
					target->label, later->gone_rows,
					relation_display_name(later->relid))));
}

/*
 * See later_writes.h.
 */
bool
rows_are_ambiguous(const LaterWrites *later, const RestoreTarget *target)
{
	return later->gone != NULL && later->gone_rows > 0 &&
		(later->relation->parked->rows_deleted ||
		 migration_deleted_rows(later, target));
}

/* From the file that was written since. */
static bool
migration_deleted_rows(const LaterWrites *later, const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		deleted;

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(later->relid), false);
	add_own_argument(&arguments, OIDOID,
					 ObjectIdGetDatum(later->relation->parked->filenode),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.changed_rows_relation r "
				  "JOIN migrate.changed_rows c "
				  "ON c.id OPERATOR(pg_catalog.=) r.id "
				  "JOIN migrate.restore_point_data p "
				  "ON p.id OPERATOR(pg_catalog.=) $3 "
				  "WHERE r.relid OPERATOR(pg_catalog.=) $1 "
				  "AND r.filenode OPERATOR(pg_catalog.<>) $2 "
				  "AND r.deleted OPERATOR(pg_catalog.>) 0 "
				  "AND migrate.is_since(c.xid, p.creator, p.data_snapshot))",
				  &arguments, SPI_OK_SELECT);
	deleted = own_bool_column(0, 1);
	end_own_access(&access);
	return deleted;
}

/*
 * See later_writes.h.
 */
int64
count_later_conflicts(const LaterWrites *later)
{
	if (!later->may_conflict || later->key == NIL)
		return 0;
	return count_for_rollback(psprintf("SELECT pg_catalog.count(*) FROM %s t, %s l WHERE %s",
									   relation_display_name(later->relation->parked->holder),
									   later->changed,
									   holder_key_condition(later)));
}

/*
 * See later_writes.h.  Row by row only if not all of them can be written.
 */
int64
count_unrepresentable(const LaterWrites *later)
{
	int64		count = 0;
	ListCell   *cell;
	ConvertedRow row = {later};

	foreach(cell, later->columns)
	{
		LaterColumn *column = lfirst(cell);

		if (!SearchSysCacheExists1(TYPEOID,
								   ObjectIdGetDatum(column->label_typeid)))
			return -1;
		finish_later_column(later, column);
	}
	if (has_pairs(later))
		return count_unknown_values(later);
	row.number = -1;
	if (run_in_subtransaction(convert_row, &row) == NULL)
		return 0;
	for (row.number = 0; row.number < later->changed_rows; row.number++)
	{
		CHECK_FOR_INTERRUPTS();
		if (run_in_subtransaction(convert_row, &row) != NULL)
			count++;
	}
	return count;
}

/* One of the copied rows, or all; throws what PostgreSQL says of its values. */
static bool
convert_row(void *arg)
{
	const ConvertedRow *row = arg;
	const LaterWrites *later = row->later;
	char	   *place = row->number < 0 ? "" :
	psprintf(" ORDER BY l.ctid OFFSET " INT64_FORMAT " LIMIT 1", row->number);

	(void) run_as_owner(later->relid, psprintf("SELECT pg_catalog.count(ROW(%s)::pg_catalog.text) FROM (SELECT * FROM %s l%s) l",
											   written_column_list(later),
											   later->changed, place), SPI_OK_SELECT);
	return false;
}
