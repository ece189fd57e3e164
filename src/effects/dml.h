/*-------------------------------------------------------------------------
 *
 * dml.h
 *	  Effects of UPDATE, DELETE and MERGE, found in their plans.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DML_H
#define SAFE_MIGRATE_DML_H

#include "effects/effects.h"
#include "nodes/plannodes.h"

/* True if a planned query may update or delete rows; cheap. */
extern bool query_changes_rows(const PlannedStmt *pstmt);

/*
 * Add an effect for each UPDATE and DELETE of a planned query, those in WITH
 * included, that changes all rows of its table: when no condition on them is
 * left in the plan.  So whatever the planner finds to be always true is no
 * condition, nor is one that is only about other tables.  What counts as a
 * condition is also a test that is made once before the first row, a row
 * security policy, and the WHERE of a view.  Of a foreign table nothing is
 * said, for the condition may be in the hands of its wrapper.
 */
extern void describe_whole_table_changes(PlannedStmt *pstmt,
										 EffectContext *context);

/*
 * Add the effect that a node of the plan changes more rows than limit.
 */
extern void describe_many_rows(PlannedStmt *pstmt, const ModifyTable *modify,
							   int limit, EffectContext *context);

/* True if a planned query may write rows; cheap. */
extern bool query_writes(const PlannedStmt *pstmt);

/* Add an effect for each foreign table that it writes to, in a migration. */
extern void describe_foreign_changes(PlannedStmt *pstmt,
									 EffectContext *context);

#endif							/* SAFE_MIGRATE_DML_H */
