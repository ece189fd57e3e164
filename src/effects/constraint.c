/*-------------------------------------------------------------------------
 *
 * constraint.c
 *	  Effects of adding constraints.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void describe_add_not_null(AlterContext *alter, Constraint *constraint);
static void describe_add_check(AlterContext *alter, Constraint *constraint);
static bool has_constraint(Oid relid, void *name);
static bool is_listed(Oid relid, void *relids);
static void describe_add_foreign_key(AlterContext *alter,
									 Constraint *constraint);
static void add_locks_for_triggers(AlterContext *alter, Effect *effect);
static List *partitions_with_key(AlterContext *alter, Constraint *constraint);
static List *key_columns(AlterContext *alter, Constraint *constraint);
static void describe_key_columns(AlterContext *alter, Constraint *constraint);
static void describe_equal_keys(AlterContext *alter, Effect *effect,
								Constraint *constraint);
static void describe_add_key(AlterContext *alter, Constraint *constraint);
static bool key_may_be_null(AlterContext *alter, Constraint *constraint);
static bool key_may_be_null_in_script(AlterContext *alter,
									  Constraint *constraint);

/* ADD CONSTRAINT, and the constraint of ADD UNIQUE USING INDEX. */
void
describe_add_constraint(AlterContext *alter)
{
	Constraint *constraint = castNode(Constraint, alter->command->def);

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			describe_add_check(alter, constraint);
			break;
		case CONSTR_FOREIGN:
			describe_add_foreign_key(alter, constraint);
			break;
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
		case CONSTR_EXCLUSION:
			describe_add_key(alter, constraint);
			break;
		case CONSTR_NOTNULL:
			/* 18+: ADD CONSTRAINT name NOT NULL column [NOT VALID] */
			if (constraint->keys != NIL)
				describe_add_not_null(alter, constraint);
			break;
		case CONSTR_NULL:
		case CONSTR_DEFAULT:
		case CONSTR_IDENTITY:
		case CONSTR_GENERATED:
		case CONSTR_ATTR_DEFERRABLE:
		case CONSTR_ATTR_NOT_DEFERRABLE:
		case CONSTR_ATTR_DEFERRED:
		case CONSTR_ATTR_IMMEDIATE:
			COMPAT_CASES_CONSTR_ENFORCED
				break;
	}
}

/* Where there is one already, it is nothing but a look at it. */
static void
describe_add_not_null(AlterContext *alter, Constraint *constraint)
{
	const char *column = strVal(linitial(constraint->keys));
	bool		below = alter->below;

	if (constraint->skip_validation)
		return;
	if (alter->effects->overlay == NULL && alter_has_relation(alter) &&
		compat_column_is_marked_not_null(alter->relation->relid, column))
		return;
	alter->only |= constraint->is_no_inherit;
	describe_not_null(alter, CAUSE_SET_NOT_NULL, column);
	alter->below = below;
}

/*
 * CHECK: every row is read, but not where a constraint of that name is there
 * already, which ends the descent as well.
 */
static void
describe_add_check(AlterContext *alter, Constraint *constraint)
{
	Effect	   *effect;
	List	   *merged = NIL;

	/* one that the statement drops is gone by then */
	if (alter_has_relation(alter) &&
		(constraint->conname == NULL ||
		 !name_is_listed(names_dropped(alter->statement, AT_DropConstraint),
						 constraint->conname)))
		merged = tables_that(alter->relation->relid, has_constraint,
							 constraint->conname);
	if (alter_has_relation(alter) && !alter->below &&
		alter->statement->relation->inh && !constraint->is_no_inherit &&
		!list_member_oid(merged, alter->relation->relid))
		set_reach(alter, tables_reached(alter->relation->relid, is_listed,
										merged));
	effect = add_alter_effect(alter, CAUSE_ADD_CHECK, constraint->conname);
	effect->location = constraint->location;
	effect->spared = merged;
	if (constraint->is_no_inherit && alter_has_relation(alter))
		effect->spared = tables_that(alter->relation->relid, is_not_table,
									 &alter->relation->relid);
	if (!constraint->skip_validation &&
		compat_constraint_is_enforced(constraint) &&
		!list_member_oid(merged, alter->relation->relid))
		set_work(effect, WORK_SCAN, "every row is checked");
}

static bool
has_constraint(Oid relid, void *name)
{
	return name != NULL &&
		OidIsValid(get_relation_constraint_oid(relid, name, true));
}

static bool
is_listed(Oid relid, void *relids)
{
	return list_member_oid(relids, relid);
}

bool
is_not_table(Oid relid, void *table)
{
	return relid != *(Oid *) table;
}

/*
 * A foreign key takes the same lock on both tables and, unless NOT VALID,
 * looks up every row of the referencing one.
 */
static void
describe_add_foreign_key(AlterContext *alter, Constraint *constraint)
{
	Effect	   *effect;

	/* PostgreSQL will say so */
	if (alter->effects->overlay == NULL &&
		!OidIsValid(RangeVarGetRelid(constraint->pktable, NoLock, true)))
		return;
	/* not the children of a plain table, which have no part in it */
	if (alter->relation->relkind == RELKIND_PARTITIONED_TABLE)
		alter->below = true;
	effect = add_alter_effect(alter, CAUSE_ADD_FOREIGN_KEY,
							  constraint->conname);
	effect->location = constraint->location;
	if (alter->relation->relkind != RELKIND_PARTITIONED_TABLE &&
		alter_has_relation(alter))
		effect->spared = tables_that(alter->relation->relid, is_not_table,
									 &alter->relation->relid);
	if (!constraint->skip_validation &&
		compat_constraint_is_enforced(constraint))
		set_work(effect, WORK_FK_SCAN, NULL);
	if (alter->relation->relkind == RELKIND_PARTITIONED_TABLE &&
		alter->effects->overlay == NULL)
		describe_equal_keys(alter, effect, constraint);
	add_referenced_table(alter, constraint->pktable, constraint->conname);
}

/*
 * Partitions that have the foreign key already keep it, as a part of the new
 * one; nothing is done below them.
 */
static void
describe_equal_keys(AlterContext *alter, Effect *effect,
					Constraint *constraint)
{
	ForeignKey *wanted = foreign_key_of_statement(alter->relation->relid,
												  constraint);
	EqualKey	equal = {alter->relation->relid, wanted, false};
	List	   *reached;
	ListCell   *cell;

	if (wanted == NULL)
		return;
	reached = tables_reached(alter->relation->relid, has_key_already, &equal);
	if (!equal.found)
		return;
	add_lock_of_referenced(wanted->referenced, AccessExclusiveLock,
						   alter->effects);
	foreach(cell, tables_that(alter->relation->relid, has_key_already, &equal))
		effect->spared =
		list_concat_unique_oid(effect->spared,
							   find_all_inheritors(lfirst_oid(cell),
												   NoLock, NULL));
	if (COMPAT_NOT_NULL_NOT_VALID)
		return;					/* all tables below are locked anyway */
	effect->members = reached;
	set_reach(alter, reached);
}

/* The other side of a new foreign key: writers there have to wait as well. */
void
add_referenced_table(AlterContext *alter, RangeVar *referenced,
					 const char *object)
{
	RelationFacts *facts = target_relation(referenced, PERMISSION_ANYBODY,
										   alter->effects);
	Effect	   *effect;

	if (facts == NULL)
		return;
	if (facts->relkind == RELKIND_PARTITIONED_TABLE)
		add_lock(alter->effects, facts, ShareRowExclusiveLock, true);
	if (facts == alter->relation)
		return;
	effect = add_effect(alter->effects, CAUSE_METADATA, facts,
						ShareRowExclusiveLock);
	effect->object = quoted_name(object);
	effect->subcommand = alter->subcommand;
}

/* UNIQUE, PRIMARY KEY, EXCLUDE: an index is built, or a finished one taken. */
static void
describe_add_key(AlterContext *alter, Constraint *constraint)
{
	static const char *const not_null_reason =
	"its columns are not known to be NOT NULL, so every row is checked";
	EffectCause cause = CAUSE_ADD_UNIQUE;
	Effect	   *effect;

	if (constraint->contype == CONSTR_PRIMARY)
		cause = CAUSE_ADD_PRIMARY_KEY;
	else if (constraint->contype == CONSTR_EXCLUSION)
		cause = CAUSE_ADD_EXCLUSION;
	effect = add_alter_effect(alter, cause, constraint->conname);
	effect->location = constraint->location;
	if (constraint->contype == CONSTR_PRIMARY)
		describe_key_columns(alter, constraint);

	/* ON ONLY a partitioned table makes an empty, invalid parent index */
	if (constraint->indexname == NULL &&
		(alter->relation->relkind != RELKIND_PARTITIONED_TABLE ||
		 alter->statement->relation->inh))
	{
		if (alter->relation->relkind == RELKIND_PARTITIONED_TABLE)
		{
			effect->lockmode_below = Max(effect->lockmode_below, ShareLock);
			effect->spared = partitions_with_key(alter, constraint);
			if (constraint->deferrable)
				add_locks_for_triggers(alter, effect);
		}
		else if (alter_has_relation(alter))
			effect->spared = tables_that(alter->relation->relid, is_not_table,
										 &alter->relation->relid);
		set_work(effect, WORK_INDEX_BUILD, NULL);
	}
	else if (constraint->indexname != NULL &&
			 constraint->contype == CONSTR_PRIMARY &&
			 key_may_be_null(alter, constraint))
		set_work(effect, WORK_SCAN, not_null_reason);
}

/* A key that is checked later needs a trigger where it is made. */
static void
add_locks_for_triggers(AlterContext *alter, Effect *effect)
{
	ListCell   *cell;

	if (!alter_has_relation(alter))
		return;
	foreach(cell, find_all_inheritors(alter->relation->relid, NoLock, NULL))
	{
		if (!list_member_oid(effect->spared, lfirst_oid(cell)))
			add_lock_on(alter->effects, lfirst_oid(cell),
						ShareRowExclusiveLock);
	}
}

/* Those that have an equal key, which becomes part of the new one. */
static List *
partitions_with_key(AlterContext *alter, Constraint *constraint)
{
	Relation	rel;
	List	   *found = NIL;

	if (alter->effects->overlay != NULL ||
		constraint->contype == CONSTR_EXCLUSION ||
		compat_constraint_without_overlaps(constraint))
		return NIL;
	rel = try_relation_open(alter->relation->relid, AccessShareLock);
	if (rel == NULL)
		return NIL;
	found = tables_with_index(alter->relation->relid, alter->relation->relid,
							  wanted_index_of_constraint(constraint, rel));
	relation_close(rel, AccessShareLock);
	return found;
}

/* The columns of a new primary key become NOT NULL, in the tables below too. */
static void
describe_key_columns(AlterContext *alter, Constraint *constraint)
{
	bool		below = alter->below;
	ListCell   *cell;

	if (alter->effects->overlay != NULL)
		return;
	foreach(cell, key_columns(alter, constraint))
	{
		const char *column = lfirst(cell);
		AttrNumber	attnum = get_attnum(alter->relation->relid, column);

		if (attnum > 0 &&
			(!COMPAT_NOT_NULL_NOT_VALID ||
			 !compat_column_is_marked_not_null(alter->relation->relid, column)))
		{
			/* from 18 on in all tables below, be it ONLY */
			if (COMPAT_NOT_NULL_NOT_VALID)
				alter->below = true;
			describe_not_null(alter, CAUSE_ADD_PRIMARY_KEY, column);
		}
		alter->below = below;
		alter->members = NIL;
	}
}

/* Names of the columns of a new key, be they those of an index. */
static List *
key_columns(AlterContext *alter, Constraint *constraint)
{
	List	   *names = NIL;
	Relation	index = NULL;
	Oid			index_oid = InvalidOid;
	ListCell   *cell;

	foreach(cell, constraint->keys)
		names = lappend(names, strVal(lfirst(cell)));
	if (constraint->indexname != NULL)
		index_oid = get_relname_relid(constraint->indexname,
									  get_rel_namespace(alter->relation->relid));
	if (OidIsValid(index_oid) && get_rel_relkind(index_oid) == RELKIND_INDEX)
		index = try_relation_open(index_oid, AccessShareLock);
	if (index == NULL)
		return names;
	for (int i = 0; i < index->rd_index->indnkeyatts &&
		 index->rd_index->indrelid == alter->relation->relid; i++)
	{
		char	   *name = get_attname(index->rd_index->indrelid,
									   index->rd_index->indkey.values[i], true);

		if (name != NULL)
			names = lappend(names, name);
	}
	relation_close(index, AccessShareLock);
	return names;
}

/* PRIMARY KEY USING INDEX sets its columns NOT NULL. */
static bool
key_may_be_null(AlterContext *alter, Constraint *constraint)
{
	Oid			index_oid;
	Relation	index;
	bool		may_be_null = false;

	if (!alter_has_relation(alter))
		return false;
	if (alter->effects->overlay != NULL)
		return key_may_be_null_in_script(alter, constraint);
	index_oid = get_relname_relid(constraint->indexname,
								  get_rel_namespace(alter->relation->relid));
	if (!OidIsValid(index_oid))
		return false;			/* PostgreSQL will say so */
	if (get_rel_relkind(index_oid) != RELKIND_INDEX)
		return false;
	index = try_relation_open(index_oid, AccessShareLock);
	if (index == NULL)
		return false;
	for (int i = 0; i < index->rd_index->indnkeyatts &&
		 index->rd_index->indrelid == alter->relation->relid; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		char	   *column = attnum > 0 ?
		get_attname(index->rd_index->indrelid, attnum, true) : NULL;

		if (column != NULL && !not_null_is_proven(alter, column))
			may_be_null = true;
	}
	relation_close(index, AccessShareLock);
	return may_be_null;
}

/* The same when the index may be one of the script that is checked. */
static bool
key_may_be_null_in_script(AlterContext *alter, Constraint *constraint)
{
	Overlay    *overlay = alter->effects->overlay;
	RangeVar   *name = makeRangeVar(alter->relation->overlay->nspname,
									constraint->indexname, -1);
	OverlayRelation *index = overlay_find_relation(overlay, name);
	ListCell   *cell;

	if (index == NULL || index->dropped)
		return false;
	foreach(cell, overlay_key_columns(overlay, index))
	{
		if (!not_null_is_proven(alter, lfirst(cell)))
			return true;
	}
	return false;
}
