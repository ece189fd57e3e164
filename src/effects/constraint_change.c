/*-------------------------------------------------------------------------
 *
 * constraint_change.c
 *	  Effects of validating, altering and dropping constraints that exist.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* A constraint in one table of a tree: NOT NULL is known by its column. */
typedef struct ConstraintName
{
	const char *name;
	const char *column;			/* NULL for others than NOT NULL */
} ConstraintName;

static void describe_validation(AlterContext *alter, Effect *effect,
								Form_pg_constraint form);
static void describe_validation_below(AlterContext *alter, Effect *effect,
									  Oid constraint);
static bool constraint_is_valid(Oid relid, void *name);
static void describe_enforcement(AlterContext *alter, const ForeignKey *root,
								 bool enforced);
static void describe_check_enforcement(AlterContext *alter,
									   const AlteredConstraint *change,
									   HeapTuple tuple);
static bool check_is_enforced(Oid relid, void *name);
static void describe_inheritability(AlterContext *alter,
									const AlteredConstraint *change,
									HeapTuple tuple);
static void describe_constraint_below(AlterContext *alter,
									  const ConstraintName *constraint,
									  Form_pg_constraint form);
static int	sources_of_constraint(Oid relid, void *arg);
static void add_partner_of_script(AlterContext *alter,
								  OverlayConstraint *constraint,
								  LOCKMODE lockmode);
static HeapTuple find_constraint(Oid relid, const char *name);
static char *not_null_column(HeapTuple tuple);

/*
 * VALIDATE CONSTRAINT reads the table, but by itself under a lock that lets
 * readers and writers go on.
 */
void
describe_validate_constraint(AlterContext *alter)
{
	const char *name = alter->command->name;
	OverlayConstraint *overlay = NULL;
	Effect	   *effect;
	HeapTuple	tuple = NULL;

	if (alter->relation->overlay != NULL)
		overlay = overlay_find_constraint(alter->relation->overlay, name);
	if (overlay == NULL && alter_has_relation(alter))
		tuple = find_constraint(alter->relation->relid, name);
	if (tuple != NULL && not_null_column(tuple) != NULL)
	{
		describe_not_null_validation(alter, CAUSE_VALIDATE_CONSTRAINT,
									 not_null_column(tuple));
		return;
	}
	effect = add_alter_effect(alter, CAUSE_VALIDATE_CONSTRAINT, name);
	if (overlay != NULL)
	{
		if (!overlay->validated)
			set_work(effect, overlay->contype == CONSTRAINT_FOREIGN ?
					 WORK_FK_SCAN : WORK_SCAN, "every row is checked");
		add_partner_of_script(alter, overlay, RowShareLock);
	}
	else if (tuple != NULL)
		describe_validation(alter, effect,
							(Form_pg_constraint) GETSTRUCT(tuple));
}

static void
describe_validation(AlterContext *alter, Effect *effect,
					Form_pg_constraint form)
{
	bool		is_foreign = form->contype == CONSTRAINT_FOREIGN;

	if (form->convalidated)
		return;
	if (is_foreign)
	{
		describe_validation_below(alter, effect, form->oid);
		add_lock_on(alter->effects, form->confrelid, RowShareLock);
	}
	else if (alter->statement->relation->inh && !form->connoinherit)
		effect->lockmode_below = alter->lockmode;
	effect->spared = tables_that(alter->relation->relid, constraint_is_valid,
								 NameStr(form->conname));
	set_work(effect, is_foreign ? WORK_FK_SCAN : WORK_SCAN,
			 "every row is checked");
}

/* The keys of partitions that are not valid yet (18). */
static void
describe_validation_below(AlterContext *alter, Effect *effect, Oid constraint)
{
	ListCell   *cell;

	foreach(cell, foreign_keys_below(constraint))
	{
		const ForeignKey *key = lfirst(cell);

		if (key->is_valid || key->referencing == alter->relation->relid)
			continue;
		effect->lockmode_below = alter->lockmode;
		effect->members = list_append_unique_oid(effect->members,
												 key->referencing);
	}
}

static bool
constraint_is_valid(Oid relid, void *name)
{
	HeapTuple	tuple = find_constraint(relid, name);
	bool		is_valid;

	if (tuple == NULL)
		return true;
	is_valid = ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
	heap_freetuple(tuple);
	return is_valid;
}

/*
 * ALTER CONSTRAINT: the constraints below that of a partitioned table follow
 * it; what it enforces from now on (18) must hold already.
 */
void
describe_alter_constraint(AlterContext *alter)
{
	AlteredConstraint change;
	HeapTuple	tuple;
	ForeignKey *key;

	compat_altered_constraint(alter->command, &change);
	if (!alter_has_relation(alter) || change.name == NULL)
		return;
	tuple = find_constraint(alter->relation->relid, change.name);
	if (tuple == NULL)
		return;
	if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_FOREIGN)
	{
		ListCell   *cell;

		key = foreign_key_with_oid(((Form_pg_constraint) GETSTRUCT(tuple))->oid);
		if (change.sets_enforced)
			describe_enforcement(alter, key, change.is_enforced);
		else
			foreach(cell, foreign_keys_below(key->oid))
				add_lock_on(alter->effects,
							((ForeignKey *) lfirst(cell))->referencing,
							alter->lockmode);
	}
	else if (change.sets_inherit)
		describe_inheritability(alter, &change, tuple);
	else if (change.sets_enforced)
		describe_check_enforcement(alter, &change, tuple);
	heap_freetuple(tuple);
}

/*
 * NOT ENFORCED drops the triggers at both ends, ENFORCED makes them and looks
 * up every row.
 */
static void
describe_enforcement(AlterContext *alter, const ForeignKey *root,
					 bool enforced)
{
	List	   *keys = lcons((void *) root, foreign_keys_below(root->oid));
	LOCKMODE	lockmode = enforced ? ShareRowExclusiveLock :
	AccessExclusiveLock;
	ListCell   *cell;

	/* nothing but a look at it */
	if (root->is_enforced == enforced)
		return;
	foreach(cell, keys)
	{
		const ForeignKey *key = lfirst(cell);
		RelationFacts *facts = relation_facts(key->referencing,
											  alter->effects);
		Effect	   *effect;

		add_lock(alter->effects, facts, alter->lockmode, false);
		add_lock_on(alter->effects, key->referenced, lockmode);
		if (!enforced || facts == NULL ||
			facts->relkind != RELKIND_RELATION ||
			key->referenced != root->referenced)
			continue;
		effect = add_effect(alter->effects, CAUSE_ADD_FOREIGN_KEY, facts,
							alter->lockmode);
		effect->object = quoted_name(root->name);
		effect->subcommand = alter->subcommand;
		set_work(effect, WORK_FK_SCAN, NULL);
	}
}

/* CHECK ... [NOT] ENFORCED (19), in the tables below as well. */
static void
describe_check_enforcement(AlterContext *alter,
						   const AlteredConstraint *change, HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	Effect	   *effect;

	if (!form->connoinherit)
		alter->below = true;
	effect = add_alter_effect(alter, CAUSE_ADD_CHECK, change->name);
	effect->spared = tables_that(alter->relation->relid, check_is_enforced,
								 (void *) change->name);
	if (change->is_enforced && !compat_constraint_row_is_enforced(form))
		set_work(effect, WORK_SCAN, "every row is checked");
}

static bool
check_is_enforced(Oid relid, void *name)
{
	HeapTuple	tuple = find_constraint(relid, name);
	bool		is_enforced;

	if (tuple == NULL)
		return true;
	is_enforced = compat_constraint_row_is_enforced((Form_pg_constraint) GETSTRUCT(tuple));
	heap_freetuple(tuple);
	return is_enforced;
}

/* INHERIT of a NOT NULL makes it in the tables below, as SET NOT NULL does. */
static void
describe_inheritability(AlterContext *alter, const AlteredConstraint *change,
						HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	char	   *column = not_null_column(tuple);
	ListCell   *cell;

	if (column == NULL || change->no_inherit == form->connoinherit)
		return;
	foreach(cell, find_inheritance_children(alter->relation->relid, NoLock))
	{
		AlterContext child = *alter;

		child.relation = relation_facts(lfirst_oid(cell), alter->effects);
		if (child.relation == NULL)
			continue;
		add_lock(alter->effects, child.relation, alter->lockmode, false);
		if (!change->no_inherit &&
			!compat_column_is_marked_not_null(child.relation->relid, column))
			describe_not_null(&child, CAUSE_SET_NOT_NULL, column);
	}
}

/* DROP CONSTRAINT: a foreign key is dropped on both sides. */
void
describe_drop_constraint(AlterContext *alter)
{
	HeapTuple	tuple = NULL;
	Form_pg_constraint form;
	ObjectAddress root;
	OverlayConstraint *overlay = NULL;

	if (alter->relation->overlay != NULL)
		overlay = overlay_find_constraint(alter->relation->overlay,
										  alter->command->name);
	if (overlay != NULL && !overlay->dropped)
		add_partner_of_script(alter, overlay, AccessExclusiveLock);
	else if (overlay == NULL && alter_has_relation(alter))
		tuple = find_constraint(alter->relation->relid, alter->command->name);
	if (tuple == NULL && overlay == NULL && alter->command->missing_ok)
		return;
	if (tuple == NULL)
	{
		(void) add_alter_effect(alter, CAUSE_DROP_CONSTRAINT,
								alter->command->name);
		return;
	}
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (!alter->below)
	{
		ConstraintName constraint = {alter->command->name,
		not_null_column(tuple)};

		describe_constraint_below(alter, &constraint, form);
	}
	(void) add_alter_effect(alter, CAUSE_DROP_CONSTRAINT,
							alter->command->name);
	if (form->contype == CONSTRAINT_FOREIGN)
		add_lock_on(alter->effects, form->confrelid, AccessExclusiveLock);
	ObjectAddressSet(root, ConstraintRelationId, form->oid);
	add_deletion(&root, alter->command->behavior == DROP_CASCADE,
				 alter->effects);
	heap_freetuple(tuple);
}

/* DROP NOT NULL: from 18 on a constraint is dropped. */
void
describe_drop_not_null(AlterContext *alter)
{
	ConstraintName constraint = {NULL, alter->command->name};
	HeapTuple	tuple = NULL;

	if (alter_has_relation(alter))
		tuple = compat_find_not_null_constraint(alter->relation->relid,
												constraint.column);
	if (tuple == NULL)
		return;
	describe_constraint_below(alter, &constraint,
							  (Form_pg_constraint) GETSTRUCT(tuple));
	(void) add_alter_effect(alter, CAUSE_DROP_NOT_NULL, constraint.column);
	heap_freetuple(tuple);
}

/* An inherited CHECK or NOT NULL goes with it, unless it has other sources. */
static void
describe_constraint_below(AlterContext *alter,
						  const ConstraintName *constraint,
						  Form_pg_constraint form)
{
	Oid			relid = alter->relation->relid;
	List	   *lost;

	if (form->connoinherit ||
		(form->contype != CONSTRAINT_CHECK && constraint->column == NULL))
		return;
	if (alter->statement->relation->inh)
		set_reach(alter, tables_let_go(relid, sources_of_constraint,
									   (void *) constraint, &lost));
	else
		set_reach(alter, find_inheritance_children(relid, NoLock));
}

static int
sources_of_constraint(Oid relid, void *arg)
{
	const ConstraintName *constraint = arg;
	HeapTuple	tuple = constraint->column != NULL ?
	compat_find_not_null_constraint(relid, constraint->column) :
	find_constraint(relid, constraint->name);
	Form_pg_constraint form;
	int			count;

	if (tuple == NULL)
		return 0;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	count = form->conislocal ? 0 : form->coninhcount;
	heap_freetuple(tuple);
	return count;
}

/* The other side of a foreign key that the checked script made. */
static void
add_partner_of_script(AlterContext *alter, OverlayConstraint *constraint,
					  LOCKMODE lockmode)
{
	RelationFacts *facts;

	if (constraint->referenced == NULL)
		return;
	facts = target_relation(constraint->referenced, PERMISSION_ANYBODY,
							alter->effects);
	if (facts != NULL && facts != alter->relation)
		(void) add_effect(alter->effects, CAUSE_METADATA, facts, lockmode);
}

/* A copy of the pg_constraint row of a table's constraint, or NULL. */
static HeapTuple
find_constraint(Oid relid, const char *name)
{
	Relation	catalog;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (name == NULL)
		return NULL;
	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(InvalidOid));
	ScanKeyInit(&key[2], Anum_pg_constraint_conname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 3, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tuple;
}

/* The column of a NOT NULL constraint of a table (18), NULL for others. */
static char *
not_null_column(HeapTuple tuple)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	if (!COMPAT_NOT_NULL_NOT_VALID ||
		form->contype != COMPAT_CONSTRAINT_NOTNULL)
		return NULL;
	return get_attname(form->conrelid, compat_not_null_attnum(tuple), true);
}
