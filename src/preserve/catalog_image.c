/*-------------------------------------------------------------------------
 *
 * catalog_image.c
 *	  The rows of the system catalogs as they were at a restore point.
 *
 * A part of an image is a sequence of rows, each its length (uint32) and its
 * bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "preserve/catalog_image.h"
#include "preserve/catalogs.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Bytes after which a part ends. */
#define PART_BYTES	(1024 * 1024)

/* What is written of one catalog. */
typedef struct ImageWriter
{
	int64		point;
	Oid			catalog;
	int			part;
	int			row_count;
	StringInfoData rows;
	MemoryContext row_context;	/* reset after each row */
} ImageWriter;

static int64 save_rows(int64 point, bool changed_only);
static int64 save_catalog(ImageWriter *writer, HTAB *left_out,
						  const Catalog *catalog, Snapshot snapshot);
static int64 save_changes(ImageWriter *writer, HTAB *left_out,
						  const Catalog *catalog);
static bool was_ended_by_us(HeapTuple row);
static void add_row(ImageWriter *writer, Relation rel, HeapTuple row);
static void write_part(ImageWriter *writer);
static List *split_part(List *rows, bytea *part);

/*
 * See catalog_image.h.
 */
void
save_catalog_image(int64 point)
{
	(void) save_rows(point, false);
}

/*
 * See catalog_image.h.
 */
bool
save_catalog_changes(int64 point)
{
	return save_rows(point, true) > 0;
}

/* Returns the number of rows. */
static int64
save_rows(int64 point, bool changed_only)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate catalog image",
												  ALLOCSET_DEFAULT_SIZES);
	ImageWriter writer = {0};
	List	   *catalogs;
	ListCell   *cell;
	HTAB	   *left_out;
	Snapshot	snapshot;
	int64		count = 0;

	MemoryContextSwitchTo(context);
	writer.point = point;
	writer.row_context = AllocSetContextCreate(context,
											   "safe_migrate catalog row",
											   ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&writer.rows);
	left_out = begin_left_out();
	catalogs = list_catalogs();

	/* one for all: a schema change of others is in all of them or in none */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(cell, catalogs)
	{
		const Catalog *catalog = lfirst(cell);

		writer.catalog = catalog->relid;
		writer.part = 0;
		count += changed_only ? save_changes(&writer, left_out, catalog) :
			save_catalog(&writer, left_out, catalog, snapshot);
		if (writer.row_count > 0)
			write_part(&writer);
	}
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return count;
}

static int64
save_catalog(ImageWriter *writer, HTAB *left_out, const Catalog *catalog,
			 Snapshot snapshot)
{
	Relation	rel = table_open(catalog->relid, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	row;
	int64		count = 0;

	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		if (row_is_left_out(left_out, catalog, rel, row))
			continue;
		add_row(writer, rel, row);
		count++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return count;
}

/*
 * What this transaction has replaced or deleted is still there: no vacuum
 * removes a row whose deleter is at work.
 */
static int64
save_changes(ImageWriter *writer, HTAB *left_out, const Catalog *catalog)
{
	Relation	rel = table_open(catalog->relid, AccessShareLock);
	TableScanDesc scan;
	HeapTuple	row;
	int64		count = 0;

	scan = compat_beginscan(rel, SnapshotAny);
	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		if (!was_ended_by_us(row) ||
			row_is_left_out(left_out, catalog, rel, row))
			continue;
		add_row(writer, rel, row);
		count++;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return count;
}

/* True for a row of before this transaction that ends with it. */
static bool
was_ended_by_us(HeapTuple row)
{
	HeapTupleHeader header = row->t_data;

	if ((header->t_infomask & HEAP_XMAX_INVALID) ||
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return false;
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)) &&
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(header));
}

static void
add_row(ImageWriter *writer, Relation rel, HeapTuple row)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->row_context);
	HeapTuple	plain = plain_row(rel, row);
	uint32		length = plain->t_len;

	appendBinaryStringInfo(&writer->rows, (char *) &length, sizeof(length));
	appendBinaryStringInfo(&writer->rows, (char *) plain->t_data, length);
	writer->row_count++;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(writer->row_context);
	if (writer->rows.len >= PART_BYTES)
		write_part(writer);
}

static void
write_part(ImageWriter *writer)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bytea	   *rows = palloc(VARHDRSZ + writer->rows.len);

	SET_VARSIZE(rows, VARHDRSZ + writer->rows.len);
	memcpy(VARDATA(rows), writer->rows.data, writer->rows.len);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(writer->point), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(writer->catalog),
					 false);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(writer->part), false);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(writer->row_count),
					 false);
	add_own_argument(&arguments, BYTEAOID, PointerGetDatum(rows), false);
	begin_own_access(&access);
	run_own_query("INSERT INTO migrate.restore_catalog "
				  "(point, catalog, part, row_count, rows) "
				  "VALUES ($1, $2, $3, $4, $5)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
	pfree(rows);

	writer->part++;
	writer->row_count = 0;
	resetStringInfo(&writer->rows);
}

/*
 * See catalog_image.h.
 */
List *
load_catalog_rows(int64 point, Oid catalog)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *rows = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(catalog), false);
	begin_own_access(&access);
	run_own_query("SELECT rows FROM migrate.restore_catalog "
				  "WHERE point OPERATOR(pg_catalog.=) $1 "
				  "AND catalog OPERATOR(pg_catalog.=) $2 ORDER BY part",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		part = SPI_getbinval(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext spi = MemoryContextSwitchTo(access.caller);

		rows = split_part(rows, DatumGetByteaPP(part));
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return rows;
}

/* Append copies of the rows of a part, in the current memory context. */
static List *
split_part(List *rows, bytea *part)
{
	const char *position = VARDATA_ANY(part);
	const char *end = position + VARSIZE_ANY_EXHDR(part);

	while (position < end)
	{
		uint32		length;
		HeapTuple	row;

		memcpy(&length, position, sizeof(length));
		position += sizeof(length);
		if (length < SizeofHeapTupleHeader || length > end - position)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the catalog rows of a restore point are damaged")));
		row = palloc(HEAPTUPLESIZE + length);
		row->t_len = length;
		ItemPointerSetInvalid(&row->t_self);
		row->t_tableOid = InvalidOid;
		row->t_data = (HeapTupleHeader) ((char *) row + HEAPTUPLESIZE);
		memcpy(row->t_data, position, length);
		position += length;
		rows = lappend(rows, row);
	}
	return rows;
}
