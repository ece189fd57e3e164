/*-------------------------------------------------------------------------
 *
 * alter_plan.c
 *	  Safer sequences for ALTER TABLE.
 *
 * An ALTER TABLE with several sub-commands is taken apart: those that do
 * nothing but change the catalog go together, first if they can be taken back
 * and last if not; each of the others becomes a sequence of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "lib/stringinfo.h"
#include "nodes/readfuncs.h"
#include "plan/alter_plan.h"
#include "plan/partition_plan.h"
#include "plan/retype_plan.h"
#include "policy/policy.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static bool start_plan(AlterPlan *plan, const char *source_text);
static SafePlan *plan_only_subcommand(AlterPlan *plan, bool *decided);
static void note_changes(AlterPlan *plan);
static bool plan_subcommands(AlterPlan *plan);
static bool plan_subcommand(AlterPlan *plan, int subcommand);
static bool plan_harmless(AlterPlan *plan, int subcommand);
static bool steps_before_may_name(const AlterPlan *plan, int subcommand,
								  const char *column);
static bool may_name(const char *piece, const char *name);
static bool adds_primary_key(AlterTableStmt *stmt);
static void plan_default(AlterPlan *plan, AlterTableCmd *command,
						 const char *piece);
static bool plan_harmless_constraint(AlterPlan *plan, Constraint *constraint,
									 const char *piece);
static char *default_of_column(Oid relid, AttrNumber attnum);
static bool uses_dropped_column(const AlterPlan *plan, Constraint *constraint);
static bool any_is_listed(List *strings, List *names);
static SafePlan *finished_plan(AlterPlan *plan);
static void add_joined(SafePlan *result, AlterPlan *plan, List *subcommands,
					   List *undo);
static char *joined(const char *prefix, List *subcommands);

/*
 * See alter_plan.h.
 */
SafePlan *
plan_alter_table(AlterTableStmt *stmt, List *effects, const char *source_text,
				 bool drops_allowed)
{
	AlterPlan	plan = {0};
	Relation	rel;
	SafePlan   *result = NULL;
	bool		decided = false;

	if (stmt->relation == NULL || stmt->objtype != OBJECT_TABLE)
		return NULL;
	plan.stmt = stmt;
	plan.effects = effects;
	plan.findings = judge_effects(effects);
	plan.drops_allowed = drops_allowed;
	if (plan.findings == NIL || !start_plan(&plan, source_text))
		return NULL;

	/* names are looked up and chosen: the table must not go away meanwhile */
	rel = try_relation_open(plan.relation->relid, AccessShareLock);
	if (rel == NULL)
		return NULL;
	result = plan_only_subcommand(&plan, &decided);
	if (!decided && plan_subcommands(&plan))
		result = finished_plan(&plan);
	relation_close(rel, AccessShareLock);
	return result;
}

static bool
start_plan(AlterPlan *plan, const char *source_text)
{
	plan->relation = ((Effect *) linitial(plan->effects))->relation;
	plan->pieces = split_subcommands(source_text);
	if (list_length(plan->pieces) != list_length(plan->stmt->cmds) ||
		plan->relation == NULL || !OidIsValid(plan->relation->relid))
		return false;
	plan->prefix = psprintf("ALTER TABLE %s%s",
							plan->stmt->relation->inh ? "" : "ONLY ",
							plan->relation->name);
	plan->names = names_of_table(plan->relation);
	plan->fill = palloc0(sizeof(SafePlan));
	plan->not_valid = palloc0(sizeof(SafePlan));
	plan->validate = palloc0(sizeof(SafePlan));
	plan->finish = palloc0(sizeof(SafePlan));
	plan->keys = palloc0(sizeof(SafePlan));
	plan->rename = palloc0(sizeof(SafePlan));
	return true;
}

/* Sub-commands that stand alone, or for which that is the only safe way. */
static SafePlan *
plan_only_subcommand(AlterPlan *plan, bool *decided)
{
	AlterTableCmd *command = linitial_node(AlterTableCmd, plan->stmt->cmds);

	*decided = false;
	if (list_length(plan->pieces) > 1)
		return NULL;
	*decided = true;
	switch (command->subtype)
	{
		case AT_DetachPartition:
			return plan_detach(plan->relation, command, plan->prefix,
							   linitial(plan->pieces));
		case AT_AttachPartition:
			return plan_attach(plan->relation, command, plan->prefix,
							   linitial(plan->pieces));
		case AT_AlterColumnType:
			return plan_retype(plan->relation, plan->effects, plan->prefix,
							   linitial(plan->pieces));
		default:
			*decided = false;
			return NULL;
	}
}

static bool
plan_subcommands(AlterPlan *plan)
{
	/* what no sub-command accounts for is not made safer by taking them apart */
	if (problem_of(plan, -1) != NULL)
		return false;
	note_changes(plan);
	for (int i = 0; i < list_length(plan->stmt->cmds); i++)
	{
		if (problem_of(plan, i) != NULL ? !plan_subcommand(plan, i) :
			!plan_harmless(plan, i))
			return false;
	}
	return true;
}

/* What the sub-commands add and drop, before names are chosen. */
static void
note_changes(AlterPlan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddColumn)
			plan->new_columns = lappend(plan->new_columns,
										((ColumnDef *) command->def)->colname);
		else if (command->subtype == AT_DropColumn)
			plan->dropped_columns = lappend(plan->dropped_columns,
											command->name);
		else if (command->subtype == AT_DropConstraint)
			plan->names->freed = lappend(plan->names->freed, command->name);
		if (command->subtype == AT_DropColumn ||
			command->subtype == AT_DropConstraint)
			plan->drops = true;
	}
}

/*
 * See alter_plan.h.
 */
const Effect *
problem_of(const AlterPlan *plan, int subcommand)
{
	ListCell   *cell;

	foreach(cell, plan->findings)
	{
		const Finding *finding = lfirst(cell);

		if (finding->effect->subcommand != subcommand ||
			finding->action <= ACTION_NOTE)
			continue;
		if (plan->drops_allowed && (finding->rule->rule_class == RULE_DATA ||
									finding->rule->rule_class == RULE_CLIENTS))
			continue;
		return finding->effect;
	}
	return NULL;
}

/* False if there is no safer sequence for it. */
static bool
plan_subcommand(AlterPlan *plan, int subcommand)
{
	const char *piece = list_nth(plan->pieces, subcommand);
	AlterTableCmd *command = list_nth_node(AlterTableCmd, plan->stmt->cmds,
										   subcommand);

	switch (command->subtype)
	{
		case AT_AddColumn:
			return plan_add_column(plan, subcommand);
		case AT_SetNotNull:
			return plan_not_null(plan, command->name, NULL);
		case AT_ValidateConstraint:
			add_step(plan->validate, NULL, "%s %s", plan->prefix, piece);
			return true;
		case AT_AddConstraint:
			if (uses_dropped_column(plan, castNode(Constraint, command->def)))
				return false;
			switch (castNode(Constraint, command->def)->contype)
			{
				case CONSTR_UNIQUE:
				case CONSTR_PRIMARY:
					return plan_key(plan, piece);
				case CONSTR_EXCLUSION:
					return false;	/* its index cannot be built CONCURRENTLY */
				default:
					return plan_not_valid(plan, piece);
			}
		default:				/* the others need the user's decision */
			return false;
	}
}

/*
 * What only changes the catalog goes first if it can be taken back, or if the
 * others may build on it, and last if not.
 */
static bool
plan_harmless(AlterPlan *plan, int subcommand)
{
	char	   *piece = list_nth(plan->pieces, subcommand);
	AlterTableCmd *command = list_nth_node(AlterTableCmd, plan->stmt->cmds,
										   subcommand);

	switch (command->subtype)
	{
		case AT_AddColumn:
			return plan_add_column(plan, subcommand);
		case AT_AddConstraint:
			return plan_harmless_constraint(plan,
											castNode(Constraint, command->def),
											piece);
		case AT_AlterColumnType:
			/* it cannot be taken back, but the others may build on it */
			if (steps_before_may_name(plan, subcommand, command->name))
				return false;
			plan->late = lappend(plan->late, piece);
			return true;
		case AT_ColumnDefault:
			plan_default(plan, command, piece);
			return true;
		case AT_DropNotNull:
			/* a key would set it again */
			if (adds_primary_key(plan->stmt))
				return false;
			plan->late = lappend(plan->late, piece);
			return true;
		case AT_DropColumn:
			/* a column of the same name cannot be added before */
			if (name_is_listed(plan->new_columns, command->name))
				return false;
			plan->late = lappend(plan->late, piece);
			return true;
		default:
			plan->late = lappend(plan->late, piece);
			return true;
	}
}

/*
 * True if what comes before a late sub-command may be about the column, or
 * about the row as a whole.
 */
static bool
steps_before_may_name(const AlterPlan *plan, int subcommand,
					  const char *column)
{
	for (int i = 0; i < list_length(plan->stmt->cmds); i++)
	{
		AlterTableCmd *other = list_nth_node(AlterTableCmd, plan->stmt->cmds,
											 i);
		const char *piece = list_nth(plan->pieces, i);

		if (i == subcommand ||
			(problem_of(plan, i) == NULL && other->subtype != AT_AddColumn &&
			 other->subtype != AT_ColumnDefault))
			continue;

		/* what names no column at all */
		if (other->subtype == AT_ValidateConstraint ||
			(other->subtype == AT_AddConstraint &&
			 castNode(Constraint, other->def)->indexname != NULL))
			return true;
		if (may_name(piece, column) || may_name(piece, plan->names->relname))
			return true;
	}
	return false;
}

/* By tokens: it may be so in an expression that nobody has analyzed yet. */
static bool
may_name(const char *piece, const char *name)
{
	SqlTokens  *tokens = scan_sql(piece);

	for (int i = 0; i < tokens->count; i++)
	{
		const SqlToken *token = &tokens->tokens[i];
		char	   *text = pnstrdup(piece + token->location, token->length);

		/* U&"..." may be any name */
		if (strcmp(text, quote_identifier(name)) == 0 ||
			pg_strcasecmp(text, name) == 0 ||
			strcmp(text, psprintf("\"%s\"", name)) == 0 ||
			pg_strncasecmp(text, "u&\"", 3) == 0)
			return true;
	}
	return false;
}

static bool
adds_primary_key(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddConstraint &&
			castNode(Constraint, command->def)->contype == CONSTR_PRIMARY)
			return true;
	}
	return false;
}

/* SET DEFAULT and DROP DEFAULT are taken back by the old default. */
static void
plan_default(AlterPlan *plan, AlterTableCmd *command, const char *piece)
{
	AttrNumber	attnum;
	const char *column = quote_identifier(command->name);
	char	   *old_default;

	attnum = get_attnum(plan->relation->relid, command->name);
	if (attnum <= 0)
	{
		/* it goes with its column */
		plan->early = lappend(plan->early, pstrdup(piece));
		return;
	}
	if (plan->stmt->relation->inh &&
		find_inheritance_children(plan->relation->relid, NoLock) != NIL)
	{
		/* each of them may have a default of its own */
		plan->late = lappend(plan->late, pstrdup(piece));
		return;
	}
	plan->early = lappend(plan->early, pstrdup(piece));
	old_default = default_of_column(plan->relation->relid, attnum);
	plan->early_undo = lcons(old_default == NULL ?
							 psprintf("ALTER COLUMN %s DROP DEFAULT", column) :
							 psprintf("ALTER COLUMN %s SET DEFAULT %s", column,
									  old_default), plan->early_undo);
}

static char *
default_of_column(Oid relid, AttrNumber attnum)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	char	   *text = NULL;

	for (int i = 0; constraints != NULL && i < constraints->num_defval; i++)
	{
		const AttrDefault *value = &constraints->defval[i];

		if (value->adnum == attnum)
			text = deparse_expression(stringToNode(value->adbin),
									  deparse_context_for(RelationGetRelationName(rel),
														  relid), false, false);
	}
	relation_close(rel, AccessShareLock);
	return text;
}

/* NOT VALID or NOT ENFORCED already, or the table is small; or USING INDEX. */
static bool
plan_harmless_constraint(AlterPlan *plan, Constraint *constraint,
						 const char *piece)
{
	if (uses_dropped_column(plan, constraint))
		return false;

	/* an unnamed one must not get the name chosen for another one */
	if (constraint->conname == NULL && list_length(plan->pieces) > 1 &&
		constraint->indexname == NULL)
	{
		if (constraint->contype != CONSTR_CHECK &&
			constraint->contype != CONSTR_FOREIGN)
			return false;
		piece = psprintf("ADD CONSTRAINT %s %s",
						 quote_identifier(default_constraint_name(plan, constraint)),
						 definition_of_constraint(piece, 0));
	}
	plan->late = lappend(plan->late, pstrdup(piece));
	return true;
}

/* A constraint of a column that goes would go with it, or be refused. */
static bool
uses_dropped_column(const AlterPlan *plan, Constraint *constraint)
{
	ListCell   *cell;

	if (plan->dropped_columns == NIL)
		return false;
	foreach(cell, columns_of_expression(constraint->raw_expr))
	{
		if (name_is_listed(plan->dropped_columns, lfirst(cell)))
			return true;
	}
	return any_is_listed(constraint->keys, plan->dropped_columns) ||
		any_is_listed(constraint->including, plan->dropped_columns) ||
		any_is_listed(constraint->fk_attrs, plan->dropped_columns);
}

static bool
any_is_listed(List *strings, List *names)
{
	ListCell   *cell;

	foreach(cell, strings)
	{
		if (name_is_listed(names, strVal(lfirst(cell))))
			return true;
	}
	return false;
}

/*
 * The steps in their order.  Constraints that are NOT VALID yet may be parted
 * from their validation, and new columns from being filled; a key may not,
 * since it is there only at the end.
 */
static SafePlan *
finished_plan(AlterPlan *plan)
{
	SafePlan   *result = palloc0(sizeof(SafePlan));

	if (plan->early != NIL)
		add_joined(result, plan, plan->early, plan->early_undo);
	result->quick_steps = list_length(result->steps);
	if (plan->fill->steps == NIL)
		result->quick_steps += list_length(plan->not_valid->steps);
	result->steps = list_concat(result->steps, plan->fill->steps);
	result->steps = list_concat(result->steps, plan->not_valid->steps);
	result->steps = list_concat(result->steps, plan->validate->steps);
	result->steps = list_concat(result->steps, plan->finish->steps);
	result->steps = list_concat(result->steps, plan->keys->steps);
	if (plan->late != NIL)
		add_joined(result, plan, plan->late, NIL);
	result->steps = list_concat(result->steps, plan->rename->steps);
	if (plan->keys->steps != NIL || plan->late != NIL)
		result->quick_steps = -1;
	return result;
}

static void
add_joined(SafePlan *result, AlterPlan *plan, List *subcommands, List *undo)
{
	add_plan_step(result, joined(plan->prefix, subcommands),
				  undo == NIL ? NULL : joined(plan->prefix, undo));
}

static char *
joined(const char *prefix, List *subcommands)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfoString(&text, prefix);
	foreach(cell, subcommands)
		appendStringInfo(&text, "%s %s", foreach_current_index(cell) > 0 ?
						 "," : "", (char *) lfirst(cell));
	return text.data;
}
