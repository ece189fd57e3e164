/*-------------------------------------------------------------------------
 *
 * preserve.h
 *	  Keeping what a transaction destroys, at its end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PRESERVE_H
#define SAFE_MIGRATE_PRESERVE_H

#include "postgres.h"

/* To be called from _PG_init. */
extern void register_preserve_callbacks(void);

/*
 * The transaction runs a statement, typed at top level, that destroys
 * something: at its end there is to be a point of kind 'statement'.  Copies
 * the text.  If the subtransaction is rolled back, so is that.
 */
extern void note_destructive_statement(const char *statement);

/*
 * A statement that is run as steps, each in a transaction of its own, for a task
 * with that number: what they destroy belongs to one point, even if the task
 * stops and is gone on with in this session.  From begin to end; the end must
 * be reached on every path.
 */
extern void begin_stepped_statement(int64 task);
extern void end_stepped_statement(void);
extern bool statement_is_stepped(void);

/*
 * The transaction changes the type of a column, with USING or without; and
 * whether it has.
 */
extern void note_type_change(bool is_computed);
extern bool types_were_changed(void);
extern bool columns_were_computed(void);

/*
 * A restore point was made in this transaction, before a migration: what it did
 * to rows before is not the migration's.  The first command that is.
 */
extern void note_point_in_transaction(void);
extern CommandId first_command_of_migration(void);

/*
 * The transaction has rolled back to a point, or is about to: what it does to
 * rows is captured as that of a migration is.  Which point; 0 if it does not.
 */
extern void note_rollback_in_transaction(int64 point);
extern int64 point_of_rollback(void);

/* True if the transaction has run a statement that was noted. */
extern bool transaction_destroys(void);

/* True if that was said of this transaction. */
extern bool transaction_rolls_back(void);

#endif							/* SAFE_MIGRATE_PRESERVE_H */
