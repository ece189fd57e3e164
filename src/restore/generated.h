/*-------------------------------------------------------------------------
 *
 * generated.h
 *	  Values of generated columns that come back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_GENERATED_H
#define SAFE_MIGRATE_GENERATED_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * Compute stored generated columns again where a row has another value than
 * the expression gives: rows that were written while the column was not
 * generated, or not there.  By the differences that have been restored; tables
 * that have got the file of the label need nothing.  To be called with
 * session_replication_role = replica.
 */
extern void compute_generated_columns(List *differences, HTAB *relations);

#endif							/* SAFE_MIGRATE_GENERATED_H */
