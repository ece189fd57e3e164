/*-------------------------------------------------------------------------
 *
 * made.h
 *	  What the steps of a task have made, by number.
 *
 * A task that goes on after a while, or is taken back, finds objects by their
 * names: others may have dropped, renamed or made anew what is called so.  So
 * the task keeps the numbers of what it has made, and what its table looked
 * like when it was last at it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MADE_H
#define SAFE_MIGRATE_MADE_H

#include "task/task.h"

/*
 * From now on, until the next call with NULL, what is made is added to
 * task->made; where the statement that makes it commits by itself, to the row
 * of the task as well, in the same transaction.
 */
extern void watch_made(Task *task, bool at_once);

/* True if the task has made that object; subid is a column, else 0. */
extern bool task_has_made(const Task *task, Oid classid, Oid objid,
						  int32 subid);

/* The same for a list of such objects, like that of task_made_by_others(). */
extern bool is_among_made(const List *made, Oid classid, Oid objid,
						  int32 subid);

/* Add one; in the memory context of the task. */
extern void add_made(Task *task, Oid classid, Oid objid, int32 subid);

/* OIDs of the relations among them. */
extern List *relations_made(const Task *task);

/*
 * What the task's table and what it has made look like now: a list of char *,
 * in the current memory context.  Takes no lock.
 */
extern List *take_witness(const Task *task);

/*
 * True if all of that is still so; what others have added does not matter, nor
 * what other tasks have made of the table and removed again.  Needs a
 * transaction.
 */
extern bool witness_holds(const Task *task);

/*
 * Add to what the task has made what its table has lost since a witness of it
 * was taken: its step has taken it away, which is no reason for other tasks of
 * the table to stop.  In the memory context of the task.
 */
extern void note_lost(Task *task, const List *witness);

/*
 * True if a statement takes back nothing but what the task has made, or sets
 * something back that nobody has changed since ("unchanged").  For a table,
 * only if it is empty; that is locked then until the transaction ends.
 */
extern bool undo_is_safe(const Task *task, const char *undo, bool unchanged);

#endif							/* SAFE_MIGRATE_MADE_H */
