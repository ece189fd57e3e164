/*-------------------------------------------------------------------------
 *
 * sqitch_plan.h
 *	  The plan of a project of sqitch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SQITCH_PLAN_H
#define SAFE_MIGRATE_SQITCH_PLAN_H

#include "postgres.h"

#include "nodes/pg_list.h"

#define SQITCH_PLAN "sqitch.plan"

typedef struct SqitchChange
{
	char	   *name;
	char	   *version;		/* the name, or <name>#<n> of the n-th of it */
	char	   *script;			/* the name, or <name>@<tag> if it is reworked
								 * later */
	int			number;			/* n */
	List	   *requires;		/* of char *, versions */
	int			line;			/* of the plan */
} SqitchChange;

/*
 * The changes of a plan, of SqitchChange, in their order.  Throws SM008 for
 * what is not a line of a plan, and for changes that are required but not
 * there before, or in conflict and there.
 */
extern List *read_sqitch_plan(const char *path, const char *text);

#endif							/* SAFE_MIGRATE_SQITCH_PLAN_H */
