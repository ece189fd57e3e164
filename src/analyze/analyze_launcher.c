/*-------------------------------------------------------------------------
 *
 * analyze_launcher.c
 *	  The part of the launcher that starts the workers which analyze.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "analyze/analyze_internal.h"
#include "common/worker.h"

/* Milliseconds until a worker, or a place for one, is looked for again. */
#define POLL_DELAY			1000

/* The workers; handle is NULL in a free place. */
static struct
{
	Oid			database;
	BackgroundWorkerHandle *handle;
}			analyzers[MAX_ANALYZERS];

static void look_after_analyzer(int place);
static int	place_for(Oid database);
static void start_analyzer(Oid database, int place);
static bool register_analyzer(Oid database, int place);

/*
 * See analyze.h.
 */
void
serve_analyzers(void)
{
	static Oid	databases[ANALYZE_QUEUE_SIZE];
	int			count;

	for (int place = 0; place < MAX_ANALYZERS; place++)
	{
		if (analyzers[place].handle != NULL)
			look_after_analyzer(place);
	}
	count = analyze_queue_databases(databases);
	for (int i = 0; i < count; i++)
	{
		int			place = place_for(databases[i]);

		if (place >= 0)
			start_analyzer(databases[i], place);
	}
}

/*
 * See analyze.h.
 */
long
next_analyzer_delay(void)
{
	long		delay = analyze_queue_delay();

	for (int place = 0; place < MAX_ANALYZERS; place++)
	{
		if (analyzers[place].handle != NULL)
			return delay <= 0 ? POLL_DELAY : Min(delay, POLL_DELAY);
	}
	return delay;
}

static void
look_after_analyzer(int place)
{
	pid_t		pid;

	if (GetBackgroundWorkerPid(analyzers[place].handle, &pid) != BGWH_STOPPED)
		return;
	pfree(analyzers[place].handle);
	analyzers[place].handle = NULL;
	analyze_queue_return(analyzers[place].database, place,
						 analyzer_was_connected(place) ?
						 ANALYZER_WAS_CONNECTED : ANALYZER_NOT_CONNECTED);
}

/* A free place, or -1 if there is none or the database has a worker. */
static int
place_for(Oid database)
{
	int			free_place = -1;

	for (int place = 0; place < MAX_ANALYZERS; place++)
	{
		if (analyzers[place].handle == NULL)
			free_place = place;
		else if (analyzers[place].database == database)
			return -1;
	}
	return free_place;
}

static void
start_analyzer(Oid database, int place)
{
	static bool told = false;

	analyzers[place].database = database;
	analyze_queue_assign(database, place);
	if (register_analyzer(database, place))
	{
		told = false;
		return;
	}
	analyzers[place].handle = NULL;
	analyze_queue_return(database, place, ANALYZER_NOT_STARTED);
	if (!told)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker for ANALYZE: out of background worker slots"),
				 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
	told = true;
}

static bool
register_analyzer(Oid database, int place)
{
	ShortWorker worker = {0};

	worker.type = "analyzer";
	worker.function = "safe_migrate_analyzer_main";
	worker.database = database;
	worker.extra = &place;
	worker.extra_size = sizeof(place);
	return start_short_worker(&worker, &analyzers[place].handle);
}
