/*-------------------------------------------------------------------------
 *
 * column.c
 *	  Effects of ADD COLUMN, DROP COLUMN and ALTER COLUMN TYPE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "effects/overlay.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* What the constraints of a new column ask for. */
typedef struct NewColumn
{
	const EffectContext *effects;
	ColumnDef  *definition;
	Overlay    *overlay;		/* NULL: the statement is about to run */
	Oid			type;			/* InvalidOid: made by the checked script */
	int32		typmod;
	Constraint *column_default;
	Constraint *generated;
	bool		has_virtual_value;	/* GENERATED ... VIRTUAL */
	bool		is_serial;
	bool		has_default_value;	/* and it is not simply NULL */
} NewColumn;

/* A column that changes its type, and what of it does not survive that. */
typedef struct RetypedColumn
{
	const char *name;
	Oid			old_type;
	Oid			type;
	Oid			collation;
	char	   *index;			/* name of the first index to be rebuilt */
	List	   *below_index;	/* OIDs of tables below a partitioned one that
								 * is made again, also where it was ONLY */
	char	   *check;			/* name of the first CHECK */
} RetypedColumn;

static const char *rewrite_reason_of_new_column(NewColumn *column);
static const char *rewrite_reason_of_default(NewColumn *column);
static void describe_new_column_constraint(AlterContext *alter,
										   const NewColumn *column,
										   Constraint *constraint);
static bool column_exists(AlterContext *alter, const char *name);
static void describe_retyped_sequence(AlterContext *alter, AttrNumber attnum);
static char get_attidentity(Oid relid, AttrNumber attnum);
static void describe_retyped_indexes(AlterContext *alter,
									 RetypedColumn *column);
static bool indexes_survive_type(Oid relid, void *arg);
static bool index_survives_type(Relation index, AttrNumber attnum,
								Oid old_type, Oid target_type,
								Oid target_collation);
static bool operator_class_survives(Relation index, int key, Oid old_type,
									Oid target_type);
static void describe_retyped_constraints(AlterContext *alter,
										 RetypedColumn *column, bool rewrite);
static bool checks_survive_type(Oid relid, void *arg);
static void describe_retyped_keys(AlterContext *alter, Oid relid,
								  const char *column, bool rewrite);
static bool has_column(Oid relid, void *name);
static List *columns_below(AlterContext *alter);
static bool column_outlives_parent(Oid relid, void *name);
static void add_column_deletion(AlterContext *alter, Oid relid,
								const char *name);
static bool constraint_has_column(Relation constraint_rel, HeapTuple tuple,
								  AttrNumber attnum);

/*
 * ADD COLUMN.  The catalog keeps one missing value for all old rows, unless
 * each row needs a value of its own: then the table is rewritten.
 */
void
describe_add_column(AlterContext *alter)
{
	NewColumn	column = {0};
	const char *reason;
	Effect	   *effect;
	ListCell   *cell;

	column.effects = alter->effects;
	column.definition = castNode(ColumnDef, alter->command->def);
	column.is_serial = type_is_serial(column.definition->typeName);
	if (alter->command->missing_ok &&
		column_exists(alter, column.definition->colname))
		return;
	foreach(cell, column.definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_DEFAULT)
			column.column_default = constraint;
		else if (constraint->contype == CONSTR_GENERATED)
		{
			column.generated = constraint;
			column.has_virtual_value = compat_generated_is_virtual(constraint);
		}
	}

	if (alter_has_relation(alter) && alter->statement->relation->inh)
		set_reach(alter, tables_reached(alter->relation->relid, has_column,
										column.definition->colname));
	effect = add_alter_effect(alter, CAUSE_ADD_COLUMN,
							  column.definition->colname);
	effect->location = column.definition->location;
	if (alter->members != NIL)
		effect->spared = tables_that(alter->relation->relid, has_column,
									 column.definition->colname);
	column.overlay = alter->effects->overlay;
	reason = rewrite_reason_of_new_column(&column);
	if (reason != NULL &&
		alter->relation->relkind != RELKIND_FOREIGN_TABLE)
		set_work(effect, WORK_REWRITE, reason);

	foreach(cell, column.definition->constraints)
		describe_new_column_constraint(alter, &column,
									   lfirst_node(Constraint, cell));
}

static bool
has_column(Oid relid, void *name)
{
	return get_attnum(relid, name) != InvalidAttrNumber;
}

/* Why a new column needs a rewrite, or NULL. */
static const char *
rewrite_reason_of_new_column(NewColumn *column)
{
	ColumnDef  *definition = column->definition;
	ListCell   *cell;

	/* parse analysis turns serial into a type and a default later on */
	if (column->is_serial)
		return "each row gets a value from a sequence";
	foreach(cell, definition->constraints)
	{
		if (lfirst_node(Constraint, cell)->contype == CONSTR_IDENTITY)
			return "each row gets a value from a sequence";
	}
	if (column->generated != NULL)
		return column->has_virtual_value ? NULL :
			"each row's value is computed and stored";
	return rewrite_reason_of_default(column);
}

/*
 * Whether the default is the same for every row, decided as ATExecAddColumn()
 * does: on the planned expression, so that an inlined or folded function
 * counts as what is left of it.
 */
static const char *
rewrite_reason_of_default(NewColumn *column)
{
	ColumnDef  *definition = column->definition;
	ParseState *pstate = parse_state(column->effects);
	Oid			type;
	int32		typmod;
	Node	   *expression;
	const char *reason;

	if (script_decides_default(column->overlay, definition->typeName,
							   column->column_default ?
							   column->column_default->raw_expr : NULL,
							   &reason))
	{
		column->has_default_value = column->column_default != NULL;
		return reason;
	}
	typenameTypeIdAndMod(pstate, definition->typeName, &type, &typmod);

	/* then the table is rewritten even if the column is nullable */
	if (compat_domain_column_rewrites(type))
		return "the type is a domain with constraints, which are checked row by row";
	if (column->column_default != NULL)
		/* transformation scribbles on its input */
		expression = cookDefault(pstate,
								 copyObject(column->column_default->raw_expr),
								 type, typmod, definition->colname, '\0');
	else
		expression = get_typdefault(type);

	if (expression == NULL)
		return NULL;
	expression = plan_expression(expression, column->overlay == NULL);
	column->has_default_value = !IsA(expression, Const) ||
		!((Const *) expression)->constisnull;
	if (contain_volatile_functions(expression))
		return "its default is volatile, so each row gets a value of its own";
	return NULL;
}

/* The names that transformColumnDefinition() takes for serial types. */
bool
type_is_serial(const TypeName *type_name)
{
	static const char *const names[] = {
		"smallserial", "serial2", "serial", "serial4", "bigserial", "serial8"
	};

	if (type_name == NULL || type_name->pct_type ||
		list_length(type_name->names) != 1)
		return false;
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(strVal(linitial(type_name->names)), names[i]) == 0)
			return true;
	return false;
}

/* A constraint written behind a new column. */
static void
describe_new_column_constraint(AlterContext *alter, const NewColumn *column,
							   Constraint *constraint)
{
	Effect	   *effect;
	EffectWork	work = WORK_NONE;
	const char *reason = NULL;

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			if (compat_is_not_enforced(column->definition->constraints,
									   constraint))
				return;
			work = WORK_SCAN;
			reason = "every row is checked";
			break;
		case CONSTR_NOTNULL:
			/* values that are all the same are not looked at */
			if (column->has_default_value || column->is_serial ||
				(column->generated != NULL && !column->has_virtual_value))
				return;
			work = WORK_SCAN;
			reason = column->has_virtual_value ?
				"every computed value is checked" :
				"it has no value for existing rows";
			break;
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
		case CONSTR_EXCLUSION:
			work = WORK_INDEX_BUILD;
			break;
		case CONSTR_FOREIGN:
			add_referenced_table(alter, constraint->pktable,
								 column->definition->colname);
			/* all values are NULL without a default: nothing to look up */
			if (column->column_default == NULL ||
				compat_is_not_enforced(column->definition->constraints,
									   constraint))
				return;
			work = WORK_FK_SCAN;
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
				return;
	}
	effect = add_alter_effect(alter, CAUSE_ADD_COLUMN_CONSTRAINT,
							  column->definition->colname);
	effect->location = constraint->location;
	if (constraint->contype != CONSTR_CHECK &&
		constraint->contype != CONSTR_NOTNULL &&
		alter->relation->relkind != RELKIND_PARTITIONED_TABLE &&
		alter_has_relation(alter))
		effect->spared = tables_that(alter->relation->relid, is_not_table,
									 &alter->relation->relid);
	effect->fails_on_rows = constraint->contype == CONSTR_NOTNULL &&
		!column->has_virtual_value;
	set_work(effect, work, reason);
}

static bool
column_exists(AlterContext *alter, const char *name)
{
	OverlayColumn *column = NULL;

	if (alter->relation->overlay != NULL)
		column = overlay_find_column(alter->relation->overlay, name);
	if (column != NULL)
		return !column->dropped;
	return alter_has_relation(alter) &&
		get_attnum(alter->relation->relid, name) != InvalidAttrNumber;
}

/*
 * ALTER COLUMN TYPE: a rewrite, or indexes rebuilt and constraints checked
 * again although the stored values stay, or nothing but the catalog.
 */
void
describe_column_type(AlterContext *alter)
{
	ColumnDef  *definition = castNode(ColumnDef, alter->command->def);
	const char *name = alter->command->name;
	ParseState *pstate = parse_state(alter->effects);
	OverlayColumn *overlay = NULL;
	RetypedColumn column = {0};
	Effect	   *effect;
	Relation	rel;
	AttrNumber	attnum;
	Oid			type;
	int32		typmod;
	bool		possible;
	char	   *reason;

	effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE, name);
	effect->location = definition->location;
	if (!alter_has_relation(alter) ||
		alter->relation->relkind == RELKIND_FOREIGN_TABLE)
		return;
	if (alter->relation->overlay != NULL)
		overlay = overlay_find_column(alter->relation->overlay, name);
	if (script_decides_type(alter, effect, &definition))
		return;
	attnum = overlay ? overlay->attnum :
		get_attnum(alter->relation->relid, name);
	if (attnum <= 0)
		return;

	rel = try_relation_open(alter->relation->relid, AccessShareLock);
	if (rel == NULL || attnum > RelationGetDescr(rel)->natts)
	{
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		return;
	}
	typenameTypeIdAndMod(pstate, definition->typeName, &type, &typmod);
	reason = column_type_rewrite_reason(pstate, rel, definition, attnum, type,
										typmod,
										alter->effects->overlay == NULL,
										&possible);
	if (compat_attribute_is_virtual(TupleDescAttr(RelationGetDescr(rel),
												  attnum - 1)->attgenerated))
		reason = NULL;			/* nothing is stored */
	if (!possible)
	{
		relation_close(rel, AccessShareLock);
		return;
	}
	set_lost_statistics(effect, attnum);
	describe_retyped_sequence(alter, attnum);
	column.name = name;
	column.old_type = TupleDescAttr(RelationGetDescr(rel),
									attnum - 1)->atttypid;
	column.type = type;
	column.collation = GetColumnDefCollation(pstate, definition, type);
	if (reason != NULL &&
		(RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind) ||
		 rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE))
		set_work(effect, WORK_REWRITE, reason);
	else
		describe_retyped_indexes(alter, &column);
	describe_retyped_constraints(alter, &column, reason != NULL);
	relation_close(rel, AccessShareLock);
}

/* The sequence of an identity column gets the type as well. */
static void
describe_retyped_sequence(AlterContext *alter, AttrNumber attnum)
{
	if (get_attidentity(alter->relation->relid, attnum) != '\0')
		add_lock_on(alter->effects,
					compat_identity_sequence(alter->relation->relid, attnum),
					ShareRowExclusiveLock);
}

static char
get_attidentity(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum));
	char		identity;

	if (!HeapTupleIsValid(tuple))
		return '\0';
	identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity;
	ReleaseSysCache(tuple);
	return identity;
}

/* Indexes that PostgreSQL cannot reuse although no row changes. */
static void
describe_retyped_indexes(AlterContext *alter, RetypedColumn *column)
{
	Effect	   *effect;
	List	   *spared;

	spared = tables_that(alter->relation->relid, indexes_survive_type, column);
	if (column->index == NULL)
		return;
	spared = list_difference_oid(spared, column->below_index);
	effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE,
							  alter->command->name);
	effect->spared = spared;
	set_work(effect, WORK_INDEX_REBUILD,
			 psprintf("index %s is rebuilt", quote_identifier(column->index)));
}

/* About the indexes of one table; notes the name of the first that does not. */
static bool
indexes_survive_type(Oid relid, void *arg)
{
	RetypedColumn *column = arg;
	Relation	rel = try_relation_open(relid, AccessShareLock);
	AttrNumber	attnum;
	bool		all_survive = true;
	ListCell   *cell;

	if (rel == NULL)
		return true;
	attnum = get_attnum(relid, column->name);
	foreach(cell, attnum > 0 ? RelationGetIndexList(rel) : NIL)
	{
		Relation	index = relation_open(lfirst_oid(cell), AccessShareLock);

		if (!index_survives_type(index, attnum, column->old_type,
								 column->type, column->collation))
		{
			all_survive = false;
			if (column->index == NULL)
				column->index = pstrdup(RelationGetRelationName(index));
			if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
				column->below_index =
					list_concat(column->below_index,
								find_all_inheritors(relid, NoLock, NULL));
		}
		relation_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return all_survive;
}

/*
 * Whether an index keeps its storage when a column changes its type without a
 * rewrite.  CheckIndexCompatible() decides that, but looks at the catalog as
 * it is after the change.
 */
static bool
index_survives_type(Relation index, AttrNumber attnum, Oid old_type,
					Oid target_type, Oid target_collation)
{
	Form_pg_index form = index->rd_index;
	bool		has_expressions;
	bool		uses_column = false;
	Bitmapset  *expression_columns = NULL;

	has_expressions = RelationGetIndexExpressions(index) != NIL ||
		RelationGetIndexPredicate(index) != NIL;
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1,
				   &expression_columns);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1,
				   &expression_columns);
	uses_column = bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
								expression_columns);

	for (int i = 0; i < form->indnatts; i++)
	{
		if (form->indkey.values[i] != attnum)
			continue;
		uses_column = true;
		if (i < form->indnkeyatts &&
			(index->rd_indcollation[i] != target_collation ||
			 !operator_class_survives(index, i, old_type, target_type)))
			return false;
	}

	/* a partitioned index has no storage that it and its parts could keep */
	return !uses_column ||
		(!has_expressions && !index->rd_rel->relispartition &&
		 index->rd_rel->relkind != RELKIND_PARTITIONED_INDEX);
}

/*
 * The index is made again from its definition, which names the operator class
 * only if it is not the default of the column's type.
 */
static bool
operator_class_survives(Relation index, int key, Oid old_type,
						Oid target_type)
{
	Oid			access_method = index->rd_rel->relam;
	Oid			old_default = GetDefaultOpClass(old_type, access_method);
	Oid			new_default = GetDefaultOpClass(target_type, access_method);

	if (OidIsValid(old_default) &&
		get_opclass_family(old_default) == index->rd_opfamily[key] &&
		(!OidIsValid(new_default) ||
		 get_opclass_family(new_default) != index->rd_opfamily[key]))
		return false;

	/* what a polymorphic operator class stores may be of another type */
	if (IsPolymorphicType(index->rd_opcintype[key]) &&
		TupleDescAttr(RelationGetDescr(index), key)->atttypid != target_type)
		return false;
	return IsBinaryCoercible(target_type, index->rd_opcintype[key]);
}

/*
 * CHECKs on the column are checked again; foreign keys are made again, with
 * their locks on the other side, and looked up again when values changed.
 */
static void
describe_retyped_constraints(AlterContext *alter, RetypedColumn *column,
							 bool rewrite)
{
	Effect	   *effect;
	List	   *spared;
	List	   *tree;
	ListCell   *cell;

	spared = tables_that(alter->relation->relid, checks_survive_type, column);
	if (column->check != NULL)
	{
		effect = add_alter_effect(alter, CAUSE_ALTER_COLUMN_TYPE,
								  alter->command->name);
		effect->spared = spared;
		set_work(effect, WORK_SCAN,
				 psprintf("constraint %s is checked again",
						  quote_identifier(column->check)));
	}
	tree = lock_tree(alter->relation->relid);
	foreach(cell, tree)
		describe_retyped_keys(alter, lfirst_oid(cell), column->name, rewrite);
	unlock_tree(tree);
}

/* Whether a table has no CHECK on the column that must be checked again. */
static bool
checks_survive_type(Oid relid, void *arg)
{
	RetypedColumn *column = arg;
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	AttrNumber	attnum = get_attnum(relid, column->name);
	bool		survive = true;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_CHECK || !form->convalidated ||
			!constraint_has_column(catalog, tuple, attnum))
			continue;
		survive = false;
		if (column->check == NULL)
			column->check = pstrdup(NameStr(form->conname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return survive;
}

/* The foreign keys of one table in which the column takes part. */
static void
describe_retyped_keys(AlterContext *alter, Oid relid, const char *column,
					  bool rewrite)
{
	AttrNumber	attnum = get_attnum(relid, column);
	ListCell   *cell;

	foreach(cell, foreign_keys_of(relid, true))
	{
		const ForeignKey *key = lfirst(cell);
		RelationFacts *facts;
		ObjectAddress root;

		if (!(key->referencing == relid &&
			  array_has_attnum(key->columns, attnum)) &&
			!(key->referenced == relid &&
			  array_has_attnum(key->referenced_columns, attnum)))
			continue;

		/* dropped, with its triggers, and made again */
		ObjectAddressSet(root, ConstraintRelationId, key->oid);
		add_deletion(&root, false, alter->effects);
		facts = relation_facts(key->referencing, alter->effects);
		if (rewrite && key->is_valid && facts != NULL)
		{
			Effect	   *effect = add_effect(alter->effects,
											CAUSE_ALTER_COLUMN_TYPE, facts,
											AccessExclusiveLock);

			effect->object = quoted_name(column);
			effect->subcommand = alter->subcommand;
			set_work(effect, WORK_FK_SCAN,
					 psprintf("foreign key %s is checked again",
							  quote_identifier(key->name)));
		}
	}
}

static bool
constraint_has_column(Relation constraint_rel, HeapTuple tuple,
					  AttrNumber attnum)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conkey,
									 RelationGetDescr(constraint_rel), &isnull);

	return !isnull && array_has_attnum(DatumGetArrayTypeP(datum), attnum);
}

/* DROP COLUMN: the catalog only, but the values cannot be had again. */
void
describe_drop_column(AlterContext *alter)
{
	AlterTableCmd *command = alter->command;
	OverlayColumn *overlay = NULL;
	Effect	   *effect;
	AttrNumber	attnum = InvalidAttrNumber;
	List	   *reached = NIL;
	ListCell   *cell;

	if (command->missing_ok && !column_exists(alter, command->name))
		return;
	if (alter_has_relation(alter) && alter->effects->overlay == NULL)
		reached = columns_below(alter);
	effect = add_alter_effect(alter, CAUSE_DROP_COLUMN, command->name);
	if (alter->relation->overlay != NULL)
		overlay = overlay_find_column(alter->relation->overlay, command->name);
	if (overlay != NULL)
		attnum = overlay->attnum;
	else if (alter_has_relation(alter))
		attnum = get_attnum(alter->relation->relid, command->name);
	if (attnum <= 0 && (overlay == NULL || !overlay->made))
		return;
	set_risk(effect, RISK_LOSES_DATA);
	if (attnum <= 0)
		return;
	add_column_deletion(alter, alter->relation->relid, command->name);
	foreach(cell, reached)
	{
		if (!column_outlives_parent(lfirst_oid(cell), command->name))
			add_column_deletion(alter, lfirst_oid(cell), command->name);
	}
}

/*
 * A column of a table below goes with it, unless it has other sources.
 * Returns the tables concerned.
 */
static List *
columns_below(AlterContext *alter)
{
	Oid			relid = alter->relation->relid;
	List	   *reached;

	reached = alter->statement->relation->inh ?
		tables_reached(relid, column_outlives_parent, alter->command->name) :
		find_inheritance_children(relid, NoLock);
	if (!alter->below)
		set_reach(alter, reached);
	return reached;
}

static bool
column_outlives_parent(Oid relid, void *name)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	Form_pg_attribute form;
	bool		outlives;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_attribute) GETSTRUCT(tuple);
	outlives = form->attinhcount != 1 || form->attislocal;
	ReleaseSysCache(tuple);
	return outlives;
}

static void
add_column_deletion(AlterContext *alter, Oid relid, const char *name)
{
	ObjectAddress root;

	ObjectAddressSubSet(root, RelationRelationId, relid,
						get_attnum(relid, name));
	add_deletion(&root, alter->command->behavior == DROP_CASCADE,
				 alter->effects);
}

/* SET EXPRESSION (17+): stored values are computed again for every row. */
void
describe_set_expression(AlterContext *alter)
{
	Effect	   *effect = add_alter_effect(alter, CAUSE_SET_EXPRESSION,
										  alter->command->name);
	AttrNumber	attnum;

	if (!alter_has_relation(alter))
		return;
	attnum = get_attnum(alter->relation->relid, alter->command->name);
	if (attnum <= 0)
		return;
	set_lost_statistics(effect, attnum);
	if (get_attgenerated(alter->relation->relid, attnum) ==
		ATTRIBUTE_GENERATED_STORED)
	{
		RetypedColumn column = {alter->command->name};

		set_work(effect, WORK_REWRITE,
				 "each row's value is computed again and stored");
		describe_retyped_constraints(alter, &column, true);
	}
	else if (compat_column_is_marked_not_null(alter->relation->relid,
											  alter->command->name))
		set_work(effect, WORK_SCAN, "every computed value is checked");
}
