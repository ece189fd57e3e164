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

void
begin_pace(BackfillPace *pace, int pages)
{
	pace->pages = pages;
}

BlockNumber
pages_of_pace(const BackfillPace *pace)
{
	return (BlockNumber) pace->pages;
}

BackfillPace *
pace_of_share(Backfill *b, int share)
{
	if (share == ALL_SHARES)
		return &b->pace;
	return share == 0 ? &b->moving_pace : &b->staying_pace;
}

/*
 * Down at once, up slowly.  What took longer than it should says by how much
 * less would have been enough; that somebody has waited says only that here is
 * traffic.
 */
void
adjust_pace(BackfillPace *pace, BlockNumber pages, double duration,
			bool others_waited)
{
	double		wanted = Max(setting_backfill_max_wait, 1);

	if (duration > wanted)
		pace->pages = Min(pace->pages, pages * Max(0.8 * wanted / duration, 0.25));
	else if (others_waited)
		pace->pages *= 0.9;
	else if (duration < 0.7 * wanted && pages + 1 >= pages_of_pace(pace))
		pace->pages = pace->pages * 1.1 + 1;
	pace->pages = Min(Max(pace->pages, 1), MAX_PAGES);
}
