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
#include "plan/plan_names.h"
#include "plan/plan_text.h"

/*
 * One ALTER TABLE as it is taken apart.  Its steps are run in the order of
 * these fields; what may fail for the data comes before what cannot be taken
 * back.
 */
typedef struct AlterPlan
{
	AlterTableStmt *stmt;
	List	   *effects;
	List	   *findings;
	RelationFacts *relation;
	const char *prefix;			/* "ALTER TABLE [ONLY] name" */
	List	   *pieces;			/* text of each sub-command */
	NameChoice *names;
	List	   *new_columns;	/* names of those that it adds */
	List	   *dropped_columns;
	List	   *not_null;		/* names of columns that are made NOT NULL */
	bool		drops;			/* a constraint or a column */
	bool		drops_allowed;	/* losing data is what the user wants */

	List	   *early;			/* sub-commands that go first, together */
	List	   *early_undo;		/* sub-commands that take them back */
	SafePlan   *fill;			/* old rows get the values of new columns */
	SafePlan   *not_valid;		/* constraints that hold for new rows */
	SafePlan   *validate;
	SafePlan   *finish;			/* what is proven now */
	SafePlan   *keys;
	List	   *late;			/* sub-commands that go last, together */
	SafePlan   *rename;			/* names that have become free */
} AlterPlan;

/* See plan_statement() and plan_allowed_drop(). */
extern SafePlan *plan_alter_table(AlterTableStmt *stmt, List *effects,
								  const char *source_text, bool drops_allowed);

/* The most harmful effect of a sub-command that a rule is against, or NULL. */
extern const Effect *problem_of(const AlterPlan *plan, int subcommand);

/* constraint_plan.c; each is false if there is no safer way */
extern bool plan_not_valid(AlterPlan *plan, const char *piece);
extern bool plan_constraint(AlterPlan *plan, Constraint *constraint,
							const char *definition);
extern bool plan_not_null(AlterPlan *plan, const char *column,
						  const char *name);
extern bool plan_key(AlterPlan *plan, const char *piece);
extern bool plan_new_key(AlterPlan *plan, Constraint *constraint,
						 const char *definition);
extern char *default_constraint_name(AlterPlan *plan, Constraint *constraint);
extern char *definition_of_constraint(const char *piece, int location);

/* column_plan.c: the same for ADD COLUMN */
extern bool plan_add_column(AlterPlan *plan, int subcommand);

#endif							/* SAFE_MIGRATE_ALTER_PLAN_H */
