/*-------------------------------------------------------------------------
 *
 * tree_plan.h
 *	  Indexes and keys of a partitioned table, built part by part.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TREE_PLAN_H
#define SAFE_MIGRATE_TREE_PLAN_H

#include "plan/plan.h"

/*
 * CREATE INDEX of that name on a partitioned table; NULL where the result
 * would be another than PostgreSQL's.
 */
extern SafePlan *plan_partitioned_index(IndexStmt *stmt,
										const RelationFacts *relation,
										const char *name,
										const char *source_text);

/*
 * Add the steps for UNIQUE or PRIMARY KEY of that name; definition is the text
 * behind the constraint's name, options what of it an index takes: INCLUDE,
 * WITH, TABLESPACE and so on, and deferrable what only the constraint does.
 * False where it is not possible.
 */
extern bool plan_partitioned_key(SafePlan *plan, Constraint *constraint,
								 const RelationFacts *relation,
								 const char *name, const char *definition,
								 const char *options, const char *deferrable);

#endif							/* SAFE_MIGRATE_TREE_PLAN_H */
