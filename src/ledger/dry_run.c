/*-------------------------------------------------------------------------
 *
 * dry_run.c
 *	  migrate.plan(): what CALL migrate.deploy() would run.
 *
 * The pending migrations are checked as one script of several texts, so that
 * each is judged by what those before it would have left behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "check/check.h"
#include "common/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/done_settings.h"
#include "ledger/ledger.h"
#include "ledger/migration_script.h"
#include "ledger/precheck.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

/* Columns before and behind those of migrate.check(). */
#define COLUMNS_BEFORE		5
#define PLAN_COLUMNS		(COLUMNS_BEFORE + CHECK_ROW_COLUMNS + 1)

/* What is put out, and where it has come to. */
typedef struct DryRun
{
	ReturnSetInfo *result;
	ScriptState state;
	MemoryContext context;		/* of one statement */
	const LedgerEntry *entry;
	ScriptStatement *statement; /* NULL: the migration has none */
	int			statement_number;
} DryRun;

static void plan_pending(DryRun *run, const char *target);
static void plan_migration(DryRun *run);
static void apply_settings(DryRun *run, List *statements);
static void plan_statements(DryRun *run, const MigrationScript *script);
static void plan_statement(DryRun *run);
static void put_row(DryRun *run, const CheckRow *row);
static const char *state_of(const LedgerEntry *entry);

PG_FUNCTION_INFO_V1(migrate_plan);

/*
 * migrate.plan(target text): see ledger.sql.
 */
Datum
migrate_plan(PG_FUNCTION_ARGS)
{
	char	   *target = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));
	DryRun		run = {(ReturnSetInfo *) fcinfo->resultinfo};
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		plan_pending(&run, target);
	}
	PG_FINALLY();
	{
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	return (Datum) 0;
}

/*
 * In a subtransaction that is rolled back: to take over what other tools have
 * applied, as deploy would, is to write it down.
 */
static void
plan_pending(DryRun *run, const char *target)
{
	List	   *pending;
	ListCell   *cell;

	if (ledger_follows_tools())
		lock_ledger_for_transaction();
	pending = pending_migrations(target);
	check_migrations(pending);

	script_begin(&run->state);
	run->context = AllocSetContextCreate(CurrentMemoryContext,
										 "safe_migrate plan",
										 ALLOCSET_DEFAULT_SIZES);
	foreach(cell, pending)
	{
		run->entry = read_pending(lfirst(cell));
		tell_late(run->entry);
		plan_migration(run);
	}
	MemoryContextDelete(run->context);
	script_end(&run->state);
}

/*
 * The script has to stay, since the state refers to its statements.  What an
 * earlier attempt has done is in the catalog, but for the settings, which
 * deploy makes once more.
 */
static void
plan_migration(DryRun *run)
{
	MigrationScript *script = read_migration_script(run->entry);
	DoneSettings settings = settings_of_done_part(script);

	script_next_text(&run->state, run->entry->body, run->entry->body_line,
					 run->entry->label);
	if (script->statements == NIL ||
		statement_is_done(run->entry, llast(script->statements)))
	{
		CheckRow	row = {.action = action_name(ACTION_ALLOW)};

		run->statement = NULL;
		put_row(run, &row);
		return;
	}
	apply_settings(run, settings.lasting);
	if (!script->no_transaction)
		script_begin_implicit(&run->state);
	apply_settings(run, settings.open);
	plan_statements(run, script);
	if (!script->no_transaction)
		script_end_implicit(&run->state);
}

static void
apply_settings(DryRun *run, List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
		script_apply_settings(&run->state, lfirst(cell));
}

static void
plan_statements(DryRun *run, const MigrationScript *script)
{
	ListCell   *cell;

	foreach(cell, script->statements)
	{
		run->statement = lfirst(cell);
		run->statement_number = foreach_current_index(cell) + 1;
		CHECK_FOR_INTERRUPTS();
		if (!statement_is_done(run->entry, run->statement))
			plan_statement(run);
	}
}

static void
plan_statement(DryRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	ListCell   *cell;

	foreach(cell, check_script_statement(&run->state, run->statement))
		put_row(run, lfirst(cell));
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->context);
}

static void
put_row(DryRun *run, const CheckRow *row)
{
	Datum		values[PLAN_COLUMNS] = {0};
	bool		nulls[PLAN_COLUMNS] = {0};

	values[0] = CStringGetTextDatum(run->entry->version);
	values[1] = CStringGetTextDatum(run->entry->name);
	values[2] = CStringGetTextDatum(state_of(run->entry));
	nulls[3] = nulls[4] = run->statement == NULL;
	if (run->statement != NULL)
	{
		values[3] = Int32GetDatum(run->statement_number);
		values[4] = Int32GetDatum(run->statement->line);
	}
	check_row_columns(row, run->statement ? run->statement->raw->stmt : NULL,
					  values + COLUMNS_BEFORE, nulls + COLUMNS_BEFORE);
	values[PLAN_COLUMNS - 1] = Int64GetDatum((int64) (row->seconds * 1000));
	nulls[PLAN_COLUMNS - 1] = row->seconds == 0;
	tuplestore_putvalues(run->result->setResult, run->result->setDesc, values,
						 nulls);
}

static const char *
state_of(const LedgerEntry *entry)
{
	if (entry->done_bytes > 0)
		return "resume";
	return entry->repeat ? "repeat" : "pending";
}
