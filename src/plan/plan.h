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
 * One statement of a plan, run at top level in a transaction of its own, or
 * in several if it is one that commits by itself.
 */
typedef struct PlanStep
{
	char	   *text;
	char	   *undo;			/* takes it back, when the data turn out not
								 * to allow the statement; NULL: it cannot or
								 * need not be taken back */
} PlanStep;

/*
 * Statements that together do what the statement asks for, without the long
 * work under a strong lock.
 */
typedef struct SafePlan
{
	List	   *steps;			/* of PlanStep */
	int			quick_steps;	/* so many of the first may run in the user's
								 * own transaction, and the others after its
								 * commit; -1 if they must not be parted */
} SafePlan;

/*
 * The plan for a statement with these effects, palloc'd; NULL when there is
 * none.  source_text is what the statement's locations refer to.
 */
extern SafePlan *plan_statement(Node *statement, List *effects,
								const char *source_text);

/* False for statements that never have one; looks at the tag only. */
extern bool statement_may_have_plan(Node *statement);

/* The steps of a plan as one script, palloc'd; NULL for none. */
extern char *plan_as_script(const SafePlan *plan);

/* For the files of src/plan: add a step; both texts are palloc'd already. */
extern void add_plan_step(SafePlan *plan, char *text, char *undo);

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
