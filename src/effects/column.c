/*-------------------------------------------------------------------------
 *
 * column.c
 *	  Effects of ADD COLUMN and DROP COLUMN.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

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

static const char *rewrite_reason_of_new_column(NewColumn *column);
static const char *rewrite_reason_of_default(NewColumn *column);
static void describe_new_column_constraint(AlterContext *alter,
										   const NewColumn *column,
										   Constraint *constraint);
static bool column_exists(AlterContext *alter, const char *name);
static bool has_column(Oid relid, void *name);
static List *columns_below(AlterContext *alter);
static int	sources_of_column(Oid relid, void *name);
static void add_column_deletion(AlterContext *alter, Oid relid,
								const char *name);

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
	if (compat_domain_has_constraints(type))
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
	/* before 18 a column that is there already does not become NOT NULL */
	if (constraint->contype == CONSTR_NOTNULL && !COMPAT_NOT_NULL_NOT_VALID &&
		alter->members != NIL)
		effect->spared = tables_that(alter->relation->relid, has_column,
									 column->definition->colname);
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

/* DROP COLUMN: the catalog only, but the values cannot be had again. */
void
describe_drop_column(AlterContext *alter)
{
	AlterTableCmd *command = alter->command;
	OverlayColumn *overlay = NULL;
	Effect	   *effect;
	AttrNumber	attnum = InvalidAttrNumber;
	List	   *lost = NIL;
	ListCell   *cell;

	if (command->missing_ok && !column_exists(alter, command->name))
		return;
	if (alter_has_relation(alter) && alter->effects->overlay == NULL)
		lost = columns_below(alter);
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
	foreach(cell, lost)
		add_column_deletion(alter, lfirst_oid(cell), command->name);
}

/*
 * A column of a table below goes with it, unless it has other sources.
 * Returns the tables that lose it.
 */
static List *
columns_below(AlterContext *alter)
{
	Oid			relid = alter->relation->relid;
	List	   *reached;
	List	   *lost = NIL;

	reached = alter->statement->relation->inh ?
		tables_let_go(relid, sources_of_column, alter->command->name, &lost) :
		find_inheritance_children(relid, NoLock);
	if (!alter->below)
		set_reach(alter, reached);
	return lost;
}

static int
sources_of_column(Oid relid, void *name)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	Form_pg_attribute form;
	int			count;

	if (!HeapTupleIsValid(tuple))
		return 0;
	form = (Form_pg_attribute) GETSTRUCT(tuple);
	count = form->attislocal ? 0 : form->attinhcount;
	ReleaseSysCache(tuple);
	return count;
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
