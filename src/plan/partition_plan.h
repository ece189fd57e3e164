/*-------------------------------------------------------------------------
 *
 * partition_plan.h
 *	  Safer sequences for partitions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PARTITION_PLAN_H
#define SAFE_MIGRATE_PARTITION_PLAN_H

#include "plan/plan.h"

/*
 * DETACH and ATTACH PARTITION: prefix is the statement up to the sub-command,
 * piece the text of that.  NULL if there is no safer way.
 */
extern SafePlan *plan_detach(const RelationFacts *relation,
							 AlterTableCmd *command, const char *prefix,
							 const char *piece);
extern SafePlan *plan_attach(const RelationFacts *relation,
							 AlterTableCmd *command, const char *prefix,
							 const char *piece);

/* CREATE TABLE ... PARTITION OF; locations refer to source_text. */
extern SafePlan *plan_create_partition(CreateStmt *stmt,
									   const char *source_text);

#endif							/* SAFE_MIGRATE_PARTITION_PLAN_H */
