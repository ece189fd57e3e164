/*-------------------------------------------------------------------------
 *
 * alter_plan.h
 *	  Safer sequences for ALTER TABLE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ALTER_PLAN_H
#define SAFE_MIGRATE_ALTER_PLAN_H

#include "plan/plan.h"

/* See plan_statement(). */
extern SafePlan *plan_alter_table(AlterTableStmt *stmt, List *effects,
								  const char *source_text);

/*
 * The text from start to end (-1: to its end), without white space and
 * comments at the outer ends and without a semicolon; palloc'd.
 */
extern char *statement_text(const char *source_text, int start, int end);

#endif							/* SAFE_MIGRATE_ALTER_PLAN_H */
