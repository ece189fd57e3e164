/*-------------------------------------------------------------------------
 *
 * analyze.h
 *	  ANALYZE in the background, after the commit of a statement that has lost
 *	  statistics of the planner.
 *
 * What a transaction lost goes into a bounded queue in shared memory when the
 * transaction has committed, and nowhere when it has not.  The launcher of
 * src/record starts a short-lived worker in the database concerned, see
 * src/run/analyze_worker.c.  The queue does not outlive the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ANALYZE_H
#define SAFE_MIGRATE_ANALYZE_H

#include "postgres.h"

#include "access/attnum.h"
#include "storage/latch.h"

/* Columns that are remembered of one table; if there are more, all are meant. */
#define MAX_ANALYZE_COLUMNS 16

/* What a worker is to do. */
typedef struct AnalyzeTask
{
	uint64		sequence;		/* 0 before the first */
	Oid			relid;
	int			column_count;	/* 0: all columns, indexes and the rest */
	AttrNumber	columns[MAX_ANALYZE_COLUMNS];
} AnalyzeTask;

typedef enum AnalyzeResult
{
	ANALYZE_DONE,				/* or needless: the table is gone */
	ANALYZE_POSTPONED,			/* to be tried again */
	ANALYZE_FAILED
} AnalyzeResult;

typedef struct AnalyzeCounters
{
	uint64		queued;			/* once for each table that waits */
	uint64		done;
	uint64		failed;			/* given up, or never queued for want of room */
} AnalyzeCounters;

/*
 * To be called from _PG_init while shared_preload_libraries is processed, and
 * only then.  Throw nothing.
 */
extern void analyze_request_shared_memory(void);
extern void register_analyze_callbacks(void);

/*
 * Have a table of the current database analyzed when the transaction has
 * committed: a column, or all of it (InvalidAttrNumber).  Forgotten when the
 * transaction or the current subtransaction is rolled back.  A transaction
 * that is prepared queues nothing, and says so.
 */
extern void analyze_after_commit(Oid relid, AttrNumber attnum);

/*
 * Interrupt a worker that analyzes this table just now, since a statement is
 * about to wait for it with a lock that others would queue behind.  The worker
 * tries again later.  Takes one LWLock and waits for nothing else.
 */
extern void analyze_give_way(Oid relid);

extern void analyze_get_counters(AnalyzeCounters *counters);

/*
 * For the launcher: start workers where something is due, and look after those
 * that run; milliseconds until that is to be called again if nothing happens
 * before, or -1; the latch to be set when something is queued (NULL when the
 * launcher ends).  Setting a latch also takes back what workers of an earlier
 * launcher have left undone.
 */
extern void serve_analyzers(void);
extern long next_analyzer_delay(void);
extern void set_launcher_of_analyzers(Latch *latch);

/*
 * For the worker in a place: say that it is connected; get the task after
 * *task, false if there is none; say what became of it.
 */
extern void analyzer_is_connected(int place);
extern bool analyzer_next_task(int place, AnalyzeTask *task);
extern void analyzer_end_task(int place, const AnalyzeTask *task,
							  AnalyzeResult result);

#endif							/* SAFE_MIGRATE_ANALYZE_H */
