/*-------------------------------------------------------------------------
 *
 * session_lock.c
 *	  Locks that a session holds over transactions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/session_lock.h"
#include "storage/ipc.h"
#include "storage/lock.h"

static void give_back_at_exit(int code, Datum arg);

/*
 * See session_lock.h.
 */
void
release_session_locks_at_exit(void)
{
	static bool is_registered = false;

	if (!is_registered)
		before_shmem_exit(give_back_at_exit, (Datum) 0);
	is_registered = true;
}

/* What PostgreSQL does after this as well, but for the second line. */
static void
give_back_at_exit(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}
