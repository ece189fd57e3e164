/*-------------------------------------------------------------------------
 *
 * dual_write_rule.h
 *	  What the arguments of a trigger with migrate.dual_write() ask for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DUAL_WRITE_RULE_H
#define SAFE_MIGRATE_DUAL_WRITE_RULE_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

/* What to do when both sides were written, and contradict each other. */
typedef enum ConflictPolicy
{
	CONFLICT_ERROR,
	CONFLICT_OLD_WINS,
	CONFLICT_NEW_WINS
} ConflictPolicy;

/* Of a column, what it takes to compare values. */
typedef struct RuleColumn
{
	AttrNumber	attnum;
	int16		length;
	bool		by_value;
} RuleColumn;

typedef struct RuleColumns
{
	int			count;
	RuleColumn *columns;
} RuleColumns;

typedef struct DualWriteRule
{
	bool		fills;			/* else it keeps two sides equal */
	ConflictPolicy policy;
	RuleColumns old_side;
	RuleColumns new_side;
	RuleColumns inputs;			/* old side, and what else ups are made of */
	List	   *ups;			/* analysed, one per column of the new side */
	List	   *downs;			/* one per column of the old side, or NIL */
	List	   *defaults;		/* of the old side: a list of each, of those
								 * that it may have */
	List	   *ancestors;		/* OIDs, of a partition: they have defaults
								 * too */
} DualWriteRule;

/*
 * The rule of a trigger on a relation that is open and locked, by the
 * definition of the table as it is now: from a cache of the session, or read,
 * which takes some 20 us.  Not to be changed, and valid until the next call, so
 * not over anything that may run code of users.
 * Throws when the arguments are wrong, or do not fit the table (any more).
 */
extern DualWriteRule *find_dual_write_rule(Relation rel, Trigger *trigger);

/* A copy of the columns in the current memory context. */
extern void copy_rule_columns(RuleColumns *to, const RuleColumns *from);

#endif							/* SAFE_MIGRATE_DUAL_WRITE_RULE_H */
