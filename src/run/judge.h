/*-------------------------------------------------------------------------
 *
 * judge.h
 *	  A statement that is about to run: judge it, and act on the verdict.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_JUDGE_H
#define SAFE_MIGRATE_JUDGE_H

#include "nodes/plannodes.h"
#include "rates/rates.h"

/*
 * Judge a utility statement.  Returns if it may run; otherwise throws SM001.
 * Queues a decision for each finding that is not allowed silently, and sends
 * the WARNINGs and NOTICEs that the policy asks for.  *work becomes what can
 * be learned from running it.
 */
extern void judge_statement(PlannedStmt *pstmt, const char *query_string,
							HeavyWork *work);

/*
 * The text of one statement of a query string, with the comments before it,
 * palloc'd.
 */
extern char *statement_source(PlannedStmt *pstmt, const char *query_string);

/* Called from _PG_init: an override ends with its transaction. */
extern void register_override_callback(void);

#endif							/* SAFE_MIGRATE_JUDGE_H */
