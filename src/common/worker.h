/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  Background workers that the launcher starts for one piece of work.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_WORKER_H
#define SAFE_MIGRATE_WORKER_H

#include "postgres.h"

#include "postmaster/bgworker.h"

/* What is told to a worker besides its argument: at most BGW_EXTRALEN bytes. */
typedef struct ShortWorker
{
	const char *type;			/* in pg_stat_activity, after "safe_migrate" */
	const char *function;		/* in our library, exported */
	Oid			database;		/* its argument; InvalidOid: of none */
	const void *extra;
	Size		extra_size;
} ShortWorker;

/*
 * Have the postmaster start a worker that is not started again when it ends,
 * and send a signal to this process when it starts or ends.  The handle is in
 * the current memory context.  Returns false if there is no slot for it.
 */
extern bool start_short_worker(const ShortWorker *worker,
							   BackgroundWorkerHandle **handle);

/*
 * True if a worker can connect to this database as that role.  Else *reason
 * is the rest of a sentence, palloc'd.  Needs a transaction.
 */
extern bool worker_can_connect_as(Oid role, char **reason);

/*
 * Fix settings whatever is set for the database, the role or everybody; those
 * that this version does not have are left out.
 */
extern void fix_worker_settings(const char *const(*settings)[2], int count);

/*
 * Be taken for an autovacuum worker by those who would wait for us: a session
 * whose lock we are in the way of cancels us after deadlock_timeout, and
 * CREATE, ALTER and DROP DATABASE terminate us.  Not for work that reads data
 * of users in a snapshot: CREATE INDEX CONCURRENTLY does not wait for it.
 */
extern void give_way_like_autovacuum(void);

#endif							/* SAFE_MIGRATE_WORKER_H */
