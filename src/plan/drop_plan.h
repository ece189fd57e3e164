/*-------------------------------------------------------------------------
 *
 * drop_plan.h
 *	  Foreign keys dropped before their table or column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DROP_PLAN_H
#define SAFE_MIGRATE_DROP_PLAN_H

#include "plan/plan.h"

/* DROP TABLE; NULL if there are no foreign keys to drop before. */
extern SafePlan *plan_drop_table(DropStmt *stmt);

/* ALTER TABLE ... DROP COLUMN, if that is its only sub-command. */
extern SafePlan *plan_drop_column(AlterTableStmt *stmt, List *effects,
								  const char *source_text);

#endif							/* SAFE_MIGRATE_DROP_PLAN_H */
