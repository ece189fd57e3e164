/*-------------------------------------------------------------------------
 *
 * task_launcher.c
 *	  The part of the launcher that finds tasks and has them run.
 *
 * A finder, one at a time, looks into a database and tells which task is the
 * next there; then a worker is started for that task alone.  Which databases
 * there are is listed by a finder that is connected to none, when the launcher
 * starts and every hour.  Databases are looked into after that, when a session
 * has told of a task there, and every five minutes where the extension is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/worker.h"
#include "miscadmin.h"
#include "task/task_internal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Milliseconds. */
#define LIST_INTERVAL		3600000
#define LOOK_INTERVAL		300000
#define SLOT_DELAY			5000	/* until a worker slot is tried again */
#define POLL_DELAY			1000	/* in case that a signal got lost */
#define FINDER_TIMEOUT		60000	/* a finder that takes longer must leave */

typedef struct TaskDatabase
{
	Oid			database;
	bool		is_listed;		/* by the list that is being made */
	TimestampTz look_at;		/* when a finder is to look into it */
	int			failures;		/* workers that did not get there, in a row */
	int64		unreached;		/* the task that they were to run, or 0 */
} TaskDatabase;

static TaskDatabase *databases = NULL;
static int	database_count = 0;
static int	database_room = 0;

static TimestampTz list_at = 0; /* when the next list is due */
static Oid	listed_up_to = InvalidOid;	/* of the list that is being made */

/* The finder; handle is NULL while there is none. */
static struct
{
	BackgroundWorkerHandle *handle;
	Oid			database;		/* InvalidOid: it makes the list */
	uint32		ticket;
	TimestampTz started_at;
}			finder;

/* The workers; handle is NULL in a free place. */
static struct
{
	BackgroundWorkerHandle *handle;
	Oid			database;
	int64		task;
}			workers[MAX_TASK_WORKERS];

/* No slot for a worker is tried before that time; 0 = one was free. */
static TimestampTz slot_retry_at = 0;

static void note_what_was_told(void);
static void look_after_workers(void);
static void look_after_finder(void);
static void use_list(const FinderAnswer *answer);
static void use_finding(const FinderAnswer *answer);
static void not_reached(TaskDatabase *db, int64 task);
static TaskDatabase *find_database(Oid database, bool add);
static TaskDatabase *due_database(void);
static int	free_place(void);
static void start_finder(Oid database);
static void start_task_worker(TaskDatabase *db, const FinderAnswer *answer);
static bool start_or_wait(const ShortWorker *worker,
						  BackgroundWorkerHandle **handle);
static TimestampTz after(int milliseconds);
static long until(TimestampTz when);

/*
 * See task.h.
 */
void
serve_tasks(void)
{
	TaskDatabase *db;

	note_what_was_told();
	look_after_workers();
	if (finder.handle != NULL)
		look_after_finder();
	if (finder.handle != NULL || until(slot_retry_at) > 0)
		return;
	if (until(list_at) == 0)
		start_finder(InvalidOid);
	else if (free_place() >= 0 && (db = due_database()) != NULL)
		start_finder(db->database);
}

/*
 * See task.h.
 */
long
next_task_delay(void)
{
	long		result = until(list_at);

	for (int i = 0; i < database_count; i++)
		result = Min(result, until(databases[i].look_at));
	if (until(slot_retry_at) > 0)
		result = Max(result, until(slot_retry_at));
	else
		result = Max(result, POLL_DELAY);
	return result;
}

static void
note_what_was_told(void)
{
	Oid			told[TOLD_SIZE];
	bool		overflow;
	int			count = task_queue_take_told(told, &overflow);

	for (int i = 0; i < count; i++)
		find_database(told[i], true)->look_at = after(0);
	for (int i = 0; i < database_count && overflow; i++)
		databases[i].look_at = after(0);
	if (overflow)
		list_at = after(0);
}

/* When a task has ended, another may follow. */
static void
look_after_workers(void)
{
	for (int place = 0; place < MAX_TASK_WORKERS; place++)
	{
		TaskDatabase *db;
		pid_t		pid;

		if (workers[place].handle == NULL ||
			GetBackgroundWorkerPid(workers[place].handle,
								   &pid) != BGWH_STOPPED)
			continue;
		pfree(workers[place].handle);
		workers[place].handle = NULL;
		db = find_database(workers[place].database, true);
		if (task_worker_was_connected(place))
		{
			db->failures = 0;
			db->unreached = 0;
			db->look_at = after(0);
		}
		else
			not_reached(db, workers[place].task);
	}
}

static void
look_after_finder(void)
{
	FinderAnswer answer;
	pid_t		pid;

	if (GetBackgroundWorkerPid(finder.handle, &pid) != BGWH_STOPPED)
	{
		/* it may wait for a CREATE DATABASE that copies its database */
		if (TimestampDifferenceExceeds(finder.started_at,
									   GetCurrentTimestamp(), FINDER_TIMEOUT))
			TerminateBackgroundWorker(finder.handle);
		return;
	}
	pfree(finder.handle);
	finder.handle = NULL;
	if (!task_queue_get_answer(finder.ticket, &answer))
	{
		if (OidIsValid(finder.database))
			not_reached(find_database(finder.database, true), 0);
		else
			list_at = after(SLOT_DELAY);
	}
	else if (OidIsValid(finder.database))
		use_finding(&answer);
	else
		use_list(&answer);
}

/* A part of the list of all databases, or the last one. */
static void
use_list(const FinderAnswer *answer)
{
	for (int i = 0; i < database_count && !OidIsValid(listed_up_to); i++)
		databases[i].is_listed = false;
	for (int i = 0; i < answer->count; i++)
	{
		TaskDatabase *db = find_database(answer->databases[i], false);

		if (db == NULL)
		{
			db = find_database(answer->databases[i], true);
			if (!answer->allow_connections[i])
				db->look_at = after(LIST_INTERVAL);
		}
		db->is_listed = true;
		listed_up_to = answer->databases[i];
	}
	if (!answer->is_last)
		return;

	listed_up_to = InvalidOid;
	list_at = after(LIST_INTERVAL);
	for (int i = database_count - 1; i >= 0; i--)
	{
		/* what was told meanwhile may be newer than the list */
		if (!databases[i].is_listed && until(databases[i].look_at) > 0)
			databases[i] = databases[--database_count];
	}
}

/* What was found in a database. */
static void
use_finding(const FinderAnswer *answer)
{
	TaskDatabase *db = find_database(finder.database, true);
	TimestampTz look_at = after(LIST_INTERVAL);

	if (answer->task == 0)
		db->failures = 0;
	if (!answer->has_extension)
		look_at = after(LIST_INTERVAL);
	else if (answer->task != 0)
		start_task_worker(db, answer);
	else
		look_at = after(answer->delay < 0 ? LOOK_INTERVAL :
						Min(answer->delay, LOOK_INTERVAL));

	/* somebody may have told something since the finder has looked */
	db->look_at = Min(db->look_at, look_at);
}

/* The server log has the reason: the role, or the database, is not there. */
static void
not_reached(TaskDatabase *db, int64 task)
{
	static const int delays[] = {5000, 30000, 120000, 600000};

	db->look_at = after(delays[Min(db->failures, lengthof(delays) - 1)]);
	db->failures++;
	db->unreached = task;
	if (db->failures == 1)
		list_at = Min(list_at, after(POLL_DELAY));
}

/* The entry of a database; a new one if there is none, or NULL. */
static TaskDatabase *
find_database(Oid database, bool add)
{
	for (int i = 0; i < database_count; i++)
	{
		if (databases[i].database == database)
			return &databases[i];
	}
	if (!add)
		return NULL;
	if (database_count == database_room)
	{
		database_room = Max(16, database_room * 2);
		databases = databases == NULL ?
			MemoryContextAlloc(TopMemoryContext,
							   database_room * sizeof(TaskDatabase)) :
			repalloc(databases, database_room * sizeof(TaskDatabase));
	}
	memset(&databases[database_count], 0, sizeof(TaskDatabase));
	databases[database_count].database = database;
	return &databases[database_count++];
}

/* The one that is due for the longest time and in which no task runs. */
static TaskDatabase *
due_database(void)
{
	TaskDatabase *due = NULL;

	for (int i = 0; i < database_count; i++)
	{
		TaskDatabase *db = &databases[i];
		bool		busy = until(db->look_at) > 0;

		for (int place = 0; place < MAX_TASK_WORKERS && !busy; place++)
			busy = workers[place].handle != NULL &&
				workers[place].database == db->database;
		if (!busy && (due == NULL || db->look_at < due->look_at))
			due = db;
	}
	return due;
}

/* A place that no worker has, or -1. */
static int
free_place(void)
{
	for (int place = 0; place < MAX_TASK_WORKERS; place++)
	{
		if (workers[place].handle == NULL)
			return place;
	}
	return -1;
}

static void
start_finder(Oid database)
{
	static uint32 last_ticket = 0;
	ShortWorker worker = {0};
	FinderOrder order = {0};
	TaskDatabase *db = find_database(database, false);

	/* tickets of an earlier launcher differ from ours */
	if (last_ticket == 0)
		last_ticket = (uint32) GetCurrentTimestamp() | 1;
	order.ticket = last_ticket++;
	order.after = listed_up_to;
	if (db != NULL)
	{
		order.unreached = db->unreached;
		order.failures = db->failures;
	}
	worker.type = "task finder";
	worker.function = "safe_migrate_task_finder_main";
	worker.database = database;
	worker.extra = &order;
	worker.extra_size = sizeof(order);
	finder.database = database;
	finder.ticket = order.ticket;
	finder.started_at = GetCurrentTimestamp();
	if (start_or_wait(&worker, &finder.handle) && db != NULL)
		db->look_at = after(LIST_INTERVAL);
}

static void
start_task_worker(TaskDatabase *db, const FinderAnswer *answer)
{
	ShortWorker worker = {0};
	TaskAssignment assignment = {0};
	int			place = free_place();

	assignment.task = answer->task;
	assignment.role = answer->role;
	assignment.place = place;
	worker.type = "task";
	worker.function = "safe_migrate_task_main";
	worker.database = db->database;
	worker.extra = &assignment;
	worker.extra_size = sizeof(assignment);
	task_queue_clear_place(place);
	workers[place].database = db->database;
	workers[place].task = answer->task;
	if (!start_or_wait(&worker, &workers[place].handle))
		db->look_at = after(0);
}

/* If there is no slot for a worker, say so once, and wait with the next one. */
static bool
start_or_wait(const ShortWorker *worker, BackgroundWorkerHandle **handle)
{
	if (start_short_worker(worker, handle))
	{
		slot_retry_at = 0;
		return true;
	}
	*handle = NULL;
	if (slot_retry_at == 0)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker for tasks: out of background worker slots"),
				 errdetail("Tasks wait until a slot is free."),
				 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
	slot_retry_at = after(SLOT_DELAY);
	return false;
}

/* So many milliseconds from now. */
static TimestampTz
after(int milliseconds)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
}

/* Milliseconds until then, 0 if that time has come. */
static long
until(TimestampTz when)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when);
}
