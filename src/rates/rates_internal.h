/*-------------------------------------------------------------------------
 *
 * rates_internal.h
 *	  What the files of src/rates share: the rates in shared memory, and the
 *	  file that they are kept in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RATES_INTERNAL_H
#define SAFE_MIGRATE_RATES_INTERNAL_H

#include "postgres.h"

#include "rates/rates.h"

#define RATE_KINDS			(RATE_REWRITE + 1)

/*
 * What was learned of one kind of work.  Written to the file as it is: change
 * RATES_FILE_VERSION with it, and with RateKind.
 */
typedef struct WorkRate
{
	int64		samples;		/* 0: nothing is known, the rest is 0 too */
	uint64		bytes;			/* of all samples */
	double		log_rate;		/* natural logarithm of bytes per second */
	double		weight;			/* bytes that log_rate rests on, at learned_at */
	TimestampTz learned_at;
} WorkRate;

/*
 * rates.c.  All of these throw nothing and need no transaction; they take and
 * release the LWLock of the rates.  Without the library preloaded: no-ops.
 */

/*
 * Learn from one statement, unless it was faster than anything can be: then
 * the work that was foretold was not done.
 */
extern void learn_rate(RateKind kind, uint64 bytes, double seconds);

/*
 * Seconds for some work by what was learned; 0 when that is not enough to
 * tell.
 */
extern double seconds_for_work(RateKind kind, uint64 bytes);

/*
 * Copy all rates, and return how often they have changed since the memory was
 * made.  rates has room for RATE_KINDS.
 */
extern uint64 copy_rates(WorkRate *rates);
extern uint64 rates_changes(void);

/*
 * rates_file.c.  Problems are logged; nothing is thrown.
 */

/* Returns false, and leaves zeros, if there is no file or a bad one. */
extern bool read_rates_file(WorkRate *rates);

#endif							/* SAFE_MIGRATE_RATES_INTERNAL_H */
