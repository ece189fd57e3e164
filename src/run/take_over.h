/*-------------------------------------------------------------------------
 *
 * take_over.h
 *	  CALL of a procedure of ours that needs transactions of its own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TAKE_OVER_H
#define SAFE_MIGRATE_TAKE_OVER_H

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"

/*
 * To be called last by what has committed in place of one statement: later
 * messages of a pipeline must not join the transaction that it leaves open.
 * Completes *qc, which may be NULL.
 */
extern void end_own_transactions(CommandTag tag, QueryCompletion *qc);

/*
 * Run a CALL of one of the registered procedures.  Returns false if it is
 * another one, or if it is inside a transaction block; then PostgreSQL runs
 * it, and the procedure's body tells that it must be called at top level.
 * Commits the current transaction and leaves a new one open.
 */
extern bool take_over_call(CallStmt *call, ParamListInfo params,
						   QueryCompletion *qc);

#endif							/* SAFE_MIGRATE_TAKE_OVER_H */
