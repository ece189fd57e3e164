/*-------------------------------------------------------------------------
 *
 * migration_script.c
 *	  The text of a migration as statements, and what may be in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/settings.h"
#include "ledger/directives.h"
#include "ledger/migration_script.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "plan/plan.h"
#include "run/step.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#define OVERRIDE_SETTING "safe_migrate.override"

/* Where in its transactions a script is. */
typedef struct ScriptPosition
{
	const LedgerEntry *entry;
	const ScriptStatement *statement;
	const ScriptStatement *begin;	/* of the block, NULL outside */
	bool		transaction_used;	/* something has run in it */
	List	   *savepoints;		/* names, the innermost first */
} ScriptPosition;

static void check_statement(MigrationScript *script, ScriptPosition *position);
static void check_begin(ScriptPosition *position, TransactionStmt *stmt);
static void check_end(MigrationScript *script, ScriptPosition *position,
					  TransactionStmt *stmt);
static void check_savepoint(MigrationScript *script, ScriptPosition *position,
							TransactionStmt *stmt);
static void check_copy(ScriptPosition *position);
static void check_override(ScriptPosition *position);
static void bad_statement(const ScriptPosition *position, const char *complaint);

/*
 * See migration_script.h.
 */
MigrationScript *
read_migration_script(const LedgerEntry *entry)
{
	MigrationScript *script = palloc0(sizeof(MigrationScript));
	ScriptPosition position = {entry};
	const char *origin = psprintf("migration %s", entry->label);
	ListCell   *cell;

	script->entry = entry;
	script->statements = parse_migration(entry->body, entry->body_line,
										 origin);
	script->no_transaction = !entry->in_transaction ||
		read_directives(entry->body, entry->body_line, origin).no_transaction;

	foreach(cell, script->statements)
	{
		position.statement = lfirst(cell);
		check_statement(script, &position);
	}
	if (position.begin != NULL)
	{
		position.statement = position.begin;
		bad_statement(&position,
					  "BEGIN has no COMMIT: add it, or leave BEGIN out, a migration runs in a transaction anyway");
	}
	return script;
}

/*
 * See migration_script.h.
 */
List *
parse_migration(const char *body, int first_line, const char *origin)
{
	ErrorContextCallback *callbacks = error_context_stack;
	List	   *statements;

	/*
	 * Where we are called in a function, the error would get the position in
	 * the query that calls us, instead of that in the body.
	 */
	error_context_stack = NULL;
	statements = parse_script(body, origin, first_line);
	error_context_stack = callbacks;
	return statements;
}

static void
check_statement(MigrationScript *script, ScriptPosition *position)
{
	Node	   *node = position->statement->raw->stmt;

	switch (statement_role(node))
	{
		case STATEMENT_BEGIN:
			check_begin(position, (TransactionStmt *) node);
			break;
		case STATEMENT_COMMIT:
		case STATEMENT_ROLLBACK:
			check_end(script, position, (TransactionStmt *) node);
			break;
		case STATEMENT_SAVEPOINT:
		case STATEMENT_RELEASE:
		case STATEMENT_ROLLBACK_TO:
			check_savepoint(script, position, (TransactionStmt *) node);
			break;
		case STATEMENT_PREPARE:
			bad_statement(position,
						  "PREPARE TRANSACTION cannot be part of a migration: use COMMIT");
			break;
		case STATEMENT_SET_TRANSACTION:
			break;
		case STATEMENT_ORDINARY:
			position->transaction_used = position->begin != NULL ||
				!script->no_transaction;
			if (IsA(node, CopyStmt))
				check_copy(position);
			break;
	}
	check_override(position);
}

/* A second BEGIN is a warning when the script is run, as it is in psql. */
static void
check_begin(ScriptPosition *position, TransactionStmt *stmt)
{
	if (position->transaction_used && stmt->options != NIL)
		bad_statement(position,
					  "the transaction has already begun with the statements before: put COMMIT before this BEGIN, or leave its options out");
	if (position->begin == NULL)
		position->begin = position->statement;
}

static void
check_end(MigrationScript *script, ScriptPosition *position,
		  TransactionStmt *stmt)
{
	if (stmt->chain)
		bad_statement(position,
					  "AND CHAIN cannot be used in a migration: write BEGIN");
	if (script->commits_inside == NULL &&
		(stmt->kind == TRANS_STMT_ROLLBACK ||
		 position->statement != llast(script->statements)))
		script->commits_inside = position->statement;

	position->begin = NULL;
	position->transaction_used = false;
	position->savepoints = NIL;
}

static void
check_savepoint(MigrationScript *script, ScriptPosition *position,
				TransactionStmt *stmt)
{
	if (position->begin == NULL && script->no_transaction)
		bad_statement(position,
					  "a savepoint needs a transaction: write BEGIN before and COMMIT after, or leave out that the migration runs without one");
	if (stmt->kind == TRANS_STMT_SAVEPOINT)
	{
		position->savepoints = lcons(makeString(stmt->savepoint_name),
									 position->savepoints);
		return;
	}

	/* those after it are gone with it */
	while (position->savepoints != NIL &&
		   strcmp(strVal(linitial(position->savepoints)),
				  stmt->savepoint_name) != 0)
		position->savepoints = list_delete_first(position->savepoints);
	if (position->savepoints == NIL)
		bad_statement(position,
					  psprintf("there is no savepoint \"%s\" here: write SAVEPOINT before it",
							   stmt->savepoint_name));
	if (stmt->kind == TRANS_STMT_RELEASE)
		position->savepoints = list_delete_first(position->savepoints);
}

/*
 * COPY from or to the client would take over the connection that the call of
 * migrate.deploy() or migrate.apply() is on.
 */
static void
check_copy(ScriptPosition *position)
{
	CopyStmt   *copy = (CopyStmt *) position->statement->raw->stmt;

	if (copy->filename != NULL)
		return;
	if (copy->is_from)
		bad_statement(position,
					  "COPY FROM STDIN cannot be part of a migration: write INSERT, or copy from a file of the server");
	bad_statement(position,
				  "COPY TO STDOUT cannot be part of a migration: leave it out, or copy to a file of the server");
}

static void
check_override(ScriptPosition *position)
{
	char	   *reason = find_directive(position->statement->text, "override");
	char	   *role;

	if (reason == NULL)
		return;
	if (reason[0] == '\0')
		bad_statement(position,
					  "an override needs a reason: write safe_migrate: override <reason>");
	if (pg_parameter_aclcheck(OVERRIDE_SETTING, GetUserId(),
							  ACL_SET) == ACLCHECK_OK)
		return;
	role = GetUserNameFromId(GetUserId(), false);
	ereport(ERROR,
			(errcode(ERRCODE_SM_NOT_PERMITTED),
			 errmsg("migration %s, line %d: role %s may not override rules: deploy as another role, or GRANT SET ON PARAMETER " OVERRIDE_SETTING " TO %s",
					position->entry->label, position->statement->line,
					quote_literal_cstr(role), quote_identifier(role))));
}

static void
bad_statement(const ScriptPosition *position, const char *complaint)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("migration %s, line %d: %s", position->entry->label,
					position->statement->line, complaint)));
}

/*
 * See migration_script.h.
 */
bool
statement_is_done(const LedgerEntry *entry, const ScriptStatement *statement)
{
	return statement->end <= entry->done_bytes;
}

/*
 * See migration_script.h.
 */
bool
statement_must_run_alone(Node *statement)
{
	/* then nobody takes the word out */
	bool		hook_is_off = setting_mode == MODE_OFF ||
	setting_mode == MODE_OBSERVE || setting_restoring;

	return statement_needs_no_transaction(statement) &&
		(hook_is_off || !concurrently_is_needless(statement));
}

/*
 * See migration_script.h.  That the role may do so has been checked.
 */
void
set_override(const ScriptStatement *statement, GucAction action)
{
	char	   *reason = find_directive(statement->text, "override");

	if (reason != NULL)
		(void) set_config_option(OVERRIDE_SETTING, reason, PGC_SUSET,
								 PGC_S_SESSION, action, true, 0, false);
}

/*
 * See migration_script.h.  Most clients print nothing but the message.
 */
void
locate_error(ErrorData *error, const LedgerEntry *entry,
			 const ScriptStatement *statement)
{
	if (statement == NULL)
	{
		error->message = psprintf("migration %s, at its commit: %s",
								  entry->label, error->message);
		return;
	}
	error->message = psprintf("migration %s, line %d: %s", entry->label,
							  statement->line, error->message);
	if (error->cursorpos > 0)
	{
		error->internalpos = error->cursorpos;
		error->internalquery = pstrdup(statement->text);
		error->cursorpos = 0;
	}

	/* show the statement without the comments before it */
	if (error->internalpos > 0 && error->internalquery != NULL &&
		strcmp(error->internalquery, statement->text) == 0)
	{
		int			skipped = first_token_offset(statement->text);

		error->internalpos -= pg_mbstrlen_with_len(statement->text, skipped);
		error->internalquery = pstrdup(statement->text + skipped);
	}
}
