/*-------------------------------------------------------------------------
 *
 * backfill_prune.c
 *	  The space of the old versions of rows, for the rows to come.
 *
 * A VACUUM that comes when all is done finds a table of twice its size.  Here
 * the pages of a batch are pruned as soon as nobody can see the old versions,
 * and the batches behind it find the space in the free space map.  Index
 * entries and line pointers are left for VACUUM.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* What the transactions of clients usually take is less. */
#define LONG_WAIT_MS 500

/* In one transaction: its snapshot keeps old versions of rows everywhere. */
#define MAX_PAGES_AT_ONCE 256

static PrunedRange *oldest_range(const BackfillLeaf *leaf);
static void prune_pages(Relation rel, BlockNumber first, BlockNumber end);
static void drop_oldest_range(BackfillLeaf *leaf);

/*
 * Pages to be pruned when xid is removable.  If there is no room, they are so
 * together with those before them.
 */
void
prune_later(BackfillLeaf *leaf, BlockNumber first, BlockNumber end,
			TransactionId xid)
{
	PruneQueue *queue = &leaf->prune;
	PrunedRange *range;

	if (!leaf->is_heap || !TransactionIdIsValid(xid))
		return;
	if (queue->count == MAX_PRUNED_RANGES)
	{
		range = &queue->ranges[(queue->start + queue->count - 1) % MAX_PRUNED_RANGES];

		/* pages that others had locked come late: those are left to VACUUM */
		if (end <= range->end)
			return;
		queue->pages += end - range->end;
	}
	else
	{
		range = &queue->ranges[(queue->start + queue->count) % MAX_PRUNED_RANGES];
		range->first = first;
		range->since = GetCurrentTimestamp();
		queue->pages += end - first;
		queue->count++;
	}
	range->end = end;
	range->xid = xid;
}

/*
 * Prune some pages of those that can be, of a table that is locked; needs a
 * transaction that holds no lock on rows yet.  True if there are more.
 */
bool
prune_behind(BackfillLeaf *leaf, Relation rel)
{
	BlockNumber left = MAX_PAGES_AT_ONCE;
	bool		is_removable = false;
	GlobalVisState *state;

	/* it may have another access method by now */
	if (!leaf->is_heap)
		leaf->prune.count = leaf->prune.pages = 0;
	if (leaf->prune.count == 0)
		return false;

	/* taking one is what makes the horizon move */
	PushActiveSnapshot(GetTransactionSnapshot());
	state = GlobalVisTestFor(rel);
	while (leaf->prune.count > 0)
	{
		PrunedRange *range = oldest_range(leaf);
		BlockNumber end = range->first + Min(left, range->end - range->first);

		is_removable = compat_xid_is_removable(state, range->xid);
		if (!is_removable || left == 0)
			break;
		prune_pages(rel, range->first, end);
		left -= end - range->first;
		leaf->prune.pages -= end - range->first;
		range->first = end;
		if (range->first == range->end)
			drop_oldest_range(leaf);
	}
	PopActiveSnapshot();
	return leaf->prune.count > 0 && is_removable;
}

/*
 * True if somebody has kept it from that for long, and so many pages wait that
 * the space matters.
 */
bool
prune_is_behind(const BackfillLeaf *leaf, BlockNumber pages)
{
	return leaf->prune.count > 0 && leaf->prune.pages >= pages &&
		TimestampDifferenceExceeds(oldest_range(leaf)->since,
								   GetCurrentTimestamp(), LONG_WAIT_MS);
}

static PrunedRange *
oldest_range(const BackfillLeaf *leaf)
{
	return (PrunedRange *) &leaf->prune.ranges[leaf->prune.start];
}

static void
prune_pages(Relation rel, BlockNumber first, BlockNumber end)
{
	Buffer		map PG_USED_FOR_ASSERTS_ONLY = InvalidBuffer;

	end = Min(end, RelationGetNumberOfBlocks(rel));
	for (BlockNumber block = first; block < end; block++)
	{
		Buffer		buffer;
		Size		space;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBuffer(rel, block);
		compat_prune_page(rel, buffer, &map);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		space = PageGetHeapFreeSpace(BufferGetPage(buffer));
		UnlockReleaseBuffer(buffer);
		RecordPageWithFreeSpace(rel, block, space);
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	if (first < end)
		FreeSpaceMapVacuumRange(rel, first, end);
}

static void
drop_oldest_range(BackfillLeaf *leaf)
{
	leaf->prune.start = (leaf->prune.start + 1) % MAX_PRUNED_RANGES;
	leaf->prune.count--;
}
