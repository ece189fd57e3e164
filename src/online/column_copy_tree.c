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

/*
 * At the contract, what a copy has been attached to it on the partitions: where
 * PostgreSQL has made that, for a partition that came later, the name is of its
 * choice.
 */
typedef struct PartCopy
{
	Oid			table;
	const char *name;			/* not quoted */
} PartCopy;

typedef struct PartCopies
{
	int			count;
	int			room;
	PartCopy   *copies;			/* by table */
} PartCopies;

static void add_index(IndexTree *tree, Relation index, const char *copy);
static void add_parts(IndexTree *tree, Relation index, const char *copy);
static PartCopies *parts_of_index(ColumnCopier *copier, Relation index,
								  const char *copy);
static char *key_of_parent(Oid constraint, const char *copy);
static void add_foreign_key(ColumnCopier *copier, Oid constraint,
							List *below, const char *copy);
static PartCopies *parts_of_key(ColumnCopier *copier, const ForeignKey *key,
								const char *copy);
static void add_part(PartCopies *parts, Oid table, const char *name);
static void sort_parts(PartCopies *parts);
static const char *copy_on_table(const PartCopies *parts, Oid table);
static int	compare_parts(const void *a, const void *b);

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
 * steps.
 */
static void
add_parts(IndexTree *tree, Relation index, const char *copy)
{
	ColumnCopier *copier = tree->copier;
	PartCopies *attached = parts_of_index(copier, index, copy);
	char	   *parent = qualified_name(RelationGetNamespace(index), copy);
	ListCell   *cell;

	foreach(cell, find_inheritance_children(RelationGetRelid(index),
											AccessShareLock))
	{
		Relation	part = index_open(lfirst_oid(cell), AccessShareLock);
		const char *part_copy = copy_on_table(attached,
											  part->rd_index->indrelid);
		bool		is_late = copier->at_contract && part_copy == NULL;
		char	   *attachment;

		if (part_copy == NULL)
			part_copy = name_of_copy(copier, RelationGetRelationName(part));
		attachment = psprintf("ALTER INDEX %s ATTACH PARTITION %s", parent,
							  qualified_name(RelationGetNamespace(part),
											 part_copy));
		add_index(tree, part, part_copy);
		if (tree->is_key || is_late)
			add_sql(&tree->late_attachments, attachment);
		else
			add_step(&tree->attachments,
					 psprintf("DROP INDEX IF EXISTS %s", parent), "%s",
					 attachment);
		index_close(part, AccessShareLock);
	}
}

/* Of the copy with that name. */
static PartCopies *
parts_of_index(ColumnCopier *copier, Relation index, const char *copy)
{
	PartCopies *parts = palloc0(sizeof(PartCopies));
	Oid			oid = get_relname_relid(copy, RelationGetNamespace(index));
	ListCell   *cell;

	if (copier->at_contract && OidIsValid(oid))
		foreach(cell, find_inheritance_children(oid, AccessShareLock))
			add_part(parts, IndexGetRelation(lfirst_oid(cell), false),
					 get_rel_name(lfirst_oid(cell)));
	sort_parts(parts);
	return parts;
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
	PartCopies *attached = parts_of_key(copier, key, copy);
	ListCell   *cell;

	foreach(cell, below)
	{
		const ForeignKey *part = lfirst(cell);

		/* those of the partitions of the other table are made for each */
		if (part->parent == constraint &&
			part->referencing != key->referencing)
		{
			const char *part_copy = copy_on_table(attached, part->referencing);

			add_foreign_key(copier, part->oid, below, part_copy != NULL ?
							part_copy : name_of_copy(copier, part->name));
		}
	}
	require_constraint(copier, key->referencing, constraint, key->name, copy);
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

/* Of the copy with that name. */
static PartCopies *
parts_of_key(ColumnCopier *copier, const ForeignKey *key, const char *copy)
{
	PartCopies *parts = palloc0(sizeof(PartCopies));
	Oid			oid = get_relation_constraint_oid(key->referencing, copy, true);
	ListCell   *cell;

	if (copier->at_contract && OidIsValid(oid))
		foreach(cell, foreign_keys_below(oid))
	{
		const ForeignKey *part = lfirst(cell);

		if (part->parent == oid && part->referencing != key->referencing)
			add_part(parts, part->referencing, part->name);
	}
	sort_parts(parts);
	return parts;
}

static void
add_part(PartCopies *parts, Oid table, const char *name)
{
	if (parts->count == parts->room)
	{
		parts->room = Max(parts->room * 2, 16);
		parts->copies = parts->copies == NULL ?
			palloc(parts->room * sizeof(PartCopy)) :
			repalloc(parts->copies, parts->room * sizeof(PartCopy));
	}
	parts->copies[parts->count].table = table;
	parts->copies[parts->count++].name = name;
}

static void
sort_parts(PartCopies *parts)
{
	if (parts->count > 1)
		qsort(parts->copies, parts->count, sizeof(PartCopy), compare_parts);
}

/* The name, or NULL. */
static const char *
copy_on_table(const PartCopies *parts, Oid table)
{
	PartCopy	key = {table, NULL};
	PartCopy   *found;

	if (parts->count == 0)
		return NULL;
	found = bsearch(&key, parts->copies, parts->count, sizeof(PartCopy),
					compare_parts);
	return found == NULL ? NULL : found->name;
}

static int
compare_parts(const void *a, const void *b)
{
	Oid			left = ((const PartCopy *) a)->table;
	Oid			right = ((const PartCopy *) b)->table;

	return left < right ? -1 : left > right;
}
