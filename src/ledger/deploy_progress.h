/*-------------------------------------------------------------------------
 *
 * deploy_progress.h
 *	  How far a deploy is, in shared memory, for migrate.deploy_progress.
 *
 * What is told here is seen by others at once, whatever becomes of the
 * transaction.  Each call takes one LWLock for a moment; none throws, but for
 * the first begin_progress() of a session, and none needs a transaction.
 * Outside of begin_progress() and end_progress() they do nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DEPLOY_PROGRESS_H
#define SAFE_MIGRATE_DEPLOY_PROGRESS_H

#include "postgres.h"

#include "tcop/cmdtag.h"

/*
 * To be called from _PG_init while shared_preload_libraries is processed, and
 * only then.  Throws nothing.
 */
extern void progress_request_shared_memory(void);

/* A deploy begins and ends; the end is to be reached on every path. */
extern void begin_progress(void);
extern void end_progress(void);

/* So many migrations are to be run. */
extern void progress_migrations(int count);

/* The next one of them, which has so many statements. */
extern void progress_migration(const char *version, const char *name,
							   int statements);

/* The next statement, by its number from 1. */
extern void progress_statement(int number, CommandTag tag);

/* What it waits for, of a few words; NULL: for nothing. */
extern void progress_waits_for(const char *format,...) pg_attribute_printf(1, 2);

#endif							/* SAFE_MIGRATE_DEPLOY_PROGRESS_H */
