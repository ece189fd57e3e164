/*-------------------------------------------------------------------------
 *
 * task_lock.c
 *	  One process at a time runs a task.
 *
 * The lock is named after the table of the tasks and the number of the task.
 * It belongs to the session, so that it outlives the commits of the task, and
 * it goes when the session ends in whatever way: a row that says "running"
 * and has no lock was left behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "task/task.h"
#include "utils/lsyscache.h"

static LOCKTAG held_tag;
static bool lock_is_held = false;

/*
 * See task.h.  No SQL function can take a lock with this tag.
 */
bool
task_lock(int64 id)
{
	Oid			relid = get_relname_relid("task_log",
										  get_namespace_oid(MIGRATE_SCHEMA,
															false));

	SET_LOCKTAG_OBJECT(held_tag, MyDatabaseId, relid, (Oid) id, 0);
	lock_is_held = LockAcquire(&held_tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
	return lock_is_held;
}

/*
 * See task.h.  After an error the lock is gone already.
 */
void
task_unlock(void)
{
	if (lock_is_held && compat_lock_held_by_me(&held_tag, ExclusiveLock))
		(void) LockRelease(&held_tag, ExclusiveLock, true);
	lock_is_held = false;
}
