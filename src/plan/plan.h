/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  The safer sequence that ends in the same schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PLAN_H
#define SAFE_MIGRATE_PLAN_H

#include "effects/effects.h"

/*
 * Statements that together do what the statement asks for, without the long
 * work under a strong lock: a list of palloc'd strings, each to be run in a
 * transaction of its own, at top level.  NIL when there is no such sequence.
 * source_text is what the statement's locations refer to; of several
 * sub-commands of one ALTER TABLE, those without a problem come first.
 */
extern List *plan_statement(Node *statement, List *effects,
							const char *source_text);

/* The steps of a plan as one script, palloc'd; NULL for an empty plan. */
extern char *plan_as_script(List *steps);

/*
 * True if CONCURRENTLY can be left out of a CREATE INDEX, DROP INDEX or
 * REINDEX that is to run inside a transaction: the table is new, empty or
 * small, so that nobody waits for long.  False for other statements.
 */
extern bool concurrently_is_needless(Node *statement);

/*
 * Leave the word out.  Changes the tree, which the caller has copied, and
 * returns the statement's text without the word, palloc'd.
 */
extern char *remove_concurrently(Node *statement, const char *text);

#endif							/* SAFE_MIGRATE_PLAN_H */
