/*-------------------------------------------------------------------------
 *
 * change.h
 *	  Changes of tables that clients go on using: expand and contract.
 *
 * A change is a task (see task/task.h) whose first step, the start, runs in
 * the transaction that asks for it; the others fill, build and verify in the
 * background.  When they are done both shapes of the table are there, and the
 * contract takes the old one away.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CHANGE_H
#define SAFE_MIGRATE_CHANGE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/* Who does what follows the start. */
typedef enum ChangeAdvance
{
	ADVANCE_BACKGROUND,			/* a worker; a deploy waits for it */
	ADVANCE_DETACHED,			/* a worker; a deploy goes on meanwhile */
	ADVANCE_MANUAL				/* whoever calls migrate.advance() */
} ChangeAdvance;

/* Name of the trigger of a change, by its number; not quoted. */
#define CHANGE_TRIGGER "~~~safe_migrate_change_" INT64_FORMAT

typedef struct Change
{
	int64		id;				/* of its task, too */
	const char *kind;			/* name of the function that starts it */
	const char *statement;		/* the call of it, as text */
	Oid			relid;
	const char *relation;		/* qualified name */
	List	   *start;			/* of char *: statements that have begun it, */
	List	   *removal;		/* and that take this back, in one transaction */
	List	   *steps;			/* of PlanStep: what is done at top level, */
	int			filling;		/* so many of which are about values */
	List	   *contract;		/* of char *: in one transaction; NIL if
								 * nothing is left to do */
	List	   *old_columns;	/* of char *: of the table, that the contract */
	List	   *new_columns;	/* drops, and that the start has added */
	const char *old_shape;		/* what clients lose by the contract, in
								 * words; NULL: nothing */
	TimestampTz grace_until;	/* no contract before that; 0: any time */
	int64		uses;			/* of the table until now, see change_uses.c;
								 * -1: not counted */
	ChangeAdvance advance;
	const char *no_worker;		/* why none can advance it, as the rest of a
								 * sentence; NULL: one can */
	List	   *made;			/* by the start, as in Task.made */
} Change;

/*
 * A kind of change: the function migrate.<name>() starts it.  build() reads the
 * other arguments, begins the change and says what follows.  locking(), or
 * NULL, returns statements (char *) that lock other relations than the table in
 * build(): they are locked together.
 */
typedef struct ChangeKind
{
	const char *name;
	int			advance;		/* number of the argument "advance"; the first
								 * is always the table */
	bool		reshapes;		/* the table gets or loses a column */
	void		(*build) (Change *change, FunctionCallInfo fcinfo);
	List	   *(*locking) (const Change *change, FunctionCallInfo fcinfo);
} ChangeKind;

/*
 * change.c
 *
 * The whole function: starts a change and returns its number, a bigint.  The
 * table is looked up by the search_path, has to belong to the current user
 * himself, and is locked by lock_for_change().
 */
extern Datum start_change(FunctionCallInfo fcinfo, const ChangeKind *kind);

/* For build(): run a statement of ours that belongs to the start; printf. */
extern void start_with(Change *change, const char *format,...)
			pg_attribute_printf(2, 3);

/* Put one in front of or behind those of a list; printf. */
extern void first_remove(Change *change, const char *format,...)
			pg_attribute_printf(2, 3);
extern void then_contract(Change *change, const char *format,...)
			pg_attribute_printf(2, 3);

/* Add a step, with what takes it back, or NULL. */
extern void add_change_step(Change *change, char *text, char *undo);

/*
 * Add the steps of the safe plan for a statement, or the statement itself where
 * there is none.  Returns how many of them are quick: with those, new rows are
 * checked.
 */
extern int	add_planned_steps(Change *change, const char *statement);

/*
 * The same, but what is quick of it belongs to the start: new rows are checked
 * from then on.
 */
extern void start_planned(Change *change, const char *statement);

/*
 * change_run.c
 *
 * Statements of a change, in the current transaction, inside of a function.
 * They are not judged: who asked for the change has asked for them.  What we
 * have written runs under a search_path of ours, so that it means what it
 * says; what the user has written, under his.
 */
extern void run_change_statements(const List *statements, bool users_path);

/*
 * The same of ours, as one change of the schema, for the record of those; text
 * is what the user has sent.
 */
extern void run_change_as_one(const List *statements, const char *text);

/* The same, and roll it back: throws what they throw. */
extern void try_change_statements(List *statements);

/*
 * change_removal.c: run the statements that take back the start of a change, but
 * for what others have dropped or made anew since.  The table is locked in
 * AccessExclusiveLock.
 */
extern void run_removal(const Change *change);

/*
 * Take AccessExclusiveLock on the table and what inherits from it, and what
 * these statements (char *) lock besides, such as the other side of foreign
 * keys, without making anybody queue: see lock/lock.h for what that throws.
 * function is what the user has called; the path is as above.
 */
extern void lock_for_change(const char *function, Oid relid, List *statements,
							bool users_path);

/*
 * Tell the user which indexes, constraints and so on go with a column that has
 * no successor.
 */
extern void tell_what_goes(const Change *change, const char *column);

/*
 * column_kinds.c: plan the contract anew, if the change puts a column in the
 * place of another, so that what others have changed of the old one since the
 * start is carried as it is now.  The table is locked in AccessExclusiveLock.
 * Throws what plan_column_contract() refuses.
 */
extern void renew_column_contract(Change *change);

/*
 * late_tables.c, for the contract.  Partitions that the backfill of the change
 * has not seen: read them, without keeping a lock, and throw if one has rows
 * that are yet to be filled.  Returns their OIDs.  The other function, with the
 * tables locked, throws if there are any besides those.
 */
extern List *check_late_tables(const Change *change);
extern void refuse_later_tables(const Change *change, const List *checked);

/*
 * change_contract.c: throw if the table has another name than when the change
 * started, for what that has left to do goes by it; after rename_table(), by
 * the old one.
 */
extern void require_name_of_table(const Change *change);

/* change_run.c: ALTER TABLE ... DROP COLUMN, palloc'd. */
extern char *drop_column_statement(const Change *change, const char *column);

/*
 * change_contract.c: throw unless the column of that name is the one that the
 * change was begun for, see change_has_column().
 */
extern void require_own_column(const Change *change, const char *column,
							   bool is_new);

/* change_run.c: the column that a statement drops; NULL: it does something else. */
extern char *dropped_column(Node *statement);

/*
 * change_store.c: all SQL that writes migrate.change_log, with the rights of
 * the owner of the extension.
 *
 * This is a condition over a row c of it and the row t of its task.
 */
#define CHANGE_IS_UNFINISHED \
	"c.contracted_at IS NULL " \
	"AND t.state OPERATOR(pg_catalog.<>) 'cancelled' " \
	"AND (t.state OPERATOR(pg_catalog.<>) 'done' " \
	"OR c.contract OPERATOR(pg_catalog.<>) '{}') "

extern void change_insert(const Change *change);

/* NULL if there is no change with that number. */
extern Change *change_read(int64 id);

/*
 * True if the column of the table that bears the name is one that the contract
 * drops or, for is_new, that the start has added.
 */
extern bool change_has_column(const Change *change, const char *column,
							  bool is_new);

/* Write that it is contracted.  label is that of the restore point, or NULL. */
extern void change_write_contracted(int64 id, const char *label, bool forced);
extern bool change_is_contracted(int64 id);

/* The unfinished change that has this statement in its contract; 0: none. */
extern int64 change_that_contracts(Oid relid, const char *statement);

/*
 * The first unfinished change of the table that is about one of the columns, an
 * int2[], and is not that one; 0: none.
 */
extern int64 change_with_columns(Oid relid, ArrayType *columns, int64 besides);

/*
 * Let nobody else contract or cancel it before the end of the transaction;
 * waits for who does.
 */
extern void change_lock(int64 id);

/* change_uses.c: how often the table was read or written, by the counters. */
extern int64 count_uses(Oid relid);

/* Were the counters set back since the change has started? */
extern bool uses_were_reset(const Change *change);

/*
 * change_refusal.c: throw if the table has an unfinished change beside which one
 * of that kind cannot be: its name is in what either of them has left to do.
 */
extern void refuse_beside_other_changes(Oid relid, const char *kind);

/*
 * change_refusal.c
 *
 * Throws if a trigger of the table or its partitions fires behind that of the
 * change, if it has one, and could write what that one does not see.
 */
extern void refuse_late_triggers(const Change *change);

/*
 * Warns of those that fire before that of the change: what a client writes into
 * the new side alone, they do not find in the old one.  Needs a lock on the table.
 */
extern void tell_early_triggers(const Change *change);

/*
 * Throws if rows of the table, or of a partition, come from a subscription that
 * would not find them any more when they have a value in a new column.
 */
extern void refuse_subscribed_without_key(const Change *change);

/* Register what this folder does.  Called once each, from _PG_init. */
extern void register_change_procedures(void);
extern void register_change_refusal(void);

#endif							/* SAFE_MIGRATE_CHANGE_H */
