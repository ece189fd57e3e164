/*-------------------------------------------------------------------------
 *
 * touched_keys.c
 *	  Which rows were written since a snapshot was taken.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "restore/touched_keys.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* What a scan works with. */
typedef struct TouchedScan
{
	Relation	heap;
	Snapshot	before;
	Snapshot	now;
	const AttrNumber *key;
	int			key_count;
	Relation	destination;
	BulkInsertState inserter;
	int64		count;
} TouchedScan;

static void scan_block(TouchedScan *scan, BlockNumber block);
static bool is_touched(TouchedScan *scan, HeapTuple tuple, Buffer buffer);
static void insert_key(TouchedScan *scan, HeapTuple tuple);

/*
 * See touched_keys.h.
 */
int64
collect_touched_keys(Oid relid, Snapshot before, Snapshot now,
					 const AttrNumber *key, int key_count, Oid destination)
{
	TouchedScan scan = {NULL, before, now, key, key_count};
	BlockNumber blocks;
	Buffer		visibility = InvalidBuffer;

	scan.heap = table_open(relid, AccessShareLock);
	scan.destination = table_open(destination, RowExclusiveLock);
	scan.inserter = GetBulkInsertState();
	blocks = RelationGetNumberOfBlocks(scan.heap);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		/* since the first snapshot, VACUUM was kept away by a lock */
		if (COMPAT_READERS_SET_ALL_VISIBLE ||
			!VM_ALL_VISIBLE(scan.heap, block, &visibility))
			scan_block(&scan, block);
	}
	if (BufferIsValid(visibility))
		ReleaseBuffer(visibility);
	FreeBulkInsertState(scan.inserter);
	table_close(scan.destination, NoLock);
	table_close(scan.heap, NoLock);
	CommandCounterIncrement();
	return scan.count;
}

/* Keys are copied out of the page before they are inserted anywhere. */
static void
scan_block(TouchedScan *scan, BlockNumber block)
{
	Buffer		buffer = ReadBuffer(scan->heap, block);
	Page		page = BufferGetPage(buffer);
	HeapTuple	touched[MaxHeapTuplesPerPage];
	int			count = 0;
	OffsetNumber last;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	last = PageGetMaxOffsetNumber(page);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(scan->heap);
		ItemPointerSet(&tuple.t_self, block, offset);
		if (is_touched(scan, &tuple, buffer))
			touched[count++] = heap_copytuple(&tuple);
	}
	UnlockReleaseBuffer(buffer);
	for (int i = 0; i < count; i++)
	{
		insert_key(scan, touched[i]);
		heap_freetuple(touched[i]);
	}
	scan->count += count;
}

static bool
is_touched(TouchedScan *scan, HeapTuple tuple, Buffer buffer)
{
	return HeapTupleSatisfiesVisibility(tuple, scan->before, buffer) !=
		HeapTupleSatisfiesVisibility(tuple, scan->now, buffer);
}

static void
insert_key(TouchedScan *scan, HeapTuple tuple)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	HeapTuple	key;

	for (int i = 0; i < scan->key_count; i++)
		values[i] = heap_getattr(tuple, scan->key[i],
								 RelationGetDescr(scan->heap), &nulls[i]);
	key = heap_form_tuple(RelationGetDescr(scan->destination), values, nulls);
	heap_insert(scan->destination, key, GetCurrentCommandId(true), 0,
				scan->inserter);
	heap_freetuple(key);
}
