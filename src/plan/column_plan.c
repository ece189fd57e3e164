/*-------------------------------------------------------------------------
 *
 * column_plan.c
 *	  Safer sequences for ADD COLUMN.
 *
 * The constraints that would read the table are split off and added to the
 * column when it is there.  A default that differs from row to row counts for
 * new rows first; old rows are filled in batches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_trigger.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/table_owner.h"
#include "effects/describe.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "parser/parse_type.h"
#include "plan/alter_plan.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

/* The definition of a column, as it is taken apart. */
typedef struct NewColumn
{
	AlterPlan  *plan;
	ColumnDef  *definition;
	const char *piece;
	int			offset;			/* of the piece in what locations refer to */
	bool		rewrites;		/* each row gets a value of its own */
	bool		has_default;
	StringInfoData head;		/* what is added at first */
	List	   *ends;			/* where elements behind the type begin */
} NewColumn;

static char *without_if_not_exists(const char *piece);
static bool split_column(NewColumn *column);
static bool plan_element(NewColumn *column, Constraint *constraint);
static char *element_text(const NewColumn *column, int location);
static bool split_foreign_key(NewColumn *column, Constraint *constraint);
static bool split_key(NewColumn *column, Constraint *constraint);
static bool is_attribute(const Constraint *constraint);
static bool has_virtual_value(const NewColumn *column);
static void keep_element(NewColumn *column, int location);
static int	compare_locations(const ListCell *a, const ListCell *b);
static bool has_work(const AlterPlan *plan, int subcommand, EffectWork work);
static bool can_be_filled(const NewColumn *column);
static bool table_can_be_filled(Oid relid, const char *column);
static bool update_has_effects(Relation rel);
static bool has_unproven_constraint(Relation rel);

/*
 * See alter_plan.h.
 */
bool
plan_add_column(AlterPlan *plan, int subcommand)
{
	NewColumn	column = {0};
	AlterTableCmd *command;
	char	   *name;

	column.plan = plan;
	column.piece = list_nth(plan->pieces, subcommand);
	command = parse_piece(column.piece, &column.offset);
	column.definition = castNode(ColumnDef, command->def);
	name = column.definition->colname;

	/*
	 * What IF NOT EXISTS skips now is not to be added later, when nothing
	 * would take it back.  Where it counts, the words are left out: a column
	 * that somebody else adds meanwhile is an error, and not one of ours that
	 * is dropped again.
	 */
	if (get_attnum(plan->relation->relid, name) > 0)
	{
		if (!command->missing_ok)
			plan->early = lappend(plan->early, pstrdup(column.piece));
		return true;
	}
	if (command->missing_ok)
	{
		column.piece = without_if_not_exists(column.piece);
		command = parse_piece(column.piece, &column.offset);
		column.definition = castNode(ColumnDef, command->def);
	}
	plan->early_undo = lcons(psprintf("DROP COLUMN IF EXISTS %s",
									  quote_identifier(name)),
							 plan->early_undo);
	if (problem_of(plan, subcommand) == NULL)
	{
		plan->early = lappend(plan->early, pstrdup(column.piece));
		return true;
	}
	column.rewrites = has_work(plan, subcommand, WORK_REWRITE);
	if (column.rewrites && !can_be_filled(&column))
		return false;
	return split_column(&column);
}

/* ADD [COLUMN] IF NOT EXISTS name ...: the words stand before any other IF. */
static char *
without_if_not_exists(const char *piece)
{
	SqlTokens  *tokens = scan_sql(piece);
	int			i = 0;

	while (i + 3 < tokens->count && !token_is(tokens, i, "if"))
		i++;
	return psprintf("%s%s", pnstrdup(piece, tokens->tokens[i].location),
					piece + tokens->tokens[i + 3].location);
}

static bool
split_column(NewColumn *column)
{
	const ColumnDef *definition = column->definition;
	AlterPlan  *plan = column->plan;
	int			place = list_length(plan->early);
	ListCell   *cell;

	foreach(cell, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		column->has_default |= constraint->contype == CONSTR_DEFAULT;
		if (!is_attribute(constraint))
			column->ends = lappend_int(column->ends, constraint->location -
									   column->offset);
	}
	if (definition->collClause != NULL)
		column->ends = lappend_int(column->ends,
								   definition->collClause->location -
								   column->offset);
	if (column->ends == NIL)
		return false;
	list_sort(column->ends, compare_locations);

	initStringInfo(&column->head);
	appendStringInfoString(&column->head,
						   statement_text(column->piece, 0,
										  linitial_int(column->ends)));
	if (definition->collClause != NULL)
		keep_element(column, definition->collClause->location -
					 column->offset);
	foreach(cell, definition->constraints)
	{
		if (!is_attribute(lfirst_node(Constraint, cell)) &&
			!plan_element(column, lfirst_node(Constraint, cell)))
			return false;
	}
	plan->early = list_insert_nth(plan->early, place, column->head.data);
	if (column->rewrites)
		add_step(plan->fill, NULL, "CALL migrate.fill_column(%s, %s)",
				 quote_literal_cstr(plan->relation->name),
				 quote_literal_cstr(definition->colname));
	return true;
}

/* What is behind the type: it stays with the column, or comes later. */
static bool
plan_element(NewColumn *column, Constraint *constraint)
{
	AlterPlan  *plan = column->plan;
	const char *name = column->definition->colname;
	int			location = constraint->location - column->offset;
	char	   *text = element_text(column, location);

	switch (constraint->contype)
	{
		case CONSTR_DEFAULT:
			if (!column->rewrites)
				break;
			plan->early = lappend(plan->early,
								  psprintf("ALTER COLUMN %s SET %s",
										   quote_identifier(name),
										   definition_of_constraint(text, 0)));
			return true;
		case CONSTR_NOTNULL:
			if (column->rewrites || has_virtual_value(column))
			{
				return !constraint->is_no_inherit &&
					plan_not_null(plan, name, constraint->conname);
			}
			/* a key has nothing to prove then */
			plan->not_null = lappend(plan->not_null, pstrdup(name));
			break;
		case CONSTR_CHECK:
			if (compat_is_not_enforced(column->definition->constraints,
									   constraint))
				break;
			return plan_constraint(plan, constraint,
								   definition_of_constraint(text, 0));
		case CONSTR_FOREIGN:
			if (!column->has_default ||
				compat_is_not_enforced(column->definition->constraints,
									   constraint))
				break;
			return split_foreign_key(column, constraint);
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
			return split_key(column, constraint);
		default:
			break;
	}
	keep_element(column, location);
	return true;
}

/* An element with the attributes behind it, such as DEFERRABLE. */
static char *
element_text(const NewColumn *column, int location)
{
	ListCell   *cell;

	foreach(cell, column->ends)
	{
		if (lfirst_int(cell) > location)
			return statement_text(column->piece, location, lfirst_int(cell));
	}
	return statement_text(column->piece, location, -1);
}

static bool
split_foreign_key(NewColumn *column, Constraint *constraint)
{
	int			location = constraint->location - column->offset;
	char	   *text = element_text(column, location);
	Oid			referenced = RangeVarGetRelid(constraint->pktable, NoLock, true);

	if (OidIsValid(referenced))
		text = with_other_name(text, constraint->pktable->location -
							   column->offset - location,
							   relation_display_name(referenced));
	constraint->fk_attrs = list_make1(makeString(column->definition->colname));
	return plan_constraint(column->plan, constraint,
						   psprintf("FOREIGN KEY (%s) %s",
									quote_identifier(column->definition->colname),
									definition_of_constraint(text, 0)));
}

static bool
split_key(NewColumn *column, Constraint *constraint)
{
	char	   *text = element_text(column, constraint->location -
									column->offset);
	ListCell   *cell;
	bool		is_behind = false;

	/* its attributes are elements of their own, up to the next constraint */
	foreach(cell, column->definition->constraints)
	{
		Constraint *other = lfirst_node(Constraint, cell);

		if (!is_attribute(other))
			is_behind = other == constraint;
		else if (is_behind && other->contype == CONSTR_ATTR_DEFERRABLE)
			constraint->deferrable = true;
		else if (is_behind && other->contype == CONSTR_ATTR_DEFERRED)
			constraint->deferrable = constraint->initdeferred = true;
	}

	/* for a partition's parent it would have to be written as one of a table */
	if (column->plan->relation->relkind == RELKIND_PARTITIONED_TABLE)
		return false;
	constraint->keys = list_make1(makeString(column->definition->colname));
	return plan_new_key(column->plan, constraint,
						definition_of_constraint(text, 0));
}

static bool
is_attribute(const Constraint *constraint)
{
	switch (constraint->contype)
	{
		case CONSTR_ATTR_DEFERRABLE:
		case CONSTR_ATTR_NOT_DEFERRABLE:
		case CONSTR_ATTR_DEFERRED:
		case CONSTR_ATTR_IMMEDIATE:
			COMPAT_CASES_CONSTR_ENFORCED
				return true;
		default:
			return false;
	}
}

/* 18: it is computed for each row to see that it is NOT NULL */
static bool
has_virtual_value(const NewColumn *column)
{
	ListCell   *cell;

	foreach(cell, column->definition->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_GENERATED &&
			compat_generated_is_virtual(constraint))
			return true;
	}
	return false;
}

static void
keep_element(NewColumn *column, int location)
{
	appendStringInfo(&column->head, " %s", element_text(column, location));
}

static int
compare_locations(const ListCell *a, const ListCell *b)
{
	return lfirst_int(a) - lfirst_int(b);
}

static bool
has_work(const AlterPlan *plan, int subcommand, EffectWork work)
{
	ListCell   *cell;

	foreach(cell, plan->effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->subcommand == subcommand && effect->work == work)
			return true;
	}
	return false;
}

/*
 * True if UPDATE ... SET column = DEFAULT gives old rows what the rewrite
 * would give them, and does nothing else.  Not for sequences that the column
 * brings along, nor for a domain whose constraints NULL may not fulfil, or whose
 * default would be there before.
 */
static bool
can_be_filled(const NewColumn *column)
{
	const ColumnDef *definition = column->definition;
	AlterPlan  *plan = column->plan;
	ListCell   *cell;
	bool		has_default = false;
	Oid			type;

	foreach(cell, definition->constraints)
	{
		ConstrType	kind = lfirst_node(Constraint, cell)->contype;

		if (kind == CONSTR_IDENTITY || kind == CONSTR_GENERATED)
			return false;
		has_default |= kind == CONSTR_DEFAULT;
	}
	if (!has_default || type_is_serial(definition->typeName))
		return false;
	type = typenameTypeId(NULL, definition->typeName);
	if (compat_domain_has_constraints(type) || get_typdefault(type) != NULL)
		return false;
	if (!plan->stmt->relation->inh ||
		!is_owner_himself(plan->relation->relid))
		return false;
	foreach(cell, find_all_inheritors(plan->relation->relid, NoLock, NULL))
	{
		if (!table_can_be_filled(lfirst_oid(cell), definition->colname))
			return false;
	}
	return true;
}

static bool
table_can_be_filled(Oid relid, const char *column)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		possible;

	if (rel == NULL)
		return true;
	possible = (rel->rd_rel->relkind == RELKIND_RELATION ||
				rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) &&
		get_attnum(relid, column) == InvalidAttrNumber &&
		!update_has_effects(rel) && !has_unproven_constraint(rel);
	relation_close(rel, AccessShareLock);
	return possible;
}

/*
 * A rewrite fires no trigger and no rule, obeys no policy, and is not sent to
 * subscribers, who may not have the column yet.
 */
static bool
update_has_effects(Relation rel)
{
	PublicationDesc publications;

	if (rel->rd_rel->relhasrules || rel->rd_rel->relforcerowsecurity)
		return true;
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers;
		 i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!trigger->tgisinternal && TRIGGER_FOR_UPDATE(trigger->tgtype))
			return true;
	}
	RelationBuildPublicationDesc(rel, &publications);
	return publications.pubactions.pubupdate;
}

/* An UPDATE checks even what is NOT VALID for the row as it was. */
static bool
has_unproven_constraint(Relation rel)
{
	TupleDesc	descriptor = RelationGetDescr(rel);
	TupleConstr *constraints = descriptor->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (!constraints->check[i].ccvalid &&
			compat_check_is_enforced(&constraints->check[i]))
			return true;
	}
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped && attribute->attnotnull &&
			!compat_attribute_is_valid_not_null(rel, attribute))
			return true;
	}
	return false;
}
