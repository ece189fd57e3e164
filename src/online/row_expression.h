/*-------------------------------------------------------------------------
 *
 * row_expression.h
 *	  Expressions over the columns of a row, as text and analysed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROW_EXPRESSION_H
#define SAFE_MIGRATE_ROW_EXPRESSION_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/nodes.h"
#include "utils/relcache.h"

/*
 * The analysed expression of a text over the columns of a relation, of varno 1,
 * coerced to type and typmod of a column as by an assignment; not planned.  A
 * text that row_expression_text() made is to be read with fixed settings:
 * search_path and what else literals depend on; one that a user typed, with
 * the caller's.
 *
 * The relation must be open, with a lock on it.  In the caller's memory
 * context, with garbage.  Throws what PostgreSQL throws, with "what" ("up
 * expression of column b") as context, for anything that an ALTER COLUMN ...
 * USING would refuse, and for system columns, whole rows, and generated
 * columns, which a BEFORE trigger does not have; with the caller's settings,
 * also for an operator of users that the text could not name.
 */
extern Node *parse_row_expression(Relation rel, const char *text,
								  AttrNumber target, const char *what,
								  bool fixed_search_path);

/*
 * Text of an analysed expression over the columns of a relation: palloc'd,
 * qualified throughout, to be read with fixed settings.  Throws only on
 * internal errors.
 */
extern char *row_expression_text(Relation rel, Node *expression);

/*
 * Set those.  Returns what AtEOXact_GUC() needs to put back the caller's.
 */
extern int	begin_fixed_settings(void);

#endif							/* SAFE_MIGRATE_ROW_EXPRESSION_H */
