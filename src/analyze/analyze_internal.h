/*-------------------------------------------------------------------------
 *
 * analyze_internal.h
 *	  The queue in shared memory, for the other files of src/analyze.
 *
 * All functions take and release the queue's LWLock themselves, need no
 * transaction, and throw nothing.  They need the library to be preloaded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ANALYZE_INTERNAL_H
#define SAFE_MIGRATE_ANALYZE_INTERNAL_H

#include "postgres.h"

#include "analyze/analyze.h"

/* Tables that can wait to be analyzed. */
#define ANALYZE_QUEUE_SIZE	256

/* Workers that may run at the same time, in as many databases. */
#define MAX_ANALYZERS		2

/* What became of a worker. */
typedef enum AnalyzerEnd
{
	ANALYZER_NOT_STARTED,		/* no slot for it: nobody's failure */
	ANALYZER_NOT_CONNECTED,		/* as when the database is gone */
	ANALYZER_WAS_CONNECTED
} AnalyzerEnd;

/* Have one task do what another on the same table was to do. */
extern void add_to_task(AnalyzeTask *task, const AnalyzeTask *more);

/*
 * Add the columns of a task to those that wait for the same table, or append
 * it; its sequence number does not matter.  Returns false, and counts, when
 * the queue is full.
 */
extern bool analyze_queue_put(Oid database, const AnalyzeTask *task);

/*
 * The databases for which something is due.  The array must have room for
 * ANALYZE_QUEUE_SIZE; returns their number.
 */
extern int	analyze_queue_databases(Oid *databases);

/* Milliseconds until something is due, 0 for now, -1 if nothing waits. */
extern long analyze_queue_delay(void);

/* All that is due in a database is now the business of a worker. */
extern void analyze_queue_assign(Oid database, int place);

/*
 * That worker is gone: what it has left undone waits for the next one, or is
 * given up, logged and counted if that has gone on for long enough.
 */
extern void analyze_queue_return(Oid database, int place, AnalyzerEnd end);

/* Was the worker in that place connected to its database? */
extern bool analyzer_was_connected(int place);

#endif							/* SAFE_MIGRATE_ANALYZE_INTERNAL_H */
