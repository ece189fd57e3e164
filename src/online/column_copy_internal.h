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

#include "access/htup.h"
#include "catalog/objectaddress.h"
#include "nodes/nodes.h"
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

	/* at the contract the new column is there, under another name for now */
	bool		at_contract;
	List	   *begun;			/* of ScriptStatement: by the start */
	struct HTAB *copies;		/* names of those that have an original */
	List	   *references;		/* of ForeignKey: to the new column */
	AttrNumber	root_new_column;
	const char *hidden_name;
	bool		is_renamed;		/* the old one has the name of the new one */

	/* the table that is looked at: root, or a partition of it */
	Relation	rel;
	AttrNumber	attnum;			/* of the old column in it */
	AttrNumber	new_attnum;		/* of the new one, at the contract */
	const char *table;			/* qualified and quoted */
	bool		is_partition;

	List	   *triggers;		/* of OldTrigger */
	List	   *start;
	List	   *start_undo;
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
extern void use_portable_settings(void);
extern void add_sql(List **list, char *statement);
extern void refuse_copy(ColumnCopier *copier, char *sentence);
extern char *name_of_copy(ColumnCopier *copier, const char *name);
extern char *without_hidden(ColumnCopier *copier, char *list);
extern void refuse_newcomer(ColumnCopier *copier, const char *object,
							const char *copy);
extern void require_creation(ColumnCopier *copier, Oid namespace_oid);
extern char *describe_user(const ObjectAddress *object);
extern char *qualified_name(Oid namespace_oid, const char *name);
extern void add_comment(List **list, Oid class_oid, Oid oid, int32 sub_id,
						const char *object);

/* column_copy_table.c */
extern void refuse_tables(ColumnCopier *copier);

/* column_copy_attributes.c */
extern void copy_attributes(ColumnCopier *copier);
extern void add_privileges(List **list, Datum acl, Oid owner,
						   const char *column, const char *object);

/* column_copy_indexes.c */
extern void copy_indexes(ColumnCopier *copier);
extern bool index_uses_column(Relation index, AttrNumber attnum);
extern char *index_statement(Relation index, const char *definition,
							 const char *copy, const char *how);
extern void build_index(ColumnCopier *copier, SafePlan *plan,
						Relation index, const char *copy);
extern void drop_key(ColumnCopier *copier, Oid constraint);
extern void add_key_on_index(ColumnCopier *copier, List **list, Oid constraint,
							 const char *copy);
extern void restore_index(ColumnCopier *copier, Relation index,
						  const char *copy);

/* column_copy_tree.c */
extern void copy_index_tree(ColumnCopier *copier, Relation index);
extern void copy_foreign_key_tree(ColumnCopier *copier, Oid constraint);

/* column_copy_constraints.c */
extern void copy_constraints(ColumnCopier *copier);
extern bool constraint_has_column(Relation catalog, HeapTuple tuple,
								  AttrNumber attnum);
extern void require_constraint(ColumnCopier *copier, Oid relid,
							   Oid constraint, const char *name,
							   const char *copy);
extern void restore_constraint(ColumnCopier *copier, Oid constraint,
							   const char *table, const char *copy);
extern char *constraint_definition(Oid constraint);

/* column_copy_redefined.c */
extern void refuse_redefined_constraint(ColumnCopier *copier, Oid constraint,
										Oid copy);
extern void refuse_redefined_index(ColumnCopier *copier, Relation index,
								   Oid copy);
extern void note_copy(ColumnCopier *copier, const char *name);
extern void refuse_left_copies(ColumnCopier *copier);
extern void refuse_left_references(ColumnCopier *copier);

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
extern Oid	relation_of_rule(Oid rule, bool *is_select);

/* column_copy_trial.c */
extern bool try_index(ColumnCopier *copier, const char *definition,
					  const char *object);
extern Node *parse_expression(const char *expression);
extern char *try_default(ColumnCopier *copier, const char *expression);
extern bool try_condition(ColumnCopier *copier, Oid relid,
						  Node *condition, bool is_of_trigger,
						  const char *object);

#endif							/* SAFE_MIGRATE_COLUMN_COPY_INTERNAL_H */
