/*-------------------------------------------------------------------------
 *
 * named.c
 *	  The relations that a statement names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "common/compat.h"
#include "lock/lock_internal.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

static List *named_in(Node *statement);
static List *named_in_drop(DropStmt *stmt);
static List *with_children(Oid relid);

/*
 * See lock_internal.h.
 */
List *
relations_named(Node *statement)
{
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, named_in(statement))
	{
		Oid			relid = InvalidOid;

		if (lfirst(cell) != NULL)
			relid = RangeVarGetRelid(lfirst_node(RangeVar, cell), NoLock,
									 true);
		if (OidIsValid(relid))
			relids = list_concat_unique_oid(relids, with_children(relid));
	}
	return relids;
}

/* A list of RangeVar, of which some may be NULL. */
static List *
named_in(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			return list_make1(((AlterTableStmt *) statement)->relation);
		case T_IndexStmt:
			return list_make1(((IndexStmt *) statement)->relation);
		case T_ReindexStmt:
			return list_make1(((ReindexStmt *) statement)->relation);
		case T_RenameStmt:
			return list_make1(((RenameStmt *) statement)->relation);
		case T_AlterObjectSchemaStmt:
			return list_make1(((AlterObjectSchemaStmt *) statement)->relation);
		case T_RefreshMatViewStmt:
			return list_make1(((RefreshMatViewStmt *) statement)->relation);
		case T_CreateTrigStmt:
			return list_make1(((CreateTrigStmt *) statement)->relation);
		case T_RuleStmt:
			return list_make1(((RuleStmt *) statement)->relation);
		case T_CreatePolicyStmt:
			return list_make1(((CreatePolicyStmt *) statement)->table);
		case T_AlterPolicyStmt:
			return list_make1(((AlterPolicyStmt *) statement)->table);
		case T_TruncateStmt:
			return ((TruncateStmt *) statement)->relations;
		case T_CreateStmt:
			return ((CreateStmt *) statement)->inhRelations;
		case T_DropStmt:
			return named_in_drop((DropStmt *) statement);
		case COMPAT_CLUSTER_TAG:
			return list_make1(compat_cluster_relation(statement));
		default:
			return NIL;
	}
}

static List *
named_in_drop(DropStmt *stmt)
{
	List	   *relations = NIL;
	ListCell   *cell;

	if (stmt->removeType != OBJECT_TABLE && stmt->removeType != OBJECT_INDEX &&
		stmt->removeType != OBJECT_VIEW && stmt->removeType != OBJECT_MATVIEW &&
		stmt->removeType != OBJECT_FOREIGN_TABLE)
		return NIL;
	foreach(cell, stmt->objects)
		relations = lappend(relations,
							makeRangeVarFromNameList(lfirst(cell)));
	return relations;
}

static List *
with_children(Oid relid)
{
	return has_subclass(relid) ? find_all_inheritors(relid, NoLock, NULL) :
		list_make1_oid(relid);
}
