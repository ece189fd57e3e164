/*-------------------------------------------------------------------------
 *
 * queue_stay.c
 *	  Short stays in the queue of a lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/settings.h"
#include "common/subtransaction.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

/* Some locks, as far as they are free before the end. */
typedef struct QueueStay
{
	List	   *targets;		/* of LockTarget */
	TimestampTz end;
	bool		taken;			/* all of them */
} QueueStay;

static bool take_in_turn(void *arg);
static bool take_until(const LockTarget *target, TimestampTz end);

/*
 * See lock_internal.h.  The lock is owned by the transaction, not by the
 * portal, so that it does not matter how it was got.
 */
bool
take_if_free(const LockTarget *target)
{
	ResourceOwner owner = CurrentResourceOwner;
	bool		taken;

	CurrentResourceOwner = CurTransactionResourceOwner;
	taken = ConditionalLockRelationOid(target->relid, target->lockmode);
	CurrentResourceOwner = owner;
	return taken;
}

void
let_go(const LockTarget *target)
{
	ResourceOwner owner = CurrentResourceOwner;

	CurrentResourceOwner = CurTransactionResourceOwner;
	UnlockRelationOid(target->relid, target->lockmode);
	CurrentResourceOwner = owner;
}

/*
 * See lock_internal.h.
 */
bool
is_short(int64 microseconds)
{
	return microseconds < setting_lock_queue_time * INT64CONST(1000);
}

/*
 * See lock_internal.h.  A subtransaction, since a wait that takes too long
 * ends with an error; its locks are those of the transaction when it succeeds,
 * and gone when it does not.
 *
 * LockTimeout is changed behind the back of the setting: that has no level to
 * fall back to when the error comes, and nothing reads it meanwhile.
 */
bool
queue_for_locks(List *targets, int milliseconds)
{
	QueueStay	stay = {targets};
	int			lock_timeout = LockTimeout;
	ErrorData  *error;

	stay.end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	error = run_in_subtransaction(take_in_turn, &stay);
	LockTimeout = lock_timeout;
	if (error == NULL)
		return stay.taken;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static bool
take_in_turn(void *arg)
{
	QueueStay  *stay = arg;
	ListCell   *cell;

	foreach(cell, stay->targets)
	{
		if (!take_until(lfirst(cell), stay->end))
			return false;
	}
	stay->taken = true;
	return true;
}

/* Nobody queues behind an old transaction, not even for the second lock. */
static bool
take_until(const LockTarget *target, TimestampTz end)
{
	long		milliseconds;

	if (take_if_free(target))
		return true;
	milliseconds = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
	if (milliseconds <= 0 ||
		!is_short(oldest_transaction(find_blockers(target))))
		return false;
	LockTimeout = (int) milliseconds;
	LockRelationOid(target->relid, target->lockmode);
	return true;
}
