/*-------------------------------------------------------------------------
 *
 * row_scan.c
 *	  The rows of a file that this transaction has changed.
 *
 * A tuple tells by itself what it is: one that others made and we replaced is
 * the image of a row before; one that we made and that is no UPDATE's result
 * begins a row that we inserted.  t_ctid leads from both to the last version.
 * Nothing has to be remembered from one page to the next.
 *
 * Nobody else changes tuples of a transaction that is in progress, nor removes
 * them, so the scan works on copies of the pages and holds no lock on them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "preserve/preserve.h"
#include "preserve/row_scan.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* An UPDATE of many rows leads from one page to few others. */
#define KEPT_PAGES	64

typedef struct PageCopy
{
	BlockNumber block;
	PGAlignedBlock data;
} PageCopy;

typedef struct RowScan
{
	Relation	heap;
	RowImageWriter *writer;
	FoundRows  *found;
	CommandId	first_command;	/* of the migration */
	bool		is_rewritten;	/* all rows are ours, most of them unchanged */
	bool		knows_rewrite;
	CommandId	rewrite;		/* that has written those */
	BufferAccessStrategy strategy;
	MemoryContext row_context;	/* reset for each image */
	int			key_count;
	AttrNumber	key[INDEX_MAX_KEYS];	/* the columns of the primary key */
	PageCopy   *page;			/* the one that is scanned */
	PageCopy   *kept;			/* KEPT_PAGES, where chains have led to */
} RowScan;

/* Where a chain of versions ends. */
typedef struct RowEnd
{
	HeapTupleData row;			/* t_data is NULL if the row was deleted */
	bool		key_changed;
} RowEnd;

static void find_key(RowScan *scan);
static bool has_changed_rows(RowScan *scan, BlockNumber block,
							 Buffer *visibility);
static void scan_page(RowScan *scan);
static void copy_page(RowScan *scan, BlockNumber block, PageCopy *copy);
static bool tuple_at(RowScan *scan, ItemPointer tid, HeapTuple tuple);
static void look_at_tuple(RowScan *scan, HeapTuple tuple);
static void look_at_rewritten(RowScan *scan, HeapTuple tuple);
static bool made_by_us(HeapTupleHeader header);
static bool replaced_by_us(HeapTupleHeader header);
static void find_end(RowScan *scan, HeapTuple start, RowEnd *end);
static void write_replaced(RowScan *scan, HeapTuple tuple);
static HeapTuple whole_row(RowScan *scan, HeapTuple tuple);
static void point_to_toast(HeapTuple tuple, TupleDesc columns, Oid toast);
static void write_inserted(RowScan *scan, HeapTuple tuple);
static HeapTuple key_of_row(RowScan *scan, HeapTuple row);

/*
 * See row_scan.h.
 */
void
write_changed_rows(Relation heap, bool is_rewritten, RowImageWriter *writer,
				   FoundRows *found)
{
	RowScan		scan = {.heap = heap,.writer = writer,.found = found,
	.is_rewritten = is_rewritten};
	BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	Buffer		visibility = InvalidBuffer;

	memset(found, 0, sizeof(FoundRows));
	scan.first_command = first_command_of_migration();
	find_key(&scan);
	scan.strategy = blocks > NBuffers / 4 ? GetAccessStrategy(BAS_BULKREAD) :
		NULL;
	scan.row_context = AllocSetContextCreate(CurrentMemoryContext,
											 "safe_migrate changed row",
											 ALLOCSET_DEFAULT_SIZES);
	scan.page = palloc(sizeof(PageCopy));
	scan.kept = palloc(KEPT_PAGES * sizeof(PageCopy));
	for (int i = 0; i < KEPT_PAGES; i++)
		scan.kept[i].block = InvalidBlockNumber;

	for (BlockNumber block = 0; block < blocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!has_changed_rows(&scan, block, &visibility))
			continue;
		copy_page(&scan, block, scan.page);
		scan_page(&scan);
	}
	if (BufferIsValid(visibility))
		ReleaseBuffer(visibility);
	if (scan.strategy)
		FreeAccessStrategy(scan.strategy);
	MemoryContextDelete(scan.row_context);
	pfree(scan.page);
	pfree(scan.kept);
}

/* The primary key, or else the index that is the replica identity. */
static void
find_key(RowScan *scan)
{
	HeapTuple	tuple;
	Form_pg_index index;
	Oid			key_index;

	list_free(RelationGetIndexList(scan->heap));
	key_index = OidIsValid(scan->heap->rd_pkindex) ? scan->heap->rd_pkindex :
		scan->heap->rd_replidindex;
	if (!OidIsValid(key_index))
		return;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(key_index));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", key_index);
	index = (Form_pg_index) GETSTRUCT(tuple);
	scan->key_count = index->indnkeyatts;
	for (int i = 0; i < scan->key_count; i++)
		scan->key[i] = index->indkey.values[i];
	ReleaseSysCache(tuple);
}

/* Who changes a row clears the mark of its page before. */
static bool
has_changed_rows(RowScan *scan, BlockNumber block, Buffer *visibility)
{
	return !VM_ALL_VISIBLE(scan->heap, block, visibility);
}

static void
copy_page(RowScan *scan, BlockNumber block, PageCopy *copy)
{
	Buffer		buffer = ReadBufferExtended(scan->heap, MAIN_FORKNUM, block,
											RBM_NORMAL, scan->strategy);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(copy->data.data, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	copy->block = block;
}

static void
scan_page(RowScan *scan)
{
	OffsetNumber last = PageGetMaxOffsetNumber((Page) scan->page->data.data);
	ItemPointerData tid;
	HeapTupleData tuple;

	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++)
	{
		ItemPointerSet(&tid, scan->page->block, offset);
		if (!tuple_at(scan, &tid, &tuple))
			continue;
		if (scan->is_rewritten)
			look_at_rewritten(scan, &tuple);
		else
			look_at_tuple(scan, &tuple);
	}
}

/* Points into a copy of the page; false if nothing is there. */
static bool
tuple_at(RowScan *scan, ItemPointer tid, HeapTuple tuple)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	PageCopy   *copy = scan->page;
	Page		page;
	ItemId		item;

	if (block != copy->block)
	{
		copy = &scan->kept[block % KEPT_PAGES];
		if (copy->block != block)
			copy_page(scan, block, copy);
	}
	page = (Page) copy->data.data;
	if (ItemPointerGetOffsetNumber(tid) > PageGetMaxOffsetNumber(page))
		return false;
	item = PageGetItemId(page, ItemPointerGetOffsetNumber(tid));
	if (!ItemIdIsNormal(item))
		return false;
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
	tuple->t_len = ItemIdGetLength(item);
	tuple->t_self = *tid;
	tuple->t_tableOid = RelationGetRelid(scan->heap);
	return true;
}

static void
look_at_tuple(RowScan *scan, HeapTuple tuple)
{
	bool		made = made_by_us(tuple->t_data);
	bool		replaced = replaced_by_us(tuple->t_data);

	scan->found->made += made;
	scan->found->replaced += replaced;

	/* what the transaction did before the restore point is not undone by it */
	if (!made || HeapTupleHeaderGetCmin(tuple->t_data) < scan->first_command)
	{
		if (replaced &&
			HeapTupleHeaderGetCmax(tuple->t_data) >= scan->first_command)
			write_replaced(scan, tuple);
		else if (!made &&
				 !TransactionIdIsValid(HeapTupleHeaderGetRawXmin(tuple->t_data)))
			scan->found->taken_back++;
	}
	else if ((tuple->t_data->t_infomask & HEAP_UPDATED) == 0)
		write_inserted(scan, tuple);
}

/*
 * The command that has written the file comes before all that change it, and so
 * does its first row.
 */
static void
look_at_rewritten(RowScan *scan, HeapTuple tuple)
{
	CommandId	made_by;

	if (!made_by_us(tuple->t_data))
		return;
	made_by = HeapTupleHeaderGetCmin(tuple->t_data);
	if (!scan->knows_rewrite)
	{
		scan->knows_rewrite = true;
		scan->rewrite = made_by;
	}
	if (made_by == scan->rewrite)
	{
		if (replaced_by_us(tuple->t_data))
			write_replaced(scan, tuple);
	}
	else if ((tuple->t_data->t_infomask & HEAP_UPDATED) == 0)
		write_inserted(scan, tuple);
}

/* A frozen tuple may have had our number when that was another's. */
static bool
made_by_us(HeapTupleHeader header)
{
	return !HeapTupleHeaderXminFrozen(header) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(header));
}

static bool
replaced_by_us(HeapTupleHeader header)
{
	if ((header->t_infomask & HEAP_XMAX_INVALID) != 0 ||
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return false;
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header));
}

/* Follow the versions that this transaction has made of a row. */
static void
find_end(RowScan *scan, HeapTuple start, RowEnd *end)
{
	end->row = *start;
	end->key_changed = false;
	while (replaced_by_us(end->row.t_data))
	{
		ItemPointerData next = end->row.t_data->t_ctid;

		if (HeapTupleHeaderIndicatesMovedPartitions(end->row.t_data) ||
			ItemPointerEquals(&next, &end->row.t_self))
		{
			end->row.t_data = NULL;
			return;
		}
		if ((end->row.t_data->t_infomask2 & HEAP_KEYS_UPDATED) != 0)
			end->key_changed = true;
		if (!tuple_at(scan, &next, &end->row) ||
			!made_by_us(end->row.t_data))
			elog(ERROR, "tuple (%u,%u) of table \"%s\" is not the new version of a row",
				 ItemPointerGetBlockNumberNoCheck(&next),
				 ItemPointerGetOffsetNumberNoCheck(&next),
				 RelationGetRelationName(scan->heap));
	}
}

static void
write_replaced(RowScan *scan, HeapTuple tuple)
{
	MemoryContext old = MemoryContextSwitchTo(scan->row_context);
	RowImage	image = {ROW_DELETED};
	RowEnd		end;

	MemoryContextReset(scan->row_context);
	find_end(scan, tuple, &end);
	image.old_tid = tuple->t_self;
	image.old_row = whole_row(scan, tuple);
	if (end.row.t_data == NULL)
	{
		ItemPointerSetInvalid(&image.new_tid);
		scan->found->deleted++;
	}
	else
	{
		image.change = ROW_UPDATED;
		image.new_tid = end.row.t_self;
		if (end.key_changed)
			image.new_key = key_of_row(scan, &end.row);
		scan->found->updated++;
	}
	write_row_image(scan->writer, &image);
	MemoryContextSwitchTo(old);
}

/*
 * The row with all its values.  Of values out of line nothing is gone yet, even
 * if the row was deleted.  Those of a file that was taken from its table are
 * where the TOAST table of the file is now.
 */
static HeapTuple
whole_row(RowScan *scan, HeapTuple tuple)
{
	TupleDesc	columns = RelationGetDescr(scan->heap);

	if (!HeapTupleHasExternal(tuple))
		return tuple;
	if (scan->heap->rd_rel->relkind == RELKIND_TOASTVALUE)
	{
		tuple = heap_copytuple(tuple);
		point_to_toast(tuple, columns, scan->heap->rd_rel->reltoastrelid);
	}
	return toast_flatten_tuple(tuple, columns);
}

static void
point_to_toast(HeapTuple tuple, TupleDesc columns, Oid toast)
{
	Datum	   *values = palloc(columns->natts * sizeof(Datum));
	bool	   *nulls = palloc(columns->natts * sizeof(bool));
	int			count = Min(columns->natts,
							HeapTupleHeaderGetNatts(tuple->t_data));

	heap_deform_tuple(tuple, columns, values, nulls);
	for (int i = 0; i < count; i++)
	{
		struct varlena *value = (struct varlena *) DatumGetPointer(values[i]);

		if (!nulls[i] && TupleDescAttr(columns, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL_ONDISK(value))
			memcpy(VARDATA_EXTERNAL(value) +
				   offsetof(struct varatt_external, va_toastrelid), &toast,
				   sizeof(Oid));
	}
}

/* Nothing is left of a row that we inserted and deleted. */
static void
write_inserted(RowScan *scan, HeapTuple tuple)
{
	MemoryContext old = MemoryContextSwitchTo(scan->row_context);
	RowImage	image = {ROW_INSERTED};
	RowEnd		end;

	MemoryContextReset(scan->row_context);
	find_end(scan, tuple, &end);
	if (end.row.t_data != NULL)
	{
		ItemPointerSetInvalid(&image.old_tid);
		image.new_tid = end.row.t_self;
		image.new_key = key_of_row(scan, &end.row);
		write_row_image(scan->writer, &image);
		scan->found->inserted++;
	}
	MemoryContextSwitchTo(old);
}

/* NULL if the table has no key. */
static HeapTuple
key_of_row(RowScan *scan, HeapTuple row)
{
	TupleDesc	columns = RelationGetDescr(scan->heap);
	Datum	   *values;
	bool	   *nulls;
	HeapTuple	key;

	if (scan->key_count == 0)
		return NULL;
	values = palloc0(columns->natts * sizeof(Datum));
	nulls = palloc(columns->natts * sizeof(bool));
	memset(nulls, true, columns->natts * sizeof(bool));
	for (int i = 0; i < scan->key_count; i++)
		values[scan->key[i] - 1] = heap_getattr(row, scan->key[i], columns,
												&nulls[scan->key[i] - 1]);
	key = heap_form_tuple(columns, values, nulls);
	return HeapTupleHasExternal(key) ? toast_flatten_tuple(key, columns) : key;
}
