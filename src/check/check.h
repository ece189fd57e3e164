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
	double		seconds;		/* that the work will take; 0: not known */
} CheckRow;

/* How many of its columns check_row_columns() fills in. */
#define CHECK_ROW_COLUMNS	10

/* One of several texts that are checked as one script. */
typedef struct ScriptText
{
	const char *label;			/* NULL: it is the only one */
	int			first_line;		/* number of its first line */
	int			first;			/* index in applied of its first statement */
	int			line_base;		/* lines of the texts before it */
} ScriptText;

/* What the statements read so far would have left behind. */
typedef struct ScriptState
{
	MemoryContext context;		/* in which this is kept */
	const char *text;			/* that is looked at now */
	List	   *texts;			/* of ScriptText, that one is the last */
	int			line_base;		/* lines of those before it */
	bool		many_lines;		/* messages tell the line */
	Overlay    *overlay;
	List	   *applied;		/* ScriptStatement: what would have run, and
								 * was not rolled back */
	bool		in_transaction; /* between BEGIN and COMMIT */

	/*
	 * A text that is run in transactions of its runner: what is outside of
	 * the text's own BEGIN and COMMIT shares one, which ends before a
	 * statement that has to run alone.
	 */
	ScriptStatement *implicit_begin;	/* NULL: it is not run so */
	ScriptStatement *implicit_commit;
	bool		divisible;		/* in such a transaction now */
	bool		runs_alone;		/* the statement looked at ends it */
	int			begin;			/* index of that BEGIN in applied */
	int			script_level;	/* GUC nest levels: of the script, and */
	int			block_level;	/* of its transaction */
} ScriptState;

/* check.c */

/*
 * The rows of a statement, as a list of CheckRow in the current memory context;
 * the state is that behind it from now on.  Each step is a subtransaction that
 * is rolled back, so an error makes a row of its own.  Throws what is not about
 * the statement, such as a cancel.
 */
extern List *check_script_statement(ScriptState *state,
									ScriptStatement *statement);

/*
 * Fill in the columns from the command on, as migrate.check() has them; without
 * a statement, there is no command.
 */
extern void check_row_columns(const CheckRow *row, Node *statement,
							  Datum *values, bool *nulls);

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
extern void script_begin(ScriptState *state);
extern void script_end(ScriptState *state);

/*
 * Begin the only text, with a NULL label, or the next of several; the settings
 * of the one before it end with it.  Messages about another text have its
 * label, and the line counted from first_line.
 */
extern void script_next_text(ScriptState *state, const char *text,
							 int first_line, const char *label);

/*
 * Between the two, what is outside of the text's own BEGIN and COMMIT is run
 * in transactions of the runner.
 */
extern void script_begin_implicit(ScriptState *state);
extern void script_end_implicit(ScriptState *state);

/*
 * A statement that has run already: its settings went with its session, and
 * are made once more.  Throws for a value that a setting does not take.
 */
extern void script_apply_settings(ScriptState *state,
								  ScriptStatement *statement);

/* Line of the last opaque statement, in words, and its command. */
extern char *script_opaque_place(const ScriptState *state,
								 const char **command);

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
