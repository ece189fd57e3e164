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

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/script.h"
#include "nodes/parsenodes.h"
#include "run/leftover.h"
#include "run/made.h"
#include "run/step.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void find_remains_of_index(const Task *task, IndexStmt *stmt,
								  StepRemains *remains);
static void find_remains_of_drop(DropStmt *stmt, StepRemains *remains);
static void find_remains_of_detach(AlterTableStmt *stmt,
								   StepRemains *remains);
static void find_invalid_made(const Task *task, StepRemains *remains);
static char *predecessor_of(Oid index);
static bool is_invalid_index(Oid relid);
static void add_index_to_drop(StepRemains *remains, const char *name);
static bool is_lost_part(const Task *task, const RangeVar *relation,
						 const AlterTableCmd *command);
static bool is_about_reference(const AlterTableCmd *command, Oid table,
							   Oid root);
static bool is_in_tree(Oid relid, Oid root);
static bool is_index_below(const RangeVar *index, Oid root);

/*
 * See leftover.h.
 */
StepRemains *
find_step_remains(const Task *task, const char *text)
{
	StepRemains *remains = palloc0(sizeof(StepRemains));
	List	   *statements = parse_script(text, "step", 1);
	Node	   *statement;

	if (list_length(statements) != 1)
		return remains;
	statement = ((ScriptStatement *) linitial(statements))->raw->stmt;
	if (!statement_needs_no_transaction(statement))
		return remains;
	find_invalid_made(task, remains);
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			find_remains_of_index(task, (IndexStmt *) statement, remains);
			break;
		case T_DropStmt:
			find_remains_of_drop((DropStmt *) statement, remains);
			break;
		case T_AlterTableStmt:
			find_remains_of_detach((AlterTableStmt *) statement, remains);
			break;
		default:				/* the others can simply be run again */
			break;
	}
	return remains;
}

/* Done, but for saying so.  An index of that name that others made is not it. */
static void
find_remains_of_index(const Task *task, IndexStmt *stmt, StepRemains *remains)
{
	Oid			table = RangeVarGetRelid(stmt->relation, NoLock, true);
	Oid			index;

	if (!OidIsValid(table) || stmt->idxname == NULL)
		return;
	index = get_relname_relid(stmt->idxname, get_rel_namespace(table));
	remains->is_done = OidIsValid(index) && get_index_isvalid(index) &&
		task_has_made(task, RelationRelationId, index, 0);
}

static void
find_remains_of_drop(DropStmt *stmt, StepRemains *remains)
{
	RangeVar   *index = makeRangeVarFromNameList(linitial(stmt->objects));

	remains->is_done = !OidIsValid(RangeVarGetRelid(index, NoLock, true));
}

/*
 * Indexes that the task has made and that are not valid; and the ones that
 * those which are valid have replaced, if REINDEX was cut off before it dropped
 * them.  What others are building at the moment has other numbers.
 */
static void
find_invalid_made(const Task *task, StepRemains *remains)
{
	ListCell   *cell;

	foreach(cell, relations_made(task))
	{
		Oid			relid = lfirst_oid(cell);
		char	   *predecessor;

		if (get_rel_relkind(relid) != RELKIND_INDEX)
			continue;
		if (is_invalid_index(relid))
		{
			add_index_to_drop(remains, relation_display_name(relid));
			continue;
		}
		predecessor = predecessor_of(relid);
		if (predecessor != NULL)
			add_index_to_drop(remains, predecessor);
	}
}

/*
 * Qualified name of the index that REINDEX CONCURRENTLY has put another one in
 * the place of, and has not dropped yet; NULL if there is none.  It is called
 * name_ccold, with a number behind it if that was taken.
 */
static char *
predecessor_of(Oid index)
{
	char	   *name = get_rel_name(index);
	Oid			schema = get_rel_namespace(index);

	for (int i = 0; i < 10; i++)
	{
		char	   *old_name = makeObjectName(name, NULL, i == 0 ? "ccold" :
											  psprintf("ccold%d", i));
		Oid			old_index = get_relname_relid(old_name, schema);

		if (OidIsValid(old_index) && is_invalid_index(old_index) &&
			IndexGetRelation(old_index, true) == IndexGetRelation(index, true))
			return relation_display_name(old_index);
	}
	return NULL;
}

static bool
is_invalid_index(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(relid));
	bool		invalid;

	if (!HeapTupleIsValid(tuple))
		return false;
	invalid = !((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return invalid;
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

/*
 * See leftover.h.
 */
bool
step_has_lost_its_part(const Task *task, const char *text)
{
	List	   *statements;
	Node	   *statement;

	if (strcmp(task->rule, RULE_OF_CHANGES) != 0 ||
		get_rel_relkind(task->relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	statements = parse_script(text, "step", 1);
	if (list_length(statements) != 1)
		return false;
	statement = ((ScriptStatement *) linitial(statements))->raw->stmt;
	if (IsA(statement, IndexStmt))
		return is_lost_part(task, ((IndexStmt *) statement)->relation, NULL);
	if (IsA(statement, AlterTableStmt))
	{
		AlterTableStmt *stmt = (AlterTableStmt *) statement;
		AlterTableCmd *command = linitial_node(AlterTableCmd, stmt->cmds);

		if (command->subtype == AT_AttachPartition)
			return !is_index_below(castNode(PartitionCmd, command->def)->name,
								   task->relid);
		return is_lost_part(task, stmt->relation, command);
	}
	return false;
}

/*
 * Dropped, or no part of the table any more.  The table itself is never lost, but
 * has got another name; nor is one that refers to it, as the command, or NULL,
 * tells.
 */
static bool
is_lost_part(const Task *task, const RangeVar *relation,
			 const AlterTableCmd *command)
{
	Oid			oid = RangeVarGetRelid(relation, NoLock, true);

	if (!OidIsValid(oid))
		return strcmp(quote_qualified_identifier(relation->schemaname,
												 relation->relname),
					  task->relation) != 0;
	return !is_in_tree(oid, task->relid) &&
		(command == NULL || !is_about_reference(command, oid, task->relid));
}

static bool
is_about_reference(const AlterTableCmd *command, Oid table, Oid root)
{
	Oid			constraint;
	HeapTuple	tuple;
	bool		result;

	if (command->subtype == AT_AddConstraint)
	{
		const RangeVar *pktable = castNode(Constraint, command->def)->pktable;

		return pktable != NULL &&
			is_in_tree(RangeVarGetRelid(pktable, NoLock, true), root);
	}
	if (command->subtype != AT_ValidateConstraint)
		return true;
	constraint = get_relation_constraint_oid(table, command->name, true);
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	result = HeapTupleIsValid(tuple) &&
		is_in_tree(((Form_pg_constraint) GETSTRUCT(tuple))->confrelid, root);
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

static bool
is_index_below(const RangeVar *index, Oid root)
{
	Oid			oid = RangeVarGetRelid(index, NoLock, true);
	Oid			table = OidIsValid(oid) ? IndexGetRelation(oid, true) : InvalidOid;

	return is_in_tree(table, root);
}

/* A table or a partition below it. */
static bool
is_in_tree(Oid relid, Oid root)
{
	return relid == root ||
		(OidIsValid(relid) &&
		 list_member_oid(get_partition_ancestors(relid), root));
}
