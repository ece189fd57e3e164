/*-------------------------------------------------------------------------
 *
 * drop_plan.c
 *	  Foreign keys dropped before their table or column.
 *
 * With its foreign keys, a DROP locks all the tables at their other ends for
 * as long as it waits for any of them.  Dropped before, one at a time, each
 * needs two.
 *
 * Nothing may be dropped if PostgreSQL will refuse the statement in the end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "lib/stringinfo.h"
#include "plan/drop_plan.h"
#include "plan/plan_text.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool drop_is_refused(List *roots);
static bool is_part_of(const ObjectAddress *object, List *parts);
static bool add_foreign_keys(SafePlan *plan, List *tables, AttrNumber attnum,
							 bool cascade);
static bool key_uses(const ForeignKey *key, Oid table, AttrNumber attnum);

/*
 * See drop_plan.h.
 */
SafePlan *
plan_drop_table(DropStmt *stmt)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	List	   *tables = NIL;
	List	   *roots = NIL;
	StringInfoData names;
	bool		cascade = stmt->behavior == DROP_CASCADE;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, stmt->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst(cell));
		Oid			relid = RangeVarGetRelid(name, NoLock, true);
		ObjectAddress *root = palloc(sizeof(ObjectAddress));

		if (!OidIsValid(relid) ||
			(get_rel_relkind(relid) != RELKIND_RELATION &&
			 get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE))
			return NULL;
		ObjectAddressSet(*root, RelationRelationId, relid);
		roots = lappend(roots, root);
		tables = lappend_oid(tables, relid);
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 relation_display_name(relid));
	}
	if ((!cascade && drop_is_refused(roots)) ||
		!add_foreign_keys(plan, tables, InvalidAttrNumber, cascade))
		return NULL;
	plan->quick_steps = -1;
	add_step(plan, NULL, "DROP TABLE %s%s%s",
			 stmt->missing_ok ? "IF EXISTS " : "", names.data,
			 cascade ? " CASCADE" : "");
	return plan;
}

/*
 * See drop_plan.h.
 */
SafePlan *
plan_drop_column(AlterTableStmt *stmt, List *effects, const char *source_text)
{
	SafePlan   *plan = palloc0(sizeof(SafePlan));
	AlterTableCmd *command = linitial_node(AlterTableCmd, stmt->cmds);
	RelationFacts *relation = effects == NIL ? NULL :
	((Effect *) linitial(effects))->relation;
	ObjectAddress root;
	AttrNumber	attnum;

	if (stmt->objtype != OBJECT_TABLE || list_length(stmt->cmds) != 1 ||
		command->subtype != AT_DropColumn || relation == NULL ||
		!OidIsValid(relation->relid))
		return NULL;
	attnum = get_attnum(relation->relid, command->name);
	if (attnum <= 0)
		return NULL;
	ObjectAddressSubSet(root, RelationRelationId, relation->relid, attnum);
	if ((command->behavior != DROP_CASCADE &&
		 drop_is_refused(list_make1(&root))) ||
		!add_foreign_keys(plan, list_make1_oid(relation->relid), attnum,
						  command->behavior == DROP_CASCADE))
		return NULL;
	plan->quick_steps = -1;
	add_step(plan, NULL, "ALTER TABLE %s%s %s",
			 stmt->relation->inh ? "" : "ONLY ", relation->name,
			 (char *) linitial(split_subcommands(source_text)));
	return plan;
}

/* True if something else depends on them: without CASCADE that is an error. */
static bool
drop_is_refused(List *roots)
{
	List	   *parts = NIL;
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, roots)
	{
		parts = lappend(parts, lfirst(cell));
		parts = list_concat(parts, dependent_objects(lfirst(cell),
													 SEARCH_PARTS));
	}
	foreach(cell, parts)
	{
		foreach(inner, direct_dependents(lfirst(cell)))
		{
			if (!is_part_of(lfirst(inner), parts))
				return true;
		}
	}
	return false;
}

static bool
is_part_of(const ObjectAddress *object, List *parts)
{
	ListCell   *cell;

	foreach(cell, parts)
	{
		const ObjectAddress *part = lfirst(cell);

		if (part->classId == object->classId &&
			part->objectId == object->objectId &&
			(part->objectSubId == 0 ||
			 part->objectSubId == object->objectSubId))
			return true;
	}
	return false;
}

/*
 * Only those between a table that goes and one that stays; one that a
 * partition has from its parent cannot be dropped by itself.  False if there
 * are none.
 */
static bool
add_foreign_keys(SafePlan *plan, List *tables, AttrNumber attnum,
				 bool cascade)
{
	ListCell   *cell;

	foreach(cell, foreign_keys_around(tables))
	{
		const ForeignKey *key = lfirst(cell);
		bool		outgoing = list_member_oid(tables, key->referencing);
		bool		incoming = list_member_oid(tables, key->referenced);

		if (OidIsValid(key->parent) || outgoing == incoming ||
			(incoming && !cascade))
			continue;
		if (attnum != InvalidAttrNumber &&
			!key_uses(key, linitial_oid(tables), attnum))
			continue;
		add_step(plan, NULL, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
				 relation_display_name(key->referencing),
				 quote_identifier(key->name));
	}
	return plan->steps != NIL;
}

static bool
key_uses(const ForeignKey *key, Oid table, AttrNumber attnum)
{
	return (key->referencing == table &&
			array_has_attnum(key->columns, attnum)) ||
		(key->referenced == table &&
		 array_has_attnum(key->referenced_columns, attnum));
}
