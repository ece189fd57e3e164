/*-------------------------------------------------------------------------
 *
 * describe.h
 *	  Shared by the files of src/effects, one for each statement family.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DESCRIBE_H
#define SAFE_MIGRATE_DESCRIBE_H

#include "catalog/objectaddress.h"
#include "effects/effects.h"
#include "nodes/parsenodes.h"
#include "utils/rel.h"

/* About one table of an inheritance or partition tree. */
typedef bool (*TreePredicate) (Oid relid, void *arg);

/* From how many parents it has something, 0 if of its own as well. */
typedef int (*SourceCount) (Oid relid, void *arg);

typedef void (*DescribeFunction) (Node *statement, EffectContext *context);

/* Who may run the command; others get PostgreSQL's own error. */
typedef enum TargetPermission
{
	PERMISSION_ANYBODY,
	PERMISSION_OWNER,
	PERMISSION_DROP,			/* owner of the relation or of its schema */
	PERMISSION_TRUNCATE,
	PERMISSION_MAINTAIN,		/* owner; from 17 on also by GRANT MAINTAIN */
	PERMISSION_LOCK				/* who may read or write at all */
} TargetPermission;

/* Which dependents of an object are looked for. */
typedef enum DependencySearch
{
	SEARCH_PARTS,				/* what goes with it even without CASCADE */
	SEARCH_USERS,				/* what uses it, however indirectly */
	SEARCH_CASCADE				/* what a DROP with CASCADE takes along */
} DependencySearch;

/* What a statement takes away before it looks for a proof. */
typedef struct LostProofs
{
	List	   *constraints;	/* names */
	List	   *columns;		/* names of dropped ones */
	const char *nullable;		/* column that is no more NOT NULL, or NULL */
} LostProofs;

/* A foreign key of the catalog. */
typedef struct ForeignKey
{
	Oid			oid;			/* of its constraint */
	char	   *name;
	Oid			parent;			/* constraint of the partitioned table above */
	Oid			referencing;	/* OIDs of the tables */
	Oid			referenced;
	bool		is_valid;
	bool		is_enforced;
	bool		is_deferrable;
	bool		is_deferred;
	char		match_type;		/* as in pg_constraint */
	char		update_action;
	char		delete_action;
	Oid			index;			/* of the referenced table */
	struct ArrayType *operators;	/* OIDs: referenced = referencing */
	struct ArrayType *columns;	/* of int2 */
	struct ArrayType *referenced_columns;
} ForeignKey;

/* A foreign key of a table that is looked for in its partitions. */
typedef struct EqualKey
{
	Oid			table;			/* whose columns the key names */
	const ForeignKey *wanted;
	bool		found;
} EqualKey;

/* An index, as CompareIndexInfo() wants to have it. */
typedef struct WantedIndex
{
	struct IndexInfo *info;
	Oid			collations[INDEX_MAX_KEYS];
	Oid			opfamilies[INDEX_MAX_KEYS];
	bool		is_constraint;	/* an equal one must belong to one as well */
	bool		only_valid;
	List	  **used;			/* OIDs of those that others have taken, or
								 * NULL */
} WantedIndex;

/* One ALTER TABLE, as its sub-commands are looked at. */
typedef struct AlterContext
{
	EffectContext *effects;
	AlterTableStmt *statement;
	RelationFacts *relation;
	LOCKMODE	lockmode;		/* of the whole statement */
	bool		only;			/* ONLY, or NO INHERIT */
	bool		below;			/* the sub-command locks tables below */
	List	   *members;		/* OIDs of those, NIL for all */
	AlterTableCmd *command;
	int			subcommand;
} AlterContext;

/* effects.c */
extern RelationFacts *target_relation(RangeVar *relation,
									  TargetPermission permission,
									  EffectContext *context);
extern bool relation_is_permitted(Oid relid, TargetPermission permission);
extern RelationFacts *relation_facts(Oid relid, EffectContext *context);
extern Effect *add_effect(EffectContext *context, EffectCause cause,
						  RelationFacts *relation, LOCKMODE lockmode);
extern void add_lock(EffectContext *context, RelationFacts *relation,
					 LOCKMODE lockmode, bool below);
extern void add_lock_on(EffectContext *context, Oid relid,
						LOCKMODE lockmode);
extern List *tables_reached(Oid relid, TreePredicate stops, void *arg);
extern List *tables_let_go(Oid relid, SourceCount sources, void *arg,
						   List **lost);
extern List *tables_that(Oid relid, TreePredicate predicate, void *arg);
extern void set_work(Effect *effect, EffectWork work, const char *reason);
extern void set_risk(Effect *effect, EffectRisk risk);
extern char *quoted_name(const char *name);
extern struct ParseState *parse_state(const EffectContext *context);
extern List *lock_tree(Oid relid);
extern List *lock_free_tree(Oid relid, List **busy);
extern void unlock_tree(List *relids);
extern struct OverlayRelation *overlay_of(Oid relid,
										  const EffectContext *context);

/* size.c */
extern uint64 measure_indexes(RelationFacts *facts);
extern uint64 measured_bytes(const RelationFacts *facts, List *relids);
extern bool is_measured(const RelationFacts *facts, Oid relid);

/* alter_table.c */
extern void describe_alter_table(Node *statement, EffectContext *context);
extern Effect *add_alter_effect(AlterContext *alter, EffectCause cause,
								const char *object);
extern void set_reach(AlterContext *alter, List *members);
extern bool alter_has_relation(const AlterContext *alter);

/* column.c */
extern void describe_add_column(AlterContext *alter);
extern void describe_column_type(AlterContext *alter);
extern void describe_keys_of_column(AlterContext *alter);
extern void describe_drop_column(AlterContext *alter);
extern void describe_set_expression(AlterContext *alter);
extern bool type_is_serial(const TypeName *type_name);

/* retype.c */
extern bool index_may_use(Oid index, AttrNumber attnum,
						  bool *has_expressions);

/* column_type.c */
extern char *column_type_rewrite_reason(struct ParseState *pstate, Relation rel,
										ColumnDef *definition,
										AttrNumber attnum, Oid target_type,
										int32 target_typmod, bool may_run,
										bool *possible);

extern Node *plan_expression(Node *expression, bool may_run);
extern char *type_change_rewrite_reason(Oid source_type, int32 source_typmod,
										Oid target_type,
										int32 target_typmod);

/* column_in_script.c */
extern bool script_decides_default(struct Overlay *overlay,
								   const TypeName *type_name, Node *value,
								   const char **reason);
extern bool script_decides_type(AlterContext *alter, Effect *effect,
								ColumnDef **definition);

/* constraint.c */
extern void describe_add_constraint(AlterContext *alter);
extern bool is_not_table(Oid relid, void *table);
extern void add_referenced_table(AlterContext *alter, RangeVar *referenced,
								 const char *object);

/* constraint_change.c */
extern void describe_validate_constraint(AlterContext *alter);
extern void describe_alter_constraint(AlterContext *alter);
extern void describe_drop_constraint(AlterContext *alter);
extern void describe_drop_not_null(AlterContext *alter);

/* not_null.c */
extern void describe_set_not_null(AlterContext *alter);
extern void describe_not_null(AlterContext *alter, EffectCause cause,
							  const char *column);
extern void describe_not_null_validation(AlterContext *alter,
										 EffectCause cause,
										 const char *column);
extern List *names_dropped(AlterTableStmt *stmt, AlterTableType subtype);
extern bool not_null_is_proven(AlterContext *alter, const char *column);
extern bool constraints_imply(Relation rel, List *conditions,
							  const LostProofs *lost,
							  const struct OverlayRelation *overlay);

/* partition.c */
extern void describe_attach_partition(AlterContext *alter);
extern void describe_detach_partition(AlterContext *alter);
extern void describe_finalize_detach(AlterContext *alter);
extern void describe_create_table(Node *statement, EffectContext *context);

/* index.c */
extern void describe_create_index(Node *statement, EffectContext *context);
extern void describe_reindex(Node *statement, EffectContext *context);
extern void describe_drop_index(RangeVar *index, bool concurrent,
								bool cascade, EffectContext *context);

/* drop.c */
extern void describe_drop(Node *statement, EffectContext *context);
extern void describe_drop_database(Node *statement, EffectContext *context);
extern void describe_truncate(Node *statement, EffectContext *context);
extern void add_locks_on_sequences(EffectContext *context, Oid relid,
								   LOCKMODE lockmode);
extern void describe_deletion(const ObjectAddress *object, bool cascade,
							  EffectContext *context);
extern ObjectAddress find_object(ObjectType type, Node *name, Oid *relid);

/* statistics.c */
extern void set_lost_statistics(Effect *effect, AttrNumber attnum);

/* foreign_key.c */
extern List *foreign_keys_around(List *relids);
extern bool array_has_attnum(const struct ArrayType *array,
							 AttrNumber attnum);
extern bool foreign_key_parent_is_listed(const ForeignKey *key, List *keys);
extern ForeignKey *foreign_key_with_oid(Oid oid);
extern List *foreign_keys_below(Oid oid);
extern ForeignKey *foreign_key_of_statement(Oid relid,
											Constraint *constraint);
extern void add_cloned_foreign_keys(Oid parent, Oid partition,
									EffectContext *context);
extern void add_lock_of_referenced(Oid relid, LOCKMODE lockmode,
								   EffectContext *context);
extern bool has_key_already(Oid relid, void *arg);

/* foreign_key_type.c */
extern bool foreign_key_survives_type(const ForeignKey *key, Oid relid,
									  AttrNumber attnum, Oid new_type);

/* deletion.c */
extern void add_deletion(const ObjectAddress *root, bool cascade,
						 EffectContext *context);

/* dependents.c */
extern List *dependent_objects(const ObjectAddress *root,
							   DependencySearch search);
extern List *direct_dependents(const ObjectAddress *root);
extern List *relations_with_type(Oid type_oid);

/* scope.c */
extern void describe_move_all(Node *statement, EffectContext *context);
extern List *tables_of_schema(Oid schema);

/* index_match.c */
extern WantedIndex *wanted_index_of(Relation index);
extern WantedIndex *wanted_index_of_statement(IndexStmt *stmt, Relation rel,
											  const char *source_text);
extern WantedIndex *wanted_index_of_constraint(Constraint *constraint,
											   Relation rel);
extern List *tables_with_index(Oid parent, Oid table,
							   const WantedIndex *wanted);
extern List *tables_with_index_in(Oid root, Oid table, WantedIndex *wanted);
extern Oid	index_to_attach(Oid relid, Oid table, WantedIndex *wanted);

/* role.c */
extern void describe_drop_owned(Node *statement, EffectContext *context);
extern void describe_reassign_owned(Node *statement, EffectContext *context);
extern void describe_alter_owner(Node *statement, EffectContext *context);

/* part.c */
extern void describe_create_trigger(Node *statement, EffectContext *context);
extern void describe_rule(Node *statement, EffectContext *context);
extern void describe_create_policy(Node *statement, EffectContext *context);
extern void describe_alter_policy(Node *statement, EffectContext *context);
extern void describe_create_statistics(Node *statement,
									   EffectContext *context);
extern void describe_comment(Node *statement, EffectContext *context);
extern void describe_security_label(Node *statement, EffectContext *context);
extern void describe_view(Node *statement, EffectContext *context);
extern void describe_depends(Node *statement, EffectContext *context);
extern void describe_alter_sequence(Node *statement, EffectContext *context);

/* lock.c */
extern void describe_lock(Node *statement, EffectContext *context);

/* publication.c */
extern void describe_create_publication(Node *statement,
										EffectContext *context);
extern void describe_alter_publication(Node *statement,
									   EffectContext *context);

/* rename.c */
extern void describe_rename(Node *statement, EffectContext *context);
extern void describe_set_schema(Node *statement, EffectContext *context);

/* storage.c */
extern void describe_vacuum(Node *statement, EffectContext *context);
extern void describe_cluster(Node *statement, EffectContext *context);
extern void describe_refresh(Node *statement, EffectContext *context);

/* type.c */
extern void describe_alter_domain(Node *statement, EffectContext *context);
extern void describe_alter_enum(Node *statement, EffectContext *context);
extern void describe_alter_composite(AlterTableStmt *statement,
									 EffectContext *context);
extern List *tables_of_type(Oid type);
extern void describe_opaque(Node *statement, EffectContext *context);
extern List *name_of_relation(const RangeVar *relation);

/*
 * irreversible.c.  Say what a restore point does not bring back, palloc'd; of
 * no interest but in a migration, or in a script that is checked.
 */
extern void add_irreversible(EffectContext *context, RelationFacts *relation,
							 char *what);
extern void describe_drop_role(Node *statement, EffectContext *context);
extern void describe_drop_tablespace(Node *statement, EffectContext *context);
extern void describe_drop_subscription(Node *statement,
									   EffectContext *context);

#endif							/* SAFE_MIGRATE_DESCRIBE_H */
