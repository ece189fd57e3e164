/*-------------------------------------------------------------------------
 *
 * script_in_function.c
 *	  The text of a migration, up or down, run in the caller's transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "ledger/done_settings.h"
#include "ledger/ledger.h"
#include "ledger/script_in_function.h"
#include "miscadmin.h"
#include "plan/plan.h"
#include "record/record.h"
#include "run/host.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

static void run_statements(const MigrationScript *script,
						   const ScriptStatement *volatile *current);
static void run_settings(List *statements,
						 const ScriptStatement *volatile *current);
static void run_statement(const ScriptStatement *statement, List **savepoints);

/* Nothing can be committed in a function. */
static const ScriptHost apply_host = {
	.remedy = "CALL migrate.deploy() does it so"
};

/*
 * See script_in_function.h.
 */
void
begin_ledger_script(const char *function, const char *instead)
{
	require_preloaded();
	PreventCommandIfReadOnly(function);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("%s cannot run in a transaction that is REPEATABLE READ or SERIALIZABLE: use READ COMMITTED%s%s",
						function, instead ? ", or " : "", instead ? instead : "")));
	lock_ledger_for_transaction();
}

/*
 * See script_in_function.h.  Settings of a script end with it.
 */
void
run_script_in_function(const MigrationScript *script,
					   const ScriptStatement *volatile *current)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			nesting = GetCurrentTransactionNestLevel();

	PG_TRY();
	{
		run_statements(script, current);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();

		host_next_statement(NULL);

		/* nobody else would end the savepoints of the script */
		while (GetCurrentTransactionNestLevel() > nesting)
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	*current = NULL;
}

static void
run_statements(const MigrationScript *script,
			   const ScriptStatement *volatile *current)
{
	int			level = NewGUCNestLevel();
	DoneSettings settings = settings_of_done_part(script);
	List	   *savepoints = NIL;
	ListCell   *cell;

	run_settings(settings.lasting, current);
	run_settings(settings.open, current);
	foreach(cell, script->statements)
	{
		const ScriptStatement *statement = lfirst(cell);

		if (statement_is_done(script->entry, statement))
			continue;
		*current = statement;
		CHECK_FOR_INTERRUPTS();
		run_statement(statement, &savepoints);
	}
	release_all_savepoints(savepoints);
	AtEOXact_GUC(false, level);
}

static void
run_settings(List *statements, const ScriptStatement *volatile *current)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		List	   *savepoints = NIL;

		*current = lfirst(cell);
		run_statement(lfirst(cell), &savepoints);
	}
}

static void
run_statement(const ScriptStatement *statement, List **savepoints)
{
	Node	   *node = statement->raw->stmt;
	int			level;

	switch (statement_role(node))
	{
		case STATEMENT_BEGIN:
			return;
		case STATEMENT_COMMIT:
			release_all_savepoints(*savepoints);
			*savepoints = NIL;
			return;
		case STATEMENT_SAVEPOINT:
		case STATEMENT_RELEASE:
		case STATEMENT_ROLLBACK_TO:
			*savepoints = run_savepoint_statement(*savepoints,
												  (TransactionStmt *) node);
			return;
		case STATEMENT_ROLLBACK:
		case STATEMENT_PREPARE:
		case STATEMENT_SET_TRANSACTION:
			elog(ERROR, "statement that was not refused before");
			break;
		case STATEMENT_ORDINARY:
			level = NewGUCNestLevel();
			set_override(statement, GUC_ACTION_SAVE);
			if (statement_may_have_plan(node))
				host_next_statement(&apply_host);
			run_statement_in_function(statement->text);
			host_next_statement(NULL);
			AtEOXact_GUC(true, level);
			break;
	}
}

/*
 * See script_in_function.h.
 */
void
record_failed_script(const ErrorData *error, const ScriptStatement *statement)
{
	Decision	decision = {0};

	decision.outcome = DECISION_MIGRATION_FAILED;
	decision.message = error->message;
	if (statement != NULL)
	{
		decision.statement = statement->text +
			first_token_offset(statement->text);
		decision.command =
			GetCommandTagName(CreateCommandTag(statement->raw->stmt));
	}
	record_decision(&decision);
}
