/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  migrate.apply(): migrations in the caller's transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/migration_flag.h"
#include "drift/fingerprint.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/precheck.h"
#include "miscadmin.h"
#include "record/record.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static void begin_apply(void);
static int	apply_migrations(List *pending);
static void apply_migration(const LedgerEntry *entry);
static void run_script(const MigrationScript *script,
					   const ScriptStatement *volatile *current);
static void run_statement(const ScriptStatement *statement, List **savepoints);
static void record_failure(const ErrorData *error,
						   const ScriptStatement *statement);

PG_FUNCTION_INFO_V1(migrate_apply);
PG_FUNCTION_INFO_V1(migrate_apply_sql);

/*
 * migrate.apply(target text) returns int
 */
Datum
migrate_apply(PG_FUNCTION_ARGS)
{
	char	   *target = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));

	begin_apply();
	PG_RETURN_INT32(apply_migrations(pending_migrations(target)));
}

/*
 * migrate.apply(version text, sql text, name text) returns int
 */
Datum
migrate_apply_sql(PG_FUNCTION_ARGS)
{
	MigrationText migration = {0};

	begin_apply();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.apply() needs a version and a text, not NULL: use migrate.apply() without arguments for what is pending")));
	migration.version = text_to_cstring(PG_GETARG_TEXT_PP(0));
	migration.body = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		migration.name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	migration.in_transaction = true;
	(void) register_migration(&migration);
	PG_RETURN_INT32(apply_migrations(pending_single_migration(migration.version)));
}

/*
 * With a snapshot of the whole transaction we would not see what another
 * deploy has done since.
 */
static void
begin_apply(void)
{
	require_preloaded();
	PreventCommandIfReadOnly("migrate.apply()");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("migrate.apply() cannot run in a transaction that is REPEATABLE READ or SERIALIZABLE: use READ COMMITTED, or CALL migrate.deploy()")));
	lock_ledger_for_transaction();
}

static int
apply_migrations(List *pending)
{
	ListCell   *cell;

	check_migrations_for_apply(pending);

	set_migration_running(true);
	PG_TRY();
	{
		if (pending != NIL)
			begin_fingerprints();
		foreach(cell, pending)
		{
			apply_migration(lfirst(cell));
		}
	}
	PG_FINALLY();
	{
		end_fingerprints();
		set_migration_running(false);
	}
	PG_END_TRY();
	return list_length(pending);
}

static void
apply_migration(const LedgerEntry *entry)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate migration",
												  ALLOCSET_DEFAULT_SIZES);
	const ScriptStatement *volatile statement = NULL;
	Attempt		attempt = {entry};

	MemoryContextSwitchTo(context);
	attempt.started_at = GetCurrentTimestamp();
	attempt.role = GetUserNameFromId(GetUserId(), false);
	PG_TRY();
	{
		MigrationScript *script = read_migration_script(entry);

		run_script(script, &statement);
		attempt.statements = list_length(script->statements);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		if (statement != NULL)
			locate_error(error, entry, statement);
		record_failure(error, statement);
		ReThrowError(error);
	}
	PG_END_TRY();

	if (entry->interrupted)
		ledger_end_interrupted(entry);
	attempt.done_bytes = strlen(entry->body);
	attempt.state = ATTEMPT_APPLIED;
	attempt.fingerprint = fingerprint_now();
	ledger_write_attempt(&attempt);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * Settings of a migration end with it.
 */
static void
run_script(const MigrationScript *script,
		   const ScriptStatement *volatile *current)
{
	int			level = NewGUCNestLevel();
	List	   *savepoints = NIL;
	ListCell   *cell;

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
	*current = NULL;
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
			run_statement_in_function(statement->text);
			AtEOXact_GUC(true, level);
			break;
	}
}

/*
 * The ledger goes back with the caller's transaction; decisions stay.
 */
static void
record_failure(const ErrorData *error, const ScriptStatement *statement)
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
