/*-------------------------------------------------------------------------
 *
 * done_settings.c
 *	  Settings made by the part of a migration that has run already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/set_config.h"
#include "ledger/done_settings.h"
#include "run/step.h"

/* What a statement does to settings, and for how long. */
typedef enum SettingScope
{
	SETS_NOTHING,
	SETS_LOCALLY,
	SETS_FOR_SESSION
} SettingScope;

/* Where in the done part the walk is. */
typedef struct DoneWalk
{
	List	   *lasting;		/* of transactions that are committed */
	List	   *open;			/* of the one that is open, with SAVEPOINTs */
	bool		in_block;
} DoneWalk;

static void walk_over(DoneWalk *walk, ScriptStatement *statement);
static int	last_savepoint(List *open, Node *statement);
static void commit_walk(DoneWalk *walk);
static List *session_settings_of(List *open);
static SettingScope scope_of(Node *statement);
static bool is_plain_select(const SelectStmt *select);

/*
 * See done_settings.h.
 */
DoneSettings
settings_of_done_part(const MigrationScript *script)
{
	DoneSettings result = {0};
	DoneWalk	walk = {0};
	ListCell   *cell;

	foreach(cell, script->statements)
	{
		ScriptStatement *statement = lfirst(cell);

		if (!statement_is_done(script->entry, statement))
			break;
		walk_over(&walk, statement);
		if (script->no_transaction && !walk.in_block)
			commit_walk(&walk);
	}
	if (cell == NULL)
		return result;

	foreach(cell, walk.open)
	{
		ScriptStatement *statement = lfirst(cell);

		if (scope_of(statement->raw->stmt) != SETS_NOTHING)
			result.open = lappend(result.open, statement);
	}

	/* what divided the transaction has committed those of the session */
	result.lasting = list_concat(walk.lasting, session_settings_of(walk.open));
	return result;
}

static void
walk_over(DoneWalk *walk, ScriptStatement *statement)
{
	Node	   *node = statement->raw->stmt;

	switch (statement_role(node))
	{
		case STATEMENT_BEGIN:
			walk->in_block = true;
			break;
		case STATEMENT_COMMIT:
			walk->in_block = false;
			commit_walk(walk);
			break;
		case STATEMENT_ROLLBACK:
			walk->in_block = false;
			walk->open = NIL;
			break;
		case STATEMENT_SAVEPOINT:
			walk->open = lappend(walk->open, statement);
			break;
		case STATEMENT_ROLLBACK_TO:
			walk->open = list_truncate(walk->open,
									   last_savepoint(walk->open, node) + 1);
			break;
		case STATEMENT_RELEASE:
			walk->open = list_delete_nth_cell(walk->open,
											  last_savepoint(walk->open, node));
			break;
		case STATEMENT_ORDINARY:
			if (scope_of(node) != SETS_NOTHING)
				walk->open = lappend(walk->open, statement);
			break;
		case STATEMENT_PREPARE:
		case STATEMENT_SET_TRANSACTION:
			break;
	}
}

/*
 * Index of the savepoint that a statement names: read_migration_script() has
 * seen to it that there is one.
 */
static int
last_savepoint(List *open, Node *statement)
{
	const char *name = ((TransactionStmt *) statement)->savepoint_name;

	for (int i = list_length(open) - 1; i >= 0; i--)
	{
		Node	   *node = ((ScriptStatement *) list_nth(open, i))->raw->stmt;

		if (statement_role(node) == STATEMENT_SAVEPOINT &&
			strcmp(((TransactionStmt *) node)->savepoint_name, name) == 0)
			return i;
	}
	elog(ERROR, "savepoint \"%s\" is not there", name);
	return -1;
}

static void
commit_walk(DoneWalk *walk)
{
	walk->lasting = list_concat(walk->lasting, session_settings_of(walk->open));
	walk->open = NIL;
}

static List *
session_settings_of(List *open)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, open)
	{
		ScriptStatement *statement = lfirst(cell);

		if (scope_of(statement->raw->stmt) == SETS_FOR_SESSION)
			result = lappend(result, statement);
	}
	return result;
}

/*
 * Of several set_config() in one SELECT, as pg_dump writes it, one for the
 * session makes it one for the session.
 */
static SettingScope
scope_of(Node *statement)
{
	SettingScope scope = SETS_LOCALLY;
	ListCell   *cell;

	if (IsA(statement, VariableSetStmt))
		return statement_role(statement) != STATEMENT_ORDINARY ? SETS_NOTHING :
			((VariableSetStmt *) statement)->is_local ? SETS_LOCALLY :
			SETS_FOR_SESSION;
	if (!IsA(statement, SelectStmt) ||
		!is_plain_select((SelectStmt *) statement))
		return SETS_NOTHING;
	foreach(cell, ((SelectStmt *) statement)->targetList)
	{
		ConstantSetting setting;

		if (!is_constant_set_config(lfirst_node(ResTarget, cell)->val, &setting))
			return SETS_NOTHING;
		if (!setting.is_local)
			scope = SETS_FOR_SESSION;
	}
	return scope;
}

/* Nothing but values, so that running it again does nothing else. */
static bool
is_plain_select(const SelectStmt *select)
{
	return select->targetList != NIL && select->op == SETOP_NONE &&
		select->intoClause == NULL && select->fromClause == NIL &&
		select->whereClause == NULL && select->groupClause == NIL &&
		select->havingClause == NULL && select->sortClause == NIL &&
		select->limitCount == NULL && select->limitOffset == NULL &&
		select->withClause == NULL && select->distinctClause == NIL;
}
