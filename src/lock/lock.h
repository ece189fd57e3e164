/*-------------------------------------------------------------------------
 *
 * lock.h
 *	  Locks without a queue.
 *
 * A request that waits in the queue of a lock makes everybody wait who comes
 * after it.  So a statement that needs a strong lock looks who is in its way,
 * and tries again and again; it stands in the queue only for moments, and only
 * behind transactions that will soon be over.  Who polls is written to shared
 * memory, for the view migrate.lock_waits and because PostgreSQL does not see
 * a deadlock between sessions that do not queue.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LOCK_H
#define SAFE_MIGRATE_LOCK_H

#include "postgres.h"

#include "effects/effects.h"
#include "storage/lockdefs.h"
#include "tcop/cmdtag.h"

/*
 * To be called from _PG_init while shared_preload_libraries is processed, and
 * only then.  Throws nothing.
 */
extern void lock_request_shared_memory(void);

/*
 * Take the strong locks (those for which writers have to wait, or which wait
 * for writers) that a statement will take on relations which exist already,
 * as its effects in the context tell, and keep them until the end of the
 * transaction.  Does nothing for LOCK TABLE, for NOWAIT, and in the modes
 * "off" and "observe".  With safe_migrate.observation the locks are taken and
 * let go of, so that the statement can be seen to take its own.
 *
 * Returns true if it had to wait, so that what was known before may not hold any
 * more.  Uses the current memory context.  At top level the snapshot of the portal is given up
 * while it waits, and another one taken: to be called before anything is read
 * through it.
 *
 * While it waits it has none of them: when DDL of others has added relations
 * meanwhile, it lets go of the rest and begins again with all.
 *
 * Throws ERRCODE_SM_LOCK_DEADLINE after safe_migrate.lock_deadline, naming who
 * is in the way, or when others keep adding relations; ERRCODE_LOCK_NOT_AVAILABLE after the user's lock_timeout;
 * ERRCODE_T_R_DEADLOCK_DETECTED; and what ends any wait, such as a cancel.
 */
extern bool take_locks_patiently(Node *statement,
								 const EffectContext *context);

/*
 * Take a lock on each of these relations, given in the order of their OIDs,
 * without making anybody queue, and keep it until the end of the transaction.
 * command is what the user is told that it is for.  Waits and throws as above.
 */
extern void lock_relations_patiently(CommandTag tag, const char *command,
									 List *relids, LOCKMODE lockmode);

/*
 * Take AccessExclusiveLock on each of these relations, and the strong locks
 * that statements (char *) will take as their effects tell, all in one wait.
 * Waits and throws as above, and what the parser throws.
 */
extern void lock_for_statements(CommandTag tag, const char *command,
								List *relids, List *statements);

/*
 * Wait until what a statement names can be read, as judging it does, for as
 * long as somebody has locked it altogether.  Takes nothing, and is quick when
 * nobody has.  Waits and throws as above.
 */
extern void wait_until_readable(Node *statement);

/* The longest of these waits, in microseconds, since it was reset. */
extern void reset_longest_lock_wait(void);
extern int64 longest_lock_wait_us(void);

/*
 * A command that is about to run with CONCURRENTLY: it commits inside, waits
 * for the transactions of others, and leaves something behind if it fails.
 */
typedef struct ConcurrentCommand ConcurrentCommand;

/*
 * NULL if the statement is none.  Else lock_timeout is switched off, for its
 * expiry would leave an invalid index, and safe_migrate.concurrent_deadline
 * takes its place.  Names, in a NOTICE, whose transactions have to end first.
 * Throws ERRCODE_SM_LOCK_DEADLINE if another session waits for an advisory
 * lock that we hold while it has a snapshot which the command would wait for.
 *
 * is_cleaned_up means that the caller removes what a failure leaves behind, so
 * that the error need not name it.
 *
 * To be called outside of a transaction block.  The result lives in
 * PortalContext; one of the next two must follow.
 */
extern ConcurrentCommand *begin_concurrent_command(Node *statement,
												   const char *source_text,
												   bool is_cleaned_up);

/* It has succeeded.  Takes NULL. */
extern void end_concurrent_command(ConcurrentCommand *command);

/*
 * In a PG_CATCH block around it: never returns, but throws the error on, with
 * what the command has left behind and how to remove it, and
 * ERRCODE_SM_LOCK_DEADLINE instead of a lock timeout.  Rolls back and begins a
 * new transaction, for the catalog cannot be read before; if that fails, the
 * error is thrown on as it is.  Takes NULL.
 */
extern void fail_concurrent_command(ConcurrentCommand *command);

#endif							/* SAFE_MIGRATE_LOCK_H */
