/*-------------------------------------------------------------------------
 *
 * row_limit.h
 *	  Stopping a query that changes too many rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ROW_LIMIT_H
#define SAFE_MIGRATE_ROW_LIMIT_H

#include "executor/execdesc.h"

/*
 * Watch each UPDATE, DELETE and MERGE of a query that has just been started:
 * as soon as one has changed more rows than safe_migrate.row_limit, the rule
 * row_limit is judged, once.  Rows are counted as the command tag counts them;
 * in WITH, where nothing counts them, those that are tried.
 */
extern void watch_row_limit(QueryDesc *query);

#endif							/* SAFE_MIGRATE_ROW_LIMIT_H */
