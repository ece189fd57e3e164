/*-------------------------------------------------------------------------
 *
 * concurrent.c
 *	  Whether a statement is to run CONCURRENTLY.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "common/concurrent.h"

/*
 * See concurrent.h.  Of several such options the last one counts.
 */
bool
reindex_is_concurrent(ReindexStmt *stmt)
{
	bool		concurrent = false;
	ListCell   *cell;

	foreach(cell, stmt->params)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "concurrently") == 0)
			concurrent = defGetBoolean(option);
	}
	return concurrent;
}

/*
 * See concurrent.h.
 */
bool
detaches_concurrently(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *subcommand = lfirst_node(AlterTableCmd, cell);

		if (subcommand->subtype == AT_DetachPartition &&
			castNode(PartitionCmd, subcommand->def)->concurrent)
			return true;
	}
	return false;
}
