/*-------------------------------------------------------------------------
 *
 * not_null.c
 *	  Effects of NOT NULL: set, proven, validated and dropped.
 *
 * Before 18 it is a mark of the column, and goes down to all tables below at
 * once.  From 18 on it is a constraint, goes down from table to table as far as
 * there is none, and may be NOT VALID.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* What proves that a column has no NULL. */
typedef struct ColumnProof
{
	const char *column;
	LostProofs	lost;
	bool		is_added;		/* by the same statement */
	EffectContext *context;
} ColumnProof;

static void init_proof(ColumnProof *proof, AlterContext *alter,
					   const char *column);
static void describe_not_null_below(AlterContext *alter, const char *column);
static bool statement_drops_not_null(AlterContext *alter, const char *column);
static bool statement_adds_column(AlterTableStmt *stmt, const char *column);
static void describe_new_constraint(AlterContext *alter, Effect *effect,
									const char *column);
static bool has_not_null_constraint(Oid relid, void *column);
static bool has_valid_constraint(Oid relid, void *column);
static bool column_is_proven(Oid relid, void *arg);
static bool proven_in_relation(Oid relid, const ColumnProof *proof);
static bool names_column(Node *expression, Relation rel, List *columns);
static bool column_is_not_null(Relation rel, Form_pg_attribute attribute,
							   const OverlayRelation *overlay);

/* SET NOT NULL */
void
describe_set_not_null(AlterContext *alter)
{
	const char *column = alter->command->name;

	if (COMPAT_NOT_NULL_NOT_VALID && alter_has_relation(alter) &&
		alter->effects->overlay == NULL &&
		!statement_drops_not_null(alter, column) &&
		compat_column_is_marked_not_null(alter->relation->relid, column))
		describe_not_null_validation(alter, CAUSE_SET_NOT_NULL, column);
	else
		describe_not_null(alter, CAUSE_SET_NOT_NULL, column);
}

/*
 * A column becomes NOT NULL: every row is read, unless a constraint proves it.
 * alter->below may be set already, if the tables below are locked anyway.
 */
void
describe_not_null(AlterContext *alter, EffectCause cause, const char *column)
{
	Effect	   *effect;

	if (alter->effects->overlay != NULL || !alter_has_relation(alter))
		effect = add_alter_effect(alter, cause, column);
	else
	{
		if (!alter->below)
			describe_not_null_below(alter, column);
		effect = add_alter_effect(alter, cause, column);
		describe_new_constraint(alter, effect, column);
	}
	effect->fails_on_rows = statement_adds_column(alter->statement, column) &&
		alter_has_relation(alter) &&
		get_attnum(alter->relation->relid, column) == InvalidAttrNumber;
	if (!not_null_is_proven(alter, column))
		set_work(effect, WORK_SCAN, "every row is checked");
}

/* The tables that are not read: each finds its own proof. */
static void
describe_new_constraint(AlterContext *alter, Effect *effect,
						const char *column)
{
	ColumnProof proof;

	init_proof(&proof, alter, column);
	effect->spared = tables_that(alter->relation->relid, column_is_proven,
								 &proof);
	if (alter->only && COMPAT_NOT_NULL_NOT_VALID)
		effect->spared =
			list_concat_unique_oid(effect->spared,
								   tables_that(alter->relation->relid,
											   is_not_table,
											   &alter->relation->relid));
	else if (COMPAT_NOT_NULL_NOT_VALID && proof.lost.nullable == NULL)
		effect->spared =
			list_concat_unique_oid(effect->spared,
								   tables_that(alter->relation->relid,
											   has_not_null_constraint,
											   (void *) column));
}

/*
 * SET NOT NULL goes down to all tables below, unless the column is NOT NULL
 * already.  With ONLY it looks at the partitions, which must have it.
 */
static void
describe_not_null_below(AlterContext *alter, const char *column)
{
	Oid			relid = alter->relation->relid;

	/* before 18 the tables below a plain one may lack what a key implies */
	if (compat_column_is_marked_not_null(relid, column) &&
		!statement_drops_not_null(alter, column) &&
		(COMPAT_NOT_NULL_NOT_VALID ||
		 alter->relation->relkind == RELKIND_PARTITIONED_TABLE))
		return;
	if (alter->only &&
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

	return proven_in_relation(relid, proof);
}

/*
 * 18: a NOT VALID constraint is validated, by VALIDATE or SET NOT NULL.  A
 * CHECK that would prove it does not count then.
 */
void
describe_not_null_validation(AlterContext *alter, EffectCause cause,
							 const char *column)
{
	Oid			relid = alter->relation->relid;
	HeapTuple	tuple = compat_find_not_null_constraint(relid, column);
	Form_pg_constraint form;
	Effect	   *effect;

	if (tuple == NULL)
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (!form->convalidated && !form->connoinherit &&
		alter->statement->relation->inh)
		alter->below = true;
	effect = add_alter_effect(alter, cause, column);
	effect->spared = tables_that(relid, has_valid_constraint, (void *) column);
	if (!form->convalidated &&
		(cause == CAUSE_VALIDATE_CONSTRAINT || form->conislocal))
		set_work(effect, WORK_SCAN, "every row is checked");
	else
		alter->below = false;
	heap_freetuple(tuple);
}

static bool
has_valid_constraint(Oid relid, void *column)
{
	HeapTuple	tuple = compat_find_not_null_constraint(relid, column);
	bool		is_valid;

	if (tuple == NULL)
		return true;
	is_valid = ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
	heap_freetuple(tuple);
	return is_valid;
}

/*
 * True if PostgreSQL will not read the table, because the column is NOT NULL
 * already or a validated CHECK proves it, in every partition.
 */
bool
not_null_is_proven(AlterContext *alter, const char *column)
{
	OverlayRelation *overlay = alter->relation->overlay;
	ColumnProof proof;
	OverlayColumn *entry = NULL;
	List	   *tree;
	ListCell   *cell;
	bool		proven = true;

	init_proof(&proof, alter, column);
	if (overlay != NULL)
	{
		if (overlay_proves_not_null(overlay, column, proof.lost.constraints))
			return true;
		entry = overlay_find_column(overlay, column);
	}
	if (!alter_has_relation(alter))
		return true;			/* made by the script: no rows */
	if (entry != NULL && entry->attnum == InvalidAttrNumber)
		return false;			/* a new column of an old table */
	if (entry != NULL)
		proof.column = get_attname(alter->relation->relid, entry->attnum,
								   false);
	tree = lock_tree(alter->relation->relid);
	foreach(cell, tree)
	{
		if (!proven_in_relation(lfirst_oid(cell), &proof))
			proven = false;
	}
	unlock_tree(tree);
	return proven;
}

/*
 * What sub-commands of that kind name.  PostgreSQL drops before it looks for a
 * proof, in whatever order the sub-commands are written.
 */
List *
names_dropped(AlterTableStmt *stmt, AlterTableType subtype)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == subtype && command->name != NULL)
			names = lappend(names, command->name);
	}
	return names;
}

static void
init_proof(ColumnProof *proof, AlterContext *alter, const char *column)
{
	proof->column = column;
	proof->lost.constraints = names_dropped(alter->statement,
											AT_DropConstraint);
	proof->lost.columns = names_dropped(alter->statement, AT_DropColumn);
	proof->lost.nullable = statement_drops_not_null(alter, column) ? column :
		NULL;
	proof->is_added = statement_adds_column(alter->statement, column);
	proof->context = alter->effects;
}

/* PostgreSQL drops first, in whatever order the sub-commands are written. */
static bool
statement_drops_not_null(AlterContext *alter, const char *column)
{
	char	   *constraint = NULL;
	ListCell   *cell;

	if (alter_has_relation(alter) && alter->effects->overlay == NULL)
		constraint = compat_not_null_constraint(alter->relation->relid, column);
	foreach(cell, alter->statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_DropNotNull &&
			strcmp(command->name, column) == 0)
			return true;
		if (command->subtype == AT_DropConstraint && constraint != NULL &&
			command->name != NULL && strcmp(command->name, constraint) == 0)
			return true;
	}
	return false;
}

/* Nothing is known yet of a column that the statement itself adds. */
static bool
statement_adds_column(AlterTableStmt *stmt, const char *column)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddColumn &&
			strcmp(castNode(ColumnDef, command->def)->colname, column) == 0)
			return true;
	}
	return false;
}

static bool
proven_in_relation(Oid relid, const ColumnProof *proof)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	OverlayRelation *overlay = overlay_of(relid, proof->context);
	AttrNumber	attnum;
	bool		proven;

	if (rel == NULL)
		return true;
	attnum = get_attnum(relid, proof->column);
	proven = !proof->is_added || attnum > 0;
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
		proven = (proof->lost.nullable == NULL &&
				  column_is_not_null(rel, attribute, overlay)) ||
			constraints_imply(rel, list_make1(test), &proof->lost, overlay);
	}
	relation_close(rel, AccessShareLock);
	return proven;
}

static bool
names_column(Node *expression, Relation rel, List *columns)
{
	Bitmapset  *attnums = NULL;
	ListCell   *cell;

	if (columns == NIL)
		return false;
	pull_varattnos(expression, 1, &attnums);
	foreach(cell, columns)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(cell));

		if (attnum != InvalidAttrNumber &&
			bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						  attnums))
			return true;
	}
	return false;
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
 * makes.  lost says what does not count, or is NULL; overlay has constraints that
 * a checked script added, or is NULL.  The caller holds a lock on rel.
 */
bool
constraints_imply(Relation rel, List *conditions, const LostProofs *lost,
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
			(lost != NULL && lost->nullable != NULL &&
			 strcmp(NameStr(attribute->attname), lost->nullable) == 0) ||
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
			(lost != NULL &&
			 name_is_listed(lost->constraints, constr->check[i].ccname)))
			continue;
		expression = stringToNode(constr->check[i].ccbin);
		if (lost != NULL && names_column(expression, rel, lost->columns))
			continue;			/* goes with the column */
		expression = eval_const_expressions(NULL, expression);
		expression = (Node *) canonicalize_qual((Expr *) expression, true);
		known = list_concat(known, make_ands_implicit((Expr *) expression));
	}
	known = list_concat(known,
						overlay_check_conditions(overlay, rel, lost ?
												 lost->constraints : NIL));
	return predicate_implied_by(conditions, known, true);
}
