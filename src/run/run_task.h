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
 * one open.  The task must be in the current memory context, which outlives
 * these.
 *
 * On an error the task is taken back, if the error says that sending the
 * statement again would not help (the data or the catalog do not allow it);
 * otherwise it can go on from there.  Either is written to its row and told in
 * the CONTEXT of the error, which is thrown again outside of any transaction.
 * Throws at once if another process has the task.
 */
extern void run_task(Task *task);

/*
 * Take back what a task has done, the last step first, in the same way; a step
 * that has no inverse stays.  An error leaves the task failed.
 */
extern void undo_task(Task *task);

/*
 * In the same way carry out a task that nobody runs by itself, or take it back if
 * it was cancelled, under the settings of the session that asked for it: what the
 * user has written means what it meant there.  One that fails stays, until it is
 * cancelled.
 */
extern void run_task_as_asked(Task *task);

/* What is written of an error: its message, and its detail, which names the row. */
extern char *task_error_text(const ErrorData *error);

/*
 * True if the error of a statement that takes something back says that what it is
 * about is not there, or is somebody else's: a NOT NULL that a key needs by now.
 */
extern bool error_says_gone(const Node *undo, int sqlerrcode);

/* True while run_task() or undo_task() is at work. */
extern bool task_is_running(void);

/* The number of the task that is being taken back by this process, or 0. */
extern int64 task_being_undone(void);

/*
 * The next utility statement is a step of a task: it need not be judged,
 * because the statement that it stands for was.  What it runs in turn, in a
 * trigger or a function, is judged as ever: so the hook takes the mark away.
 */
extern void mark_step(bool is_step);
extern bool take_step_mark(void);

#endif							/* SAFE_MIGRATE_RUN_TASK_H */
