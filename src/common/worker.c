/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  Background workers that the launcher starts for one piece of work.
 *
 * None of them stays: a resident worker would be in the way of DROP DATABASE
 * and its like.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/worker.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/syscache.h"

static bool can_log_in(Oid role);

/*
 * See worker.h.
 */
bool
start_short_worker(const ShortWorker *worker, BackgroundWorkerHandle **handle)
{
	BackgroundWorker entry = {0};

	snprintf(entry.bgw_type, BGW_MAXLEN, "safe_migrate %s", worker->type);
	if (OidIsValid(worker->database))
		snprintf(entry.bgw_name, BGW_MAXLEN, "%s for database %u",
				 entry.bgw_type, worker->database);
	else
		snprintf(entry.bgw_name, BGW_MAXLEN, "%s", entry.bgw_type);
	snprintf(entry.bgw_library_name, sizeof(entry.bgw_library_name),
			 MIGRATE_EXTENSION);
	snprintf(entry.bgw_function_name, BGW_MAXLEN, "%s", worker->function);
	entry.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION | COMPAT_BGWORKER_INTERRUPTIBLE;
	entry.bgw_start_time = BgWorkerStart_RecoveryFinished;
	entry.bgw_restart_time = BGW_NEVER_RESTART;
	entry.bgw_main_arg = ObjectIdGetDatum(worker->database);
	Assert(worker->extra_size <= BGW_EXTRALEN);
	memcpy(entry.bgw_extra, worker->extra, worker->extra_size);
	entry.bgw_notify_pid = MyProcPid;

	return RegisterDynamicBackgroundWorker(&entry, handle);
}

/*
 * See worker.h.
 */
bool
worker_can_connect_as(Oid role, char **reason)
{
	char	   *name = GetUserNameFromId(role, false);

	*reason = NULL;
	if (!COMPAT_WORKER_BYPASSES_LOGIN && !can_log_in(role))
		*reason = psprintf("before PostgreSQL 17 a background worker cannot run as \"%s\", which is not permitted to log in",
						   name);
	else if (!compat_may_connect(MyDatabaseId, role))
		*reason = psprintf("role \"%s\" is not permitted to connect to this database",
						   name);
	return *reason == NULL;
}

static bool
can_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * See worker.h.
 */
void
fix_worker_settings(const char *const(*settings)[2], int count)
{
	for (int i = 0; i < count; i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1],
							PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/*
 * See worker.h.
 */
void
give_way_like_autovacuum(void)
{
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
}
