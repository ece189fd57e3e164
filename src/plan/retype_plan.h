/*-------------------------------------------------------------------------
 *
 * retype_plan.h
 *	  Safer sequences for ALTER COLUMN TYPE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RETYPE_PLAN_H
#define SAFE_MIGRATE_RETYPE_PLAN_H

#include "plan/plan.h"

/*
 * A change of type that rewrites nothing, but checks constraints; prefix is
 * the statement up to its only sub-command, piece the text of that.  NULL if
 * there is no safer way.
 */
extern SafePlan *plan_retype(const RelationFacts *relation, List *effects,
							 const char *prefix, const char *piece);

#endif							/* SAFE_MIGRATE_RETYPE_PLAN_H */
