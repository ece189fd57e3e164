/*-------------------------------------------------------------------------
 *
 * backfill_disk.c
 *	  What a backfill leaves for the disk, for which the commits of others wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "online/backfill_internal.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define WRITE_BACK_INTERVAL_MS 100

/* So long are others expected to write again. */
#define OTHERS_MS 1000

/* That a batch takes for itself: the transaction and the subtransaction. */
#define OWN_XIDS 2

/* How much of a relation was there at the last look. */
typedef struct KnownSize
{
	Oid			relid;
	BlockNumber pages;
} KnownSize;

static void write_back_with_indexes(Backfill *b, BackfillLeaf *leaf,
									Relation rel);
static void write_back_relation(Backfill *b, BackfillLeaf *leaf, Relation rel);
static KnownSize *known_size(Backfill *b, BackfillLeaf *leaf, Relation rel);

/*
 * Have the kernel begin to write the pages by which a table has grown, with its
 * indexes and what belongs to its TOAST table, since the last look, some times a
 * second.  The table is locked in RowExclusiveLock; so are the others, until the
 * transaction ends.
 *
 * A relation is extended by a page of zeros, which Linux keeps for 30 s, to write
 * all of that age at once.  At the pace of a backfill that is hundreds of MB,
 * behind which WAL waits.  PostgreSQL asks early for what backends and checkpoints
 * write, but not for these pages (seen in 15).
 */
void
write_back_new_pages(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < leaf->next_write_back || RelationUsesLocalBuffers(rel))
		return;
	leaf->next_write_back = TimestampTzPlusMilliseconds(now,
														WRITE_BACK_INTERVAL_MS);
	write_back_with_indexes(b, leaf, rel);
	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(rel->rd_rel->reltoastrelid,
									   RowExclusiveLock);

		write_back_with_indexes(b, leaf, toast);
		table_close(toast, NoLock);
	}
}

static void
write_back_with_indexes(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	ListCell   *cell;

	write_back_relation(b, leaf, rel);
	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), RowExclusiveLock);

		write_back_relation(b, leaf, index);
		index_close(index, NoLock);
	}
}

static void
write_back_relation(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	BlockNumber pages;
	KnownSize  *known;

	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		return;
	pages = RelationGetNumberOfBlocks(rel);
	known = known_size(b, leaf, rel);
	if (known->pages < pages)
		smgrwriteback(RelationGetSmgr(rel), MAIN_FORKNUM, known->pages,
					  pages - known->pages);
	known->pages = pages;
}

/* Of a relation that is seen for the first time, the size that it has. */
static KnownSize *
known_size(Backfill *b, BackfillLeaf *leaf, Relation rel)
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
	known->pages = RelationGetNumberOfBlocks(rel);
	leaf->known_sizes = lappend(leaf->known_sizes, known);
	MemoryContextSwitchTo(old);
	return known;
}

/*
 * After the commit of a batch, before which next_xid was the next number of a
 * transaction: if others write, flush what it has written.  It commits
 * asynchronously, so whoever commits next would have to flush all that has come
 * together.  Alone, that can wait for the WAL writer.
 */
void
flush_beside_others(Backfill *b, FullTransactionId next_xid)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		xids = U64FromFullTransactionId(ReadNextFullTransactionId()) -
	U64FromFullTransactionId(next_xid);

	if (xids > OWN_XIDS)
		b->others_expected_until = TimestampTzPlusMilliseconds(now, OTHERS_MS);
	if (now < b->others_expected_until)
		XLogFlush(XactLastCommitEnd);
}
