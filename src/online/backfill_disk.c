/*-------------------------------------------------------------------------
 *
 * backfill_disk.c
 *	  What a backfill leaves for the disk, for which the commits of others wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "common/compat.h"
#include "executor/instrument.h"
#include "online/backfill_internal.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define WRITE_BACK_INTERVAL_MS 100

/* So long are others expected to write again. */
#define OTHERS_MS 1000

/* How long the flush of less takes is up to the disk: an average that moves. */
#define SMALL_FLUSH_BYTES 65536
#define LAST_FLUSH_WEIGHT 0.2

/* How much of a relation was there at the last look. */
typedef struct KnownSize
{
	Oid			relid;
	BlockNumber pages;
} KnownSize;

static void write_back_with_indexes(Backfill *b, BackfillLeaf *leaf,
									Relation rel);
static void write_back_relation(Backfill *b, BackfillLeaf *leaf, Relation rel);
static KnownSize *known_size(Backfill *b, BackfillLeaf *leaf, Relation rel,
							 BlockNumber pages);
static double flush_time_of_batch(Backfill *b, double own_bytes, double bytes,
								  double ms);

/*
 * Have the kernel begin to write the pages by which a table has grown, with its
 * indexes and what belongs to its TOAST table, since the last look, some times a
 * second.  The table is locked; so are the others then, for reading, until the
 * transaction ends, but those that somebody else has locked.
 *
 * A relation is extended by a page of zeros, which Linux keeps for 30 s, to write
 * all of that age at once.  At the pace of a backfill that is hundreds of MB,
 * behind which WAL waits.  PostgreSQL asks early for what the background writer
 * and checkpoints write, but not for these pages (seen in 15); who has switched
 * that off for checkpoints does not want it here.
 */
void
write_back_new_pages(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			toast = rel->rd_rel->reltoastrelid;

	if (now < leaf->next_write_back || checkpoint_flush_after == 0 ||
		RelationUsesLocalBuffers(rel))
		return;
	leaf->next_write_back = TimestampTzPlusMilliseconds(now,
														WRITE_BACK_INTERVAL_MS);
	write_back_with_indexes(b, leaf, rel);
	if (OidIsValid(toast) && ConditionalLockRelationOid(toast, AccessShareLock))
	{
		rel = table_open(toast, NoLock);
		write_back_with_indexes(b, leaf, rel);
		table_close(rel, NoLock);
	}
}

/*
 * See backfill_internal.h.
 */
void
write_back_rest(Backfill *b, BackfillLeaf *leaf)
{
	Relation	rel;

	if (leaf->next_write_back == 0)
		return;
	begin_backfill_transaction(b);
	rel = lock_backfill_leaf(b, leaf);
	if (rel != NULL)
	{
		leaf->next_write_back = 0;
		write_back_new_pages(b, leaf, rel);
		relation_close(rel, NoLock);
	}
	commit_backfill_transaction(b);
	leaf->next_write_back = 0;
}

static void
write_back_with_indexes(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	ListCell   *cell;

	write_back_relation(b, leaf, rel);
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index;

		if (!ConditionalLockRelationOid(lfirst_oid(cell), AccessShareLock))
			continue;
		index = index_open(lfirst_oid(cell), NoLock);
		write_back_relation(b, leaf, index);
		index_close(index, NoLock);
	}
}

static void
write_back_relation(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	BlockNumber pages = RelationGetNumberOfBlocks(rel);
	KnownSize  *known = known_size(b, leaf, rel, pages);

	if (known->pages < pages)
		compat_write_back(rel, known->pages, pages - known->pages);
	known->pages = pages;
}

/* Of a relation that is seen for the first time, the size that it has. */
static KnownSize *
known_size(Backfill *b, BackfillLeaf *leaf, Relation rel, BlockNumber pages)
{
	KnownSize  *known;
	ListCell   *cell;
	MemoryContext old;

	foreach(cell, leaf->known_sizes)
	{
		known = lfirst(cell);
		if (known->relid == RelationGetRelid(rel))
			return known;
	}
	old = MemoryContextSwitchTo(b->context);
	known = palloc(sizeof(KnownSize));
	known->relid = RelationGetRelid(rel);
	known->pages = pages;
	leaf->known_sizes = lappend(leaf->known_sizes, known);
	MemoryContextSwitchTo(old);
	return known;
}

/*
 * See backfill_internal.h.
 */
void
begin_batch_wal(BatchWal *wal)
{
	wal->next_xid = ReadNextFullTransactionId();
	wal->bytes_before = pgWalUsage.wal_bytes;
}

/*
 * See backfill_internal.h.  Numbers of subtransactions that were rolled back
 * count as those of others: then a batch is flushed though it is alone.
 */
void
end_batch_wal(BatchWal *wal)
{
	TransactionId *children;

	wal->own_xids = xactGetCommittedChildren(&children) +
		(TransactionIdIsValid(GetTopTransactionIdIfAny()) ? 1 : 0);
}

/*
 * See backfill_internal.h.  A batch commits asynchronously, so whoever commits
 * next would have to flush all that has come together; alone, that can wait for
 * the WAL writer.
 */
double
flush_beside_others(Backfill *b, const BatchWal *wal)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		xids = U64FromFullTransactionId(ReadNextFullTransactionId()) -
	U64FromFullTransactionId(wal->next_xid);
	XLogRecPtr	flushed = GetFlushRecPtr(NULL);
	instr_time	start;
	instr_time	duration;

	if (xids > wal->own_xids)
		b->others_expected_until = TimestampTzPlusMilliseconds(now, OTHERS_MS);
	if (now >= b->others_expected_until || XactLastCommitEnd <= flushed)
		return 0;
	INSTR_TIME_SET_CURRENT(start);
	XLogFlush(XactLastCommitEnd);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	return flush_time_of_batch(b, pgWalUsage.wal_bytes - wal->bytes_before,
							   XactLastCommitEnd - flushed,
							   INSTR_TIME_GET_MILLISEC(duration));
}

/*
 * Of a flush of so many bytes, which took that many ms, the part that is there
 * because of the batch: not what any flush takes, nor what others have written.
 */
static double
flush_time_of_batch(Backfill *b, double own_bytes, double bytes, double ms)
{
	if (bytes > SMALL_FLUSH_BYTES)
		b->small_flush_ms = Min(b->small_flush_ms, ms);
	else
		b->small_flush_ms += (ms - b->small_flush_ms) * LAST_FLUSH_WEIGHT;
	return Max(ms - b->small_flush_ms, 0) * Min(own_bytes / bytes, 1);
}
