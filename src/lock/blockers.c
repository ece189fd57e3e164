/*-------------------------------------------------------------------------
 *
 * blockers.c
 *	  Who is in the way of a lock, and in words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "catalog/pg_authid.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Blockers that a message lists. */
#define MAX_BLOCKERS_SHOWN	3

static const struct
{
	BackendState state;
	const char *name;
}			states[] = {
	{STATE_IDLE, "idle"},
	{STATE_RUNNING, "active"},
	{STATE_IDLEINTRANSACTION, "idle in transaction"},
	{STATE_FASTPATH, "in a fast-path function call"},
	{STATE_IDLEINTRANSACTION_ABORTED, "idle in a transaction that has failed"},
};

static List *pids_around(const LOCKTAG *tag, LOCKMODE lockmode);
static Blocker *make_blocker(int pid);
static const char *state_name(BackendState state);

/*
 * See lock_internal.h.
 */
List *
find_blockers(const LockTarget *target)
{
	LOCKTAG		tag;
	List	   *pids;

	set_lock_tag(&tag, MyDatabaseId, target);
	pids = pids_of_holders(&tag, target->lockmode);
	if (pids == NIL)
		pids = pids_around(&tag, target->lockmode);
	return blockers_with_pids(pids);
}

/*
 * See lock_internal.h.
 */
bool
lock_is_held(const LockTarget *target)
{
	VirtualTransactionId *holders;
	LOCKTAG		tag;
	int			count;

	set_lock_tag(&tag, MyDatabaseId, target);
	holders = GetLockConflicts(&tag, target->lockmode, &count);
	pfree(holders);
	return count > 0;
}

/*
 * See lock_internal.h.
 */
List *
pids_of_holders(const LOCKTAG *tag, LOCKMODE lockmode)
{
	VirtualTransactionId *holders;
	List	   *pids = NIL;
	int			count;

	holders = GetLockConflicts(tag, lockmode, &count);
	for (int i = 0; i < count; i++)
	{
		PGPROC	   *process = compat_process_of_transaction(holders[i]);
		bool		have_more;

		if (process != NULL)
			pids = list_append_unique_int(pids, process->pid);
		else if (TransactionIdIsValid(TwoPhaseGetXidByVirtualXID(holders[i],
																 &have_more)))
			pids = list_append_unique_int(pids, 0);
	}
	pfree(holders);
	return pids;
}

/*
 * A free lock is refused to whoever would overtake those in the queue.  And a
 * command that commits inside holds its lock between its transactions, when
 * GetLockConflicts() does not see it.
 */
static List *
pids_around(const LOCKTAG *tag, LOCKMODE lockmode)
{
	LockData   *data = GetLockStatusData();
	List	   *pids = NIL;

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *instance = &data->locks[i];
		LOCKMASK	modes = instance->holdMask;

		if (memcmp(&instance->locktag, tag, sizeof(LOCKTAG)) != 0 ||
			instance->pid == MyProcPid)
			continue;
		if (instance->waitLockMode != NoLock)
			modes |= LOCKBIT_ON(instance->waitLockMode);
		for (LOCKMODE mode = AccessShareLock; mode <= MaxLockMode; mode++)
			if ((modes & LOCKBIT_ON(mode)) &&
				DoLockModesConflict(mode, lockmode))
				pids = list_append_unique_int(pids, instance->pid);
	}
	return pids;
}

/*
 * See lock_internal.h.
 */
List *
blockers_with_pids(List *pids)
{
	List	   *blockers = NIL;
	ListCell   *cell;

	/* what was read before is not what is now */
	pgstat_clear_backend_activity_snapshot();
	foreach(cell, pids)
		blockers = lappend(blockers, make_blocker(lfirst_int(cell)));
	return blockers;
}

static Blocker *
make_blocker(int pid)
{
	Blocker    *blocker = palloc0(sizeof(Blocker));
	int			count = pid == 0 ? 0 : pgstat_fetch_stat_numbackends();

	blocker->pid = pid;
	for (int i = 1; i <= count; i++)
	{
		const PgBackendStatus *status = &compat_local_backend_status(i)->backendStatus;

		if (status->st_procpid != pid)
			continue;
		blocker->roleid = status->st_userid;
		blocker->state = status->st_state;
		blocker->transaction_start = status->st_xact_start_timestamp;
		blocker->application = pstrdup(status->st_appname);
		blocker->query = pgstat_clip_activity(status->st_activity_raw);
		break;
	}
	return blocker;
}

/*
 * See lock_internal.h.
 */
int64
oldest_transaction(List *blockers)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		oldest = 0;
	ListCell   *cell;

	foreach(cell, blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (blocker->transaction_start == 0)
			return PG_INT64_MAX;
		oldest = Max(oldest, now - blocker->transaction_start);
	}
	return oldest;
}

/*
 * See lock_internal.h.
 */
char *
blocker_in_words(const Blocker *blocker)
{
	StringInfoData words;
	char	   *role = NULL;

	if (blocker->pid == 0)
		return pstrdup("a prepared transaction");
	initStringInfo(&words);
	appendStringInfo(&words, "process %d (", blocker->pid);
	if (OidIsValid(blocker->roleid))
		role = GetUserNameFromId(blocker->roleid, true);
	if (role != NULL)
		appendStringInfo(&words, "role %s, ", role);
	if (blocker->application != NULL && blocker->application[0] != '\0')
		appendStringInfo(&words, "application %s, ", blocker->application);
	appendStringInfoString(&words, state_name(blocker->state));
	if (blocker->transaction_start != 0)
		appendStringInfo(&words, ", transaction open for %s",
						 wait_in_words(GetCurrentTimestamp() -
									   blocker->transaction_start));
	appendStringInfoChar(&words, ')');
	return words.data;
}

static const char *
state_name(BackendState state)
{
	for (int i = 0; i < lengthof(states); i++)
		if (states[i].state == state)
			return states[i].name;
	return "state unknown";
}

/*
 * See lock_internal.h.
 */
char *
blockers_in_words(List *blockers)
{
	StringInfoData words;
	int			more = list_length(blockers) - MAX_BLOCKERS_SHOWN;
	ListCell   *cell;

	if (blockers == NIL)
		return pstrdup("a session that is gone by now");
	initStringInfo(&words);
	foreach(cell, blockers)
	{
		if (foreach_current_index(cell) < MAX_BLOCKERS_SHOWN)
			appendStringInfo(&words, "%s%s",
							 foreach_current_index(cell) > 0 ? ", " : "",
							 blocker_in_words(lfirst(cell)));
	}
	if (more > 0)
		appendStringInfo(&words, " and %d more", more);
	return words.data;
}

/*
 * See lock_internal.h.
 */
bool
may_see_query(const Blocker *blocker)
{
	return OidIsValid(blocker->roleid) &&
		(has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		 has_privs_of_role(GetUserId(), blocker->roleid));
}

/*
 * See lock_internal.h.
 */
char *
queries_of_blockers(List *blockers)
{
	StringInfoData words;
	ListCell   *cell;

	initStringInfo(&words);
	foreach(cell, blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (foreach_current_index(cell) >= MAX_BLOCKERS_SHOWN)
			break;
		if (blocker->pid == 0)
			continue;
		appendStringInfo(&words, "%sProcess %d: %s",
						 words.len > 0 ? "\n" : "", blocker->pid,
						 may_see_query(blocker) ? blocker->query :
						 "its query is only for members of its role and of pg_read_all_stats to see.");
	}
	return words.data;
}

/*
 * See lock_internal.h.
 */
char *
remedy_for_blockers(List *blockers)
{
	StringInfoData sql;
	ListCell   *cell;

	initStringInfo(&sql);
	foreach(cell, blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (foreach_current_index(cell) >= MAX_BLOCKERS_SHOWN)
			break;
		if (blocker->pid != 0)
			appendStringInfo(&sql, "%sSELECT pg_terminate_backend(%d);",
							 sql.len > 0 ? " " : "", blocker->pid);
		else
			appendStringInfo(&sql, "%sSELECT gid FROM pg_prepared_xacts;",
							 sql.len > 0 ? " " : "");
	}
	return sql.len > 0 ? sql.data : NULL;
}

/*
 * See lock_internal.h.
 */
char *
wait_in_words(int64 microseconds)
{
	double		seconds = microseconds / (double) USECS_PER_SEC;

	if (seconds < 1)
		return psprintf("%d ms", (int) (microseconds / 1000));
	if (seconds < 10)
		return psprintf("%.1f s", seconds);
	if (seconds < 2 * SECS_PER_MINUTE)
		return psprintf("%d s", (int) seconds);
	if (seconds < 2 * SECS_PER_HOUR)
		return psprintf("%d min", (int) (seconds / SECS_PER_MINUTE));
	return psprintf("%d h", (int) (seconds / SECS_PER_HOUR));
}
