/*-------------------------------------------------------------------------
 *
 * column_copy_internal.h
 *	  Shared by the files that copy what belongs to a column.
 *
 * All of them run in a subtransaction in which the old column has the name of
 * the new one, so that what PostgreSQL deparses speaks of that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_COPY_INTERNAL_H
#define SAFE_MIGRATE_COLUMN_COPY_INTERNAL_H

#include "online/column_copy.h"
#include "plan/plan_text.h"
#include "utils/rel.h"

/* A plan that is being made.  Lists of char *. */
typedef struct ColumnCopier
{
	Oid			root;			/* the table that the change is about */
	AttrNumber	root_column;
	const char *old_name;
	const char *new_name;
	Oid			new_type;
	int32		new_typmod;
	Oid			new_collation;
	bool		same_type;		/* typmod and collation included */
	int64		change_id;

	/* the table that is looked at: root, or a partition of it */
	Relation	rel;
	AttrNumber	attnum;			/* of the old column in it */
	const char *table;			/* qualified and quoted */
	bool		is_partition;

	List	   *triggers;		/* of OldTrigger */
	List	   *start;
	List	   *start_undo;
	List	   *trials;
	SafePlan	index_builds;
	SafePlan	validations;
	SafePlan	reference_builds;	/* they need the indexes */
	List	   *switches;		/* to the new column, before all else */
	List	   *drops;			/* of constraints on the old one */
	List	   *values;			/* NOT NULL, then what needs it */
	List	   *keys;
	List	   *after;
	List	   *refused;
} ColumnCopier;

/* A trigger as it is, before the column has got its other name. */
typedef struct OldTrigger
{
	Oid			oid;
	char	   *definition;
} OldTrigger;

/* column_copy.c */
extern void add_sql(List **list, char *statement);
extern void refuse_copy(ColumnCopier *copier, char *sentence);
extern char *name_of_copy(ColumnCopier *copier, const char *name);
extern char *qualified_name(Oid namespace_oid, const char *name);
extern void add_comment(List **list, Oid class_oid, Oid oid, int32 sub_id,
						const char *object);

/* column_copy_table.c */
extern void refuse_tables(ColumnCopier *copier);

/* column_copy_attributes.c */
extern void copy_attributes(ColumnCopier *copier);
extern void add_privileges(List **list, Datum acl, const char *column,
						   const char *object);

/* column_copy_indexes.c */
extern void copy_indexes(ColumnCopier *copier);

/* column_copy_constraints.c */
extern void copy_constraints(ColumnCopier *copier);

/* column_copy_values.c */
extern void copy_values(ColumnCopier *copier);
extern void copy_sequence(ColumnCopier *copier, Oid sequence);

/* column_copy_users.c */
extern void copy_users(ColumnCopier *copier);

/* column_copy_triggers.c */
extern void remember_triggers(ColumnCopier *copier);
extern void copy_trigger(ColumnCopier *copier, Oid trigger);

/* column_copy_views.c */
extern void copy_view(ColumnCopier *copier, Oid rule);

/* column_copy_trial.c */
extern void try_index(ColumnCopier *copier, const char *definition);
extern char *try_default(ColumnCopier *copier, const char *expression);

#endif							/* SAFE_MIGRATE_COLUMN_COPY_INTERNAL_H */
