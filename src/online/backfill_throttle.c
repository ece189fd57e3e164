/*-------------------------------------------------------------------------
 *
 * backfill_throttle.c
 *	  What a backfill pauses for.
 *
 * A look is a transaction of its own, some times a second.  What cannot be known
 * is no reason to pause.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogarchive.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "parser/parse_coerce.h"
#include "pgstat.h"
#include "postmaster/bgwriter.h"
#include "postmaster/interrupt.h"
#include "replication/walsender.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define LOOK_INTERVAL_MS 200

/* So many pages with old versions are worth a pause: 16 MB. */
#define HELD_PAGES 2048

/* An interval is told by the server in microseconds; the longest lag counts. */
#define LAG_QUERY \
	"SELECT (EXTRACT(epoch FROM pg_catalog.max(r.replay_lag)) " \
	"OPERATOR(pg_catalog.*) 1000)::bigint FROM pg_catalog.pg_stat_replication r"

/* Whose transaction keeps the old versions of rows. */
#define HORIZON_QUERY \
	"SELECT a.pid FROM pg_catalog.pg_stat_activity a " \
	"WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() " \
	"AND COALESCE(a.backend_xmin, a.backend_xid) IS NOT NULL " \
	"AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() " \
	"ORDER BY GREATEST(pg_catalog.age(a.backend_xmin), " \
	"pg_catalog.age(a.backend_xid)) DESC LIMIT 1"

static void reload_configuration(void);
static char *reason_to_pause(Backfill *b, BackfillLeaf *leaf);
static char *lag_reason(void);
static char *archive_reason(void);
static char *checkpoint_reason(BackfillThrottle *throttle);
static char *horizon_reason(Backfill *b, BackfillLeaf *leaf);
static int	holder_of_horizon(void);
static char *query_reason(const char *query);
static bool value_is_positive(const char *query);

/*
 * See backfill_internal.h.
 */
void
throttle_backfill(Backfill *b, BackfillLeaf *leaf)
{
	if (GetCurrentTimestamp() < b->throttle.next_look)
		return;
	for (;;)
	{
		char	   *reason;

		reload_configuration();
		begin_backfill_transaction(b);
		reason = reason_to_pause(b, leaf);
		if (reason != NULL)
			reason = MemoryContextStrdup(b->context, reason);
		commit_backfill_transaction(b);
		if (reason == NULL)
			break;
		pause_backfill(b, reason, LOOK_INTERVAL_MS);
		pfree(reason);
	}
	pause_backfill(b, NULL, 0);
	b->throttle.next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														LOOK_INTERVAL_MS);
}

/*
 * What it waits for may be switched off meanwhile.  Outside of a transaction, as
 * PostgreSQL does it between two statements, of which this is one.
 */
static void
reload_configuration(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

/*
 * See backfill_internal.h.
 */
void
pause_backfill(Backfill *b, const char *reason, int milliseconds)
{
	if (b->is_paused != (reason != NULL))
	{
		begin_backfill_transaction(b);
		store_backfill_wait(b, reason);
		commit_backfill_transaction(b);
		b->is_paused = reason != NULL;
	}
	if (milliseconds == 0)
		return;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* In words, palloc'd; NULL if there is none. */
static char *
reason_to_pause(Backfill *b, BackfillLeaf *leaf)
{
	char	   *reason = NULL;

	if (b->request->throttle != NULL)
		reason = query_reason(b->request->throttle);
	if (reason == NULL && setting_backfill_throttle_query != NULL &&
		setting_backfill_throttle_query[0] != '\0')
		reason = query_reason(setting_backfill_throttle_query);
	if (reason == NULL && setting_backfill_max_lag > 0)
		reason = lag_reason();
	if (reason == NULL && setting_backfill_max_archive_queue > 0)
		reason = archive_reason();
	if (reason == NULL && setting_backfill_max_checkpoints > 0)
		reason = checkpoint_reason(&b->throttle);
	if (reason == NULL && setting_backfill_max_horizon_wait > 0)
		reason = horizon_reason(b, leaf);
	return reason;
}

static char *
lag_reason(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		lag;

	if (max_wal_senders == 0)
		return NULL;
	begin_own_access(&access);
	run_own_query(LAG_QUERY, &arguments, SPI_OK_SELECT);
	lag = own_bigint_column(0, 1);
	end_own_access(&access);
	if (lag <= setting_backfill_max_lag)
		return NULL;
	return psprintf("a standby, which is " INT64_FORMAT " ms behind", lag);
}

static char *
archive_reason(void)
{
	PgStat_ArchiverStats *archiver;
	TimeLineID	timeline;
	XLogSegNo	archived;
	XLogSegNo	current;

	if (!XLogArchivingActive())
		return NULL;
	archiver = pgstat_fetch_stat_archiver();
	if (!IsXLogFileName(archiver->last_archived_wal))
		return NULL;
	XLogFromFileName(archiver->last_archived_wal, &timeline, &archived,
					 wal_segment_size);
	XLByteToSeg(GetXLogWriteRecPtr(), current, wal_segment_size);
	if (current <= archived + setting_backfill_max_archive_queue)
		return NULL;
	return psprintf("the archive, for which " UINT64_FORMAT " segments of WAL wait",
					(uint64) (current - archived));
}

/* Checkpoints that come because of WAL are those that are requested. */
static char *
checkpoint_reason(BackfillThrottle *throttle)
{
	int64		count = compat_requested_checkpoints();
	TimestampTz now = GetCurrentTimestamp();
	int64		more = throttle->checkpoints < 0 ? 0 : count - throttle->checkpoints;

	throttle->checkpoints = count;
	if (more > 0)
	{
		if (TimestampDifferenceExceeds(throttle->checkpoint_time, now,
									   CheckPointWarning * 1000))
			throttle->recent_checkpoints = 0;
		throttle->recent_checkpoints += more;
		throttle->checkpoint_time = now;
		if (throttle->recent_checkpoints >= setting_backfill_max_checkpoints)
		{
			throttle->checkpoint_pause_end =
				TimestampTzPlusMilliseconds(now, CheckPointWarning * 1000);
			throttle->recent_checkpoints = 0;
		}
	}
	if (now >= throttle->checkpoint_pause_end)
		return NULL;
	return pstrdup("checkpoints, of which there were several within checkpoint_warning");
}

/* Only for so long; then space is not what matters. */
static char *
horizon_reason(Backfill *b, BackfillLeaf *leaf)
{
	BackfillThrottle *throttle = &b->throttle;
	TimestampTz now = GetCurrentTimestamp();
	Relation	rel;
	bool		is_free;
	int			pid;

	if (!prune_is_behind(leaf, HELD_PAGES))
	{
		throttle->horizon_given_up = false;
		throttle->horizon_since = 0;
	}
	if (throttle->horizon_given_up || !prune_is_behind(leaf, HELD_PAGES))
		return NULL;
	rel = lock_backfill_leaf(b, leaf);
	if (rel == NULL)
		return NULL;
	is_free = prune_behind(leaf, rel);
	relation_close(rel, NoLock);
	if (is_free || !prune_is_behind(leaf, HELD_PAGES))
		return NULL;
	pid = holder_of_horizon();
	if (throttle->horizon_since == 0)
		throttle->horizon_since = now;
	if (!TimestampDifferenceExceeds(throttle->horizon_since, now,
									setting_backfill_max_horizon_wait))
		return pid == 0 ? pstrdup("the horizon, which something holds back") :
			psprintf("process %d, whose transaction keeps old versions of rows", pid);
	throttle->horizon_given_up = true;
	if (!b->request->quiet)
		ereport(NOTICE,
				(errmsg("backfill " INT64_FORMAT " of %s goes on without reusing space, because old versions of rows have been kept for %d s by %s",
						b->id, leaf->name,
						setting_backfill_max_horizon_wait / 1000,
						pid == 0 ? "a replication slot or a prepared transaction" :
						psprintf("process %d", pid))));
	return NULL;
}

static int
holder_of_horizon(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int			pid;

	begin_own_access(&access);
	run_own_query(HORIZON_QUERY, &arguments, SPI_OK_SELECT);
	pid = SPI_processed > 0 ? own_int_column(0, 1) : 0;
	end_own_access(&access);
	return pid;
}

static char *
query_reason(const char *query)
{
	bool		pauses;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	pauses = value_is_positive(query);
	SPI_finish();
	PopActiveSnapshot();
	return pauses ? psprintf("the query: %s", query) : NULL;
}

/* One row with one column, true or above 0. */
static bool
value_is_positive(const char *query)
{
	Oid			type;
	char	   *value;

	/* of several statements, the last one alone would count */
	if (list_length(pg_parse_query(query)) != 1 ||
		SPI_execute(query, true, 2) != SPI_OK_SELECT || SPI_processed != 1 ||
		SPI_tuptable->tupdesc->natts != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query that pauses a backfill must give one row with one column: %s",
						query)));
	type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value == NULL)
		return false;
	if (type == BOOLOID)
		return value[0] == 't';
	if (TypeCategory(type) != TYPCATEGORY_NUMERIC)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query that pauses a backfill must give a boolean or a number: %s",
						query)));
	return strtod(value, NULL) > 0;
}
