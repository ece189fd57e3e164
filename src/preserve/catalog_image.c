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
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "preserve/catalog_image.h"
#include "preserve/catalogs.h"
#include "preserve/transaction_start.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Bytes after which a part ends. */
#define PART_BYTES	(1024 * 1024)

/*
 * In the column "catalog" of migrate.restore_catalog, in the place of an OID,
 * which these are not: rows of pg_class that are no part of the image.
 */
#define CONCERNED_RELATIONS	((Oid) 1)
#define FAR_RELATIONS		((Oid) 2)

/* What is written of one catalog. */
typedef struct ImageWriter
{
	int64		point;
	Oid			catalog;
	int			row_count;
	StringInfoData rows;
	MemoryContext row_context;	/* reset after each row */
	HTAB	   *concerned;		/* of ConcernedRelation, or NULL */
	List	   *earlier_xids;
} ImageWriter;

/* What rows that have changed are about. */
typedef struct ConcernedRelation
{
	Oid			relid;			/* key */
	bool		is_changed;		/* so is its own row */
	bool		is_far;			/* it is only the other end */
} ConcernedRelation;

static int64 save_rows(ImageWriter *writer);
static int64 save_catalog(ImageWriter *writer, HTAB *left_out,
						  const Catalog *catalog, Snapshot snapshot);
static int64 save_changes(ImageWriter *writer, HTAB *left_out,
						  const Catalog *catalog);
static bool was_ended_by_us(HeapTuple row, List *earlier_xids);
static void note_relations(ImageWriter *writer, const Catalog *catalog,
						   Relation rel, HeapTuple row);
static void note_relation(ImageWriter *writer, Oid relid, bool is_changed,
						  bool is_far);
static void save_concerned(ImageWriter *writer, HTAB *left_out, Oid part_of,
						   bool is_far);
static void add_row(ImageWriter *writer, Relation rel, HeapTuple row);
static void write_part(ImageWriter *writer);
static List *split_part(List *rows, bytea *part);

/*
 * See catalog_image.h.
 */
void
save_catalog_image(int64 point)
{
	ImageWriter writer = {0};

	writer.point = point;
	(void) save_rows(&writer);
}

/*
 * See catalog_image.h.
 */
bool
save_catalog_changes(int64 point, List *earlier_xids)
{
	ImageWriter writer = {0};
	HASHCTL		control = {0};
	bool		found;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(ConcernedRelation);
	control.hcxt = CurrentMemoryContext;
	writer.point = point;
	writer.concerned = hash_create("safe_migrate concerned relations", 64,
								   &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	writer.earlier_xids = earlier_xids;
	found = save_rows(&writer) > 0;
	hash_destroy(writer.concerned);
	return found;
}

/* Returns the number of rows. */
static int64
save_rows(ImageWriter *writer)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate catalog image",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *catalogs;
	ListCell   *cell;
	HTAB	   *left_out;
	Snapshot	snapshot;
	int64		count = 0;

	MemoryContextSwitchTo(context);
	writer->row_context = AllocSetContextCreate(context,
												"safe_migrate catalog row",
												ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&writer->rows);
	left_out = begin_left_out();
	catalogs = list_catalogs();

	/* one for all: a schema change of others is in all of them or in none */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(cell, catalogs)
	{
		const Catalog *catalog = lfirst(cell);

		writer->catalog = catalog->relid;
		count += writer->concerned ? save_changes(writer, left_out, catalog) :
			save_catalog(writer, left_out, catalog, snapshot);
		if (writer->row_count > 0)
			write_part(writer);
	}
	UnregisterSnapshot(snapshot);
	if (writer->concerned != NULL)
	{
		save_concerned(writer, left_out, CONCERNED_RELATIONS, false);
		save_concerned(writer, left_out, FAR_RELATIONS, true);
	}
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
		if (!was_ended_by_us(row, writer->earlier_xids) ||
			row_is_left_out(left_out, catalog, rel, row))
			continue;
		note_relations(writer, catalog, rel, row);
		add_row(writer, rel, row);
		count++;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return count;
}

/* True for a row of before this transaction, and those, that ends with it. */
static bool
was_ended_by_us(HeapTuple row, List *earlier_xids)
{
	HeapTupleHeader header = row->t_data;
	TransactionId made_by = HeapTupleHeaderGetRawXmin(header);

	if ((header->t_infomask & HEAP_XMAX_INVALID) ||
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return false;
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)) &&
		!TransactionIdIsCurrentTransactionId(made_by) &&
		!list_member_oid(earlier_xids, (Oid) made_by);
}

/* The triggers of a foreign key are nothing that the other table is known for. */
static void
note_relations(ImageWriter *writer, const Catalog *catalog, Relation rel,
			   HeapTuple row)
{
	Oid			relid = catalog_row_relation(catalog, rel, row);
	bool		is_far = catalog->relid == TriggerRelationId &&
	((Form_pg_trigger) GETSTRUCT(row))->tgisinternal;

	note_relation(writer, relid, catalog->relid == RelationRelationId, is_far);
	note_relation(writer, catalog_row_oid(rel, row, catalog->other_relation),
				  false, true);
}

/* An index is looked at together with its table. */
static void
note_relation(ImageWriter *writer, Oid relid, bool is_changed, bool is_far)
{
	ConcernedRelation *relation;
	bool		found;
	Oid			table;

	if (relid < FirstNormalObjectId)
		return;
	relation = hash_search(writer->concerned, &relid, HASH_ENTER, &found);
	relation->is_changed = is_changed || (found && relation->is_changed);
	relation->is_far = is_far && (!found || relation->is_far);
	table = IndexGetRelation(relid, true);
	if (OidIsValid(table))
		note_relation(writer, table, false, true);
}

/* As they were before this transaction. */
static void
save_concerned(ImageWriter *writer, HTAB *left_out, Oid part_of, bool is_far)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	Snapshot	before = register_snapshot_before();
	Catalog		catalog = {0};
	HASH_SEQ_STATUS all;
	ConcernedRelation *relation;

	catalog.relid = RelationRelationId;
	catalog.oid = catalog.relation = Anum_pg_class_oid;
	catalog.namespace = Anum_pg_class_relnamespace;
	writer->catalog = part_of;
	hash_seq_init(&all, writer->concerned);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		HeapTuple	row;

		if (relation->is_changed || relation->is_far != is_far)
			continue;
		row = fetch_catalog_row(pg_class, ClassOidIndexId, Anum_pg_class_oid,
								relation->relid, before);
		if (row != NULL &&
			!row_is_left_out(left_out, &catalog, pg_class, row))
			add_row(writer, pg_class, row);
	}
	UnregisterSnapshot(before);
	table_close(pg_class, AccessShareLock);
	if (writer->row_count > 0)
		write_part(writer);
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
	add_own_argument(&arguments, INT4OID, Int32GetDatum(writer->row_count),
					 false);
	add_own_argument(&arguments, BYTEAOID, PointerGetDatum(rows), false);
	begin_own_access(&access);
	run_own_query("INSERT INTO migrate.restore_catalog "
				  "(point, catalog, part, row_count, rows) "
				  "SELECT $1, $2, COALESCE(pg_catalog.max(c.part) "
				  "OPERATOR(pg_catalog.+) 1, 0), $3, $4 "
				  "FROM migrate.restore_catalog c "
				  "WHERE c.point OPERATOR(pg_catalog.=) $1 "
				  "AND c.catalog OPERATOR(pg_catalog.=) $2",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
	pfree(rows);

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

/*
 * See catalog_image.h.
 */
List *
load_concerned_relations(int64 point)
{
	return load_catalog_rows(point, CONCERNED_RELATIONS);
}

/*
 * See catalog_image.h.
 */
List *
load_far_relations(int64 point)
{
	return load_catalog_rows(point, FAR_RELATIONS);
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
