/*-------------------------------------------------------------------------
 *
 * task.h
 *	  The record of a statement that is carried out step by step.
 *
 * Its row in migrate.task_log is written before the first step; each step
 * that commits says so there in its own transaction.  Whoever runs a task
 * holds its lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TASK_H
#define SAFE_MIGRATE_TASK_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/latch.h"

typedef enum TaskState
{
	TASK_WAITING,				/* for a background worker */
	TASK_RUNNING,
	TASK_FAILED,				/* stopped by an error; can go on */
	TASK_UNDOING,				/* what it has done is being taken back */
	TASK_DONE,
	TASK_CANCELLED				/* nothing of it is left */
} TaskState;

/* Task.rule of online changes, see online/change.h. */
#define RULE_OF_CHANGES "online_change"

typedef struct Task
{
	int64		id;				/* 0: not in the table yet */
	const char *statement;		/* what was asked */
	const char *command;		/* its command tag */
	const char *rule;			/* why it is not run as it is */
	const char *relation;		/* qualified name, or NULL */
	List	   *steps;			/* of PlanStep, see plan.h */
	int			done;			/* steps that are committed */
	TaskState	state;
	bool		deferred;		/* for the background */
	bool		cancelled;		/* to be taken back */
	Oid			relid;			/* of the table, or InvalidOid */
	List	   *made;			/* of char *: what its steps have made, and */
	List	   *witness;		/* how the table looked; see src/run/made.h */
	List	   *settings;		/* of char *: names and values, alternating */
	const char *role;			/* current_user when it was asked for */
	const char *session_role;
	int			pid;			/* of the process that runs it or ran it last,
								 * or 0 */
	int			attempts;		/* how often it was started */
	const char *error;			/* of the last attempt, or NULL */
	const char *sqlstate;
	const char *continued_by;	/* the call that goes on with it, or NULL: who
								 * sends its statement again does */
	uint64		size_bytes;		/* of the relations; not in the table */
	bool		destroys;		/* that is to have a restore point; not in the
								 * table */

	/* called before the commit that completes it, or NULL; not in the table */
	void		(*complete) (void *arg);
	void	   *complete_arg;
} Task;

/*
 * task_store.c.  All need a transaction, and work with the rights of the
 * extension's owner.  Results are in the current memory context.
 */

/*
 * Insert a task for the current roles, with the settings that its text depends
 * on; sets its ID, if it has none yet, roles and settings.  A number can be had
 * before, for steps that are to name it.
 */
extern int64 task_reserve_id(void);
extern void task_insert(Task *task);

/*
 * Write state, done and error, which a task that is done has none of, and read
 * whether it was cancelled meanwhile; "failed" becomes "waiting" if it was while
 * it ran, for what it did to be taken back.  A state other than "waiting" makes
 * this process the one that runs it; "running" is a new attempt if begin is true.
 */
extern void task_update(Task *task, bool begin);

/* Write what it has made, alone. */
extern void task_write_made(const Task *task);

/* NULL if there is none with that number. */
extern Task *task_read(int64 id);

/* What all other tasks of its table have made, as in Task.made. */
extern List *task_made_by_others(const Task *task);

/*
 * The task that the current role has not finished for that very statement,
 * under the same search_path, in this database, the latest; or NULL.
 */
extern Task *task_find_unfinished(const char *statement);

/*
 * False if there never was a task in this database, or our extension is not
 * created in it.  Costs next to nothing.
 */
extern bool tasks_may_exist(void);

/*
 * Have the background go on with a task from the start of its attempts, or
 * take it back; for a caller that has its lock.
 */
extern void task_hand_over(int64 id, bool cancel);

/* Have a task that somebody runs be taken back when he has stopped. */
extern void task_mark_cancelled(int64 id);

/*
 * task_control.c.  Have a task taken back, as migrate.cancel() does, and return
 * its new state; even_if_done: also one that is done.  Throws if the current
 * user may not, or if it is finished.
 */
extern const char *cancel_task(int64 id, bool even_if_done);

/* A row of migrate.tasks, as far as it matters to those who look at it. */
typedef struct TaskStatus
{
	int64		id;
	const char *state;			/* as there: may be "interrupted", or
								 * "elsewhere" */
	const char *relation;		/* or NULL */
	int			done;
	int			steps;
	const char *step;			/* next one, or NULL */
	const char *error;
	const char *sqlstate;
	TimestampTz next_attempt;	/* 0: none */
	bool		deferred;
	const char *role;
	const char *session_role;
	Oid			role_oid;		/* of these two; invalid when they were */
	Oid			session_role_oid;	/* dropped or renamed since */
	int			runner;			/* process that holds its lock, or 0 */
} TaskStatus;

/*
 * task_status.c.  As above.  NULL if there is none with that number; those
 * for the background that are not finished, in order of their numbers.
 */
extern TaskStatus *task_status(int64 id);
extern List *tasks_for_background(void);

/* True if a migration has left it to the background. */
extern bool task_is_of_migration(int64 id);

/*
 * Throw if an unfinished task was asked for in another database, of which this
 * one is a copy.
 */
extern void require_task_from_here(const TaskStatus *status);

/*
 * Take the lock of a task, or throw if another process has it, and read anew
 * what may have changed meanwhile: state, done, made, witness, attempts and
 * error.
 */
extern void task_claim(Task *task);

/*
 * task_lock.c.  The lock of a task, one in a session, held over transactions,
 * but let go of by an error.  False if somebody else has it.  Taking it needs
 * a transaction, giving it back does not, even after an error.
 */
extern bool task_lock(int64 id);
extern void task_unlock(void);

/*
 * task_commit.c.  Tell the launcher when the transaction has committed that a
 * task waits in this database; forgotten when the transaction or the current
 * subtransaction is rolled back.  PREPARE TRANSACTION tells nobody but its
 * client, by a NOTICE: the task is found within minutes of its commit.
 */
extern void task_after_commit(void);
extern void register_task_callbacks(void);

/*
 * task_role.c.  All need a transaction.
 *
 * True if a background worker can run what the current user wants to leave to
 * it.  Else *reason is the rest of a sentence, palloc'd.
 */
extern bool task_role_can_be_served(char **reason);

/*
 * The same for a task, and the role that its worker is to connect as: that of
 * the task, or that of the session, from which it is to SET ROLE.
 */
extern bool task_can_be_served(const TaskStatus *status, Oid *connect_as,
							   char **reason);

/*
 * True if the current user may know of the task and wait for it: a member of
 * its role, or of that of the owner of the extension.
 */
extern bool may_wait_for_task(const TaskStatus *status);

/*
 * True if he may say what becomes of it.  To have the worker connect as the
 * role of the session takes a member of that as well.
 */
extern bool may_control_task(const TaskStatus *status);

/*
 * task_queue.c.  To be called from _PG_init while shared_preload_libraries is
 * processed, and only then.
 */
extern void task_request_shared_memory(void);

/* What the launcher gives to the worker for a task. */
typedef struct TaskAssignment
{
	int64		task;
	Oid			role;			/* to connect as */
	int			place;
} TaskAssignment;

/* For that worker: say that it is connected.  Throws nothing. */
extern void task_worker_is_connected(int place);

/*
 * Terminate the worker that runs a task in a database, which is about to be
 * dropped.  The task is run again if it is not.  Throws nothing.
 */
extern void task_dismiss_workers(Oid database);

/*
 * task_finder.c.  What else is to be done in a database from time to time, by a
 * finder that looks for tasks there anyway: in milliseconds from now, or -1
 * for nothing; and one piece of it, true if there may be another one.  Each is
 * called in a transaction of its own, in which nobody may be waited for.  To be
 * called from _PG_init; the memory stays the caller's.
 */
typedef struct FinderHousekeeping
{
	int			(*delay) (void);
	bool		(*work) (void);
} FinderHousekeeping;

extern void register_finder_housekeeping(const FinderHousekeeping *work);

/*
 * task_launcher.c.  For the launcher: look after the workers and start new
 * ones; milliseconds until that is to be called again if nothing happens
 * before; the latch to be set when a task waits (NULL when the launcher
 * ends).
 */
extern void serve_tasks(void);
extern long next_task_delay(void);
extern void set_launcher_of_tasks(Latch *latch);

#endif							/* SAFE_MIGRATE_TASK_H */
