/*-------------------------------------------------------------------------
 *
 * deferred.h
 *	  What migrations have left to the background.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DEFERRED_H
#define SAFE_MIGRATE_DEFERRED_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The tasks noted since note_deferred_tasks(true), as a list of int64 *. */
extern List *tasks_left(void);

/*
 * Wait until these are done, a list of int64 *, outside of a transaction.
 * Throws the error of one that fails, or was cancelled.  One that is not there
 * any more was rolled back, or was done and is forgotten.  version is that of
 * the migration that has left them.
 */
extern void wait_for_deferred(List *tasks, const char *version);

/*
 * Throw if one of them is not done, for those who cannot wait: needs a
 * transaction.  label is that of the migration.
 */
extern void require_deferred(List *tasks, const char *label);

/*
 * Throw if one of them may still change something: it is neither done nor taken
 * back.  Needs a transaction.
 */
extern void require_finished(List *tasks, const char *label);

#endif							/* SAFE_MIGRATE_DEFERRED_H */
