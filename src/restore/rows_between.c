/*-------------------------------------------------------------------------
 *
 * rows_between.c
 *	  What clients have written to a file that a table had in between.
 *
 * The second of two migrations that rewrite a table stamps what clients have
 * written since the first one as its own, and one that empties it leaves nothing
 * of that.  To go back by one migration at a time loses nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "restore/later_values.h"
#include "restore/rows_between.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

/* A file that a migration has taken from the table. */
typedef struct FileBetween
{
	Oid			holder;
	char	   *label;			/* of the last point before that, or NULL */
} FileBetween;

static List *find_files_between(const LaterWrites *later,
								const RestoreTarget *target);
static int64 count_rows_of_file(const LaterWrites *later,
								const FileBetween *file);

/*
 * See rows_between.h.
 */
int64
count_rows_between(const LaterWrites *later, const RestoreTarget *target)
{
	int64		count = 0;
	ListCell   *cell;

	foreach(cell, find_files_between(later, target))
		count += count_rows_of_file(later, lfirst(cell));
	return count;
}

/*
 * See rows_between.h.
 */
bool
file_between_is_lost(const LaterWrites *later, const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(later->relid), false);
	add_own_argument(&arguments, XID8OID,
					 FullTransactionIdGetDatum(later->relation->parked->xid),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.replaced_files f "
				  "WHERE f.relid OPERATOR(pg_catalog.=) $1 "
				  "AND f.by_migration AND NOT f.by_rollback "
				  "AND f.xid OPERATOR(pg_catalog.>) $2 "
				  "AND NOT EXISTS (SELECT FROM migrate.rollbacks_since($3) b "
				  "WHERE f.xid OPERATOR(pg_catalog.<) b.xid AND "
				  "migrate.is_since(f.xid, b.target_creator, "
				  "b.target_snapshot)) "
				  "AND NOT EXISTS (SELECT FROM migrate.parked_storage s "
				  "WHERE s.relid OPERATOR(pg_catalog.=) f.relid "
				  "AND s.xid OPERATOR(pg_catalog.=) f.xid))",
				  &arguments, SPI_OK_SELECT);
	result = own_bool_column(0, 1);
	end_own_access(&access);
	return result;
}

/*
 * See rows_between.h.
 */
void
refuse_rows_between(const LaterWrites *later, const RestoreTarget *target,
					RowConflict on_conflict)
{
	ListCell   *cell;

	if (on_conflict == ROW_CONFLICT_REFUSE &&
		file_between_is_lost(later, target))
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back to restore point \"%s\" and keep later writes: migrations have rewritten or emptied %s more than once, with no restore point between, and what clients have written in between is not known; say on_conflict := 'keep' to go on without that, or use mode 'as_of'",
						target->label, relation_display_name(later->relid))));

	foreach(cell, find_files_between(later, target))
	{
		const FileBetween *file = lfirst(cell);
		int64		count = count_rows_of_file(later, file);

		if (count > 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_CANNOT_UNDO),
					 errmsg("cannot roll back to restore point \"%s\" and keep later writes: " INT64_FORMAT " rows of %s were written by clients between migrations that have rewritten or emptied it; %suse mode 'as_of'",
							target->label, count,
							relation_display_name(later->relid),
							file->label == NULL ? "" :
							psprintf("CALL migrate.rollback_to(%s) first, and then this one, or ",
									 quote_literal_cstr(file->label)))));
	}
}

/* Of FileBetween, the newest first.  What a rollback gives up, it carries over. */
static List *
find_files_between(const LaterWrites *later, const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *files = NIL;

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(later->relid), false);
	add_own_argument(&arguments, XID8OID,
					 FullTransactionIdGetDatum(later->relation->parked->xid),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT s.holder::bigint, "
				  "(SELECT p.label FROM migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.>) $3 "
				  "AND p.kind OPERATOR(pg_catalog.<>) 'statement' "
				  "AND migrate.is_since(s.xid, p.creator, p.data_snapshot) "
				  "ORDER BY p.id DESC LIMIT 1) "
				  "FROM migrate.parked_storage s JOIN pg_catalog.pg_class c "
				  "ON c.oid OPERATOR(pg_catalog.=) s.holder "
				  "WHERE s.relid OPERATOR(pg_catalog.=) $1 "
				  "AND s.by_migration AND s.xid OPERATOR(pg_catalog.>) $2 "
				  "AND NOT EXISTS (SELECT FROM migrate.rollbacks b "
				  "WHERE b.xid OPERATOR(pg_catalog.=) s.xid) "
				  "ORDER BY s.xid DESC",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		FileBetween *file = palloc(sizeof(FileBetween));

		file->holder = (Oid) own_bigint_column(row, 1);
		file->label = own_text_column(&access, row, 2);
		files = lappend(files, file);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return files;
}

static int64
count_rows_of_file(const LaterWrites *later, const FileBetween *file)
{
	return count_for_rollback(psprintf("SELECT pg_catalog.count(*) FROM %s c WHERE %s",
									   relation_display_name(file->holder),
									   later->condition));
}
