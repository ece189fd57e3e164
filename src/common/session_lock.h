/*-------------------------------------------------------------------------
 *
 * session_lock.h
 *	  Locks that a session holds over transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SESSION_LOCK_H
#define SAFE_MIGRATE_SESSION_LOCK_H

/*
 * To be called before the session takes a lock for itself with LockAcquire():
 * PostgreSQL gives back at the end of a session only those of its transaction.
 */
extern void release_session_locks_at_exit(void);

#endif							/* SAFE_MIGRATE_SESSION_LOCK_H */
