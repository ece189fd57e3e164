/*-------------------------------------------------------------------------
 *
 * leftover.c
 *	  What a step that commits by itself leaves behind when it is cut off.
 *
 * CREATE INDEX and REINDEX CONCURRENTLY leave indexes that are not valid,
 * DETACH PARTITION CONCURRENTLY leaves the partition half detached; and all of
 * them may have done everything but say so in the row of their task.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/script.h"
#include "nodes/parsenodes.h"
#include "run/leftover.h"
#include "run/step.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static void find_remains_of_index(IndexStmt *stmt, StepRemains *remains);
static void find_remains_of_drop(DropStmt *stmt, StepRemains *remains);
static void find_remains_of_reindex(ReindexStmt *stmt, StepRemains *remains);
static void find_remains_in_table(Oid table, Oid only_index,
								  StepRemains *remains);
static bool is_name_of_copy(const char *name, const char *original);
static void find_remains_of_detach(AlterTableStmt *stmt,
								   StepRemains *remains);
static void add_index_to_drop(StepRemains *remains, const char *name);

/*
 * See leftover.h.
 */
StepRemains *
find_step_remains(const char *text)
{
	StepRemains *remains = palloc0(sizeof(StepRemains));
	List	   *statements = parse_script(text, "step");
	Node	   *statement;

	if (list_length(statements) != 1)
		return remains;
	statement = ((ScriptStatement *) linitial(statements))->raw->stmt;
	if (!statement_needs_no_transaction(statement))
		return remains;
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			find_remains_of_index((IndexStmt *) statement, remains);
			break;
		case T_DropStmt:
			find_remains_of_drop((DropStmt *) statement, remains);
			break;
		case T_ReindexStmt:
			find_remains_of_reindex((ReindexStmt *) statement, remains);
			break;
		case T_AlterTableStmt:
			find_remains_of_detach((AlterTableStmt *) statement, remains);
			break;
		default:				/* the others can simply be run again */
			break;
	}
	return remains;
}

static void
find_remains_of_index(IndexStmt *stmt, StepRemains *remains)
{
	char	   *leftover = find_invalid_index((Node *) stmt);
	Oid			table;
	Oid			index;

	if (leftover != NULL)
	{
		add_index_to_drop(remains, leftover);
		return;
	}
	table = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(table) || stmt->idxname == NULL)
		return;
	index = get_relname_relid(stmt->idxname, get_rel_namespace(table));
	remains->is_done = OidIsValid(index) &&
		IndexGetRelation(index, true) == table;
}

static void
find_remains_of_drop(DropStmt *stmt, StepRemains *remains)
{
	RangeVar   *index = makeRangeVarFromNameList(linitial(stmt->objects));

	remains->is_done = !OidIsValid(RangeVarGetRelid(index, NoLock, true));
}

/*
 * The old or the new copy of an index, whichever is not valid, is in the way
 * of nobody but takes space, and its name.
 */
static void
find_remains_of_reindex(ReindexStmt *stmt, StepRemains *remains)
{
	Oid			relid;

	if (stmt->relation == NULL)
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid))
		return;
	if (stmt->kind == REINDEX_OBJECT_TABLE)
		find_remains_in_table(relid, InvalidOid, remains);
	else
		find_remains_in_table(IndexGetRelation(relid, true), relid, remains);
}

static void
find_remains_in_table(Oid table, Oid only_index, StepRemains *remains)
{
	Relation	rel = OidIsValid(table) ?
	try_relation_open(table, AccessShareLock) : NULL;
	List	   *indexes;
	ListCell   *cell;

	if (rel == NULL)
		return;
	indexes = RelationGetIndexList(rel);
	relation_close(rel, AccessShareLock);
	foreach(cell, indexes)
	{
		ListCell   *inner;
		char	   *name = get_rel_name(lfirst_oid(cell));

		if (name == NULL || get_index_isvalid(lfirst_oid(cell)))
			continue;
		foreach(inner, indexes)
		{
			char	   *original = get_rel_name(lfirst_oid(inner));

			if (OidIsValid(only_index) && lfirst_oid(inner) != only_index)
				continue;
			if (original != NULL && is_name_of_copy(name, original))
			{
				add_index_to_drop(remains,
								  relation_display_name(lfirst_oid(cell)));
				break;
			}
		}
	}
}

/*
 * As ReindexRelationConcurrently() names them: name_ccnew and name_ccold, with
 * a number behind it if that is taken.  A long name is cut before.
 */
static bool
is_name_of_copy(const char *name, const char *original)
{
	const char *suffix = strstr(name, "_ccnew");

	if (suffix == NULL)
		suffix = strstr(name, "_ccold");
	return suffix != NULL && suffix > name &&
		strspn(suffix + strlen("_ccnew"), "0123456789") ==
		strlen(suffix + strlen("_ccnew")) &&
		strncmp(name, original, suffix - name) == 0;
}

/* In its second half, only FINALIZE can finish it. */
static void
find_remains_of_detach(AlterTableStmt *stmt, StepRemains *remains)
{
	AlterTableCmd *command = linitial_node(AlterTableCmd, stmt->cmds);
	PartitionCmd *detach;
	Oid			parent;
	Oid			partition;

	if (list_length(stmt->cmds) != 1 ||
		command->subtype != AT_DetachPartition)
		return;
	detach = castNode(PartitionCmd, command->def);
	parent = RangeVarGetRelid(stmt->relation, NoLock, true);
	partition = RangeVarGetRelid(detach->name, NoLock, true);
	if (!OidIsValid(parent) || !OidIsValid(partition))
		return;
	if (!get_rel_relispartition(partition))
	{
		remains->is_done = true;
		return;
	}
	if (PartitionHasPendingDetach(partition))
	{
		remains->cleanup =
			lappend(remains->cleanup,
					psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
							 relation_display_name(parent),
							 relation_display_name(partition)));
		remains->is_done = true;
	}
}


static void
add_index_to_drop(StepRemains *remains, const char *name)
{
	remains->cleanup = lappend(remains->cleanup,
							   psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
										name));
}
