/*-------------------------------------------------------------------------
 *
 * record_queue.c
 *	  The queue of decisions in shared memory.
 *
 * There is a fixed number of slots.  A slot is free, or holds an entry that
 * waits to be recorded, or one that is in the table already.  The latter stay
 * until their slot is needed, so that a reader whose snapshot is older than
 * the row in the table still finds the entry here: a decision is visible from
 * the moment it was queued, without a gap.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "record/record_internal.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define QUEUE_NAME			"safe_migrate"

typedef struct QueueSlot
{
	uint64		sequence;		/* 0 = free */
	Oid			database;
	FullTransactionId writer;	/* invalid while the entry waits */
} QueueSlot;

/* What the strings of a decision have room for at most. */
#define STRINGS_LENGTH \
	(CLIENT_LENGTH + 2 * NAMEDATALEN + COMMAND_LENGTH + RELATION_LENGTH + \
	 3 * STATEMENT_LENGTH + REASON_LENGTH)

/*
 * A decision as it is stored: its strings one after the other, so that most
 * touch a single page of the shared memory.
 */
typedef struct StoredDecision
{
	char		fixed[offsetof(QueuedDecision, client)];
	char		strings[STRINGS_LENGTH];
} StoredDecision;

typedef struct DecisionQueue
{
	LWLock	   *lock;			/* protects all but the counters */
	uint64		last_sequence;
	Latch	   *launcher;
	bool		busy[MAX_WORKERS];
	pg_atomic_uint64 queued;
	pg_atomic_uint64 recorded;
	pg_atomic_uint64 lost;
	pg_atomic_uint64 internal_errors;
	pg_atomic_uint64 observed;
	pg_atomic_uint64 mismatches;
	/* apart from the decisions, since the slots are what is searched */
	QueueSlot	slots[QUEUE_SIZE];
	StoredDecision decisions[QUEUE_SIZE];
} DecisionQueue;

static DecisionQueue *queue = NULL;

/* In the postmaster only: what was lost with an earlier shared memory. */
static uint64 lost_before = 0;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void queue_shmem_request(void);
static void queue_shmem_startup(void);
static void queue_shmem_exit(int code, Datum arg);
static void store_decision(StoredDecision *stored,
						   const QueuedDecision *decision);
static void store_string(char **end, const char *string);
static void fetch_decision(QueuedDecision *decision,
						   const StoredDecision *stored);
static void fetch_string(char *to, int size, const char **next,
						 const char *end);
static bool slot_waits(const QueueSlot *slot);
static bool database_waits(Oid database);
static int	usable_slot(void);
static int	waiting_slot(uint64 sequence);

/*
 * See record.h.
 */
void
record_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = queue_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = queue_shmem_startup;
}

static void
queue_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(DecisionQueue)));
	RequestNamedLWLockTranche(QUEUE_NAME, 1);
}

/*
 * Runs in the postmaster, again after a crash, with new memory then.
 */
static void
queue_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	queue = ShmemInitStruct(QUEUE_NAME, sizeof(DecisionQueue), &found);
	if (!found)
	{
		memset(queue, 0, sizeof(DecisionQueue));
		queue->lock = &(GetNamedLWLockTranche(QUEUE_NAME))->lock;
		pg_atomic_init_u64(&queue->queued, 0);
		pg_atomic_init_u64(&queue->recorded, 0);
		pg_atomic_init_u64(&queue->lost, lost_before);
		pg_atomic_init_u64(&queue->internal_errors, 0);
		pg_atomic_init_u64(&queue->observed, 0);
		pg_atomic_init_u64(&queue->mismatches, 0);
	}
	LWLockRelease(AddinShmemInitLock);

	if (!IsUnderPostmaster)
		on_shmem_exit(queue_shmem_exit, (Datum) 0);
}

/*
 * The memory goes away, in a shutdown or after a crash: write what it still
 * holds to the server log.
 *
 * All other processes are gone, so there is nothing to be locked.  One of
 * them may have died while it wrote an entry, or have overwritten memory at
 * random; at worst, there is nonsense in the log.
 */
static void
queue_shmem_exit(int code, Datum arg)
{
	static QueuedDecision decision;

	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		if (!slot_waits(&queue->slots[i]))
			continue;

		fetch_decision(&decision, &queue->decisions[i]);
		log_lost_decision(&decision,
						  code == 0 ? "the server is shutting down" :
						  "the server is restarting after a crash");
		lost_before++;
	}
	queue = NULL;
}

/*
 * See record_internal.h.
 */
bool
queue_put(const QueuedDecision *decision)
{
	int			slotno;

	if (queue == NULL)
		return false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	slotno = usable_slot();
	if (slotno >= 0)
	{
		QueueSlot  *slot = &queue->slots[slotno];
		bool		is_known = database_waits(decision->database);

		store_decision(&queue->decisions[slotno], decision);
		slot->database = decision->database;
		slot->writer = InvalidFullTransactionId;
		slot->sequence = ++queue->last_sequence;

		/* it looks again at a database until nothing waits there */
		if (queue->launcher && !is_known)
			SetLatch(queue->launcher);
	}
	LWLockRelease(queue->lock);

	if (slotno >= 0)
		pg_atomic_fetch_add_u64(&queue->queued, 1);
	return slotno >= 0;
}

static void
store_decision(StoredDecision *stored, const QueuedDecision *decision)
{
	char	   *end = stored->strings;

	memcpy(stored->fixed, decision, sizeof(stored->fixed));
	store_string(&end, decision->client);
	store_string(&end, decision->application);
	store_string(&end, decision->rule);
	store_string(&end, decision->command);
	store_string(&end, decision->relation);
	store_string(&end, decision->statement);
	store_string(&end, decision->executed);
	store_string(&end, decision->message);
	store_string(&end, decision->reason);
}

static void
store_string(char **end, const char *string)
{
	size_t		size = strlen(string) + 1;

	memcpy(*end, string, size);
	*end += size;
}

/* May find nonsense after a crash, but nothing that is not safe to print. */
static void
fetch_decision(QueuedDecision *decision, const StoredDecision *stored)
{
	const char *next = stored->strings;
	const char *end = stored->strings + STRINGS_LENGTH;

	memcpy(decision, stored->fixed, sizeof(stored->fixed));
	fetch_string(decision->client, CLIENT_LENGTH, &next, end);
	fetch_string(decision->application, NAMEDATALEN, &next, end);
	fetch_string(decision->rule, NAMEDATALEN, &next, end);
	fetch_string(decision->command, COMMAND_LENGTH, &next, end);
	fetch_string(decision->relation, RELATION_LENGTH, &next, end);
	fetch_string(decision->statement, STATEMENT_LENGTH, &next, end);
	fetch_string(decision->executed, STATEMENT_LENGTH, &next, end);
	fetch_string(decision->message, STATEMENT_LENGTH, &next, end);
	fetch_string(decision->reason, REASON_LENGTH, &next, end);
}

static void
fetch_string(char *to, int size, const char **next, const char *end)
{
	size_t		length = strnlen(*next, end - *next);
	size_t		kept = Min(length, (size_t) size - 1);

	memcpy(to, *next, kept);
	to[kept] = '\0';
	*next += Min(length + 1, (size_t) (end - *next));
}

/*
 * Does a slot hold an entry that waits to be recorded?  Caller holds the lock.
 */
static bool
slot_waits(const QueueSlot *slot)
{
	return slot->sequence != 0 && !FullTransactionIdIsValid(slot->writer);
}

static bool
database_waits(Oid database)
{
	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		if (queue->slots[i].database == database &&
			slot_waits(&queue->slots[i]))
			return true;
	}
	return false;
}

/*
 * Find a slot for a new entry: a free one, or else the one whose entry has
 * been in the table for longest.  Returns -1 when all entries wait.  Caller
 * holds the lock.
 */
static int
usable_slot(void)
{
	int			oldest = -1;

	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		const QueueSlot *slot = &queue->slots[i];

		if (slot->sequence == 0)
			return i;
		if (!slot_waits(slot) &&
			(oldest < 0 || slot->sequence < queue->slots[oldest].sequence))
			oldest = i;
	}
	return oldest;
}

/*
 * See record_internal.h.
 */
uint64
queue_next(Oid database, uint64 after, QueuedDecision *decision,
		   FullTransactionId *writer)
{
	uint64		sequence = 0;
	int			found = -1;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		const QueueSlot *slot = &queue->slots[i];

		if (slot->sequence <= after || slot->database != database)
			continue;
		if (writer == NULL && !slot_waits(slot))
			continue;
		if (found < 0 || slot->sequence < sequence)
		{
			sequence = slot->sequence;
			found = i;
		}
	}
	if (found >= 0)
	{
		fetch_decision(decision, &queue->decisions[found]);
		if (writer)
			*writer = queue->slots[found].writer;
	}
	LWLockRelease(queue->lock);

	return sequence;
}

/*
 * See record_internal.h.
 */
uint64
queue_last(Oid database)
{
	uint64		last = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		const QueueSlot *slot = &queue->slots[i];

		if (slot_waits(slot) && slot->database == database)
			last = Max(last, slot->sequence);
	}
	LWLockRelease(queue->lock);

	return last;
}

/*
 * See record_internal.h.
 */
int
queue_databases(Oid *databases)
{
	int			count = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		const QueueSlot *slot = &queue->slots[i];
		bool		known = false;

		if (!slot_waits(slot))
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
 * Find the slot of an entry that waits.  Returns -1 if there is no such
 * entry.  Caller holds the lock.
 */
static int
waiting_slot(uint64 sequence)
{
	for (int i = 0; i < QUEUE_SIZE; i++)
	{
		if (queue->slots[i].sequence == sequence &&
			slot_waits(&queue->slots[i]))
			return i;
	}
	return -1;
}

/*
 * See record_internal.h.
 */
bool
queue_mark_recorded(uint64 sequence, FullTransactionId writer)
{
	int			slotno;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	slotno = waiting_slot(sequence);
	if (slotno >= 0)
		queue->slots[slotno].writer = writer;
	LWLockRelease(queue->lock);

	if (slotno >= 0)
		pg_atomic_fetch_add_u64(&queue->recorded, 1);
	return slotno >= 0;
}

/*
 * See record_internal.h.
 */
bool
queue_mark_lost(uint64 sequence)
{
	int			slotno;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	slotno = waiting_slot(sequence);
	if (slotno >= 0)
		queue->slots[slotno].sequence = 0;
	LWLockRelease(queue->lock);

	if (slotno >= 0)
		queue_count_lost();
	return slotno >= 0;
}

/*
 * See record_internal.h.
 */
void
queue_count_lost(void)
{
	if (queue)
		pg_atomic_fetch_add_u64(&queue->lost, 1);
}

void
queue_count_internal_error(void)
{
	if (queue)
		pg_atomic_fetch_add_u64(&queue->internal_errors, 1);
}

void
queue_count_observed(int mismatches)
{
	if (queue == NULL)
		return;
	pg_atomic_fetch_add_u64(&queue->observed, 1);
	pg_atomic_fetch_add_u64(&queue->mismatches, mismatches);
}

void
queue_get_counters(QueueCounters *counters)
{
	counters->queued = pg_atomic_read_u64(&queue->queued);
	counters->recorded = pg_atomic_read_u64(&queue->recorded);
	counters->lost = pg_atomic_read_u64(&queue->lost);
	counters->internal_errors = pg_atomic_read_u64(&queue->internal_errors);
	counters->observed = pg_atomic_read_u64(&queue->observed);
	counters->mismatches = pg_atomic_read_u64(&queue->mismatches);
}

/*
 * See record_internal.h.
 */
void
queue_set_launcher(Latch *latch)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->launcher = latch;
	LWLockRelease(queue->lock);
}

void
queue_set_busy(int place, bool busy)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->busy[place] = busy;
	LWLockRelease(queue->lock);
}

bool
queue_is_busy(int place)
{
	bool		busy;

	LWLockAcquire(queue->lock, LW_SHARED);
	busy = queue->busy[place];
	LWLockRelease(queue->lock);

	return busy;
}
