/*-------------------------------------------------------------------------
 *
 * task_queue.c
 *	  What the launcher, its workers and the sessions tell each other about
 *	  tasks, in shared memory.
 *
 * Nothing here is the only trace of anything: what there is to be done is in
 * the tables, where finders look from time to time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "task/task_internal.h"

#define TASK_QUEUE_NAME	"safe_migrate_tasks"

typedef struct TaskWorker
{
	pid_t		pid;			/* 0 until it is connected, and after its end */
	bool		connected;
	Oid			database;
} TaskWorker;

typedef struct TaskQueue
{
	LWLock	   *lock;			/* protects everything */
	Latch	   *launcher;
	int			told_count;
	bool		told_overflow;
	Oid			told[TOLD_SIZE];
	FinderAnswer answer;		/* there is one finder at a time */
	TaskWorker	workers[MAX_TASK_WORKERS];
} TaskQueue;

static TaskQueue *queue = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void task_shmem_request(void);
static void task_shmem_startup(void);
static void task_worker_exit(int code, Datum place);

/*
 * See task.h.
 */
void
task_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = task_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = task_shmem_startup;
}

static void
task_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(TaskQueue)));
	RequestNamedLWLockTranche(TASK_QUEUE_NAME, 1);
}

/* Runs in the postmaster, again after a crash, with new memory then. */
static void
task_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	queue = ShmemInitStruct(TASK_QUEUE_NAME, sizeof(TaskQueue), &found);
	if (!found)
	{
		memset(queue, 0, sizeof(TaskQueue));
		queue->lock = &(GetNamedLWLockTranche(TASK_QUEUE_NAME))->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * See task_internal.h.
 */
void
task_queue_tell(Oid database)
{
	bool		known = false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < queue->told_count && !known; i++)
		known = queue->told[i] == database;
	if (!known && queue->told_count < TOLD_SIZE)
		queue->told[queue->told_count++] = database;
	else if (!known)
		queue->told_overflow = true;
	if (queue->launcher != NULL)
		SetLatch(queue->launcher);
	LWLockRelease(queue->lock);
}

/*
 * See task_internal.h.
 */
int
task_queue_take_told(Oid *databases, bool *overflow)
{
	int			count;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	count = queue->told_count;
	memcpy(databases, queue->told, count * sizeof(Oid));
	*overflow = queue->told_overflow;
	queue->told_count = 0;
	queue->told_overflow = false;
	LWLockRelease(queue->lock);

	return count;
}

/*
 * See task_internal.h.
 */
void
task_queue_answer(const FinderAnswer *answer)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->answer = *answer;
	LWLockRelease(queue->lock);
}

/*
 * See task_internal.h.
 */
bool
task_queue_get_answer(uint32 ticket, FinderAnswer *answer)
{
	LWLockAcquire(queue->lock, LW_SHARED);
	*answer = queue->answer;
	LWLockRelease(queue->lock);

	return answer->ticket == ticket;
}

/*
 * See task_internal.h.
 */
void
task_queue_clear_place(int place)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	memset(&queue->workers[place], 0, sizeof(TaskWorker));
	LWLockRelease(queue->lock);
}

/*
 * See task_internal.h.
 */
bool
task_worker_was_connected(int place)
{
	bool		connected;

	LWLockAcquire(queue->lock, LW_SHARED);
	connected = queue->workers[place].connected;
	LWLockRelease(queue->lock);

	return connected;
}

/*
 * See task.h.
 */
void
task_worker_is_connected(int place)
{
	TaskWorker *worker = &queue->workers[place];

	before_shmem_exit(task_worker_exit, Int32GetDatum(place));
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	worker->pid = MyProcPid;
	worker->connected = true;
	worker->database = MyDatabaseId;
	LWLockRelease(queue->lock);
}

/* The place may be another's already, if the launcher was another. */
static void
task_worker_exit(int code, Datum place)
{
	TaskWorker *worker = &queue->workers[DatumGetInt32(place)];

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (worker->pid == MyProcPid)
		worker->pid = 0;
	LWLockRelease(queue->lock);
}

/*
 * See task.h.
 */
void
task_dismiss_workers(Oid database)
{
	LWLockAcquire(queue->lock, LW_SHARED);
	for (int place = 0; place < MAX_TASK_WORKERS; place++)
	{
		const TaskWorker *worker = &queue->workers[place];

		if (worker->pid != 0 && worker->database == database)
			kill(worker->pid, SIGTERM);
	}
	LWLockRelease(queue->lock);
}

/*
 * See task_internal.h.
 */
bool
task_interrupt_worker(int pid)
{
	bool		found = false;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int place = 0; place < MAX_TASK_WORKERS && !found; place++)
	{
		found = queue->workers[place].pid == pid;
		if (found)
			kill(pid, SIGINT);
	}
	LWLockRelease(queue->lock);

	return found;
}

/*
 * See task.h.  The launcher that starts looks into all databases, whatever was
 * told before.
 */
void
set_launcher_of_tasks(Latch *latch)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->launcher = latch;
	LWLockRelease(queue->lock);
}
