/*-------------------------------------------------------------------------
 *
 * deadlock.c
 *	  Deadlocks in which somebody polls, which PostgreSQL cannot see.
 *
 * Sessions that queue and sessions that poll wait for others: PostgreSQL knows
 * whom the first ones wait for, and the holders of a poller's lock are found
 * as its own poll finds them.  If the way from our blockers leads back to us,
 * nobody on it will ever go on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

/* Sessions that are looked at; a longer way is left to the deadline. */
#define MAX_VISITS			200

/* A session that we wait for, directly or through others. */
typedef struct Visit
{
	int			pid;
	int			from;			/* the session before it, -1 for us */
} Visit;

typedef struct WaitGraph
{
	Poller	   *pollers;
	int			poller_count;
	Visit		visits[MAX_VISITS];
	int			count;
} WaitGraph;

static void visit(WaitGraph *graph, int pid, int from);
static List *waits_for(const WaitGraph *graph, int pid);
static List *pids_before_in_queue(int pid);
static List *pids_before_poller(const Poller *poller);
static const Poller *find_poller(const WaitGraph *graph, int pid);
static bool gives_way(const WaitGraph *graph, int last);
static char *circle_in_words(const WaitGraph *graph, int last);

/*
 * See lock_internal.h.
 */
void
raise_deadlock(List *blockers, const LockTarget *target)
{
	WaitGraph  *graph = palloc0(sizeof(WaitGraph));
	ListCell   *cell;

	graph->pollers = copy_pollers(&graph->poller_count);
	foreach(cell, blockers)
		visit(graph, ((const Blocker *) lfirst(cell))->pid, -1);

	for (int i = 0; i < graph->count; i++)
	{
		foreach(cell, waits_for(graph, graph->visits[i].pid))
		{
			if (lfirst_int(cell) != MyProcPid)
				visit(graph, lfirst_int(cell), i);
			else if (gives_way(graph, i))
				ereport(ERROR,
						(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
						 errmsg("deadlock detected"),
						 errdetail("Process %d waits for %s on %s.\n%s",
								   MyProcPid,
								   GetLockmodeName(DEFAULT_LOCKMETHOD,
												   target->lockmode),
								   relation_display_name(target->relid),
								   circle_in_words(graph, i)),
						 errhint("Nothing was changed: roll back and try again. Statements that change the schema best come first in their transaction.")));
		}
	}
}

/* Each session once; a prepared transaction waits for nobody. */
static void
visit(WaitGraph *graph, int pid, int from)
{
	if (pid == 0 || graph->count == MAX_VISITS)
		return;
	for (int i = 0; i < graph->count; i++)
		if (graph->visits[i].pid == pid)
			return;
	graph->visits[graph->count].pid = pid;
	graph->visits[graph->count].from = from;
	graph->count++;
}

/* Who polls may also stand in the queue, for a moment. */
static List *
waits_for(const WaitGraph *graph, int pid)
{
	const Poller *poller = find_poller(graph, pid);
	List	   *pids = pids_before_in_queue(pid);

	if (poller != NULL)
		pids = list_concat(pids, pids_before_poller(poller));
	return pids;
}

/* NIL for a session that is not in a queue. */
static List *
pids_before_in_queue(int pid)
{
	Datum		array = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
	ArrayType  *blocking = DatumGetArrayTypeP(array);
	int32	   *values = (int32 *) ARR_DATA_PTR(blocking);
	int			count = ArrayGetNItems(ARR_NDIM(blocking), ARR_DIMS(blocking));
	List	   *pids = NIL;

	for (int i = 0; i < count; i++)
		pids = lappend_int(pids, values[i]);
	return pids;
}

/* Its own locks, which may be weaker ones on the same table, do not count. */
static List *
pids_before_poller(const Poller *poller)
{
	LOCKTAG		tag;
	List	   *pids;

	set_lock_tag(&tag, poller->database, &poller->target);
	pids = list_delete_int(pids_of_holders(&tag, poller->target.lockmode),
						   poller->pid);
	if (conflicts_with_own_lock(&tag, poller->target.lockmode))
		pids = lappend_int(pids, MyProcPid);
	return pids;
}

static const Poller *
find_poller(const WaitGraph *graph, int pid)
{
	for (int i = 0; i < graph->poller_count; i++)
		if (graph->pollers[i].pid == pid)
			return &graph->pollers[i];
	return NULL;
}

/*
 * Only one has to: of those in the circle who poll, the last one to come.  The
 * others look no further than that, and go on when it is gone.
 */
static bool
gives_way(const WaitGraph *graph, int last)
{
	const Poller *own = find_poller(graph, MyProcPid);

	for (int i = last; own != NULL && i >= 0; i = graph->visits[i].from)
	{
		const Poller *other = find_poller(graph, graph->visits[i].pid);

		if (other != NULL &&
			(other->since > own->since ||
			 (other->since == own->since && other->pid > own->pid)))
			return false;
	}
	return true;
}

/* From the session that waits for us back to the one that we wait for. */
static char *
circle_in_words(const WaitGraph *graph, int last)
{
	StringInfoData words;
	int			waits_for_pid = MyProcPid;

	initStringInfo(&words);
	for (int i = last; i >= 0; i = graph->visits[i].from)
	{
		int			pid = graph->visits[i].pid;
		const Poller *poller = find_poller(graph, pid);
		char	   *lock = "in a lock queue";

		if (poller != NULL)
			lock = psprintf("for %s on %s",
							GetLockmodeName(DEFAULT_LOCKMETHOD,
											poller->target.lockmode),
							poller->database != MyDatabaseId ? "a relation" :
							relation_display_name(poller->target.relid));
		appendStringInfo(&words,
						 "%sProcess %d waits %s, behind process %d.",
						 i == last ? "" : "\n", pid, lock, waits_for_pid);
		waits_for_pid = pid;
	}
	appendStringInfo(&words, "\nProcess %d waits behind process %d.",
					 MyProcPid, waits_for_pid);
	return words.data;
}
