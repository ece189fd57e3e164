/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  Effects of ATTACH, DETACH and CREATE TABLE ... PARTITION OF.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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

/* What the rows of a partition must fulfil. */
typedef struct PartitionBound
{
	Relation	parent;			/* the columns are those of this table */
	List	   *condition;
	EffectContext *context;
} PartitionBound;

static List *bound_constraint(EffectContext *context, Relation parent,
							  const RangeVar *partition,
							  PartitionBoundSpec *bound);
static bool can_be_attached(EffectContext *context, Relation parent,
							Relation partition);
static List *attached_condition(Relation parent, List *constraint);
static bool bound_is_implied(Oid relid, void *arg);
static void describe_default_partition(EffectContext *context,
									   EffectCause cause, Relation parent,
									   const RangeVar *partition,
									   PartitionBoundSpec *bound);
static void describe_missing_indexes(AlterContext *alter, Relation parent,
									 RelationFacts *partition);
static void describe_validated_index(Oid index, EffectContext *context);
static void describe_detached_keys(Oid partition, EffectContext *context);
static bool relation_is_there(const RangeVar *name);
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
	PartitionBound wanted = {NULL, NIL, alter->effects};
	Effect	   *effect;

	if (alter->relation->relkind == RELKIND_PARTITIONED_INDEX)
	{
		add_lock(alter->effects,
				 target_relation(command->name, PERMISSION_OWNER,
								 alter->effects),
				 AccessExclusiveLock, false);
		if (alter_has_relation(alter))
			describe_validated_index(alter->relation->relid, alter->effects);
	}
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
	wanted.parent = parent;
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
		wanted.condition = attached_condition(parent, constraint);
		relation_close(child, AccessShareLock);
		if (wanted.condition != NIL)
			effect->spared = tables_that(partition->relid, bound_is_implied,
										 &wanted);
		if (wanted.condition != NIL &&
			!list_member_oid(effect->spared, partition->relid))
			set_work(effect, WORK_SCAN,
					 "every row is checked against the partition bound");
		describe_missing_indexes(alter, parent, partition);
	}
	add_cloned_foreign_keys(alter->relation->relid, partition->relid,
							alter->effects);
	describe_default_partition(alter->effects, CAUSE_ATTACH_PARTITION, parent,
							   command->name, command->bound);
	relation_close(parent, AccessShareLock);
}

/*
 * A partitioned index becomes valid with the last of its parts, and then what
 * it is part of itself may: PostgreSQL looks there, under a lock that some
 * minor versions keep.
 */
static void
describe_validated_index(Oid index, EffectContext *context)
{
	while (get_rel_relispartition(index) && !get_index_isvalid(index))
	{
		RelationFacts *facts;

		index = get_partition_parent(index, true);
		facts = relation_facts(IndexGetRelation(index, true), context);
		if (facts == NULL)
			return;
		add_effect(context, CAUSE_METADATA, facts,
				   AccessExclusiveLock)->momentary = true;
	}
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

/* What rows of an attached partition fulfil, with the bounds of its parents. */
static List *
attached_condition(Relation parent, List *constraint)
{
	constraint = list_concat_copy(constraint, RelationGetPartitionQual(parent));
	if (constraint == NIL)
		return NIL;
	constraint = (List *) eval_const_expressions(NULL, (Node *) constraint);
	return list_make1(make_ands_explicit(constraint));
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
	PartitionBound wanted = {parent, NIL, context};
	RelationFacts *facts;
	Effect	   *effect;

	if (!OidIsValid(default_oid) || bound->is_default)
		return;
	facts = relation_facts(default_oid, context);
	if (facts == NULL)
		return;
	effect = add_effect(context, cause, facts, AccessExclusiveLock);
	wanted.condition = bound_constraint(context, parent, partition, bound);
	if (wanted.condition == NIL)
		return;
	wanted.condition = get_proposed_default_constraint(wanted.condition);

	/* a proof for the default partition holds for all below it */
	effect->spared = tables_that(default_oid, bound_is_implied, &wanted);
	if (list_member_oid(effect->spared, default_oid))
		return;
	effect->lockmode_below = AccessExclusiveLock;
	set_work(effect, WORK_SCAN,
			 "the default partition is read for rows of the new one");
}

/*
 * Whether the constraints of a table imply what rows of the new partition, or
 * of the default one, fulfil: the proof that PostgreSQL makes instead of
 * reading it.
 */
static bool
bound_is_implied(Oid relid, void *arg)
{
	PartitionBound *wanted = arg;
	Relation	rel = try_relation_open(relid, AccessShareLock);
	List	   *condition;
	bool		is_implied;

	if (rel == NULL)
		return true;
	condition = map_partition_varattnos(wanted->condition, 1, rel,
										wanted->parent);
	is_implied = constraints_imply(rel, condition, NULL,
								   overlay_of(relid, wanted->context));
	relation_close(rel, AccessShareLock);
	return is_implied;
}

/* Indexes of the parent that the new partition lacks are built then. */
static void
describe_missing_indexes(AlterContext *alter, Relation parent,
						 RelationFacts *partition)
{
	List	   *used = NIL;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(parent))
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);
		WantedIndex *wanted = wanted_index_of(index);
		List	   *spared;
		Effect	   *effect;

		wanted->used = &used;
		spared = tables_with_index_in(partition->relid,
									  alter->relation->relid, wanted);
		if (!list_member_oid(spared, partition->relid))
		{
			effect = add_effect(alter->effects, CAUSE_ATTACH_PARTITION,
								partition, AccessExclusiveLock);
			effect->object = quoted_name(RelationGetRelationName(index));
			effect->subcommand = alter->subcommand;
			effect->lockmode_below = AccessExclusiveLock;
			effect->spared = spared;
			set_work(effect, WORK_INDEX_BUILD,
					 "it lacks an index of the parent, which is built");
		}
		relation_close(index, AccessShareLock);
	}
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
	add_lock(alter->effects, partition, AccessExclusiveLock,
			 !command->concurrent);
	if (!alter_has_relation(alter) || !OidIsValid(partition->relid))
		return;
	if (!command->concurrent)
		add_lock_on(alter->effects,
					get_default_partition_oid(alter->relation->relid),
					AccessExclusiveLock);
	describe_detached_keys(partition->relid, alter->effects);
}

/*
 * FINALIZE does the second half of what CONCURRENTLY has begun.
 */
void
describe_finalize_detach(AlterContext *alter)
{
	PartitionCmd *command = castNode(PartitionCmd, alter->command->def);
	RelationFacts *partition;

	(void) add_alter_effect(alter, CAUSE_METADATA, NULL);
	partition = target_relation(command->name, PERMISSION_ANYBODY,
								alter->effects);
	if (partition == NULL)
		return;
	add_lock(alter->effects, partition, AccessExclusiveLock, true);
	if (alter_has_relation(alter) && OidIsValid(partition->relid))
		describe_detached_keys(partition->relid, alter->effects);
}

/*
 * Foreign keys that the partition had from its parent become its own, with
 * new triggers on the table it refers to; those that referred to it as a part
 * of its parent are dropped.
 */
static void
describe_detached_keys(Oid partition, EffectContext *context)
{
	List	   *keys = foreign_keys_around(list_make1_oid(partition));
	ListCell   *cell;

	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);
		ObjectAddress root;

		if (!OidIsValid(key->parent))
			continue;
		if (key->referencing == partition &&
			!foreign_key_parent_is_listed(key, keys))
			add_lock_of_referenced(key->referenced, ShareRowExclusiveLock,
								   context);
		if (key->referenced == partition)
		{
			RelationFacts *facts = relation_facts(key->referencing, context);

			ObjectAddressSet(root, ConstraintRelationId, key->oid);
			add_deletion(&root, false, context);
			if (facts != NULL)
				set_work(add_effect(context, CAUSE_DETACH_PARTITION, facts,
									ShareLock), WORK_FK_SCAN,
						 "it must not refer to rows of the partition");
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

	/* with or without IF NOT EXISTS: PostgreSQL looks at nothing else then */
	if (context->overlay == NULL && relation_is_there(stmt->relation))
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
			add_cloned_foreign_keys(parent->relid, InvalidOid, context);
		}
	}
	describe_create_foreign_keys(stmt, context);
}

/* In the schema where it would be made, not just somewhere on the path. */
static bool
relation_is_there(const RangeVar *name)
{
	Oid			schema = InvalidOid;

	if (name->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	if (name->schemaname != NULL)
		schema = get_namespace_oid(name->schemaname, true);
	else
	{
		List	   *path = fetch_search_path(false);

		if (path != NIL)
			schema = linitial_oid(path);
	}
	return OidIsValid(schema) &&
		OidIsValid(get_relname_relid(name->relname, schema));
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
