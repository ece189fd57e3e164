/*-------------------------------------------------------------------------
 *
 * column_copy_tree.c
 *	  Indexes, keys and foreign keys of a partitioned table, part by part.
 *
 * The long work is done for each partition alone, under the weak lock that
 * this takes.  What the partitions have then becomes that of the parent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "online/column_copy_internal.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

/* The copies of an index of a partitioned table and of its parts. */
typedef struct IndexTree
{
	ColumnCopier *copier;
	bool		is_key;
	SafePlan	leaves;
	SafePlan	attachments;
	List	   *late_attachments;	/* that are for the contract */
} IndexTree;

static void add_index(IndexTree *tree, Relation index, const char *copy);
static void add_parts(IndexTree *tree, Relation index, const char *copy);
static Oid	attached_copy(IndexTree *tree, Relation parent,
						  const char *parent_copy, Relation part);
static char *key_of_parent(Oid constraint, const char *copy);
static void add_foreign_key(ColumnCopier *copier, Oid constraint,
							List *below, const char *copy);
static const char *copy_of_part(ColumnCopier *copier, const ForeignKey *parent,
								const char *parent_copy,
								const ForeignKey *part);

/*
 * A key becomes one at the contract, because a table has but one primary key:
 * its parts are mere indexes until then.
 */
void
copy_index_tree(ColumnCopier *copier, Relation index)
{
	Oid			constraint = get_index_constraint(RelationGetRelid(index));
	IndexTree	tree = {0};

	if (!index->rd_index->indisvalid)
	{
		refuse_copy(copier,
					psprintf("index %s lacks parts: attach or drop it first",
							 relation_display_name(RelationGetRelid(index))));
		return;
	}
	tree.copier = copier;
	tree.is_key = OidIsValid(constraint);
	if (tree.is_key)
		drop_key(copier, constraint);
	add_index(&tree, index,
			  name_of_copy(copier, RelationGetRelationName(index)));
	copier->index_builds.steps = list_concat(copier->index_builds.steps,
											 tree.leaves.steps);
	copier->index_builds.steps = list_concat(copier->index_builds.steps,
											 tree.attachments.steps);
	copier->keys = list_concat(copier->keys, tree.late_attachments);
}

/* copy is the name, not quoted, of the one that there is or is to be. */
static void
add_index(IndexTree *tree, Relation index, const char *copy)
{
	ColumnCopier *copier = tree->copier;
	Oid			constraint = get_index_constraint(RelationGetRelid(index));
	bool		is_parent = index->rd_rel->relkind ==
	RELKIND_PARTITIONED_INDEX;

	if (is_parent && tree->is_key)
		add_sql(&copier->keys, key_of_parent(constraint, copy));
	else
		build_index(copier, is_parent ? &copier->index_builds : &tree->leaves,
					index, copy);
	if (is_parent)
		add_parts(tree, index, copy);
	else if (tree->is_key)
		add_key_on_index(copier, &copier->keys, constraint, copy);
	restore_index(copier, index, copy);
}

/*
 * Nothing can be detached again: the way back of an attachment drops the index
 * of the parent, and so those that are attached to it.  The parts of a key are
 * attached by the contract, and those of partitions that came too late for the
 * steps; if PostgreSQL itself has given the partition one, it has another name.
 */
static void
add_parts(IndexTree *tree, Relation index, const char *copy)
{
	ColumnCopier *copier = tree->copier;
	char	   *parent = qualified_name(RelationGetNamespace(index), copy);
	ListCell   *cell;

	foreach(cell, find_inheritance_children(RelationGetRelid(index),
											AccessShareLock))
	{
		Relation	part = index_open(lfirst_oid(cell), AccessShareLock);
		Oid			attached = attached_copy(tree, index, copy, part);
		const char *part_copy = OidIsValid(attached) ? get_rel_name(attached) :
		name_of_copy(copier, RelationGetRelationName(part));
		char	   *attachment = psprintf("ALTER INDEX %s ATTACH PARTITION %s",
										  parent,
										  qualified_name(RelationGetNamespace(part),
														 part_copy));

		add_index(tree, part, part_copy);
		if (tree->is_key || (copier->at_contract && !OidIsValid(attached)))
			add_sql(&tree->late_attachments, attachment);
		else
			add_step(&tree->attachments,
					 psprintf("DROP INDEX IF EXISTS %s", parent), "%s",
					 attachment);
		index_close(part, AccessShareLock);
	}
}

/* The part of the copy on the table of that part, or InvalidOid. */
static Oid
attached_copy(IndexTree *tree, Relation parent, const char *parent_copy,
			  Relation part)
{
	Oid			oid = get_relname_relid(parent_copy,
										RelationGetNamespace(parent));
	ListCell   *cell;

	if (!tree->copier->at_contract || !OidIsValid(oid))
		return InvalidOid;
	foreach(cell, find_inheritance_children(oid, AccessShareLock))
	{
		if (IndexGetRelation(lfirst_oid(cell), false) ==
			part->rd_index->indrelid)
			return lfirst_oid(cell);
	}
	return InvalidOid;
}

/* For the parent alone, with the options of its index. */
static char *
key_of_parent(Oid constraint, const char *copy)
{
	Oid			index = get_constraint_index(constraint);
	char	   *table = relation_display_name(IndexGetRelation(index, false));
	char	   *prefix = psprintf("ALTER TABLE %s ADD CONSTRAINT %s ", table,
								  quote_identifier(get_constraint_name(constraint)));

	return psprintf("ALTER TABLE ONLY %s ADD CONSTRAINT %s %s", table,
					quote_identifier(copy),
					pg_get_constraintdef_command(constraint) + strlen(prefix));
}

/*
 * Before 18 a foreign key of a partitioned table cannot be NOT VALID; but it
 * takes over those of its partitions, which can.
 */
void
copy_foreign_key_tree(ColumnCopier *copier, Oid constraint)
{
	add_foreign_key(copier, constraint, foreign_keys_below(constraint),
					name_of_copy(copier, get_constraint_name(constraint)));
}

/* copy is the name, not quoted, of the one that there is or is to be. */
static void
add_foreign_key(ColumnCopier *copier, Oid constraint, List *below,
				const char *copy)
{
	const ForeignKey *key = foreign_key_with_oid(constraint);
	char	   *table = relation_display_name(key->referencing);
	const char *quoted = quote_identifier(copy);
	ListCell   *cell;

	foreach(cell, below)
	{
		const ForeignKey *part = lfirst(cell);

		/* those of the partitions of the other table are made for each */
		if (part->parent == constraint &&
			part->referencing != key->referencing)
			add_foreign_key(copier, part->oid, below,
							copy_of_part(copier, key, copy, part));
	}
	require_constraint(copier, key->referencing, key->name, copy);
	if (get_rel_relkind(key->referencing) == RELKIND_PARTITIONED_TABLE)
		add_step(&copier->validations,
				 psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", table,
						  quoted),
				 "ALTER TABLE %s ADD CONSTRAINT %s %s", table, quoted,
				 constraint_definition(constraint));
	else
	{
		add_step(&copier->validations,
				 psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", table,
						  quoted),
				 "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", table,
				 quoted, constraint_definition(constraint));
		add_step(&copier->validations, NULL,
				 "ALTER TABLE %s VALIDATE CONSTRAINT %s", table, quoted);
	}
	restore_constraint(copier, constraint, table, copy);
}

/* As with indexes: a partition that came later has got one with another name. */
static const char *
copy_of_part(ColumnCopier *copier, const ForeignKey *parent,
			 const char *parent_copy, const ForeignKey *part)
{
	Oid			oid = get_relation_constraint_oid(parent->referencing,
												  parent_copy, true);
	ListCell   *cell;

	if (!copier->at_contract || !OidIsValid(oid))
		return name_of_copy(copier, part->name);
	foreach(cell, foreign_keys_below(oid))
	{
		const ForeignKey *copy = lfirst(cell);

		if (copy->parent == oid && copy->referencing == part->referencing)
			return copy->name;
	}
	return name_of_copy(copier, part->name);
}
