/*-------------------------------------------------------------------------
 *
 * pollers.c
 *	  Who polls for which lock, in shared memory.
 *
 * Each backend has a place of its own, by the number of its PGPROC.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#define POLLERS_NAME		"safe_migrate_pollers"

typedef struct Pollers
{
	LWLock	   *lock;			/* protects all that follows */
	int			count;			/* of places that are taken */
	Poller		places[FLEXIBLE_ARRAY_MEMBER];
} Pollers;

static Pollers *pollers = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size pollers_size(void);
static void pollers_shmem_request(void);
static void pollers_shmem_startup(void);
static Poller *own_place(void);
static void withdraw_at_exit(int code, Datum arg);

/*
 * See lock.h.
 */
void
lock_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = pollers_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = pollers_shmem_startup;
}

static Size
pollers_size(void)
{
	return add_size(offsetof(Pollers, places),
					mul_size(MaxBackends, sizeof(Poller)));
}

static void
pollers_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(pollers_size()));
	RequestNamedLWLockTranche(POLLERS_NAME, 1);
}

/*
 * Runs in the postmaster, again after a crash, with new memory then.
 */
static void
pollers_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	pollers = ShmemInitStruct(POLLERS_NAME, pollers_size(), &found);
	if (!found)
	{
		memset(pollers, 0, pollers_size());
		pollers->lock = &(GetNamedLWLockTranche(POLLERS_NAME))->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

static Poller *
own_place(void)
{
	int			number = MyProc - ProcGlobal->allProcs;

	if (number < 0 || number >= MaxBackends)
		elog(ERROR, "no place among those who poll for process number %d",
			 number);
	return &pollers->places[number];
}

/*
 * See lock_internal.h.
 */
void
publish_poller(const LockTarget *target, CommandTag command,
			   TimestampTz since, TimestampTz gives_up_at, List *blockers)
{
	static bool cleans_up = false;
	Poller	   *place = own_place();
	ListCell   *cell;

	if (!cleans_up)
		before_shmem_exit(withdraw_at_exit, (Datum) 0);
	cleans_up = true;

	LWLockAcquire(pollers->lock, LW_EXCLUSIVE);
	if (place->pid == 0)
		pollers->count++;
	place->pid = MyProcPid;
	place->database = MyDatabaseId;
	place->roleid = GetUserId();
	place->target = *target;
	place->command = command;
	place->since = since;
	place->gives_up_at = gives_up_at;
	place->blocker_count = 0;
	foreach(cell, blockers)
	{
		if (place->blocker_count < MAX_PUBLISHED_BLOCKERS)
			place->blockers[place->blocker_count++] =
				((const Blocker *) lfirst(cell))->pid;
	}
	LWLockRelease(pollers->lock);
}

/*
 * See lock_internal.h.
 */
void
withdraw_poller(void)
{
	Poller	   *place = own_place();

	LWLockAcquire(pollers->lock, LW_EXCLUSIVE);
	if (place->pid != 0)
		pollers->count--;
	place->pid = 0;
	LWLockRelease(pollers->lock);
}

/* FATAL does not come through PG_FINALLY. */
static void
withdraw_at_exit(int code, Datum arg)
{
	withdraw_poller();
}

/*
 * See lock_internal.h.
 */
Poller *
copy_pollers(int *count)
{
	Poller	   *copy;

	*count = 0;
	LWLockAcquire(pollers->lock, LW_SHARED);
	copy = palloc(Max(pollers->count, 1) * sizeof(Poller));
	for (int i = 0; i < MaxBackends && *count < pollers->count; i++)
		if (pollers->places[i].pid != 0)
			copy[(*count)++] = pollers->places[i];
	LWLockRelease(pollers->lock);
	return copy;
}
