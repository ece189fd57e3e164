/*-------------------------------------------------------------------------
 *
 * changed_rows.c
 *	  The rows that a migration changes, kept as they were.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "preserve/changed_rows.h"
#include "preserve/row_images.h"
#include "preserve/row_scan.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* A file in which rows may have changed. */
typedef struct WrittenFile
{
	Oid			relid;			/* of the table whose file it is, or was */
	Oid			holder;			/* of a parked file; else InvalidOid */
	Oid			filenode;
	FoundRows	found;
} WrittenFile;

static List *written_files(void);
static bool may_be_undone(Form_pg_class form);
static bool rows_were_written(Oid relid);
static List *written_parked_files(List *files);
static bool was_written_before(Oid relid);
static void note_foreign_table(Form_pg_class form);
static void capture_file(WrittenFile *file, RowImageWriter *writer);
static bool is_heap(Relation rel);
static void check_found(Relation rel, const FoundRows *found,
						const PgStat_TableXactStatus *counted);
static void store_changed_rows(Oid holder, List *files, bool by_rollback);
static void store_file(int64 id, WrittenFile *file);
static void read_transactions(ChangedRows *rows);

/*
 * See changed_rows.h.
 */
void
capture_changed_rows(bool by_rollback)
{
	List	   *files;
	ListCell   *cell;
	RowImageWriter *writer;
	Oid			holder;

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	files = written_parked_files(written_files());
	if (files == NIL)
		return;
	writer = begin_row_images();
	foreach(cell, files)
		capture_file(lfirst(cell), writer);
	holder = end_row_images(writer);
	if (OidIsValid(holder))
		store_changed_rows(holder, files, by_rollback);
	list_free_deep(files);
}

/* Tables to which this transaction may have written rows. */
static List *
written_files(void)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *files = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		WrittenFile *file;

		if (!may_be_undone(form))
			continue;
		if (form->relkind == RELKIND_FOREIGN_TABLE)
			note_foreign_table(form);
		else if (rows_were_written(form->oid))
		{
			file = palloc0(sizeof(WrittenFile));
			file->relid = form->oid;
			file->filenode = form->relfilenode;
			files = lappend(files, file);
		}
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	return files;
}

/* Catalogs come back in another way, temporary tables not at all. */
static bool
may_be_undone(Form_pg_class form)
{
	if (form->oid < FirstNormalObjectId ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	if (form->relkind != RELKIND_RELATION &&
		form->relkind != RELKIND_MATVIEW &&
		form->relkind != RELKIND_FOREIGN_TABLE)
		return false;
	return form->relnamespace != get_namespace_oid(MIGRATE_SCHEMA, true) ||
		!extension_owns_relation(form->oid);
}

/*
 * By the counters of pgstat, or by the lock: track_counts may have been off.
 */
static bool
rows_were_written(Oid relid)
{
	PgStat_TableXactStatus *counted = compat_transaction_counters(relid);

	return (counted != NULL &&
			(counted->tuples_inserted > 0 || counted->tuples_updated > 0 ||
			 counted->tuples_deleted > 0)) ||
		writers_lock_is_held(relid);
}

/*
 * See changed_rows.h.  INSERT, UPDATE and DELETE keep their lock to the end.  No
 * other statement takes the same one.
 */
bool
writers_lock_is_held(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return compat_lock_held_by_me(&tag, RowExclusiveLock);
}

/*
 * Files that this transaction has taken from their tables after it had changed
 * rows in them: if a file comes back, so do its rows.
 */
static List *
written_parked_files(List *files)
{
	OwnArguments arguments = {0};
	OwnAccess	access;

	begin_own_access(&access);
	run_own_query("SELECT relid::pg_catalog.int8, holder::pg_catalog.int8,"
				  " filenode::pg_catalog.int8 FROM migrate.parked_storage"
				  " WHERE xid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()"
				  " AND kind OPERATOR(pg_catalog.=) ANY ('{r,m}')",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Oid			relid = (Oid) own_bigint_column(row, 1);
		WrittenFile *file;

		if (!was_written_before(relid))
			continue;
		file = MemoryContextAllocZero(access.caller, sizeof(WrittenFile));
		file->relid = relid;
		file->holder = (Oid) own_bigint_column(row, 2);
		file->filenode = (Oid) own_bigint_column(row, 3);
		MemoryContextSwitchTo(access.caller);
		files = lappend(files, file);
	}
	end_own_access(&access);
	return files;
}

/*
 * TRUNCATE and DROP keep the counters from before apart, but those of a
 * subtransaction are lost with it.
 */
static bool
was_written_before(Oid relid)
{
	PgStat_TableXactStatus *counted = compat_transaction_counters(relid);

	return (counted != NULL && counted->truncdropped &&
			(counted->inserted_pre_truncdrop > 0 ||
			 counted->updated_pre_truncdrop > 0 ||
			 counted->deleted_pre_truncdrop > 0)) ||
		writers_lock_is_held(relid);
}

/* Whether rows have changed there is known to the other server alone. */
static void
note_foreign_table(Form_pg_class form)
{
	if (writers_lock_is_held(form->oid))
		set_points_incomplete(psprintf("a migration wrote to foreign table %s",
									   relation_display_name(form->oid)));
}

/* What is in a new file was not there before, and goes with the file. */
static void
capture_file(WrittenFile *file, RowImageWriter *writer)
{
	bool		is_parked = OidIsValid(file->holder);
	Relation	rel = table_open(is_parked ? file->holder : file->relid,
								 AccessShareLock);
	PgStat_TableXactStatus *counted = compat_transaction_counters(file->relid);

	if (!is_parked && compat_storage_is_new(rel))
		;
	else if (!is_heap(rel))
		set_points_incomplete(psprintf("a migration changed rows of table %s, which is no heap",
									   relation_display_name(file->relid)));
	else
	{
		begin_file_images(writer, file->relid, file->filenode);
		write_changed_rows(rel, writer, &file->found);
		if (!is_parked && counted != NULL && !counted->truncdropped)
			check_found(rel, &file->found, counted);
	}
	table_close(rel, AccessShareLock);
}

static bool
is_heap(Relation rel)
{
	return rel->rd_tableam == GetHeapamTableAmRoutine();
}

/*
 * No less may be found than was counted, while more was if track_counts was off
 * for a time.  A row that INSERT ... ON CONFLICT took back, because another
 * session was faster, is counted as inserted and deleted.
 */
static void
check_found(Relation rel, const FoundRows *found,
			const PgStat_TableXactStatus *counted)
{
	int64		made = counted->tuples_inserted + counted->tuples_updated;
	int64		replaced = counted->tuples_updated + counted->tuples_deleted;

	if (found->made + found->taken_back >= made &&
		found->replaced + found->taken_back >= replaced)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("changed rows of table \"%s\" could not be kept for the restore point; run the migration again",
					RelationGetRelationName(rel)),
			 errdetail("%lld new and %lld old versions of rows were found, %lld inserted, %lld updated and %lld deleted rows were counted.",
					   (long long) found->made, (long long) found->replaced,
					   (long long) counted->tuples_inserted,
					   (long long) counted->tuples_updated,
					   (long long) counted->tuples_deleted)));
}

static void
store_changed_rows(Oid holder, List *files, bool by_rollback)
{
	OwnArguments arguments = {0};
	OwnAccess	access;
	ListCell   *cell;
	int64		id;

	begin_own_access(&access);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(holder), false);
	add_own_subtransactions(&arguments);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(by_rollback), false);
	run_own_query("INSERT INTO migrate.changed_rows"
				  " (holder, subxids, by_rollback, bytes)"
				  " VALUES ($1, $2, $3, pg_catalog.pg_relation_size("
				  "$1::pg_catalog.regclass)) RETURNING id",
				  &arguments, SPI_OK_INSERT_RETURNING);
	id = own_bigint_column(0, 1);
	foreach(cell, files)
		store_file(id, lfirst(cell));
	end_own_access(&access);
}

static void
store_file(int64 id, WrittenFile *file)
{
	OwnArguments arguments = {0};

	if (file->found.updated == 0 && file->found.deleted == 0 &&
		file->found.inserted == 0)
		return;
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(file->relid), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(file->filenode),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(file->found.updated),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(file->found.deleted),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(file->found.inserted),
					 false);
	run_own_query("INSERT INTO migrate.changed_rows_relation"
				  " (id, relid, filenode, updated, deleted, inserted)"
				  " VALUES ($1, $2, $3, $4, $5, $6)",
				  &arguments, SPI_OK_INSERT);
}

/*
 * See changed_rows.h.
 */
void
count_changed_rows(void)
{
	(void) set_config_option("track_counts", "on", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * See changed_rows.h.
 */
ChangedRows *
find_changed_rows(int64 id)
{
	ChangedRows *rows = palloc0(sizeof(ChangedRows));
	OwnArguments arguments = {0};
	OwnAccess	access;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("SELECT holder::pg_catalog.int8,"
				  " pg_catalog.array_append(subxids, xid::pg_catalog.xid)"
				  " FROM migrate.changed_rows"
				  " WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "no changed rows %lld are kept", (long long) id);
	rows->id = id;
	rows->holder = (Oid) own_bigint_column(0, 1);
	MemoryContextSwitchTo(access.caller);
	read_transactions(rows);
	end_own_access(&access);
	return rows;
}

static void
read_transactions(ChangedRows *rows)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 2, &isnull);
	ArrayType  *array = DatumGetArrayTypePCopy(value);

	rows->xid_count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	rows->xids = (TransactionId *) ARR_DATA_PTR(array);
	qsort(rows->xids, rows->xid_count, sizeof(TransactionId), xidComparator);
}

/*
 * See changed_rows.h.
 */
void
set_points_incomplete(const char *reason)
{
	OwnArguments arguments = {0};
	OwnAccess	access;

	begin_own_access(&access);
	add_own_text(&arguments, reason);
	run_own_query("UPDATE migrate.restore_point_data SET is_complete = false,"
				  " problem = pg_catalog.concat_ws('; ', problem, $1)"
				  " WHERE kind OPERATOR(pg_catalog.<>) 'statement' "
				  "AND COALESCE(pg_catalog.strpos(problem, $1), 0) "
				  "OPERATOR(pg_catalog.=) 0",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
