/*-------------------------------------------------------------------------
 *
 * heavy_work.c
 *	  Which statements teach a rate, and what others are told by it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "rates/rates_internal.h"
#include "utils/timeout.h"

/*
 * Bytes from which on work says how fast the server is: below, it is the
 * statement itself that takes the time.
 */
#define LEAST_WORK			(8 * 1024 * 1024)

static bool rate_kind_of(const Effect *effect, RateKind *kind);
static uint64 more_bytes(List *effects, const Effect *effect);
static char *duration_in_words(double seconds);

/*
 * See rates.h.  Whoever does work of two kinds, or of a kind that has no rate,
 * teaches nothing: how long each part took is not known.
 */
void
find_heavy_work(List *effects, HeavyWork *work)
{
	ListCell   *cell;
	uint64		bytes = 0;

	work->bytes = 0;
	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);
		RateKind	kind;

		if (effect->work == WORK_NONE)
			continue;
		if (!rate_kind_of(effect, &kind) || effect->relation == NULL ||
			effect->relation->is_temp || (bytes > 0 && kind != work->kind))
			return;
		work->kind = kind;
		bytes += more_bytes(effects, effect);
	}
	if (bytes >= LEAST_WORK)
		work->bytes = bytes;
}

/*
 * The kind of an effect's work, or false if its time does not depend on the
 * size of its relation, or on another's way of doing it: a materialized view
 * takes as long as its query, and REPACK (CONCURRENTLY) follows the changes
 * that others make.
 */
static bool
rate_kind_of(const Effect *effect, RateKind *kind)
{
	bool		concurrently = effect->lockmode < ShareLock;

	switch (effect->work)
	{
		case WORK_NONE:
		case WORK_UNKNOWN:
			return false;
		case WORK_SCAN:
			*kind = RATE_SCAN;
			return true;
		case WORK_FK_SCAN:
			*kind = RATE_FK_SCAN;
			return true;
		case WORK_INDEX_BUILD:
			*kind = concurrently ? RATE_INDEX_BUILD_CONCURRENTLY :
				RATE_INDEX_BUILD;
			return true;
		case WORK_INDEX_REBUILD:
			*kind = concurrently ? RATE_INDEX_REBUILD_CONCURRENTLY :
				RATE_INDEX_REBUILD;
			return true;
		case WORK_REWRITE:
			*kind = RATE_REWRITE;
			return !concurrently && effect->cause != CAUSE_REFRESH;
	}
	return false;
}

/*
 * What an effect adds to those before it: several checks of a table are one
 * scan of it, and several changes one rewrite.
 */
static uint64
more_bytes(List *effects, const Effect *effect)
{
	ListCell   *cell;

	if (effect->work != WORK_SCAN && effect->work != WORK_REWRITE)
		return effect->size_bytes;
	foreach(cell, effects)
	{
		const Effect *other = lfirst(cell);

		if (other == effect)
			break;
		if (other->relation == effect->relation &&
			other->work == effect->work)
			return 0;
	}
	return effect->size_bytes;
}

/*
 * See rates.h.
 */
void
start_heavy_work(HeavyWork *work)
{
	if (work->bytes == 0)
		return;
	work->last_wait = get_timeout_start_time(DEADLOCK_TIMEOUT);
	INSTR_TIME_SET_CURRENT(work->started);
}

/*
 * See rates.h.  How long locks were waited for cannot be told apart from the
 * rest.  But each wait for a lock, be it on a table, for a transaction to end
 * or for the snapshots of others, starts the timer of the deadlock check, and
 * nothing else does: when it was last started tells if there was one.
 */
void
learn_from_heavy_work(HeavyWork *work)
{
	instr_time	elapsed;

	if (work->bytes == 0 ||
		get_timeout_start_time(DEADLOCK_TIMEOUT) != work->last_wait)
		return;
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, work->started);
	learn_rate(work->kind, work->bytes, INSTR_TIME_GET_DOUBLE(elapsed));
}

/*
 * See rates.h.
 */
char *
work_time_in_words(const Effect *effect)
{
	double		seconds = work_seconds(effect, false);

	return seconds < 1 ? NULL : duration_in_words(seconds);
}

/*
 * See rates.h.  Where indexes were always built CONCURRENTLY, their rate is
 * what there is: it promises too long rather than too short a time.
 */
double
work_seconds(const Effect *effect, bool concurrently)
{
	RateKind	kind;
	RateKind	slower;
	double		seconds = 0;

	if (!rate_kind_of(effect, &kind) || effect->relation == NULL)
		return 0;
	slower = kind == RATE_INDEX_BUILD ? RATE_INDEX_BUILD_CONCURRENTLY :
		kind == RATE_INDEX_REBUILD ? RATE_INDEX_REBUILD_CONCURRENTLY : kind;
	if (!concurrently)
		seconds = seconds_for_work(kind, effect->size_bytes);
	if (seconds == 0)
		seconds = seconds_for_work(slower, effect->size_bytes);
	return seconds;
}

/*
 * No more digits than such a forecast deserves: whole seconds up to 10, fives
 * up to 90, then whole minutes, and so on.
 */
static char *
duration_in_words(double seconds)
{
	int			step = seconds < 10 ? 1 : seconds < 90 ? 5 :
	seconds < 600 ? 60 : seconds < SECS_PER_HOUR ? 300 :
	seconds < 10 * SECS_PER_HOUR ? 600 :
	seconds < 2 * SECS_PER_DAY ? SECS_PER_HOUR : SECS_PER_DAY;
	int64		rounded = (int64) (floor(seconds / step + 0.5) * step);
	int			hours = (int) (rounded / SECS_PER_HOUR);
	int			minutes = (int) (rounded % SECS_PER_HOUR / SECS_PER_MINUTE);

	if (rounded <= 90)
		return psprintf("about %d s", (int) rounded);
	if (rounded < SECS_PER_HOUR)
		return psprintf("about %d min", minutes);
	if (rounded >= 2 * SECS_PER_DAY)
		return psprintf("about %d days", (int) (rounded / SECS_PER_DAY));
	if (minutes == 0)
		return psprintf("about %d h", hours);
	return psprintf("about %d h %d min", hours, minutes);
}
