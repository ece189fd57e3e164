/*-------------------------------------------------------------------------
 *
 * host.h
 *	  A script that runs statements in transactions of its own making.
 *
 * Where the safe way of a statement takes several transactions, the script
 * can end its own one first, and has its progress written by the transaction
 * that completes the statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_HOST_H
#define SAFE_MIGRATE_HOST_H

#include "postgres.h"

typedef struct ScriptHost
{
	/*
	 * Commits what ran in the transaction before the statement, and begins
	 * another one.  Called without an active snapshot.  NULL: it cannot.
	 */
	void		(*divide) (void *arg);

	/*
	 * Called in the transaction that completes the statement, just before its
	 * commit, when it is carried out as a task.  May be NULL.
	 */
	void		(*complete) (void *arg);
	void	   *arg;

	/* the call that goes on with the script when it was cut off */
	const char *continued_by;

	/* how to have it done safely where it cannot be; for the message */
	const char *remedy;
} ScriptHost;

/*
 * The next utility statement is one of that script; NULL: of none.  To be
 * called with NULL behind the statement as well, on every path.  What the
 * statement runs in turn is not of the script: so the hook takes it away.
 */
extern void host_next_statement(const ScriptHost *host);
extern const ScriptHost *take_script_host(void);

/*
 * Begin to note, from none, which tasks statements leave to the background,
 * or end it; waits is the role as which somebody will wait for them, InvalidOid
 * if nobody does; note one, true if that is done; the IDs of those noted, some of
 * which a savepoint may have rolled back again.
 */
extern void note_deferred_tasks(bool on, Oid waits);
extern Oid	role_that_waits(void);
extern bool note_deferred_task(int64 id);
extern const int64 *deferred_tasks(int *count);

#endif							/* SAFE_MIGRATE_HOST_H */
