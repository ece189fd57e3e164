/*-------------------------------------------------------------------------
 *
 * made.c
 *	  What the steps of a task have made, by number.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/object_watch.h"
#include "common/script.h"
#include "nodes/parsenodes.h"
#include "run/made.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* The task whose step runs, or NULL. */
static Task *watched = NULL;
static bool is_written_at_once = false;

static void note_made(ObjectAccessType access, Oid classid, Oid objid,
					  int32 subid, bool is_internal, void *arg);
static char *made_item(Oid classid, Oid objid, int32 subid);
static bool drop_is_safe(const Task *task, DropStmt *stmt);
static bool table_is_disposable(Oid relid);
static bool alter_is_safe(const Task *task, AlterTableStmt *stmt,
						  bool unchanged);

static ObjectWatch watch = {NULL, note_made, NULL};

/*
 * See made.h.
 */
void
watch_made(Task *task, bool at_once)
{
	if (task != NULL && watched == NULL)
		begin_object_watch(&watch);
	else if (task == NULL)
		end_object_watch(&watch);
	watched = task;
	is_written_at_once = at_once;
}

static void
note_made(ObjectAccessType access, Oid classid, Oid objid, int32 subid,
		  bool is_internal, void *arg)
{
	Task	   *task = watched;

	if (access != OAT_POST_CREATE ||
		(classid != RelationRelationId && classid != ConstraintRelationId))
		return;
	add_made(task, classid, objid, subid);
	if (is_written_at_once)
		task_write_made(task);
}

/*
 * See made.h.
 */
void
add_made(Task *task, Oid classid, Oid objid, int32 subid)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(task));

	task->made = lappend(task->made, made_item(classid, objid, subid));
	MemoryContextSwitchTo(old);
}

static char *
made_item(Oid classid, Oid objid, int32 subid)
{
	return psprintf("%u.%u.%d", classid, objid, subid);
}

/*
 * See made.h.
 */
bool
task_has_made(const Task *task, Oid classid, Oid objid, int32 subid)
{
	return is_among_made(task->made, classid, objid, subid);
}

/*
 * See made.h.
 */
bool
is_among_made(const List *made, Oid classid, Oid objid, int32 subid)
{
	char	   *item = made_item(classid, objid, subid);
	ListCell   *cell;

	foreach(cell, made)
	{
		if (strcmp(lfirst(cell), item) == 0)
			return true;
	}
	return false;
}

/*
 * See made.h.
 */
List *
relations_made(const Task *task)
{
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, task->made)
	{
		Oid			classid;
		Oid			objid;
		int			subid;

		if (sscanf(lfirst(cell), "%u.%u.%d", &classid, &objid, &subid) == 3 &&
			classid == RelationRelationId && subid == 0)
			relids = lappend_oid(relids, objid);
	}
	return relids;
}

/*
 * See made.h.
 */
bool
undo_is_safe(const Task *task, const char *undo, bool unchanged)
{
	ListCell   *cell;

	foreach(cell, parse_script(undo, "step", 1))
	{
		Node	   *statement = ((ScriptStatement *) lfirst(cell))->raw->stmt;
		bool		safe = unchanged;

		if (IsA(statement, DropStmt))
			safe = drop_is_safe(task, (DropStmt *) statement);
		else if (IsA(statement, AlterTableStmt))
			safe = alter_is_safe(task, (AlterTableStmt *) statement,
								 unchanged);
		else if (IsA(statement, CallStmt))
			safe = true;		/* a procedure of ours, which sees to that */
		if (!safe)
			return false;
	}
	return true;
}

/* What is gone already does no harm. */
static bool
drop_is_safe(const Task *task, DropStmt *stmt)
{
	ListCell   *cell;

	if (stmt->removeType != OBJECT_INDEX && stmt->removeType != OBJECT_TABLE)
		return false;
	foreach(cell, stmt->objects)
	{
		Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(lfirst(cell)),
											 NoLock, true);

		if (!OidIsValid(relid))
			continue;
		if (!task_has_made(task, RelationRelationId, relid, 0) ||
			(stmt->removeType == OBJECT_TABLE && !table_is_disposable(relid)))
			return false;
	}
	return true;
}

/* Nobody has attached it or written to it, and nobody does until we commit. */
static bool
table_is_disposable(Oid relid)
{
	Relation	rel;
	bool		result;

	if (!ConditionalLockRelationOid(relid, AccessExclusiveLock))
		return false;
	rel = RelationIdGetRelation(relid);
	if (!RelationIsValid(rel))
		return true;
	result = !rel->rd_rel->relispartition &&
		(!RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ||
		 RelationGetNumberOfBlocks(rel) == 0);
	RelationClose(rel);
	return result;
}

static bool
alter_is_safe(const Task *task, AlterTableStmt *stmt, bool unchanged)
{
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	ListCell   *cell;

	if (!OidIsValid(relid))
		return true;
	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_DropConstraint)
		{
			Oid			constraint = get_relation_constraint_oid(relid,
																 command->name,
																 true);

			if (OidIsValid(constraint) &&
				!task_has_made(task, ConstraintRelationId, constraint, 0))
				return false;
		}
		else if (command->subtype == AT_DropColumn)
		{
			AttrNumber	attnum = get_attnum(relid, command->name);

			if (attnum != InvalidAttrNumber &&
				!task_has_made(task, RelationRelationId, relid, attnum))
				return false;
		}
		else if (!unchanged)
			return false;
	}
	return true;
}
