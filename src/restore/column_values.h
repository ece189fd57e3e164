/*-------------------------------------------------------------------------
 *
 * column_values.h
 *	  Values of columns that come back, in rows that had none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_VALUES_H
#define SAFE_MIGRATE_COLUMN_VALUES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * Compute stored generated columns again where a row has another value than
 * the expression gives: rows that were written while the column was not
 * generated, or not there.  Rows that were inserted while a column that is NOT
 * NULL was not there get its default.  By the differences that have been
 * restored; tables that have got the file of the label need nothing.  To be
 * called with session_replication_role = replica.
 */
extern void fill_column_values(List *differences, HTAB *relations);

/*
 * For a plan: columns of partitions that come back, where rows may have come
 * from one with another order of columns and lost their values on the way; of
 * Form_pg_attribute.
 */
extern List *returning_columns(List *differences, HTAB *relations);

#endif							/* SAFE_MIGRATE_COLUMN_VALUES_H */
