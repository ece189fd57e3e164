/*-------------------------------------------------------------------------
 *
 * change_removal.c
 *	  Taking back the start of an online change.
 *
 * Others may have dropped meanwhile what it is about, or made something else
 * under the same name, which stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/script.h"
#include "common/subtransaction.h"
#include "nodes/parsenodes.h"
#include "online/change.h"
#include "online/column_copy.h"
#include "plan/plan.h"
#include "run/made.h"
#include "run/run_task.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool is_of_others(const Change *change, const Task *task,
						 Node *statement);
static bool constraint_is_of_others(const Task *task,
									const AlterTableStmt *stmt);
static bool drops_of_others(const Task *task, const DropStmt *stmt);
static bool trigger_is_of_others(const Task *task, List *name);
static bool replaces_trigger(const DropStmt *stmt);
static Oid	replaced_trigger(Node *statement);
static Oid	trigger_with_name(List *name);
static void run_unless_gone(const ScriptStatement *statement);
static bool run_and_keep(void *arg);

/*
 * See change.h.  The first statement of a script tells what all of it is about.
 */
void
run_removal(const Change *change)
{
	Task	   *task = task_read(change->id);
	ListCell   *cell;
	ListCell   *part;

	foreach(cell, change->removal)
	{
		List	   *parts = parse_script(lfirst(cell), "statement", 1);
		Node	   *first = ((ScriptStatement *) linitial(parts))->raw->stmt;
		Oid			trigger = replaced_trigger(first);
		List	   *settings = NIL;

		if (is_of_others(change, task, first))
			continue;

		/* whoever has switched it off meanwhile, say, has meant that */
		if (OidIsValid(trigger))
			settings = trigger_settings(trigger);
		foreach(part, parts)
			run_unless_gone(lfirst(part));
		run_change_statements(settings, false);
	}
}

static bool
is_of_others(const Change *change, const Task *task, Node *statement)
{
	char	   *column = dropped_column(statement);

	if (column != NULL)
		return get_attnum(change->relid, column) != InvalidAttrNumber &&
			!change_has_column(change, column, true);
	if (IsA(statement, AlterTableStmt))
		return constraint_is_of_others(task, (AlterTableStmt *) statement);
	return IsA(statement, DropStmt) &&
		drops_of_others(task, (DropStmt *) statement);
}

/*
 * Also one of the change itself, if an ALTER COLUMN ... TYPE has made it anew: so
 * it is told.
 */
static bool
constraint_is_of_others(const Task *task, const AlterTableStmt *stmt)
{
	const AlterTableCmd *cmd = linitial(stmt->cmds);
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	Oid			constraint;

	if (cmd->subtype != AT_DropConstraint || !OidIsValid(relid))
		return false;
	constraint = get_relation_constraint_oid(relid, cmd->name, true);
	if (!OidIsValid(constraint) ||
		task_has_made(task, ConstraintRelationId, constraint, 0))
		return false;
	ereport(WARNING,
			(errmsg("change " INT64_FORMAT " leaves constraint \"%s\" of %s, which was made anew since: ALTER TABLE %s DROP CONSTRAINT %s, if nobody needs it",
					task->id, cmd->name, relation_display_name(relid),
					relation_display_name(relid),
					quote_identifier(cmd->name))));
	return true;
}

/* The name of the trigger of the change itself nobody else uses. */
static bool
replaces_trigger(const DropStmt *stmt)
{
	return stmt->removeType == OBJECT_TRIGGER && !stmt->missing_ok;
}

static bool
drops_of_others(const Task *task, const DropStmt *stmt)
{
	List	   *name = linitial(stmt->objects);
	Oid			relid;

	if (replaces_trigger(stmt))
		return trigger_is_of_others(task, name);
	if (stmt->removeType != OBJECT_VIEW)
		return false;
	relid = RangeVarGetRelid(makeRangeVarFromNameList(name), NoLock, true);
	return OidIsValid(relid) &&
		!task_has_made(task, RelationRelationId, relid, 0);
}

/* True as well if it is gone. */
static bool
trigger_is_of_others(const Task *task, List *name)
{
	const PlanStep *start = linitial(task->steps);
	Oid			trigger = trigger_with_name(name);
	char	   *definition;
	ListCell   *cell;

	if (!OidIsValid(trigger))
		return true;
	definition = portable_trigger_definition(trigger);
	foreach(cell, parse_script(start->text, "step", 1))
	{
		const ScriptStatement *statement = lfirst(cell);

		if (strcmp(statement->text + first_token_offset(statement->text),
				   definition) == 0)
			return false;
	}
	return true;
}

/* InvalidOid if the statement drops none, or there is none. */
static Oid
replaced_trigger(Node *statement)
{
	if (!IsA(statement, DropStmt) || !replaces_trigger((DropStmt *) statement))
		return InvalidOid;
	return trigger_with_name(linitial(((DropStmt *) statement)->objects));
}

static Oid
trigger_with_name(List *name)
{
	List	   *table = list_truncate(list_copy(name), list_length(name) - 1);
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(table),
										 NoLock, true);

	if (!OidIsValid(relid))
		return InvalidOid;
	return get_trigger_oid(relid, strVal(llast(name)), true);
}

/* A definition that is put back has lost its trigger just before. */
static void
run_unless_gone(const ScriptStatement *statement)
{
	Node	   *stmt = statement->raw->stmt;
	ErrorData  *error = run_in_subtransaction(run_and_keep,
											  list_make1(unconstify(char *, statement->text)));

	if (error != NULL && (!error_says_gone(stmt, error->sqlerrcode) ||
						  IsA(stmt, CreateTrigStmt)))
		ReThrowError(error);
}

static bool
run_and_keep(void *arg)
{
	run_change_statements(arg, false);
	return true;
}
