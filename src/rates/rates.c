/*-------------------------------------------------------------------------
 *
 * rates.c
 *	  The rates in shared memory: learning, foretelling, and showing them.
 *
 * A rate is smoothed exponentially, in logarithms since rates are off by
 * factors.  A sample of b bytes in s seconds meets a rate r that rests on W
 * bytes:
 *
 *	  w = W * 2^(-age / HALF_LIFE)			what is still worth something
 *	  e = ln(b / s) - ln r					how wrong the rate was
 *	  e' = e, cut to +- ln 4 * max(1, b / w)
 *	  ln r += e' * b / (w + b);  W = w + b
 *
 * So each byte counts alike, and a large table for more than many small ones,
 * which lie in the cache.  The weight of what was learned halves with time.
 * To cut the error of the forecast makes smoothing robust against outliers:
 * see Gelper, Fried and Croux, "Robust Forecasting with Exponential and
 * Holt-Winters Smoothing", Journal of Forecasting 29 (2010).  A sample that is
 * larger than all that is known is no outlier, so its error is cut less.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "rates/rates_internal.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define RATES_NAME			"safe_migrate_rates"

/* Time in which what was learned loses half of its weight. */
#define HALF_LIFE_SECONDS	(30.0 * SECS_PER_DAY)

/* The factor that one sample may be wrong by before its error is cut. */
#define MAX_SURPRISE		4.0

/*
 * Bytes per second that no work has: what was foretold was not done, such as
 * a scan that was not needed.
 */
#define MAX_RATE			(16.0 * 1024 * 1024 * 1024)

/* A rate says nothing of work so many times larger than what it rests on. */
#define MAX_EXTRAPOLATION	1000.0

#define RATE_COLUMNS		5

typedef struct RateTable
{
	LWLock	   *lock;			/* protects the rest */
	Latch	   *saver;			/* of the launcher, or NULL */
	uint64		changes;
	WorkRate	rates[RATE_KINDS];
} RateTable;

static const char *const kind_names[] = {
	[RATE_SCAN] = "scan",
	[RATE_FK_SCAN] = "fk_scan",
	[RATE_INDEX_BUILD] = "index_build",
	[RATE_INDEX_BUILD_CONCURRENTLY] = "index_build_concurrently",
	[RATE_INDEX_REBUILD] = "index_rebuild",
	[RATE_INDEX_REBUILD_CONCURRENTLY] = "index_rebuild_concurrently",
	[RATE_REWRITE] = "rewrite",
};

static RateTable *table = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

PG_FUNCTION_INFO_V1(migrate_work_rate_list);
PG_FUNCTION_INFO_V1(migrate_forget_work_rates);

static void rates_shmem_request(void);
static void rates_shmem_startup(void);
static void note_change(void);
static double present_weight(const WorkRate *rate, TimestampTz now);

/*
 * See rates.h.
 */
void
rates_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = rates_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = rates_shmem_startup;
}

static void
rates_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(RateTable)));
	RequestNamedLWLockTranche(RATES_NAME, 1);
}

/*
 * Runs in the postmaster, again after a crash, with new memory then: read what
 * the launcher has written last.
 */
static void
rates_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	table = ShmemInitStruct(RATES_NAME, sizeof(RateTable), &found);
	if (!found)
	{
		memset(table, 0, sizeof(RateTable));
		table->lock = &(GetNamedLWLockTranche(RATES_NAME))->lock;
		(void) read_rates_file(table->rates);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * See rates_internal.h.
 */
void
learn_rate(RateKind kind, uint64 bytes, double seconds)
{
	TimestampTz now = GetCurrentTimestamp();
	double		sample;
	WorkRate   *rate;

	if (table == NULL || seconds <= 0 || bytes / seconds > MAX_RATE)
		return;
	sample = log(bytes / seconds);

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	rate = &table->rates[kind];
	if (rate->samples == 0)
	{
		rate->log_rate = sample;
		rate->weight = bytes;
	}
	else
	{
		double		weight = present_weight(rate, now);
		double		limit = log(MAX_SURPRISE) * Max(1.0, bytes / weight);
		double		error = sample - rate->log_rate;

		error = Max(-limit, Min(limit, error));
		rate->log_rate += error * bytes / (weight + bytes);
		rate->weight = weight + bytes;
	}
	rate->samples++;
	rate->bytes += bytes;
	rate->learned_at = now;
	note_change();
	LWLockRelease(table->lock);
}

/* There is something to be saved.  Caller holds the lock. */
static void
note_change(void)
{
	table->changes++;
	if (table->saver != NULL)
		SetLatch(table->saver);
}

/*
 * What is left of the weight of a rate; never quite 0, since it divides.  A
 * clock that was put back makes nothing younger.
 */
static double
present_weight(const WorkRate *rate, TimestampTz now)
{
	double		age = (now - rate->learned_at) / (double) USECS_PER_SEC;

	return Max(1.0, rate->weight * exp2(-Max(age, 0.0) / HALF_LIFE_SECONDS));
}

/*
 * See rates.h.
 */
void
set_saver_of_rates(Latch *latch)
{
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	table->saver = latch;
	LWLockRelease(table->lock);
}

/*
 * See rates_internal.h.
 */
double
seconds_for_work(RateKind kind, uint64 bytes)
{
	WorkRate	rate;

	if (table == NULL)
		return 0;
	LWLockAcquire(table->lock, LW_SHARED);
	rate = table->rates[kind];
	LWLockRelease(table->lock);

	if (rate.samples == 0 ||
		bytes > MAX_EXTRAPOLATION * present_weight(&rate,
												   GetCurrentTimestamp()))
		return 0;
	return bytes / exp(rate.log_rate);
}

/*
 * See rates_internal.h.
 */
uint64
copy_rates(WorkRate *rates)
{
	uint64		changes;

	if (table == NULL)
	{
		memset(rates, 0, RATE_KINDS * sizeof(WorkRate));
		return 0;
	}
	LWLockAcquire(table->lock, LW_SHARED);
	memcpy(rates, table->rates, sizeof(table->rates));
	changes = table->changes;
	LWLockRelease(table->lock);
	return changes;
}

uint64
rates_changes(void)
{
	uint64		changes;

	if (table == NULL)
		return 0;
	LWLockAcquire(table->lock, LW_SHARED);
	changes = table->changes;
	LWLockRelease(table->lock);
	return changes;
}

/*
 * migrate.work_rate_list(): a row for each kind of work that is known.
 */
Datum
migrate_work_rate_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	WorkRate	rates[RATE_KINDS];

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	(void) copy_rates(rates);

	for (int kind = 0; kind < RATE_KINDS; kind++)
	{
		const WorkRate *rate = &rates[kind];
		Datum		values[RATE_COLUMNS];
		bool		nulls[RATE_COLUMNS] = {false};

		if (rate->samples == 0)
			continue;
		values[0] = CStringGetTextDatum(kind_names[kind]);
		values[1] = Int64GetDatum(rate->samples);
		values[2] = Int64GetDatum((int64) exp(rate->log_rate));
		values[3] = Int64GetDatum((int64) rate->bytes);
		values[4] = TimestampTzGetDatum(rate->learned_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	return (Datum) 0;
}

/* migrate.forget_work_rates(): for a server that was moved to other disks. */
Datum
migrate_forget_work_rates(PG_FUNCTION_ARGS)
{
	require_preloaded();
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	memset(table->rates, 0, sizeof(table->rates));
	note_change();
	LWLockRelease(table->lock);
	PG_RETURN_VOID();
}
