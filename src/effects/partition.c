/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  Effects of ATTACH, DETACH and CREATE TABLE ... PARTITION OF.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

static List *bound_constraint(EffectContext *context, Relation parent,
							  const RangeVar *partition,
							  PartitionBoundSpec *bound);
static bool can_be_attached(EffectContext *context, Relation parent,
							Relation partition);
static bool rows_must_be_checked(Relation parent, Relation partition,
								 List *constraint,
								 const OverlayRelation *overlay);
static void describe_default_partition(EffectContext *context,
									   EffectCause cause, Relation parent,
									   const RangeVar *partition,
									   PartitionBoundSpec *bound);
static void describe_missing_indexes(AlterContext *alter, Relation parent,
									 Relation child,
									 RelationFacts *partition);
static void describe_detached_keys(Oid partition, EffectContext *context);
static bool has_equal_index(Relation parent_index, Relation partition,
							AttrMap *map);
static void describe_create_foreign_keys(CreateStmt *stmt,
										 EffectContext *context);
static void describe_referenced_table(Constraint *constraint,
									  EffectContext *context);

/*
 * ATTACH PARTITION reads the new partition unless its constraints prove the
 * bound, and the default partition unless its constraints exclude it.
 */
void
describe_attach_partition(AlterContext *alter)
{
	PartitionCmd *command = castNode(PartitionCmd, alter->command->def);
	RelationFacts *partition;
	Relation	parent;
	Relation	child;
	List	   *constraint;
	Effect	   *effect;

	if (alter->relation->relkind == RELKIND_PARTITIONED_INDEX)
		add_lock(alter->effects,
				 target_relation(command->name, PERMISSION_OWNER,
								 alter->effects),
				 AccessExclusiveLock, false);
	if (alter->relation->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	(void) add_alter_effect(alter, CAUSE_METADATA, NULL);
	partition = target_relation(command->name, PERMISSION_OWNER,
								alter->effects);
	if (partition == NULL)
		return;
	effect = add_effect(alter->effects, CAUSE_ATTACH_PARTITION, partition,
						AccessExclusiveLock);
	effect->subcommand = alter->subcommand;
	effect->lockmode_below = AccessExclusiveLock;
	if (command->bound == NULL)
		return;
	if (!alter_has_relation(alter))
	{
		/* made by the script: nothing proves its bounds */
		if (OidIsValid(partition->relid))
			set_work(effect, WORK_SCAN,
					 "every row is checked against the partition bound");
		return;
	}

	parent = try_relation_open(alter->relation->relid, AccessShareLock);
	if (parent == NULL)
		return;
	if (OidIsValid(partition->relid))
	{
		child = try_relation_open(partition->relid, AccessShareLock);
		if (child == NULL || !can_be_attached(alter->effects, parent, child))
		{
			if (child != NULL)
				relation_close(child, AccessShareLock);
			relation_close(parent, AccessShareLock);
			return;
		}
		constraint = bound_constraint(alter->effects, parent, command->name,
									  command->bound);
		if (rows_must_be_checked(parent, child, constraint,
								 partition->overlay))
			set_work(effect, WORK_SCAN,
					 "every row is checked against the partition bound");
		describe_missing_indexes(alter, parent, child, partition);
		relation_close(child, AccessShareLock);
	}
	add_cloned_foreign_keys(alter->relation->relid, alter->effects);
	describe_default_partition(alter->effects, CAUSE_ATTACH_PARTITION, parent,
							   command->name, command->bound);
	relation_close(parent, AccessShareLock);
}

/*
 * False if PostgreSQL will refuse it, for what it is or for its columns.  A
 * script that is checked may have detached it before.
 */
static bool
can_be_attached(EffectContext *context, Relation parent, Relation partition)
{
	if (partition->rd_rel->relispartition && context->overlay == NULL)
		return false;
	for (int i = 0; i < RelationGetDescr(parent)->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(parent), i);
		AttrNumber	attnum;
		Form_pg_attribute other;

		if (attribute->attisdropped)
			continue;
		attnum = get_attnum(RelationGetRelid(partition),
							NameStr(attribute->attname));
		if (attnum <= 0)
			return false;
		other = TupleDescAttr(RelationGetDescr(partition), attnum - 1);
		if (other->atttypid != attribute->atttypid ||
			other->atttypmod != attribute->atttypmod)
			return false;
	}
	return true;
}

/* The condition that rows of a partition with these bounds fulfil. */
static List *
bound_constraint(EffectContext *context, Relation parent,
				 const RangeVar *partition, PartitionBoundSpec *bound)
{
	ParseState *pstate = parse_state(context);

	if (RelationGetPartitionKey(parent) == NULL)
		return NIL;
	/* transformation scribbles on its input */
	bound = transformPartitionBound(pstate, parent, copyObject(bound));

	/*
	 * Wrong bounds have no condition, so let PostgreSQL refuse them here.  A
	 * script that is checked may have made room for bounds that are taken.
	 */
	if (context->overlay == NULL)
		check_new_partition_bound(partition->relname, parent, bound, pstate);
	return get_qual_from_partbound(parent, bound);
}

/*
 * Whether ATExecAttachPartition() reads the partition: unless its constraints
 * imply the bound and those of the parent, if that is a partition itself.
 */
static bool
rows_must_be_checked(Relation parent, Relation partition, List *constraint,
					 const OverlayRelation *overlay)
{
	constraint = list_concat_copy(constraint, RelationGetPartitionQual(parent));
	if (constraint == NIL)
		return false;
	constraint = (List *) eval_const_expressions(NULL, (Node *) constraint);
	constraint = list_make1(make_ands_explicit(constraint));
	constraint = map_partition_varattnos(constraint, 1, partition, parent);
	return !constraints_imply(partition, constraint, NIL, overlay);
}

/*
 * A new partition takes its values away from the default partition, which is
 * locked, and read to see that it has none of them.
 */
static void
describe_default_partition(EffectContext *context, EffectCause cause,
						   Relation parent, const RangeVar *partition,
						   PartitionBoundSpec *bound)
{
	PartitionDesc descriptor = RelationGetPartitionDesc(parent, true);
	Oid			default_oid = get_default_oid_from_partdesc(descriptor);
	List	   *constraint;
	RelationFacts *facts;
	Relation	rel;
	Effect	   *effect;

	if (!OidIsValid(default_oid) || bound->is_default)
		return;
	facts = relation_facts(default_oid, context);
	if (facts == NULL)
		return;
	effect = add_effect(context, cause, facts, AccessExclusiveLock);
	constraint = bound_constraint(context, parent, partition, bound);
	if (constraint == NIL)
		return;
	rel = try_relation_open(default_oid, AccessShareLock);
	if (rel == NULL)
		return;
	constraint = get_proposed_default_constraint(constraint);
	if (!constraints_imply(rel, map_partition_varattnos(constraint, 1, rel,
														parent), NIL,
						   facts->overlay))
		set_work(effect, WORK_SCAN,
				 "the default partition is read for rows of the new one");
	relation_close(rel, AccessShareLock);
}

/* Indexes of the parent that the new partition lacks are built then. */
static void
describe_missing_indexes(AlterContext *alter, Relation parent, Relation child,
						 RelationFacts *partition)
{
	ListCell   *cell;
	AttrMap    *map;

	map = build_attrmap_by_name(RelationGetDescr(child),
								RelationGetDescr(parent)
								COMPAT_ATTRMAP_MISSING_OK);
	foreach(cell, RelationGetIndexList(parent))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (!has_equal_index(index, child, map))
		{
			Effect	   *effect = add_effect(alter->effects,
											CAUSE_ATTACH_PARTITION,
											partition, AccessExclusiveLock);

			effect->object = quoted_name(RelationGetRelationName(index));
			effect->subcommand = alter->subcommand;
			set_work(effect, WORK_INDEX_BUILD,
					 "it lacks an index of the parent, which is built");
		}
		relation_close(index, AccessShareLock);
	}
	free_attrmap(map);
}

static bool
has_equal_index(Relation parent_index, Relation partition, AttrMap *map)
{
	IndexInfo  *wanted = BuildIndexInfo(parent_index);
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(partition))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid &&
			CompareIndexInfo(BuildIndexInfo(index), wanted,
							 index->rd_indcollation,
							 parent_index->rd_indcollation,
							 index->rd_opfamily, parent_index->rd_opfamily,
							 map))
			found = true;
		relation_close(index, AccessShareLock);
		if (found)
			break;
	}
	return found;
}

/* DETACH PARTITION: the catalog only, but everybody waits for the parent. */
void
describe_detach_partition(AlterContext *alter)
{
	PartitionCmd *command = castNode(PartitionCmd, alter->command->def);
	RelationFacts *partition;
	Effect	   *effect;

	if (alter->relation->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	effect = add_alter_effect(alter, command->concurrent ? CAUSE_METADATA :
							  CAUSE_DETACH_PARTITION, NULL);
	if (!command->concurrent)
		measure_relation(effect->relation);
	partition = target_relation(command->name, PERMISSION_ANYBODY,
								alter->effects);
	if (partition == NULL)
		return;
	add_lock(alter->effects, partition, AccessExclusiveLock, false);
	if (!command->concurrent && alter_has_relation(alter) &&
		OidIsValid(partition->relid))
	{
		add_lock_on(alter->effects,
					get_default_partition_oid(alter->relation->relid),
					AccessExclusiveLock);
		describe_detached_keys(partition->relid, alter->effects);
	}
}

/*
 * Foreign keys that the partition had from its parent become its own, with
 * new triggers on the table it refers to; those that referred to it as a part
 * of its parent are dropped.
 */
static void
describe_detached_keys(Oid partition, EffectContext *context)
{
	List	   *keys = foreign_keys_of(partition, true);
	ListCell   *cell;

	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);
		ObjectAddress root;

		if (!OidIsValid(key->parent))
			continue;
		if (key->referencing == partition &&
			!foreign_key_parent_is_listed(key, keys))
			add_lock(context, relation_facts(key->referenced, context),
					 ShareRowExclusiveLock, true);
		if (key->referenced == partition)
		{
			ObjectAddressSet(root, ConstraintRelationId, key->oid);
			add_deletion(&root, false, context);
		}
	}
}

/*
 * CREATE TABLE is about a new table, but PARTITION OF, INHERITS and REFERENCES
 * lock tables that are there already.
 */
void
describe_create_table(Node *statement, EffectContext *context)
{
	/* CREATE FOREIGN TABLE begins with the same fields */
	CreateStmt *stmt = (CreateStmt *) statement;
	ListCell   *cell;

	if (stmt->if_not_exists && context->overlay == NULL &&
		OidIsValid(RangeVarGetRelid(stmt->relation, NoLock, true)))
		return;

	foreach(cell, stmt->inhRelations)
	{
		RelationFacts *parent;

		parent = target_relation(lfirst_node(RangeVar, cell),
								 PERMISSION_ANYBODY, context);
		if (parent == NULL)
			continue;
		if (stmt->partbound == NULL)
		{
			(void) add_effect(context, CAUSE_METADATA, parent,
							  ShareUpdateExclusiveLock);
			continue;
		}
		(void) add_effect(context, CAUSE_METADATA, parent,
						  AccessExclusiveLock);
		if (OidIsValid(parent->relid) &&
			parent->relkind == RELKIND_PARTITIONED_TABLE)
		{
			Relation	rel = try_relation_open(parent->relid, AccessShareLock);

			if (rel == NULL)
				continue;
			describe_default_partition(context, CAUSE_CREATE_PARTITION, rel,
									   stmt->relation, stmt->partbound);
			relation_close(rel, AccessShareLock);
			add_cloned_foreign_keys(parent->relid, context);
		}
	}
	describe_create_foreign_keys(stmt, context);
}

static void
describe_create_foreign_keys(CreateStmt *stmt, EffectContext *context)
{
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, stmt->tableElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, Constraint))
			describe_referenced_table((Constraint *) element, context);
		else if (IsA(element, ColumnDef))
			foreach(inner, ((ColumnDef *) element)->constraints)
				describe_referenced_table(lfirst_node(Constraint, inner),
										  context);
	}
}

static void
describe_referenced_table(Constraint *constraint, EffectContext *context)
{
	Oid			relid;
	RelationFacts *facts;

	if (constraint->contype != CONSTR_FOREIGN || constraint->pktable == NULL)
		return;

	/* it may be the table that is being made: then there is nothing yet */
	relid = RangeVarGetRelidExtended(constraint->pktable, NoLock,
									 RVR_MISSING_OK, NULL, NULL);
	if (context->overlay == NULL && !OidIsValid(relid))
		return;
	if (context->overlay != NULL &&
		!overlay_has_relation(context->overlay, constraint->pktable))
		return;
	facts = target_relation(constraint->pktable, PERMISSION_ANYBODY, context);
	if (facts != NULL)
		add_lock(context, facts, ShareRowExclusiveLock,
				 facts->relkind == RELKIND_PARTITIONED_TABLE);
}
