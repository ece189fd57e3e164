/*-------------------------------------------------------------------------
 *
 * backfill_pace.c
 *	  How much of a table a transaction takes.
 *
 * Whoever needs a row that is just being set waits until the transaction ends.
 * So what counts is the time from its first row to its commit, whatever the
 * reason for it is: triggers, indexes, other processes that need the CPU.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/settings.h"
#include "online/backfill_internal.h"

/* More pages than any disk reads in that time. */
#define MAX_PAGES 100000.0

/* Of a table of which nothing is known yet. */
#define FIRST_PAGES 2

/* What a row is expected to take before one was set, in milliseconds. */
#define FIRST_ROW_MS 0.1

/* Of the measured time of a row, how much is that of the last batch. */
#define LAST_BATCH_WEIGHT 0.2

static BackfillPace *pace_of_share(Backfill *b, int share);
static double *row_ms_of_share(Backfill *b, int share);
static double rows_of_page(const BackfillLeaf *leaf, int share);

/*
 * See backfill_internal.h.
 */
void
begin_pace(Backfill *b)
{
	BackfillPace *paces[] = {&b->pace, &b->moving_pace, &b->staying_pace};

	for (int i = 0; i < lengthof(paces); i++)
	{
		paces[i]->pages = FIRST_PAGES << i;
		paces[i]->row_ms = FIRST_ROW_MS;
	}
}

/*
 * See backfill_internal.h.  Where pages with nothing to do have made it fast,
 * the next one may be full: so it takes no more of them than it could do.
 */
BlockNumber
pages_of_batch(Backfill *b, const BackfillLeaf *leaf, int share)
{
	const BackfillPace *pace = pace_of_share(b, share);
	double		rows = Max(setting_backfill_max_wait, 1) /
	*row_ms_of_share(b, share);

	if (leaf->page_rows == 0)
		return FIRST_PAGES;
	return (BlockNumber) Max(Min(pace->pages, rows / rows_of_page(leaf, share)),
							 1);
}

/*
 * See backfill_internal.h.  Down at once, up slowly.  What took longer than it
 * should says by how much less would have been enough; that somebody has waited
 * says only that here is traffic.
 */
void
adjust_pace(Backfill *b, const BackfillLeaf *leaf, int share,
			BlockNumber pages, uint64 rows, double duration,
			bool others_waited)
{
	BackfillPace *pace = pace_of_share(b, share);
	double		wanted = Max(setting_backfill_max_wait, 1);
	double	   *row_ms = row_ms_of_share(b, share);

	/* else it is reading that has taken the time */
	if (rows > 0 && rows >= pages * rows_of_page(leaf, share) / 2)
		*row_ms += (duration / rows - *row_ms) * LAST_BATCH_WEIGHT;
	if (duration > wanted)
		pace->pages = Min(pace->pages, pages * Max(0.8 * wanted / duration, 0.25));
	else if (others_waited)
		pace->pages *= 0.9;
	else if (duration < 0.7 * wanted && pages + 1 >= (BlockNumber) pace->pages)
		pace->pages = pace->pages * 1.1 + 1;
	pace->pages = Min(Max(pace->pages, 1), MAX_PAGES);
}

static BackfillPace *
pace_of_share(Backfill *b, int share)
{
	if (share == ALL_SHARES)
		return &b->pace;
	return share == 0 ? &b->moving_pace : &b->staying_pace;
}

/* Where all rows are set at once most of them move. */
static double *
row_ms_of_share(Backfill *b, int share)
{
	return share == ALL_SHARES || share == 0 ? &b->moving_pace.row_ms :
		&b->staying_pace.row_ms;
}

/* That one turn sets, if all of them are still to be set. */
static double
rows_of_page(const BackfillLeaf *leaf, int share)
{
	return Max(leaf->page_rows / (share == ALL_SHARES ? 1 : leaf->shares), 1);
}
