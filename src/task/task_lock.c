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
 * PostgreSQL itself gives such a lock back at the end of a process only if a
 * transaction is open then, and otherwise leaves it in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/catalog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "task/task.h"
#include "utils/lsyscache.h"

/* The table, when a lock was last taken. */
static Oid	task_log_relid = InvalidOid;

static void set_tag(LOCKTAG *tag, int64 id);
static void give_back_at_exit(int code, Datum arg);

/* No SQL function can take a lock with this tag. */
static void
set_tag(LOCKTAG *tag, int64 id)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, task_log_relid, (Oid) id, 0);
}

/*
 * See task.h.
 */
bool
task_lock(int64 id)
{
	static bool exit_registered = false;
	LOCKTAG		tag;

	if (!exit_registered)
	{
		before_shmem_exit(give_back_at_exit, (Datum) 0);
		exit_registered = true;
	}
	task_log_relid = get_relname_relid("task_log",
									   get_namespace_oid(MIGRATE_SCHEMA,
														 false));
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

/* What PostgreSQL does after this as well, but for the second line. */
static void
give_back_at_exit(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}
