/*-------------------------------------------------------------------------
 *
 * run_task.h
 *	  Carrying out a task, step by step, and taking it back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RUN_TASK_H
#define SAFE_MIGRATE_RUN_TASK_H

#include "task/task.h"

/*
 * Carry out the steps of a task that are not done yet, each in a transaction
 * of its own, together with the row that says so.  A task without an ID is
 * inserted first; what an interrupted attempt at the next step has left behind
 * is removed.
 *
 * To be called at top level, with a transaction open in which nothing has
 * been done, and without an active snapshot; commits it, and leaves another
 * one open.  The task must be in a memory context that outlives these.
 *
 * On an error the task is taken back, if the error says that sending the
 * statement again would not help (the data or the catalog do not allow it);
 * otherwise it can go on from there.  Either is written to its row and told in
 * the CONTEXT of the error, which is thrown again outside of any transaction.
 * Throws at once if another process has the task.
 */
extern void run_task(Task *task);

/*
 * Take back what a task has done, the last step first, in the same way; steps
 * that cannot be taken back are left, with a WARNING that names them.
 */
extern void undo_task(Task *task);

#endif							/* SAFE_MIGRATE_RUN_TASK_H */
