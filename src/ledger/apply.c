/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  migrate.apply(): migrations in the caller's transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/migration_flag.h"
#include "drift/fingerprint.h"
#include "fmgr.h"
#include "ledger/deferred.h"
#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/point_before.h"
#include "ledger/precheck.h"
#include "ledger/script_in_function.h"
#include "miscadmin.h"
#include "preserve/preserve.h"
#include "run/host.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static int	apply_migrations(List *pending);
static void apply_migration(const LedgerEntry *pending);

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

	begin_ledger_script("migrate.apply()", "CALL migrate.deploy()");
	PG_RETURN_INT32(apply_migrations(pending_migrations(target)));
}

/*
 * migrate.apply(version text, sql text, name text) returns int
 */
Datum
migrate_apply_sql(PG_FUNCTION_ARGS)
{
	MigrationText migration = {0};

	begin_ledger_script("migrate.apply()", "CALL migrate.deploy()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.apply() needs a version and a text, not NULL: use migrate.apply() without arguments for what is pending")));
	migration.version = text_to_cstring(PG_GETARG_TEXT_PP(0));
	migration.body = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		migration.name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	migration.body_line = migration.down_line = 1;
	migration.in_transaction = true;
	(void) register_migration(&migration);
	PG_RETURN_INT32(apply_migrations(pending_single_migration(migration.version)));
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
		{
			begin_fingerprints(list_length(pending));
			make_point_before(((LedgerEntry *) linitial(pending))->label);
		}
		foreach(cell, pending)
		{
			apply_migration(lfirst(cell));
		}
	}
	PG_FINALLY();
	{
		note_deferred_tasks(false, InvalidOid);
		end_fingerprints();
		set_migration_running(false);
	}
	PG_END_TRY();
	return list_length(pending);
}

static void
apply_migration(const LedgerEntry *pending)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate migration",
												  ALLOCSET_DEFAULT_SIZES);
	const ScriptStatement *volatile statement = NULL;
	const LedgerEntry *entry;
	Attempt		attempt = {0};

	MemoryContextSwitchTo(context);
	entry = read_pending(pending);
	require_deferred(entry->tasks, entry->label);
	tell_late(entry);
	note_deferred_tasks(true, InvalidOid);
	attempt.entry = entry;
	attempt.out_of_order = entry->runs_after != NULL;
	attempt.started_at = GetCurrentTimestamp();
	attempt.role = GetUserNameFromId(GetUserId(), false);
	PG_TRY();
	{
		MigrationScript *script = read_migration_script(entry);

		run_script_in_function(script, &statement);
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
		record_failed_script(error, statement);
		ReThrowError(error);
	}
	PG_END_TRY();

	if (entry->interrupted)
		ledger_end_interrupted(entry);
	attempt.done_bytes = strlen(entry->body);
	attempt.tasks = list_concat_copy(entry->tasks, tasks_left());
	attempt.state = ATTEMPT_APPLIED;
	attempt.fingerprint = fingerprint_now();
	ledger_write_attempt(&attempt);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
