/*-------------------------------------------------------------------------
 *
 * backfill.h
 *	  Setting columns of all rows of a table, in many short transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_BACKFILL_H
#define SAFE_MIGRATE_BACKFILL_H

#include "postgres.h"

#include "catalog/pg_attribute.h"

/* What is asked for. */
typedef struct BackfillRequest
{
	const char *procedure;		/* the name of ours that was called */
	const char *table;			/* as the caller has written it */
	const char *set;			/* what stands behind SET */
	const char *condition;		/* the rows that are still to be set; NULL:
								 * those that setting would change */
	const char *throttle;		/* a query that pauses it, or NULL */
	const char *counted;		/* a column: rows in which it is null
								 * afterwards do not count as set; NULL: all
								 * do */
	bool		quiet;			/* tell nothing of how far it is */
} BackfillRequest;

/*
 * Carry it out, or go on with the same one of the current role that has not
 * been finished.  To be called at top level, with a transaction open that has
 * done nothing; leaves another one open.  Throws what is wrong with the
 * request, and the error of a row, which it names; what is set by then stays.
 */
extern void run_backfill(const BackfillRequest *request);

/*
 * The condition that a column has not that value, or another one which only
 * counts as equal: for types without an equality too.  Palloc'd.  The texts are
 * expressions over the row, the second one assigned to the column.
 */
extern char *values_differ(Form_pg_attribute attribute, const char *column,
						   const char *value);

/* Register CALL migrate.backfill().  Called once, from _PG_init. */
extern void register_backfill(void);

#endif							/* SAFE_MIGRATE_BACKFILL_H */
