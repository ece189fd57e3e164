/*-------------------------------------------------------------------------
 *
 * observe.h
 *	  What a statement did, compared with what was predicted of it.
 *
 * For developers (safe_migrate.observation): each utility statement is looked
 * at before and after it runs, and wherever the effects that src/effects
 * predicted differ from what PostgreSQL did, one line goes to the server log,
 * "safe_migrate mismatch: ...", and one row to migrate.decisions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OBSERVE_H
#define SAFE_MIGRATE_OBSERVE_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef struct Observation Observation;

/*
 * Predict the effects of a utility statement that is about to run, and
 * remember the state before: all relations with their storage, the locks that
 * this backend holds, the scans that it has counted.  source_text is what the
 * locations in the statement refer to, statement_text its own part of that;
 * releases_locks says that it commits before it ends, so that its locks cannot
 * be seen.
 *
 * Returns NULL for a statement of which nothing can be said, because it runs
 * others.  Throws what describe_effects() throws.  The result lives in a
 * memory context of its own until it is ended.
 */
extern Observation *begin_observation(Node *statement,
									  const char *source_text,
									  const char *statement_text,
									  bool releases_locks);

/*
 * The statement has run: compare, and report what differs.  To be called in
 * the order reverse to begin_observation(), once for each; takes NULL.
 */
extern void compare_observation(Observation *observation);

/* Free it; also after an error of the statement.  Takes NULL. */
extern void end_observation(Observation *observation);

#endif							/* SAFE_MIGRATE_OBSERVE_H */
