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

#include "nodes/pg_list.h"

typedef enum TaskState
{
	TASK_WAITING,				/* for a background worker */
	TASK_RUNNING,
	TASK_FAILED,				/* stopped by an error; can go on */
	TASK_UNDOING,				/* what it has done is being taken back */
	TASK_DONE,
	TASK_CANCELLED				/* nothing of it is left */
} TaskState;

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
	List	   *settings;		/* of char *: names and values, alternating */
	const char *role;			/* current_user when it was asked for */
	const char *session_role;
	int			pid;			/* of the process that runs it or ran it last,
								 * or 0 */
	int			attempts;		/* how often it was started */
	const char *error;			/* of the last attempt, or NULL */
	const char *sqlstate;
	uint64		size_bytes;		/* of the relations; not in the table */
} Task;

/*
 * task_store.c.  All need a transaction, and work with the rights of the
 * extension's owner.  Results are in the current memory context.
 */

/*
 * Insert a task for the current roles, with the settings that its text depends
 * on; sets its ID, roles and settings.
 */
extern void task_insert(Task *task);

/*
 * Write state, done and error.  A state other than "waiting" makes this
 * process the one that runs it; "running" is a new attempt if begin is true.
 */
extern void task_update(Task *task, bool begin);

/* NULL if there is none with that number. */
extern Task *task_read(int64 id);

/*
 * False if there never was a task.  Cheap: it is asked for every statement
 * that might have a plan.
 */
extern bool tasks_exist(void);

/*
 * The task that the current role has not finished for that very statement,
 * under the same search_path, the latest; or NULL.
 */
extern Task *task_find_unfinished(const char *statement);

/* Numbers, as int64 *, of the tasks that wait for a background worker. */
extern List *tasks_waiting(void);

/*
 * Take the lock of a task, or throw if another process has it, and read anew
 * what may have changed meanwhile: state, done, attempts and error.
 */
extern void task_claim(Task *task);

/* stub */
extern bool task_role_can_be_served(char **reason);
extern void task_after_commit(int64 id);

/*
 * task_lock.c.  The lock of a task, one in a session, held over transactions,
 * but let go of by an error.  False if somebody else has it.
 */
extern bool task_lock(int64 id);
extern void task_unlock(void);

#endif							/* SAFE_MIGRATE_TASK_H */
