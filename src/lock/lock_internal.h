/*-------------------------------------------------------------------------
 *
 * lock_internal.h
 *	  Shared by the files of src/lock.
 *
 * Nothing here needs an active snapshot; what looks names up needs a
 * transaction, and sets a catalog snapshot.  Results are in the current memory
 * context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LOCK_INTERNAL_H
#define SAFE_MIGRATE_LOCK_INTERNAL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lock/lock.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"
#include "tcop/cmdtag.h"
#include "utils/backend_status.h"

/* A lock that a statement needs on a relation of this database. */
typedef struct LockTarget
{
	Oid			relid;
	LOCKMODE	lockmode;
} LockTarget;

/* Whoever makes us wait. */
typedef struct Blocker
{
	int			pid;			/* 0: a prepared transaction */
	Oid			roleid;			/* InvalidOid: not known, as all below */
	BackendState state;
	TimestampTz transaction_start;
	char	   *application;
	char	   *query;
} Blocker;

/* Blockers that others are told of. */
#define MAX_PUBLISHED_BLOCKERS 8

/* A session that polls, as the others see it. */
typedef struct Poller
{
	int			pid;			/* 0: the place is free */
	Oid			database;
	Oid			roleid;
	LockTarget	target;
	CommandTag	command;
	TimestampTz since;
	TimestampTz gives_up_at;	/* DT_NOEND: never */
	int			blocker_count;
	int			blockers[MAX_PUBLISHED_BLOCKERS];	/* process IDs */
} Poller;

/* targets.c: the locks that effects mean and that we do not have, by OID. */
extern List *find_lock_targets(List *effects);

/* The same, and AccessExclusiveLock on each of these relations. */
extern List *find_lock_targets_with(List *relids, List *effects);

/* Of these targets, those on relations that the effects do not lock. */
extern List *find_needless_targets(List *targets, List *effects);

/*
 * named.c: the relations that a statement names, and what is below them.  Takes
 * no lock.
 */
extern List *relations_named(Node *statement);

/* The same lock, for the lock manager. */
extern void set_lock_tag(LOCKTAG *tag, Oid database, const LockTarget *target);

/* True if this session holds a lock that conflicts with the wanted one. */
extern bool conflicts_with_own_lock(const LOCKTAG *tag, LOCKMODE lockmode);

/*
 * blockers.c: other sessions that hold a lock which conflicts, or if there are
 * none, that wait for one before us.  NIL if the lock is free.
 */
extern List *find_blockers(const LockTarget *target);

/* True if somebody holds such a lock: cheap, does not look who it is. */
extern bool lock_is_held(const LockTarget *target);

/* Process IDs of the holders of a lock; 0 for prepared transactions. */
extern List *pids_of_holders(const LOCKTAG *tag, LOCKMODE lockmode);

/* Blockers with these process IDs, and what is known of them. */
extern List *blockers_with_pids(List *pids);

/*
 * Microseconds for which the oldest of their transactions is open; PG_INT64_MAX
 * if that is not known of one of them.
 */
extern int64 oldest_transaction(List *blockers);

/* One of them in words; all, the first few, separated by commas. */
extern char *blocker_in_words(const Blocker *blocker);
extern char *blockers_in_words(List *blockers);

/* True if the current role may see what that session runs. */
extern bool may_see_query(const Blocker *blocker);

/* Their queries, one a line, as far as the current role may see them. */
extern char *queries_of_blockers(List *blockers);

/* What ends them, as SQL; NULL if nothing is to be recommended. */
extern char *remedy_for_blockers(List *blockers);

/* Some microseconds in words, such as "1.5 s" or "12 min". */
extern char *wait_in_words(int64 microseconds);

/*
 * pollers.c: tell the others what we wait for; that we wait no more; copy all
 * who poll.  One LWLock, for a moment.
 */
extern void publish_poller(const LockTarget *target, CommandTag command,
						   TimestampTz since, TimestampTz gives_up_at,
						   List *blockers);
extern void withdraw_poller(void);
extern Poller *copy_pollers(int *count);

/*
 * deadlock.c: raise ERRCODE_T_R_DEADLOCK_DETECTED if one of the blockers waits
 * for us, be it through others, unless another session of the circle that
 * polls came later and has to give way.
 */
extern void raise_deadlock(List *blockers, const LockTarget *target);

/*
 * patience.c: wait until another command that excludes VACUUM is done with
 * these relations.  Takes no lock.  A command with CONCURRENTLY that queued for
 * it would do so with a snapshot, for which the other one waits in the end.
 */
extern void wait_until_concurrent(const char *command, CommandTag tag,
								  List *relids);

/*
 * queue_stay.c: take all locks, queueing for so many milliseconds together at
 * most.  Returns false, holding none of them, if that was not enough.
 */
extern bool queue_for_locks(List *targets, int milliseconds);

/* Take a lock if it is free; let go of it. */
extern bool take_if_free(const LockTarget *target);
extern void let_go(const LockTarget *target);

/* True if transactions of such an age are worth a stay in the queue. */
extern bool is_short(int64 microseconds);

#endif							/* SAFE_MIGRATE_LOCK_INTERNAL_H */
