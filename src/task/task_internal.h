/*-------------------------------------------------------------------------
 *
 * task_internal.h
 *	  What the launcher, its workers and the sessions tell each other about
 *	  tasks, in shared memory.
 *
 * All functions take and release the LWLock themselves, need no transaction,
 * and throw nothing.  They need the library to be preloaded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TASK_INTERNAL_H
#define SAFE_MIGRATE_TASK_INTERNAL_H

#include "postgres.h"

#include "task/task.h"

/* Tasks that may run at the same time, in as many databases. */
#define MAX_TASK_WORKERS	2

/* Databases of which it is known by name that a task waits there. */
#define TOLD_SIZE			64

/* Databases that a finder lists at once. */
#define LISTED_SIZE			128

/* What a finder is to do; its argument is the database, invalid for a list. */
typedef struct FinderOrder
{
	uint32		ticket;			/* to be put on the answer */
	Oid			after;			/* list databases above that one */
	int64		unreached;		/* the task that no worker got to start, or 0 */
	int			failures;		/* how often that was so */
} FinderOrder;

/* What it has found. */
typedef struct FinderAnswer
{
	uint32		ticket;

	/* in a database */
	bool		has_extension;
	int64		task;			/* to be run now, or 0 */
	Oid			role;			/* to connect as */
	int			delay;			/* ms until there may be one, or -1 */

	/* a list, in ascending order */
	int			count;
	bool		is_last;
	Oid			databases[LISTED_SIZE];
	bool		allow_connections[LISTED_SIZE];
} FinderAnswer;

/* A task waits in a database. */
extern void task_queue_tell(Oid database);

/*
 * Take the databases of which that was said since the last call; the array
 * must have room for TOLD_SIZE.  *overflow is set if there were more.
 */
extern int	task_queue_take_told(Oid *databases, bool *overflow);

/* For a finder. */
extern void task_queue_answer(const FinderAnswer *answer);

/* False if the finder with that ticket has not answered. */
extern bool task_queue_get_answer(uint32 ticket, FinderAnswer *answer);

/* A place gets a new worker; was the last one connected? */
extern void task_queue_clear_place(int place);
extern bool task_worker_was_connected(int place);

/* Cancel what a worker does; false if no worker is that process. */
extern bool task_interrupt_worker(int pid);

#endif							/* SAFE_MIGRATE_TASK_INTERNAL_H */
