/*-------------------------------------------------------------------------
 *
 * concurrently.h
 *	  Statements that get the word CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CONCURRENTLY_H
#define SAFE_MIGRATE_CONCURRENTLY_H

#include "plan/plan.h"

/* See plan_statement(); the statement's locations refer to source_text. */
extern SafePlan *plan_create_index(IndexStmt *stmt, List *effects,
								   const char *source_text);
extern SafePlan *plan_drop_index(DropStmt *stmt);
extern SafePlan *plan_reindex(ReindexStmt *stmt, List *effects,
							  const char *source_text);
extern SafePlan *plan_refresh(RefreshMatViewStmt *stmt, List *effects,
							  const char *source_text);
extern SafePlan *plan_repack(Node *statement);

#endif							/* SAFE_MIGRATE_CONCURRENTLY_H */
