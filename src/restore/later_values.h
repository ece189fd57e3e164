/*-------------------------------------------------------------------------
 *
 * later_values.h
 *	  Old values of columns whose type was changed with an expression.
 *
 * An expression has no way back.  But of the rows that nobody has changed since
 * there is the value before and after: those pairs tell what a value was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LATER_VALUES_H
#define SAFE_MIGRATE_LATER_VALUES_H

#include "postgres.h"

#include "restore/later_writes.h"

/*
 * Collect the pairs, if there are later writes and the file was rewritten with
 * USING: in a temporary table for each column, was and now as text.
 */
extern void collect_pairs(LaterWrites *later);
extern bool has_pairs(const LaterWrites *later);

/*
 * Rows whose value in such a column is neither what the migration has made of
 * the old one, nor has exactly one old value; and throw SM007 if there are any.
 * To be called while there is the hidden relation with the file of the label.
 */
extern int64 count_unknown_values(const LaterWrites *later);
extern void refuse_unknown_values(const LaterWrites *later);

/*
 * SQL that tells which rows of t, the hidden relation, and of l, the copy of
 * later writes, have the same key; palloc'd.
 */
extern char *holder_key_condition(const LaterWrites *later);

/*
 * SQL for a rollback, with the rights of the extension's owner: return the
 * number of rows; the number that is counted; make a temporary table of what
 * the snapshot of the later writes sees, which the planner knows, and return
 * the number of its rows.
 */
extern int64 run_for_rollback(const char *query, int expected);
extern int64 count_for_rollback(const char *query);
extern int64 make_later_table(const LaterWrites *later, const char *name,
							  const char *query);

#endif							/* SAFE_MIGRATE_LATER_VALUES_H */
