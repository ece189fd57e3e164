/*-------------------------------------------------------------------------
 *
 * destruction.c
 *	  Statements that destroy something, typed by anybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "common/migration_flag.h"
#include "preserve/destruction.h"
#include "preserve/point.h"
#include "preserve/preserve.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The statement at top level that is watched, or NULL. */
static Destruction *watched = NULL;

static bool drops_column(AlterTableStmt *stmt);
static bool is_plain_cast(AlterTableCmd *command);
static bool object_is_lasting(Oid classid, Oid objid);
static void note_drop(ObjectAccessType access, Oid classid, Oid objid,
					  int32 subid, bool is_internal, void *arg);

static bool
drops_column(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, cell)->subtype == AT_DropColumn)
			return true;
	}
	return false;
}

/* Without USING, or with USING column or column::new_type. */
static bool
is_plain_cast(AlterTableCmd *command)
{
	ColumnDef  *definition = castNode(ColumnDef, command->def);
	Node	   *expression = definition->raw_default;
	ColumnRef  *column;

	if (expression == NULL)
		return true;
	if (IsA(expression, TypeCast))
	{
		if (!equal(((TypeCast *) expression)->typeName, definition->typeName))
			return false;
		expression = ((TypeCast *) expression)->arg;
	}
	if (expression == NULL || !IsA(expression, ColumnRef))
		return false;
	column = (ColumnRef *) expression;
	return list_length(column->fields) == 1 &&
		IsA(linitial(column->fields), String) && command->name != NULL &&
		strcmp(strVal(linitial(column->fields)), command->name) == 0;
}

/*
 * See destruction.h.
 */
bool
changes_type(Node *statement, bool *is_computed)
{
	bool		found = false;
	ListCell   *cell;

	*is_computed = false;
	if (statement == NULL || !IsA(statement, AlterTableStmt))
		return false;
	foreach(cell, ((AlterTableStmt *) statement)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype != AT_AlterColumnType)
			continue;
		found = true;
		if (command->def != NULL && !is_plain_cast(command))
			*is_computed = true;
	}
	return found;
}

/*
 * See destruction.h.
 */
bool
begin_destruction(Destruction *destruction, Node *statement)
{
	if (!statement_may_destroy(statement) || creating_extension ||
		migration_is_running() || !preserving())
		return false;
	memset(destruction, 0, sizeof(Destruction));
	destruction->found = IsA(statement, TruncateStmt);
	destruction->watch.watcher = note_drop;
	destruction->watch.arg = destruction;
	begin_object_watch(&destruction->watch);
	watched = destruction;
	return true;
}

/*
 * See destruction.h.  An index holds nothing that is not in its table.
 */
bool
statement_may_destroy(Node *statement)
{
	if (IsA(statement, DropStmt))
		return ((DropStmt *) statement)->removeType != OBJECT_INDEX;
	if (IsA(statement, AlterTableStmt))
		return drops_column((AlterTableStmt *) statement);
	return IsA(statement, TruncateStmt) || IsA(statement, DropOwnedStmt);
}

/*
 * See destruction.h.
 */
void
end_destruction(Destruction *destruction)
{
	end_object_watch(&destruction->watch);
	watched = NULL;
}

/*
 * See destruction.h.
 */
void
disregard_destruction(void)
{
	if (watched != NULL)
		watched->found = false;
}

/* The object is still in the catalog. */
static void
note_drop(ObjectAccessType access, Oid classid, Oid objid, int32 subid,
		  bool is_internal, void *arg)
{
	Destruction *destruction = arg;

	if (access == OAT_DROP && !destruction->found && !statement_is_stepped())
		destruction->found = object_is_lasting(classid, objid);
}

/*
 * False for what is temporary, or may be a part of something that is: then that
 * is dropped as well, or is what the statement is about.
 */
static bool
object_is_lasting(Oid classid, Oid objid)
{
	AttrNumber	namespace_column;
	HeapTuple	tuple;
	bool		result;
	bool		isnull;

	if (classid == RelationRelationId)
		return get_rel_persistence(objid) != RELPERSISTENCE_TEMP;
	if (classid == AttrDefaultRelationId)
		return false;
	if (!is_objectclass_supported(classid))
		return true;
	namespace_column = get_object_attnum_namespace(classid);
	if (namespace_column == InvalidAttrNumber ||
		get_object_catcache_oid(classid) < 0)
		return true;
	tuple = SearchSysCache1(get_object_catcache_oid(classid),
							ObjectIdGetDatum(objid));
	if (!HeapTupleIsValid(tuple))
		return true;
	result = !isAnyTempNamespace(DatumGetObjectId(SysCacheGetAttr(get_object_catcache_oid(classid),
																  tuple,
																  namespace_column,
																  &isnull)));
	ReleaseSysCache(tuple);
	return result;
}
