/*-------------------------------------------------------------------------
 *
 * backfill_pace.c
 *	  How much of a table a transaction takes.
 *
 * Whoever needs a row that is just being set waits until the transaction ends,
 * and whoever commits waits until the WAL before is on disk.  So what counts is
 * the time from its first row to the end of both, whatever the reason for it is:
 * triggers, indexes, other processes that need the CPU, the disk.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/settings.h"
#include "online/backfill_internal.h"

/* More pages than any disk reads in that time; and rows. */
#define MAX_SIZE 100000.0

/* Of the first batch, in rows; and of the others, in pages. */
#define FIRST_ROWS 50
#define FIRST_PAGES 4

/* What a row is expected to take before one was set, in milliseconds. */
#define FIRST_ROW_MS 0.1

/* Of the measured time of a row, how much is that of the last batch. */
#define LAST_BATCH_WEIGHT 0.2

static BackfillPace *pace_of_share(Backfill *b, int share);
static double rows_of_page(const BackfillLeaf *leaf);

/*
 * See backfill_internal.h.
 */
void
begin_pace(Backfill *b)
{
	b->pace.size = FIRST_ROWS;
	b->moving_pace.size = b->staying_pace.size = FIRST_PAGES;
	b->moving_pace.row_ms = b->staying_pace.row_ms = FIRST_ROW_MS;
}

/*
 * See backfill_internal.h.
 */
int
rows_of_batch(const Backfill *b)
{
	return (int) b->pace.size;
}

/*
 * See backfill_internal.h.  Where pages with little to do have made it fast, the
 * next one may be full: so it takes no more of them than it could do.
 */
BlockNumber
pages_of_batch(Backfill *b, const BackfillLeaf *leaf, int share)
{
	const BackfillPace *pace = pace_of_share(b, share);
	double		rows = Max(setting_backfill_max_wait, 1) / pace->row_ms;

	return (BlockNumber) Max(Min(pace->size, rows / rows_of_page(leaf)), 1);
}

/*
 * See backfill_internal.h.  Down at once, up slowly.  What took longer than it
 * should says by how much less would have been enough; that somebody has waited
 * says only that here is traffic.
 */
void
adjust_pace(Backfill *b, BackfillLeaf *leaf, int share,
			BlockNumber pages, uint64 rows, double duration,
			double flush_ms, bool others_waited)
{
	BackfillPace *pace = pace_of_share(b, share);
	double		wanted = Max(setting_backfill_max_wait, 1);
	double		size = share == ALL_SHARES ? rows : pages;

	if (share != ALL_SHARES)
	{
		leaf->page_rows = Max(leaf->page_rows,
							  (double) rows * leaf->shares / pages);

		/* else it is reading that has taken the time */
		if (rows > 0 && rows >= pages * rows_of_page(leaf) / 2)
			pace->row_ms += (duration / rows - pace->row_ms) * LAST_BATCH_WEIGHT;
	}
	duration += flush_ms;
	if (duration > wanted)
		pace->size = Min(pace->size, size * Max(0.8 * wanted / duration, 0.25));
	else if (others_waited)
		pace->size *= 0.9;
	else if (duration < 0.7 * wanted && size + 1 >= floor(pace->size))
		pace->size = pace->size * 1.1 + 1;
	pace->size = Min(Max(pace->size, 1), MAX_SIZE);
}

static BackfillPace *
pace_of_share(Backfill *b, int share)
{
	if (share == ALL_SHARES)
		return &b->pace;
	return share == 0 ? &b->moving_pace : &b->staying_pace;
}

/* That one turn sets, if all of them are still to be set. */
static double
rows_of_page(const BackfillLeaf *leaf)
{
	return Max(leaf->page_rows / leaf->shares, 1);
}
