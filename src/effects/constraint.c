/*-------------------------------------------------------------------------
 *
 * constraint.c
 *	  Effects of adding, validating and dropping constraints, and of SET NOT
 *	  NULL.
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

/* What proves that a column has no NULL. */
typedef struct ColumnProof
{
	const char *column;
	List	   *dropped;		/* names of constraints that do not count */
	EffectContext *context;
} ColumnProof;

static void describe_add_check(AlterContext *alter, Constraint *constraint);
static bool has_constraint(Oid relid, void *name);
static bool is_not_table(Oid relid, void *table);
static void describe_add_foreign_key(AlterContext *alter,
									 Constraint *constraint);
static List *partitions_with_key(AlterContext *alter, Constraint *constraint);
static void describe_key_columns(AlterContext *alter, Constraint *constraint);
static void describe_equal_keys(AlterContext *alter, Effect *effect,
								Constraint *constraint);
static void describe_add_key(AlterContext *alter, Constraint *constraint);
static void describe_not_null(AlterContext *alter, EffectCause cause,
							  const char *column);
static void describe_not_null_below(AlterContext *alter, const char *column);
static bool has_not_null_constraint(Oid relid, void *column);
static bool column_is_proven(Oid relid, void *arg);
static bool key_may_be_null(AlterContext *alter, Constraint *constraint);
static bool key_may_be_null_in_script(AlterContext *alter,
									  Constraint *constraint);
static bool not_null_is_proven(AlterContext *alter, const char *column);
static bool proven_in_relation(Oid relid, const char *column, List *dropped,
							   EffectContext *context);
static List *constraints_dropped(AlterTableStmt *stmt);
static bool column_is_not_null(Relation rel, Form_pg_attribute attribute,
							   const OverlayRelation *overlay);
static void add_partner_of_script(AlterContext *alter,
								  OverlayConstraint *constraint,
								  LOCKMODE lockmode);
static void describe_constraint_below(AlterContext *alter,
									  Form_pg_constraint form);
static bool constraint_is_valid(Oid relid, void *name);
static bool constraint_outlives_parent(Oid relid, void *name);
static HeapTuple find_constraint(Oid relid, const char *name);

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
			if (!constraint->skip_validation && constraint->keys != NIL)
				describe_not_null(alter, CAUSE_SET_NOT_NULL,
								  strVal(linitial(constraint->keys)));
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

/*
 * CHECK: every row is read, but not where a constraint of that name is there
 * already, which ends the descent as well.
 */
static void
describe_add_check(AlterContext *alter, Constraint *constraint)
{
	Effect	   *effect;
	List	   *merged = NIL;

	if (alter_has_relation(alter))
		merged = tables_that(alter->relation->relid, has_constraint,
							 constraint->conname);
	if (alter_has_relation(alter) && !alter->below &&
		alter->statement->relation->inh && !constraint->is_no_inherit &&
		!list_member_oid(merged, alter->relation->relid))
		set_reach(alter, tables_reached(alter->relation->relid, has_constraint,
										constraint->conname));
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

	if (wanted == NULL)
		return;
	reached = tables_reached(alter->relation->relid, has_key_already, &equal);
	if (!equal.found)
		return;
	add_lock_of_referenced(wanted->referenced, AccessExclusiveLock,
						   alter->effects);
	effect->spared = tables_that(alter->relation->relid, has_key_already,
								 &equal);
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
			/* one that is checked later needs a trigger */
			effect->lockmode_below = Max(effect->lockmode_below,
										 constraint->deferrable ?
										 ShareRowExclusiveLock : ShareLock);
			effect->spared = partitions_with_key(alter, constraint);
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
	foreach(cell, constraint->keys)
	{
		const char *column = strVal(lfirst(cell));
		AttrNumber	attnum = get_attnum(alter->relation->relid, column);

		if (attnum > 0)
			describe_not_null(alter, CAUSE_ADD_PRIMARY_KEY, column);
		alter->below = below;
		alter->members = NIL;
	}
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

/* SET NOT NULL */
void
describe_set_not_null(AlterContext *alter)
{
	describe_not_null(alter, CAUSE_SET_NOT_NULL, alter->command->name);
}

static void
describe_not_null(AlterContext *alter, EffectCause cause, const char *column)
{
	Effect	   *effect;

	if (alter->effects->overlay == NULL)
		describe_not_null_below(alter, column);
	effect = add_alter_effect(alter, cause, column);
	if (alter->effects->overlay == NULL)
	{
		ColumnProof proof = {column, constraints_dropped(alter->statement),
		alter->effects};

		effect->spared = tables_that(alter->relation->relid, column_is_proven,
									 &proof);
	}
	if (!not_null_is_proven(alter, column))
		set_work(effect, WORK_SCAN, "every row is checked");
}

/*
 * SET NOT NULL goes down to all tables below, unless the column is NOT NULL
 * already.  With ONLY it looks at the partitions, which must have it.
 */
static void
describe_not_null_below(AlterContext *alter, const char *column)
{
	Oid			relid = alter->relation->relid;

	if (compat_column_is_marked_not_null(relid, column))
		return;
	if (!alter->statement->relation->inh &&
		(alter->relation->relkind != RELKIND_PARTITIONED_TABLE ||
		 COMPAT_NOT_NULL_NOT_VALID))
		return;
	if (!COMPAT_NOT_NULL_NOT_VALID)
		alter->below = true;
	else
		set_reach(alter, tables_reached(relid, has_not_null_constraint,
										(void *) column));
}

static bool
has_not_null_constraint(Oid relid, void *column)
{
	return compat_not_null_constraint(relid, column) != NULL;
}

static bool
column_is_proven(Oid relid, void *arg)
{
	ColumnProof *proof = arg;

	return proven_in_relation(relid, proof->column, proof->dropped,
							  proof->context);
}

/*
 * True if PostgreSQL will not read the table, because the column is NOT NULL
 * already or a validated CHECK proves it, in every partition.
 */
static bool
not_null_is_proven(AlterContext *alter, const char *column)
{
	OverlayRelation *overlay = alter->relation->overlay;
	List	   *dropped = constraints_dropped(alter->statement);
	OverlayColumn *entry = NULL;
	List	   *tree;
	ListCell   *cell;
	bool		proven = true;

	if (overlay != NULL)
	{
		if (overlay_proves_not_null(overlay, column, dropped))
			return true;
		entry = overlay_find_column(overlay, column);
	}
	if (!alter_has_relation(alter))
		return true;			/* made by the script: no rows */
	if (entry != NULL && entry->attnum == InvalidAttrNumber)
		return false;			/* a new column of an old table */
	if (entry != NULL)
		column = get_attname(alter->relation->relid, entry->attnum, false);
	tree = lock_tree(alter->relation->relid);
	foreach(cell, tree)
	{
		if (!proven_in_relation(lfirst_oid(cell), column, dropped,
								alter->effects))
			proven = false;
	}
	unlock_tree(tree);
	return proven;
}

/*
 * Names of constraints that the statement drops.  PostgreSQL drops before it
 * looks for a proof, in whatever order the sub-commands are written.
 */
static List *
constraints_dropped(AlterTableStmt *stmt)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_DropConstraint && command->name != NULL)
			names = lappend(names, command->name);
	}
	return names;
}

static bool
proven_in_relation(Oid relid, const char *column, List *dropped,
				   EffectContext *context)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	OverlayRelation *overlay = overlay_of(relid, context);
	AttrNumber	attnum;
	bool		proven = true;

	if (rel == NULL)
		return true;
	attnum = get_attnum(relid, column);
	if (attnum > 0)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel),
													attnum - 1);
		NullTest   *test = makeNode(NullTest);

		test->arg = (Expr *) makeVar(1, attnum, attribute->atttypid,
									 attribute->atttypmod,
									 attribute->attcollation, 0);
		test->nulltesttype = IS_NOT_NULL;
		test->argisrow = false;
		test->location = -1;
		proven = column_is_not_null(rel, attribute, overlay) ||
			constraints_imply(rel, list_make1(test), dropped, overlay);
	}
	relation_close(rel, AccessShareLock);
	return proven;
}

static bool
column_is_not_null(Relation rel, Form_pg_attribute attribute,
				   const OverlayRelation *overlay)
{
	OverlayColumn *column = NULL;

	if (overlay != NULL)
		column = overlay_find_attnum(overlay, attribute->attnum);
	if (column != NULL && (column->not_null || column->null_allowed))
		return column->not_null;
	return compat_attribute_is_valid_not_null(rel, attribute);
}

/*
 * True if the valid CHECK and NOT NULL constraints of a relation imply the
 * conditions, so that PostgreSQL does not read it: the proof that
 * ConstraintImpliedByRelConstraint() (static in tablecmds.c, alike in 15-19)
 * makes.  dropped names constraints that do not count; overlay has those that
 * a checked script added, or is NULL.  The caller holds a lock on rel.
 */
bool
constraints_imply(Relation rel, List *conditions, List *dropped,
				  const OverlayRelation *overlay)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	List	   *known = NIL;
	int			nchecks = constr ? constr->num_check : 0;

	for (int i = 0; constr != NULL &&
		 (constr->has_not_null || overlay != NULL) &&
		 i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);
		NullTest   *test;

		if (attribute->attisdropped ||
			!column_is_not_null(rel, attribute, overlay))
			continue;
		test = makeNode(NullTest);
		test->arg = (Expr *) makeVar(1, i + 1, attribute->atttypid,
									 attribute->atttypmod,
									 attribute->attcollation, 0);
		test->nulltesttype = IS_NOT_NULL;
		test->argisrow = false;
		test->location = -1;
		known = lappend(known, test);
	}
	for (int i = 0; i < nchecks; i++)
	{
		Node	   *expression;

		if (!overlay_check_is_valid(overlay, constr->check[i].ccname,
									constr->check[i].ccvalid) ||
			!compat_check_is_enforced(&constr->check[i]) ||
			name_is_listed(dropped, constr->check[i].ccname))
			continue;
		expression = stringToNode(constr->check[i].ccbin);
		expression = eval_const_expressions(NULL, expression);
		expression = (Node *) canonicalize_qual((Expr *) expression, true);
		known = list_concat(known, make_ands_implicit((Expr *) expression));
	}
	known = list_concat(known, overlay_check_conditions(overlay, rel, dropped));
	return predicate_implied_by(conditions, known, true);
}

/*
 * VALIDATE CONSTRAINT reads the table, but by itself under a lock that lets
 * readers and writers go on.
 */
void
describe_validate_constraint(AlterContext *alter)
{
	const char *name = alter->command->name;
	Effect	   *effect = add_alter_effect(alter, CAUSE_VALIDATE_CONSTRAINT,
										  name);
	OverlayConstraint *overlay = NULL;
	HeapTuple	tuple;
	Form_pg_constraint form;

	if (alter->relation->overlay != NULL)
		overlay = overlay_find_constraint(alter->relation->overlay, name);
	if (overlay != NULL)
	{
		if (!overlay->validated)
			set_work(effect, overlay->contype == CONSTRAINT_FOREIGN ?
					 WORK_FK_SCAN : WORK_SCAN, "every row is checked");
		add_partner_of_script(alter, overlay, RowShareLock);
		return;
	}
	if (!alter_has_relation(alter))
		return;
	tuple = find_constraint(alter->relation->relid, name);
	if (tuple == NULL)
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (!form->convalidated)
	{
		bool		is_foreign = form->contype == CONSTRAINT_FOREIGN;

		if (alter->statement->relation->inh && !form->connoinherit &&
			(!is_foreign ||
			 alter->relation->relkind == RELKIND_PARTITIONED_TABLE))
			effect->lockmode_below = alter->lockmode;
		effect->spared = tables_that(alter->relation->relid,
									 constraint_is_valid, (void *) name);
		set_work(effect, is_foreign ? WORK_FK_SCAN : WORK_SCAN,
				 "every row is checked");
		if (is_foreign && form->confrelid != alter->relation->relid)
		{
			RelationFacts *other = relation_facts(form->confrelid,
												  alter->effects);

			if (other != NULL)
				(void) add_effect(alter->effects, CAUSE_METADATA, other,
								  RowShareLock);
		}
	}
	heap_freetuple(tuple);
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
	if (!alter->below && !form->connoinherit)
		describe_constraint_below(alter, form);
	(void) add_alter_effect(alter, CAUSE_DROP_CONSTRAINT,
							alter->command->name);
	if (form->contype == CONSTRAINT_FOREIGN)
		add_lock_on(alter->effects, form->confrelid, AccessExclusiveLock);
	ObjectAddressSet(root, ConstraintRelationId, form->oid);
	add_deletion(&root, alter->command->behavior == DROP_CASCADE,
				 alter->effects);
	heap_freetuple(tuple);
}

/* An inherited CHECK or NOT NULL goes with it, unless it has other sources. */
static void
describe_constraint_below(AlterContext *alter, Form_pg_constraint form)
{
	Oid			relid = alter->relation->relid;

	if (form->contype != CONSTRAINT_CHECK &&
		form->contype != COMPAT_CONSTRAINT_NOTNULL)
		return;
	if (alter->statement->relation->inh)
		set_reach(alter, tables_reached(relid, constraint_outlives_parent,
										NameStr(form->conname)));
	else
		set_reach(alter, find_inheritance_children(relid, NoLock));
}

static bool
constraint_outlives_parent(Oid relid, void *name)
{
	HeapTuple	tuple = find_constraint(relid, name);
	Form_pg_constraint form;
	bool		outlives;

	if (tuple == NULL)
		return true;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	outlives = form->coninhcount != 1 || form->conislocal;
	heap_freetuple(tuple);
	return outlives;
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
