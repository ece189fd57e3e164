/*-------------------------------------------------------------------------
 *
 * rename_plan.h
 *	  A view under the old name of a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RENAME_PLAN_H
#define SAFE_MIGRATE_RENAME_PLAN_H

#include "plan/plan.h"

/*
 * ALTER TABLE ... RENAME TO; NULL for what is not a table, and unless
 * safe_migrate.rename_with_view is on.
 */
extern SafePlan *plan_rename(RenameStmt *stmt);

#endif							/* SAFE_MIGRATE_RENAME_PLAN_H */
