/*-------------------------------------------------------------------------
 *
 * rates.h
 *	  How fast this server scans, builds and rewrites, and how long a
 *	  statement will take by that.
 *
 * Nothing is assumed: a rate comes from statements that have run here, and
 * as long as none has, nobody is told a time.  The rates are those of the
 * server, not of a database, and lie in shared memory and in a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RATES_H
#define SAFE_MIGRATE_RATES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "effects/effects.h"
#include "portability/instr_time.h"
#include "storage/latch.h"

/*
 * The kinds of work that have a rate of their own.  CONCURRENTLY reads a table
 * twice and sorts its index once more.
 */
typedef enum RateKind
{
	RATE_SCAN,
	RATE_FK_SCAN,
	RATE_INDEX_BUILD,
	RATE_INDEX_BUILD_CONCURRENTLY,
	RATE_INDEX_REBUILD,
	RATE_INDEX_REBUILD_CONCURRENTLY,
	RATE_REWRITE
} RateKind;

/* What a statement that is about to run can teach. */
typedef struct HeavyWork
{
	uint64		bytes;			/* 0: nothing */
	RateKind	kind;
	instr_time	started;
	TimestampTz last_wait;		/* when this process last waited for a lock */
} HeavyWork;

/*
 * To be called from _PG_init while shared_preload_libraries is processed, and
 * only then.  Throws nothing.
 */
extern void rates_request_shared_memory(void);

/*
 * Look for work in the effects of a statement by which a rate can be learned:
 * of one kind, on tables of more than a few megabytes, and not on a temporary
 * one.  Otherwise work->bytes becomes 0, and the two functions below do
 * nothing.
 */
extern void find_heavy_work(List *effects, HeavyWork *work);

/* The statement starts now. */
extern void start_heavy_work(HeavyWork *work);

/*
 * The statement has come to its end without an error: learn from it, unless it
 * had to wait for a lock.  Takes one LWLock; throws nothing.
 */
extern void learn_from_heavy_work(HeavyWork *work);

/*
 * How long the work of an effect will take by what was learned: "about 9 min",
 * palloc'd.  NULL when that is not known, or less than a second.
 */
extern char *work_time_in_words(const Effect *effect);

/*
 * The same in seconds, 0 when it is not known; concurrently: for an index that
 * will be built so instead.
 */
extern double work_seconds(const Effect *effect, bool concurrently);

/*
 * For the launcher, which keeps the rates in their file: write them if they
 * have changed since this process did so, and not more often than every few
 * seconds unless at_once.  Takes LWLocks; problems with the file are logged.
 */
extern void save_rates(bool at_once);

/* Milliseconds until save_rates(false) has something to do, or -1. */
extern long next_save_of_rates(void);

/*
 * The latch to be set when there is something to be saved; NULL when the
 * launcher ends.
 */
extern void set_saver_of_rates(Latch *latch);

#endif							/* SAFE_MIGRATE_RATES_H */
