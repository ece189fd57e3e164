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
 * One step of a plan, run at top level in a transaction of its own, or in
 * several if it is a statement that commits by itself.
 */
typedef struct PlanStep
{
	char	   *text;			/* one statement, or several, separated by
								 * semicolons, for one transaction */
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
 * none.  source_text is the statement alone, with or without comments around
 * it.  It ends in the schema and the data that the statement would end in, and
 * never loses data: there is none for a statement that does.
 *
 * Looks tables up by the current search_path and qualifies their names; takes
 * AccessShareLock on them, of which some remain until the transaction ends.
 * Throws what the analysis of an expression throws.
 */
extern SafePlan *plan_statement(Node *statement, List *effects,
								const char *source_text);

/* False for statements that never have one; looks at no catalog. */
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

/*
 * The same as plan_statement() for a statement whose loss of data the user has asked for, by
 * safe_migrate.override or a rule that allows it, or for an empty table: a
 * DROP of a table or column with foreign keys drops those first, one at a
 * time.  It must not be offered as a remedy for the refusal.  Call it before
 * plan_statement(), which knows the other cases.
 */
extern SafePlan *plan_allowed_drop(Node *statement, List *effects,
								   const char *source_text);

#endif							/* SAFE_MIGRATE_PLAN_H */
