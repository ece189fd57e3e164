/*-------------------------------------------------------------------------
 *
 * task_lock.c
 *	  The lock of a task, which says that somebody runs it.
 *
 * It is a lock on an object of migrate.task_log, with the number of the task:
 * so it is seen in pg_locks, is gone with the process that has it, and belongs
 * to one database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/session_lock.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "task/task.h"
#include "utils/lsyscache.h"

static LOCKTAG held_tag;
static bool lock_was_taken = false;

/*
 * See task.h.  No SQL function can take a lock with this tag.
 */
bool
task_lock(int64 id)
{
	Oid			relid = get_relname_relid("task_log",
										  get_namespace_oid(MIGRATE_SCHEMA,
															false));
	LOCKTAG		tag;

	release_session_locks_at_exit();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, relid, (Oid) id, 0);
	if (lock_was_taken && memcmp(&tag, &held_tag, sizeof(LOCKTAG)) == 0 &&
		compat_lock_held_by_me(&tag, ExclusiveLock))
		return true;
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	held_tag = tag;
	lock_was_taken = true;
	return true;
}

/*
 * See task.h.
 */
void
task_unlock(void)
{
	if (lock_was_taken && compat_lock_held_by_me(&held_tag, ExclusiveLock))
		(void) LockRelease(&held_tag, ExclusiveLock, true);
	lock_was_taken = false;
}
