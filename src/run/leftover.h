/*-------------------------------------------------------------------------
 *
 * leftover.h
 *	  What a step that commits by itself leaves behind when it is cut off.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LEFTOVER_H
#define SAFE_MIGRATE_LEFTOVER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "task/task.h"

typedef struct StepRemains
{
	List	   *cleanup;		/* of char *: statements that finish or remove
								 * what is half done, each for top level */
	bool		is_done;		/* after them, nothing is to be done any more */
} StepRemains;

/*
 * Look in the catalog for what an earlier attempt of the task at a step, one or
 * several statements, has left behind.  Of steps that are one transaction
 * nothing can be left.  Needs a transaction, takes no lock; the result is in
 * the current memory context.
 */
extern StepRemains *find_step_remains(const Task *task, const char *text);

/*
 * True for a step of an online change that is about a partition which has been
 * dropped or detached since the steps were written down: then nothing is to be
 * done, for the contract looks at the partitions that there are.  Needs a
 * transaction, takes no lock.
 */
extern bool step_has_lost_its_part(const Task *task, const char *text);

#endif							/* SAFE_MIGRATE_LEFTOVER_H */
