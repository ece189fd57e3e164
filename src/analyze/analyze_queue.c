/*-------------------------------------------------------------------------
 *
 * analyze_queue.c
 *	  The queue of tables to be analyzed, in shared memory.
 *
 * A slot is free, or waits for a time, or is assigned to the worker of its
 * database.  While it waits, more columns of the same table are added to it;
 * after that they need a slot of their own, since the worker may have looked
 * at the table already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "analyze/analyze_internal.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define ANALYZE_QUEUE_NAME	"safe_migrate_analyze"

/*
 * Milliseconds before a table is tried again, doubled with each attempt: all
 * of them take about twenty minutes.
 */
#define FIRST_RETRY_DELAY	2000
#define MAX_RETRY_DELAY		300000
#define MAX_ATTEMPTS		10

/* Before a free worker slot is looked for again. */
#define SLOT_DELAY			5000

/* What an attempt counts that did not even get to the database. */
#define UNCONNECTED_WEIGHT	4

typedef struct AnalyzeSlot
{
	AnalyzeTask task;			/* sequence number 0 = free */
	Oid			database;
	bool		assigned;
	int			attempts;
	TimestampTz not_before;
} AnalyzeSlot;

/* A worker. */
typedef struct Analyzer
{
	pid_t		pid;			/* 0 until it is connected, and after its end */
	bool		connected;
	Oid			database;
	Oid			relid;			/* what it analyzes just now */
} Analyzer;

typedef struct AnalyzeQueue
{
	LWLock	   *lock;			/* protects all but the counters */
	uint64		last_sequence;
	Latch	   *launcher;
	pg_atomic_uint64 queued;
	pg_atomic_uint64 done;
	pg_atomic_uint64 failed;
	Analyzer	analyzers[MAX_ANALYZERS];
	AnalyzeSlot slots[ANALYZE_QUEUE_SIZE];
} AnalyzeQueue;

static AnalyzeQueue *queue = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void analyze_shmem_request(void);
static void analyze_shmem_startup(void);
static void analyze_shmem_exit(int code, Datum arg);
static AnalyzeSlot *slot_for(Oid database, Oid relid);
static bool slot_waits(const AnalyzeSlot *slot);
static void put_off(AnalyzeSlot *slot, AnalyzerEnd end);
static bool give_up_one(AnalyzeSlot *slot);
static void analyzer_exit(int code, Datum place);

/*
 * See analyze.h.
 */
void
analyze_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = analyze_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = analyze_shmem_startup;
}

static void
analyze_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(AnalyzeQueue)));
	RequestNamedLWLockTranche(ANALYZE_QUEUE_NAME, 1);
}

/*
 * Runs in the postmaster, again after a crash, with new memory then.
 */
static void
analyze_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	queue = ShmemInitStruct(ANALYZE_QUEUE_NAME, sizeof(AnalyzeQueue), &found);
	if (!found)
	{
		memset(queue, 0, sizeof(AnalyzeQueue));
		queue->lock = &(GetNamedLWLockTranche(ANALYZE_QUEUE_NAME))->lock;
		pg_atomic_init_u64(&queue->queued, 0);
		pg_atomic_init_u64(&queue->done, 0);
		pg_atomic_init_u64(&queue->failed, 0);
	}
	LWLockRelease(AddinShmemInitLock);

	if (!IsUnderPostmaster)
		on_shmem_exit(analyze_shmem_exit, (Datum) 0);
}

/*
 * The memory goes away, in a shutdown or after a crash: tell which tables
 * somebody else has to look after.  All other processes are gone.
 */
static void
analyze_shmem_exit(int code, Datum arg)
{
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		const AnalyzeSlot *slot = &queue->slots[i];

		if (slot->task.sequence != 0)
			ereport(LOG,
					(errmsg("relation %u of database %u has lost statistics and was not analyzed: the server is %s",
							slot->task.relid, slot->database,
							code == 0 ? "shutting down" :
							"restarting after a crash")));
	}
	queue = NULL;
}

/*
 * See analyze_internal.h.
 */
bool
analyze_queue_put(Oid database, const AnalyzeTask *task)
{
	AnalyzeSlot *slot;
	bool		is_new = false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	slot = slot_for(database, task->relid);
	if (slot != NULL && slot->task.sequence != 0)
		add_to_task(&slot->task, task);
	else if (slot != NULL)
	{
		memset(slot, 0, sizeof(AnalyzeSlot));
		slot->task = *task;
		slot->task.sequence = ++queue->last_sequence;
		slot->database = database;
		slot->not_before = GetCurrentTimestamp();
		is_new = true;
	}
	if (slot != NULL && queue->launcher != NULL)
		SetLatch(queue->launcher);
	LWLockRelease(queue->lock);

	if (is_new)
		pg_atomic_fetch_add_u64(&queue->queued, 1);
	if (slot == NULL)
		pg_atomic_fetch_add_u64(&queue->failed, 1);
	return slot != NULL;
}

/*
 * The slot in which a table waits, or else a free one, or NULL.  Caller holds
 * the lock.
 */
static AnalyzeSlot *
slot_for(Oid database, Oid relid)
{
	AnalyzeSlot *free_slot = NULL;

	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		AnalyzeSlot *slot = &queue->slots[i];

		if (slot->task.sequence == 0)
			free_slot = slot;
		else if (slot_waits(slot) && slot->database == database &&
				 slot->task.relid == relid)
			return slot;
	}
	return free_slot;
}

static bool
slot_waits(const AnalyzeSlot *slot)
{
	return slot->task.sequence != 0 && !slot->assigned;
}

/*
 * See analyze_internal.h.
 */
int
analyze_queue_databases(Oid *databases)
{
	TimestampTz now = GetCurrentTimestamp();
	int			count = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		const AnalyzeSlot *slot = &queue->slots[i];
		bool		known = false;

		if (!slot_waits(slot) || slot->not_before > now)
			continue;
		for (int j = 0; j < count && !known; j++)
			known = databases[j] == slot->database;
		if (!known)
			databases[count++] = slot->database;
	}
	LWLockRelease(queue->lock);

	return count;
}

/*
 * See analyze_internal.h.
 */
long
analyze_queue_delay(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		result = -1;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		long		delay;

		if (!slot_waits(&queue->slots[i]))
			continue;
		delay = TimestampDifferenceMilliseconds(now,
												queue->slots[i].not_before);
		result = result < 0 ? delay : Min(result, delay);
	}
	LWLockRelease(queue->lock);

	return result;
}

/*
 * See analyze_internal.h.
 */
void
analyze_queue_assign(Oid database, int place)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	memset(&queue->analyzers[place], 0, sizeof(Analyzer));
	queue->analyzers[place].database = database;
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		AnalyzeSlot *slot = &queue->slots[i];

		if (slot_waits(slot) && slot->database == database &&
			slot->not_before <= now)
			slot->assigned = true;
	}
	LWLockRelease(queue->lock);
}

/*
 * See analyze_internal.h.
 */
void
analyze_queue_return(Oid database, int place, AnalyzerEnd end)
{
	AnalyzeSlot given_up;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	memset(&queue->analyzers[place], 0, sizeof(Analyzer));
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		AnalyzeSlot *slot = &queue->slots[i];

		if (slot->task.sequence != 0 && slot->assigned &&
			slot->database == database)
			put_off(slot, end);
	}
	LWLockRelease(queue->lock);

	while (give_up_one(&given_up))
		ereport(LOG,
				(errmsg("gave up to analyze relation %u of database %u, which has lost statistics",
						given_up.task.relid, given_up.database)));
}

/* An attempt is over.  Caller holds the lock. */
static void
put_off(AnalyzeSlot *slot, AnalyzerEnd end)
{
	long		delay = FIRST_RETRY_DELAY;

	slot->assigned = false;
	switch (end)
	{
		case ANALYZER_NOT_STARTED:
			delay = SLOT_DELAY;
			break;
		case ANALYZER_NOT_CONNECTED:
			slot->attempts += UNCONNECTED_WEIGHT;
			break;
		case ANALYZER_WAS_CONNECTED:
			for (int i = 0; i < slot->attempts; i++)
				delay = Min(delay * 2, MAX_RETRY_DELAY);
			slot->attempts++;
			break;
	}
	slot->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   delay);
}

/* Take a table out of the queue that was tried often enough, if there is one. */
static bool
give_up_one(AnalyzeSlot *slot)
{
	bool		found = false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ANALYZE_QUEUE_SIZE && !found; i++)
	{
		if (!slot_waits(&queue->slots[i]) ||
			queue->slots[i].attempts < MAX_ATTEMPTS)
			continue;
		found = true;
		*slot = queue->slots[i];
		queue->slots[i].task.sequence = 0;
	}
	LWLockRelease(queue->lock);

	if (found)
		pg_atomic_fetch_add_u64(&queue->failed, 1);
	return found;
}

/*
 * See analyze.h.
 */
void
set_launcher_of_analyzers(Latch *latch)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->launcher = latch;
	for (int i = 0; latch != NULL && i < ANALYZE_QUEUE_SIZE; i++)
		queue->slots[i].assigned = false;
	LWLockRelease(queue->lock);
}

/*
 * See analyze.h.
 */
void
analyzer_is_connected(int place)
{
	before_shmem_exit(analyzer_exit, Int32GetDatum(place));
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->analyzers[place].pid = MyProcPid;
	queue->analyzers[place].connected = true;
	queue->analyzers[place].database = MyDatabaseId;
	LWLockRelease(queue->lock);
}

/* The place may be another's already, if the launcher was another. */
static void
analyzer_exit(int code, Datum place)
{
	Analyzer   *analyzer = &queue->analyzers[DatumGetInt32(place)];

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (analyzer->pid == MyProcPid)
		analyzer->pid = 0;
	LWLockRelease(queue->lock);
}

bool
analyzer_was_connected(int place)
{
	bool		connected;

	LWLockAcquire(queue->lock, LW_SHARED);
	connected = queue->analyzers[place].connected;
	LWLockRelease(queue->lock);

	return connected;
}

/*
 * See analyze.h.
 */
bool
analyzer_next_task(int place, AnalyzeTask *task)
{
	const AnalyzeSlot *next = NULL;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ANALYZE_QUEUE_SIZE; i++)
	{
		const AnalyzeSlot *slot = &queue->slots[i];

		if (slot->assigned && slot->database == MyDatabaseId &&
			slot->task.sequence > task->sequence &&
			(next == NULL || slot->task.sequence < next->task.sequence))
			next = slot;
	}
	if (next != NULL)
	{
		*task = next->task;
		queue->analyzers[place].relid = task->relid;
	}
	LWLockRelease(queue->lock);

	return next != NULL;
}

/*
 * See analyze.h.  What is postponed stays with the worker until its end.
 */
void
analyzer_end_task(int place, const AnalyzeTask *task, AnalyzeResult result)
{
	bool		found = false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->analyzers[place].relid = InvalidOid;
	for (int i = 0; i < ANALYZE_QUEUE_SIZE && !found; i++)
	{
		if (queue->slots[i].task.sequence != task->sequence)
			continue;
		found = true;
		if (result != ANALYZE_POSTPONED)
			queue->slots[i].task.sequence = 0;
	}
	LWLockRelease(queue->lock);

	if (found && result == ANALYZE_DONE)
		pg_atomic_fetch_add_u64(&queue->done, 1);
	else if (found && result == ANALYZE_FAILED)
		pg_atomic_fetch_add_u64(&queue->failed, 1);
}

/*
 * See analyze.h.
 */
void
analyze_give_way(Oid relid)
{
	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < MAX_ANALYZERS; i++)
	{
		const Analyzer *analyzer = &queue->analyzers[i];

		if (analyzer->pid != 0 && analyzer->pid != MyProcPid &&
			analyzer->database == MyDatabaseId && analyzer->relid == relid)
			kill(analyzer->pid, SIGINT);
	}
	LWLockRelease(queue->lock);
}

/*
 * See analyze.h.
 */
void
analyze_get_counters(AnalyzeCounters *counters)
{
	counters->queued = pg_atomic_read_u64(&queue->queued);
	counters->done = pg_atomic_read_u64(&queue->done);
	counters->failed = pg_atomic_read_u64(&queue->failed);
}
