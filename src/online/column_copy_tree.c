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
	List	   *key_attachments;
} IndexTree;

static char *add_index(IndexTree *tree, Relation index);
static void add_parts(IndexTree *tree, Relation index, const char *copy);
static char *key_of_parent(Oid constraint, const char *copy);
static void add_foreign_key(ColumnCopier *copier, Oid constraint,
							List *below);

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
	(void) add_index(&tree, index);
	copier->index_builds.steps = list_concat(copier->index_builds.steps,
											 tree.leaves.steps);
	copier->index_builds.steps = list_concat(copier->index_builds.steps,
											 tree.attachments.steps);
	copier->keys = list_concat(copier->keys, tree.key_attachments);
}

/* Returns the name of the copy, not quoted. */
static char *
add_index(IndexTree *tree, Relation index)
{
	ColumnCopier *copier = tree->copier;
	Oid			constraint = get_index_constraint(RelationGetRelid(index));
	bool		is_parent = index->rd_rel->relkind ==
	RELKIND_PARTITIONED_INDEX;
	char	   *copy = name_of_copy(copier, RelationGetRelationName(index));

	if (is_parent && tree->is_key)
		add_sql(&copier->keys, key_of_parent(constraint, copy));
	else
		build_index(copier, is_parent ? &copier->index_builds : &tree->leaves,
					index);
	if (is_parent)
		add_parts(tree, index, copy);
	else if (tree->is_key)
		add_key_on_index(copier, &copier->keys, constraint, copy);
	restore_index(copier, index);
	return copy;
}

/*
 * Nothing can be detached again: the way back of an attachment drops the index
 * of the parent, and so those that are attached to it.
 */
static void
add_parts(IndexTree *tree, Relation index, const char *copy)
{
	char	   *parent = qualified_name(RelationGetNamespace(index), copy);
	ListCell   *cell;

	foreach(cell, find_inheritance_children(RelationGetRelid(index),
											AccessShareLock))
	{
		Relation	part = index_open(lfirst_oid(cell), AccessShareLock);
		char	   *part_copy = qualified_name(RelationGetNamespace(part),
											   add_index(tree, part));

		if (tree->is_key)
			add_sql(&tree->key_attachments,
					psprintf("ALTER INDEX %s ATTACH PARTITION %s", parent,
							 part_copy));
		else
			add_step(&tree->attachments,
					 psprintf("DROP INDEX IF EXISTS %s", parent),
					 "ALTER INDEX %s ATTACH PARTITION %s", parent, part_copy);
		index_close(part, AccessShareLock);
	}
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
	add_foreign_key(copier, constraint, foreign_keys_below(constraint));
}

static void
add_foreign_key(ColumnCopier *copier, Oid constraint, List *below)
{
	const ForeignKey *key = foreign_key_with_oid(constraint);
	char	   *table = relation_display_name(key->referencing);
	char	   *copy = name_of_copy(copier, key->name);
	const char *quoted = quote_identifier(copy);
	ListCell   *cell;

	foreach(cell, below)
	{
		const ForeignKey *part = lfirst(cell);

		/* those of the partitions of the other table are made for each */
		if (part->parent == constraint &&
			part->referencing != key->referencing)
			add_foreign_key(copier, part->oid, below);
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
