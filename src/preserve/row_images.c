/*-------------------------------------------------------------------------
 *
 * row_images.c
 *	  What the rows that a transaction has changed were before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "preserve/hidden_relation.h"
#include "preserve/row_images.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* So that a part fills a page, with the header of its row and a line pointer. */
#define PART_SIZE	(MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - 4 * sizeof(int32))

/* The columns of the hidden relation. */
enum
{
	COLUMN_RELID,
	COLUMN_FILENODE,
	COLUMN_PART,
	COLUMN_IMAGES,
	COLUMN_COUNT
};

/* Before each image in the stream. */
typedef struct ImageHeader
{
	uint32		old_row_length;
	uint32		new_key_length;
	ItemPointerData old_tid;
	ItemPointerData new_tid;
	char		change;
} ImageHeader;

struct RowImageWriter
{
	MemoryContext context;		/* of all that belongs to it */
	Relation	holder;			/* NULL before the first image */
	Oid			relid;
	Oid			filenode;
	int32		part;			/* number of the next one */
	Size		used;
	BulkInsertState bulk_insert;
	CommandId	command;
	bytea	   *bytes;			/* of PART_SIZE and its header */
};

struct RowImageReader
{
	Relation	holder;
	TableScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext context;		/* of what an image points to */
	Oid			relid;			/* of the file that is being read */
	Oid			filenode;
	int32		part;			/* number of the next one */
	bool		at_end;			/* of the relation */
	bool		part_is_unread; /* the slot has the first part of a file */
	const char *next;			/* what follows in the part that is read */
	Size		left;
};

static void make_holder(RowImageWriter *writer);
static TupleDesc image_columns(void);
static void write_bytes(RowImageWriter *writer, const void *bytes,
						Size length);
static void write_part(RowImageWriter *writer);
static bool next_part(RowImageReader *reader);
static void enter_part(RowImageReader *reader);
static bool continue_file(RowImageReader *reader);
static void read_bytes(RowImageReader *reader, void *bytes, Size length);
static HeapTuple read_tuple(RowImageReader *reader, uint32 length);

/*
 * See row_images.h.
 */
RowImageWriter *
begin_row_images(void)
{
	RowImageWriter *writer = palloc0(sizeof(RowImageWriter));

	writer->context = CurrentMemoryContext;
	writer->bytes = palloc(VARHDRSZ + PART_SIZE);
	return writer;
}

/*
 * See row_images.h.
 */
void
begin_file_images(RowImageWriter *writer, Oid relid, Oid filenode)
{
	if (writer->used > 0)
		write_part(writer);
	writer->relid = relid;
	writer->filenode = filenode;
	writer->part = 0;
}

/*
 * See row_images.h.
 */
void
write_row_image(RowImageWriter *writer, const RowImage *image)
{
	ImageHeader header = {0};

	if (writer->holder == NULL)
		make_holder(writer);
	header.change = image->change;
	header.old_tid = image->old_tid;
	header.new_tid = image->new_tid;
	header.old_row_length = image->old_row ? image->old_row->t_len : 0;
	header.new_key_length = image->new_key ? image->new_key->t_len : 0;
	write_bytes(writer, &header, sizeof(header));
	if (image->old_row)
		write_bytes(writer, image->old_row->t_data, image->old_row->t_len);
	if (image->new_key)
		write_bytes(writer, image->new_key->t_data, image->new_key->t_len);
}

static void
make_holder(RowImageWriter *writer)
{
	MemoryContext old = MemoryContextSwitchTo(writer->context);
	char		name[NAMEDATALEN];
	Oid			holder;

	snprintf(name, sizeof(name), "changed_rows_%u",
			 GetTopTransactionId());
	holder = create_hidden_relation(name, image_columns());
	CommandCounterIncrement();
	writer->holder = table_open(holder, NoLock);
	writer->bulk_insert = GetBulkInsertState();
	writer->command = GetCurrentCommandId(true);
	MemoryContextSwitchTo(old);
}

static TupleDesc
image_columns(void)
{
	TupleDesc	columns = CreateTemplateTupleDesc(COLUMN_COUNT);

	TupleDescInitEntry(columns, COLUMN_RELID + 1, "relid", OIDOID, -1, 0);
	TupleDescInitEntry(columns, COLUMN_FILENODE + 1, "filenode", OIDOID, -1, 0);
	TupleDescInitEntry(columns, COLUMN_PART + 1, "part", INT4OID, -1, 0);
	TupleDescInitEntry(columns, COLUMN_IMAGES + 1, "images", BYTEAOID, -1, 0);
	TupleDescAttr(columns, COLUMN_IMAGES)->attstorage = TYPSTORAGE_PLAIN;
	return columns;
}

static void
write_bytes(RowImageWriter *writer, const void *bytes, Size length)
{
	while (length > 0)
	{
		Size		fits = Min(length, PART_SIZE - writer->used);

		memcpy(VARDATA(writer->bytes) + writer->used, bytes, fits);
		writer->used += fits;
		bytes = (const char *) bytes + fits;
		length -= fits;
		if (writer->used == PART_SIZE)
			write_part(writer);
	}
}

static void
write_part(RowImageWriter *writer)
{
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT] = {false};
	HeapTuple	tuple;

	SET_VARSIZE(writer->bytes, VARHDRSZ + writer->used);
	values[COLUMN_RELID] = ObjectIdGetDatum(writer->relid);
	values[COLUMN_FILENODE] = ObjectIdGetDatum(writer->filenode);
	values[COLUMN_PART] = Int32GetDatum(writer->part++);
	values[COLUMN_IMAGES] = PointerGetDatum(writer->bytes);
	tuple = heap_form_tuple(RelationGetDescr(writer->holder), values, nulls);
	heap_insert(writer->holder, tuple, writer->command, HEAP_INSERT_SKIP_FSM,
				writer->bulk_insert);
	heap_freetuple(tuple);
	writer->used = 0;
}

/*
 * See row_images.h.
 */
Oid
end_row_images(RowImageWriter *writer)
{
	Oid			holder = InvalidOid;

	if (writer->used > 0)
		write_part(writer);
	if (writer->holder != NULL)
	{
		holder = RelationGetRelid(writer->holder);
		FreeBulkInsertState(writer->bulk_insert);
		table_close(writer->holder, NoLock);
	}
	pfree(writer->bytes);
	pfree(writer);
	return holder;
}

/*
 * See row_images.h.  The parts come in the order in which they were written:
 * each went to the end of a new file.
 */
RowImageReader *
begin_reading_images(Oid holder)
{
	RowImageReader *reader = palloc0(sizeof(RowImageReader));

	reader->holder = table_open(holder, AccessShareLock);
	reader->scan = table_beginscan_strat(reader->holder, SnapshotSelf, 0, NULL,
										 true, false);
	reader->slot = table_slot_create(reader->holder, NULL);
	reader->context = AllocSetContextCreate(CurrentMemoryContext,
											"safe_migrate row image",
											ALLOCSET_DEFAULT_SIZES);
	return reader;
}

/*
 * See row_images.h.
 */
bool
read_file_images(RowImageReader *reader, Oid *relid, Oid *filenode)
{
	while (!reader->part_is_unread && next_part(reader))
		;
	if (reader->at_end)
		return false;
	*relid = reader->relid =
		DatumGetObjectId(reader->slot->tts_values[COLUMN_RELID]);
	*filenode = reader->filenode =
		DatumGetObjectId(reader->slot->tts_values[COLUMN_FILENODE]);
	reader->part = 0;
	enter_part(reader);
	return true;
}

/* Go to the next part of the file; false if it is none of this file. */
static bool
next_part(RowImageReader *reader)
{
	reader->left = 0;
	if (reader->at_end || reader->part_is_unread)
		return false;
	CHECK_FOR_INTERRUPTS();
	if (!table_scan_getnextslot(reader->scan, ForwardScanDirection,
								reader->slot))
	{
		reader->at_end = true;
		return false;
	}
	slot_getallattrs(reader->slot);
	if (DatumGetInt32(reader->slot->tts_values[COLUMN_PART]) == 0)
	{
		reader->part_is_unread = true;
		return false;
	}
	enter_part(reader);
	return true;
}

static void
enter_part(RowImageReader *reader)
{
	bytea	   *bytes =
	(bytea *) DatumGetPointer(reader->slot->tts_values[COLUMN_IMAGES]);

	if (DatumGetInt32(reader->slot->tts_values[COLUMN_PART]) != reader->part)
		elog(ERROR, "images of changed rows are out of order in relation %u",
			 RelationGetRelid(reader->holder));
	reader->part_is_unread = false;
	reader->part++;
	reader->next = VARDATA_ANY(bytes);
	reader->left = VARSIZE_ANY_EXHDR(bytes);
}

/*
 * See row_images.h.
 */
bool
read_row_image(RowImageReader *reader, RowImage *image)
{
	ImageHeader header;

	if (!continue_file(reader))
		return false;
	MemoryContextReset(reader->context);
	read_bytes(reader, &header, sizeof(header));
	image->change = (RowChange) header.change;
	image->old_tid = header.old_tid;
	image->new_tid = header.new_tid;
	image->old_row = read_tuple(reader, header.old_row_length);
	image->new_key = read_tuple(reader, header.new_key_length);
	if (image->old_row != NULL)
		image->old_row->t_self = header.old_tid;
	return true;
}

/* True if the file has more bytes. */
static bool
continue_file(RowImageReader *reader)
{
	return reader->left > 0 || next_part(reader);
}

static void
read_bytes(RowImageReader *reader, void *bytes, Size length)
{
	while (length > 0)
	{
		Size		there;

		if (!continue_file(reader))
			elog(ERROR, "images of changed rows end early in relation %u",
				 RelationGetRelid(reader->holder));
		there = Min(length, reader->left);
		memcpy(bytes, reader->next, there);
		reader->next += there;
		reader->left -= there;
		bytes = (char *) bytes + there;
		length -= there;
	}
}

static HeapTuple
read_tuple(RowImageReader *reader, uint32 length)
{
	HeapTuple	tuple;

	if (length == 0)
		return NULL;
	tuple = MemoryContextAlloc(reader->context, HEAPTUPLESIZE + length);
	tuple->t_len = length;
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = reader->relid;
	tuple->t_data = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);
	read_bytes(reader, tuple->t_data, length);
	return tuple;
}

/*
 * See row_images.h.
 */
void
end_reading_images(RowImageReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
	table_endscan(reader->scan);
	table_close(reader->holder, NoLock);
	MemoryContextDelete(reader->context);
	pfree(reader);
}
