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
#include "miscadmin.h"
#include "storage/lock.h"
#include "task/task.h"
#include "utils/lsyscache.h"

static void set_tag(LOCKTAG *tag, int64 id);

/* No SQL function can take a lock with this tag. */
static void
set_tag(LOCKTAG *tag, int64 id)
{
	Oid			relid = get_relname_relid("task_log",
										  get_namespace_oid(MIGRATE_SCHEMA,
															false));

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, relid, (Oid) id, 0);
}

/*
 * See task.h.
 */
bool
task_lock(int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, id);
	return LockAcquire(&tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

/*
 * See task.h.
 */
void
task_unlock(int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, id);
	(void) LockRelease(&tag, ExclusiveLock, true);
}
