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
 * Run a CALL of one of the registered procedures.  Returns false if it is
 * another one, or if it is inside a transaction block; then PostgreSQL runs
 * it, and the procedure's body tells that it must be called at top level.
 * Commits the current transaction and leaves a new one open.
 */
extern bool take_over_call(CallStmt *call, ParamListInfo params,
						   QueryCompletion *qc);

#endif							/* SAFE_MIGRATE_TAKE_OVER_H */
