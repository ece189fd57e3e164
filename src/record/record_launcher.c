/*-------------------------------------------------------------------------
 *
 * record_launcher.c
 *	  The launcher of the workers that record decisions.
 *
 * It runs all the time and is connected to no database: a resident worker
 * would be in the way of DROP DATABASE and its like.  When a database has
 * entries in the queue, it starts a worker there, and looks what became of the
 * entries when the worker is gone.  It never waits for one database alone.
 *
 * Since it is there anyway, it also keeps the rates of src/rates in their file,
 * and starts the workers of src/analyze and src/task.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "analyze/analyze.h"
#include "common/catalog.h"
#include "common/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "rates/rates.h"
#include "record/record_internal.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "task/task.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Milliseconds. */
#define BATCH_DELAY			100 /* between workers, to gather some entries */
#define BUSY_DELAY			2000	/* until a busy database is tried again */
#define SLOT_DELAY			5000	/* until a worker slot is tried again */
#define POLL_DELAY			1000	/* in case that a signal got lost */

/*
 * A worker that is there for so long is told to leave.  It ends by itself
 * within seconds when it is connected, but before that, it may wait for a
 * CREATE DATABASE that copies its database.
 */
#define WORKER_TIMEOUT		60000

/* Failures in a row after which the entries of a database are given up. */
#define MAX_FAILURES		3

/* A database that has entries in the queue, or had some a moment ago. */
typedef struct ServedDatabase
{
	Oid			database;
	int			failures;
	TimestampTz not_before;		/* when the next worker may start */
	BackgroundWorkerHandle *handle; /* NULL while no worker is there */
	TimestampTz started_at;
	int			place;			/* of the worker, 0 to MAX_WORKERS - 1 */
	bool		terminated;		/* the worker was told to leave */
	uint64		last;			/* what the worker was to record */
} ServedDatabase;

PGDLLEXPORT void safe_migrate_launcher_main(Datum main_arg);

static ServedDatabase served[QUEUE_SIZE];
static int	served_count = 0;

/* No slot for a worker is tried before that time; 0 = one was free. */
static TimestampTz slot_retry_at = 0;

static void launcher_exit(int code, Datum arg);
static void launcher_sigusr1(SIGNAL_ARGS);
static void launcher_wait(long timeout);
static void serve_databases(void);
static long next_delay(void);
static long milliseconds_until(TimestampTz when);
static ServedDatabase *find_served(Oid database);
static void forget_served(const Oid *databases, int count);
static int	free_place(void);
static void start_worker(ServedDatabase *db);
static void note_no_slot(void);
static void look_after_worker(ServedDatabase *db);
static void worker_ended(ServedDatabase *db);

/*
 * See record.h.
 */
void
record_register_launcher(void)
{
	BackgroundWorker worker = {0};

	if (IsBinaryUpgrade)
		return;

	snprintf(worker.bgw_name, BGW_MAXLEN, "safe_migrate launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "safe_migrate launcher");
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name),
			 MIGRATE_EXTENSION);
	snprintf(worker.bgw_function_name, BGW_MAXLEN,
			 "safe_migrate_launcher_main");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	/* on a standby, decisions wait for its promotion */
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	RegisterBackgroundWorker(&worker);
}

/*
 * The launcher.  Ends with an exit code other than 0 in any case, since with
 * 0 the postmaster would not start it again.
 */
void
safe_migrate_launcher_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	/* the postmaster sends it when a worker starts or ends */
	pqsignal(SIGUSR1, launcher_sigusr1);
	BackgroundWorkerUnblockSignals();

	/* what is allocated here are handles of workers */
	MemoryContextSwitchTo(TopMemoryContext);

	on_shmem_exit(launcher_exit, (Datum) 0);
	queue_set_launcher(&MyProc->procLatch);
	set_saver_of_rates(&MyProc->procLatch);
	set_launcher_of_analyzers(&MyProc->procLatch);
	set_launcher_of_tasks(&MyProc->procLatch);

	for (;;)
	{
		serve_databases();
		serve_analyzers();
		serve_tasks();
		save_rates(false);
		launcher_wait(next_delay());
	}
}

static void
launcher_exit(int code, Datum arg)
{
	queue_set_launcher(NULL);
	set_saver_of_rates(NULL);
	set_launcher_of_analyzers(NULL);
	set_launcher_of_tasks(NULL);
}

static void
launcher_sigusr1(SIGNAL_ARGS)
{
	int			save_errno = errno;

	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * Wait until something is queued or learned, a worker ends or the timeout is
 * over, and do what signals ask for.  Does not return when the server shuts
 * down.
 */
static void
launcher_wait(long timeout)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);

	if (ShutdownRequestPending)
	{
		save_rates(true);
		proc_exit(1);
	}
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * See what became of the workers, and start new ones for the databases that
 * have entries waiting.
 */
static void
serve_databases(void)
{
	static Oid	databases[QUEUE_SIZE];
	int			count;

	for (int i = 0; i < served_count; i++)
	{
		if (served[i].handle)
			look_after_worker(&served[i]);
	}

	count = queue_databases(databases);
	forget_served(databases, count);
	for (int i = 0; i < count; i++)
	{
		ServedDatabase *db = find_served(databases[i]);

		if (db && db->handle == NULL &&
			milliseconds_until(db->not_before) == 0)
			start_worker(db);
	}
}

/*
 * Milliseconds until there is something to be done if nothing happens before.
 */
static long
next_delay(void)
{
	long		result = next_save_of_rates();
	long		analyzers = next_analyzer_delay();
	long		tasks = next_task_delay();

	if (analyzers >= 0)
		result = result < 0 ? analyzers : Min(result, analyzers);
	result = result < 0 ? tasks : Min(result, tasks);
	for (int i = 0; i < served_count; i++)
	{
		long		delay = POLL_DELAY;

		if (served[i].handle == NULL)
		{
			/* not started though it is time: no place, or no slot */
			delay = milliseconds_until(served[i].not_before);
			if (delay == 0)
				delay = milliseconds_until(slot_retry_at);
			if (delay == 0)
				delay = POLL_DELAY;
		}
		result = result < 0 ? delay : Min(result, delay);
	}
	return result;
}

/* 0 if that time has come. */
static long
milliseconds_until(TimestampTz when)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when);
}

/*
 * The entry of a database, a new one if need be; NULL if there is no room,
 * which can be only for a moment.
 */
static ServedDatabase *
find_served(Oid database)
{
	for (int i = 0; i < served_count; i++)
	{
		if (served[i].database == database)
			return &served[i];
	}
	if (served_count == QUEUE_SIZE)
		return NULL;
	memset(&served[served_count], 0, sizeof(ServedDatabase));
	served[served_count].database = database;
	return &served[served_count++];
}

/*
 * Remove databases that have nothing waiting, no worker and no delay.
 */
static void
forget_served(const Oid *databases, int count)
{
	for (int i = served_count - 1; i >= 0; i--)
	{
		bool		needed = served[i].handle != NULL ||
		milliseconds_until(served[i].not_before) > 0;

		for (int j = 0; j < count && !needed; j++)
			needed = databases[j] == served[i].database;
		if (!needed)
			served[i] = served[--served_count];
	}
}

/* A place that no worker has, or -1. */
static int
free_place(void)
{
	bool		used[MAX_WORKERS] = {false};

	for (int i = 0; i < served_count; i++)
	{
		if (served[i].handle)
			used[served[i].place] = true;
	}
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		if (!used[i])
			return i;
	}
	return -1;
}

/*
 * Start a worker that records what is queued for a database by now, if there
 * is a place for it.
 */
static void
start_worker(ServedDatabase *db)
{
	ShortWorker worker = {0};
	int			place = free_place();

	if (place < 0 || milliseconds_until(slot_retry_at) > 0)
		return;

	worker.type = "recorder";
	worker.function = "safe_migrate_recorder_main";
	worker.database = db->database;
	worker.extra = &place;
	worker.extra_size = sizeof(place);

	db->last = queue_last(db->database);
	db->place = place;
	db->terminated = false;
	db->started_at = GetCurrentTimestamp();
	queue_set_busy(place, false);
	if (start_short_worker(&worker, &db->handle))
		slot_retry_at = 0;
	else
		note_no_slot();
}

/*
 * All background worker slots are in use.  That is nobody's failure: the
 * entries stay in the queue, where the view finds them.  Says so once.
 */
static void
note_no_slot(void)
{
	if (slot_retry_at == 0)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker to record decisions: out of background worker slots"),
				 errdetail("The decisions stay in shared memory until a slot is free."),
				 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
	slot_retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												SLOT_DELAY);
}

/*
 * Has a worker ended?  Has it been there for too long?
 */
static void
look_after_worker(ServedDatabase *db)
{
	pid_t		pid;

	if (GetBackgroundWorkerPid(db->handle, &pid) == BGWH_STOPPED)
		worker_ended(db);
	else if (!db->terminated &&
			 TimestampDifferenceExceeds(db->started_at, GetCurrentTimestamp(),
										WORKER_TIMEOUT))
	{
		TerminateBackgroundWorker(db->handle);
		db->terminated = true;
	}
}

/*
 * A worker has ended: say when the next one may start, by what became of the
 * entries.  After a failure the delay is 1, then 4 seconds; after the third
 * one, the entries are given up.
 */
static void
worker_ended(ServedDatabase *db)
{
	static QueuedDecision decision;
	uint64		first = queue_next(db->database, 0, &decision, NULL);
	long		delay;

	pfree(db->handle);
	db->handle = NULL;

	if (first == 0 || first > db->last)
	{
		db->failures = 0;
		delay = BATCH_DELAY;
	}
	else if (db->terminated || queue_is_busy(db->place))
		delay = BUSY_DELAY;
	else if (++db->failures < MAX_FAILURES)
		delay = db->failures == 1 ? 1000 : 4000;
	else
	{
		lose_waiting(db->database, db->last,
					 "no worker could record it in its database");
		db->failures = 0;
		delay = BATCH_DELAY;
	}
	db->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
}
