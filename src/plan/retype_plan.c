/*-------------------------------------------------------------------------
 *
 * retype_plan.c
 *	  Safer sequences for ALTER COLUMN TYPE.
 *
 * PostgreSQL makes the CHECK constraints of the column again and reads the
 * table for them.  The same is done by the same statement, but NOT VALID, and
 * they are validated afterwards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "nodes/readfuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_type.h"
#include "plan/plan_names.h"
#include "plan/plan_text.h"
#include "plan/retype_plan.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static bool only_checks(List *effects);
static bool type_stays_alike(Oid relid, AttrNumber attnum,
							 const ColumnDef *definition);
static bool is_alone(Oid relid);
static bool add_checks(SafePlan *plan, Oid relid, AttrNumber attnum,
					   const char *prefix, const char *piece);
static char *definition_behind_name(Oid constraint);

/*
 * See retype_plan.h.
 */
SafePlan *
plan_retype(const RelationFacts *relation, List *effects, const char *prefix,
			const char *piece)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	int			offset;
	AlterTableCmd *command = parse_piece(piece, &offset);
	AttrNumber	attnum = get_attnum(relation->relid, command->name);

	if (is_changed_by_script(relation) || attnum <= 0 || !only_checks(effects) ||
		!type_stays_alike(relation->relid, attnum,
						  castNode(ColumnDef, command->def)) ||
		!is_alone(relation->relid))
		return NULL;
	plan->quick_steps = -1;
	return add_checks(plan, relation->relid, attnum, prefix, piece) ?
		plan : NULL;
}

static bool
only_checks(List *effects)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		if (((Effect *) lfirst(cell))->work > WORK_SCAN)
			return false;
	}
	return true;
}

/*
 * Only the length or precision changes, or varchar becomes text: a CHECK that
 * held cannot fail then.  So nothing has to be taken back.
 */
static bool
type_stays_alike(Oid relid, AttrNumber attnum, const ColumnDef *definition)
{
	Oid			old_type = get_atttype(relid, attnum);
	Oid			new_type = typenameTypeId(NULL, definition->typeName);

	if (definition->raw_default != NULL || definition->collClause != NULL)
		return false;
	return old_type == new_type ||
		(old_type == VARCHAROID && new_type == TEXTOID);
}

/* Constraints that come from a parent, or go to children, are left alone. */
static bool
is_alone(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_RELATION &&
		!has_superclass(relid) &&
		find_inheritance_children(relid, NoLock) == NIL;
}

static bool
add_checks(SafePlan *plan, Oid relid, AttrNumber attnum, const char *prefix,
		   const char *piece)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	StringInfoData drops;
	StringInfoData adds;
	SafePlan	validations = {0};
	bool		possible = true;

	initStringInfo(&drops);
	initStringInfo(&adds);
	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		const ConstrCheck *check = &constraints->check[i];
		Oid			oid = get_relation_constraint_oid(relid, check->ccname, false);
		const char *name = quote_identifier(check->ccname);
		Bitmapset  *columns = NULL;

		pull_varattnos(stringToNode(check->ccbin), 1, &columns);
		if (!check->ccvalid ||
			!bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						   columns))
			continue;

		/* the new constraint would be without its comment */
		if (GetComment(oid, ConstraintRelationId, 0) != NULL)
			possible = false;
		appendStringInfo(&drops, " DROP CONSTRAINT %s,", name);
		appendStringInfo(&adds, ", ADD CONSTRAINT %s %s NOT VALID", name,
						 definition_behind_name(oid));
		add_step(&validations, NULL, "%s VALIDATE CONSTRAINT %s", prefix, name);
	}
	relation_close(rel, AccessShareLock);
	add_step(plan, NULL, "%s%s %s%s", prefix, drops.data, piece, adds.data);
	plan->steps = list_concat(plan->steps, validations.steps);
	return possible && drops.len > 0;
}

static char *
definition_behind_name(Oid constraint)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
												   ObjectIdGetDatum(constraint)));
}
