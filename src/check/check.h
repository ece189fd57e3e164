/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Shared by the files of src/check.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CHECK_H
#define SAFE_MIGRATE_CHECK_H

#include "postgres.h"

#include "common/script.h"
#include "effects/effects.h"
#include "effects/overlay.h"

/* One row of migrate.check(), without the number and tag of the statement. */
typedef struct CheckRow
{
	const char *relation;		/* NULL: about no relation */
	const char *lock_mode;		/* NULL: not known */
	const char *work;
	bool		has_size;
	uint64		size_bytes;
	const char *risk;			/* NULL: not known */
	const char *rule;			/* NULL: no rule applies */
	const char *action;
	const char *message;
	const char *safe_sql;
} CheckRow;

/* What the statements read so far would have left behind. */
typedef struct ScriptState
{
	MemoryContext context;		/* in which this is kept */
	const char *text;			/* the whole script */
	bool		many_lines;		/* messages tell the line */
	Overlay    *overlay;
	List	   *applied;		/* ScriptStatement: what would have run, and
								 * was not rolled back */
	bool		in_transaction; /* between the script's own BEGIN and COMMIT */
	int			begin;			/* index of that BEGIN in applied */
	int			script_level;	/* GUC nest levels: of the script, and */
	int			block_level;	/* of its transaction */
} ScriptState;

/* check_rows.c */

/*
 * The rows of one statement: what it would do after the statements that were
 * applied to the state.  Returns a list of CheckRow in the current memory
 * context.  Throws what PostgreSQL would throw for objects that do not exist,
 * and what the analysis of expressions throws; may leave locks behind, so it
 * is called in a subtransaction that is rolled back.
 */
extern List *check_rows(ScriptState *state, const ScriptStatement *statement);

/*
 * The row of a statement that could not be looked at.  The error may be one
 * that an opaque statement before it explains.
 */
extern CheckRow *check_error_row(ScriptState *state,
								 const ScriptStatement *statement,
								 const ErrorData *error);

/* True if what is missing may have been made by an opaque statement. */
extern bool error_may_be_opaque(const ScriptState *state,
								const ErrorData *error);

/* script_state.c */

/*
 * Begin: the caller's settings stay as they are until script_end(), or until
 * the end of the (sub)transaction.
 */
extern void script_begin(ScriptState *state, const char *text);
extern void script_end(ScriptState *state);

/*
 * What a statement would change in the catalog goes to the overlay, and
 * settings are set.  Called in a subtransaction; throws, for example for a
 * value that a setting does not take.
 */
extern void script_apply(ScriptState *state, const ScriptStatement *statement);

/*
 * Go on to behind a statement that was applied: transactions begin and end.
 * Not to be called in a subtransaction.
 */
extern void script_advance(ScriptState *state, ScriptStatement *statement);

/* existence.c */

/*
 * Look whether the objects exist that a statement names.  Throws PostgreSQL's
 * own error for one that does not, or does already.  With IF [NOT] EXISTS,
 * returns what is left to do: the statement, a copy without some objects, or
 * NULL for nothing.
 */
extern Node *check_existence(Overlay *overlay, Node *statement);

#endif							/* SAFE_MIGRATE_CHECK_H */
