/*-------------------------------------------------------------------------
 *
 * revert.c
 *	  migrate.revert(): the down script of a migration, in the caller's
 *	  transaction.
 *
 * It runs as migrate.apply() runs an up script: judged by the rules, all or
 * nothing.  After it the migration is pending.
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
#include "ledger/ledger_target.h"
#include "ledger/point_before.h"
#include "ledger/script_in_function.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "preserve/preserve.h"
#include "run/step.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static Datum revert(PG_FUNCTION_ARGS);
static void run_with_fingerprint(Attempt *attempt, List *repeatable);
static void refuse_not_applied(const LedgerEntry *entry);
static void refuse_later_ones(List *entries, const LedgerEntry *entry);
static bool depends_on(const LedgerEntry *later, bool is_later,
					   const LedgerEntry *entry);
static LedgerEntry *down_script_of(const LedgerEntry *entry);
static int	run_down_script(const LedgerEntry *down, List *repeatable);
static void refuse_without_transaction(const MigrationScript *script);
static const char *reason_to_refuse(Node *statement);
static void refuse_statement(const LedgerEntry *down,
							 const ScriptStatement *statement,
							 const char *reason);
static void name_down_script(ErrorData *error);
static void name_repeatable(ErrorData *error, List *repeatable);
static List *repeatable_migrations(List *entries);
static void renew_repeatable(List *repeatable);
static char *labels_of(List *entries);

PG_FUNCTION_INFO_V1(migrate_revert);

/*
 * migrate.revert(version text) returns int
 * migrate.revert(version text, target_schema text) returns int
 */
Datum
migrate_revert(PG_FUNCTION_ARGS)
{
	return call_on_target(fcinfo, 1, revert);
}

static Datum
revert(PG_FUNCTION_ARGS)
{
	List	   *entries;
	List	   *repeatable;
	LedgerEntry *entry;
	LedgerEntry *down;
	Attempt		attempt = {0};

	begin_ledger_script("migrate.revert()", NULL);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.revert() needs the version of a migration, not NULL")));
	if (ledger_target_schema()[0] != '\0')
		require_target_schema();
	entries = ledger_read();
	entry = find_migration(entries, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	refuse_not_applied(entry);
	refuse_later_ones(entries, entry);
	require_finished(ledger_read_tasks(entry), entry->label);
	down = down_script_of(entry);
	repeatable = entry->repeatable ? NIL : repeatable_migrations(entries);

	attempt.entry = down;
	attempt.kind = ATTEMPT_REVERT;
	attempt.role = GetUserNameFromId(GetUserId(), false);
	attempt.started_at = GetCurrentTimestamp();
	attempt.done_bytes = strlen(down->body);
	attempt.state = ATTEMPT_APPLIED;
	run_with_fingerprint(&attempt, repeatable);
	(void) ledger_end_effect(entry, ATTEMPT_REVERTED);
	ledger_write_attempt(&attempt);
	renew_repeatable(repeatable);
	PG_RETURN_INT32(attempt.statements);
}

static void
run_with_fingerprint(Attempt *attempt, List *repeatable)
{
	PG_TRY();
	{
		begin_fingerprints(1);
		make_point_before(psprintf("revert of %s", attempt->entry->label));
		attempt->statements = run_down_script(attempt->entry, repeatable);
		attempt->fingerprint = fingerprint_now();
	}
	PG_FINALLY();
	{
		end_fingerprints();
	}
	PG_END_TRY();
}

/*
 * The down script of a text that was edited is that of another migration.
 */
static void
refuse_not_applied(const LedgerEntry *entry)
{
	if (entry->edited)
		ereport(ERROR,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("migration %s was changed after it had been applied, and its down script may not fit: restore its file, or accept the change with SELECT %s",
						entry->label,
						target_call("migrate.repair", entry->version))));
	if (entry->applied || (entry->repeat && entry->done_bytes == 0))
		return;
	if (entry->done_bytes > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration %s has run in part (%d statements): let CALL migrate.deploy() finish it before you revert it, or take that part back by hand and SELECT %s",
						entry->label, entry->statements,
						target_call("migrate.repair", entry->version))));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration %s is not applied: there is nothing to revert",
					entry->label)));
}

/*
 * What was applied later may stand on it.
 */
static void
refuse_later_ones(List *entries, const LedgerEntry *entry)
{
	StringInfoData labels;
	const LedgerEntry *last = NULL;
	bool		is_later = false;
	ListCell   *cell;

	initStringInfo(&labels);
	foreach(cell, entries)
	{
		const LedgerEntry *other = lfirst(cell);

		if (other != entry && depends_on(other, is_later, entry))
		{
			last = other;
			appendStringInfo(&labels, "%s%s", labels.len ? ", " : "",
							 other->label);
		}
		is_later |= other == entry;
	}
	if (last != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_OUT_OF_ORDER),
				 errmsg("migration %s cannot be reverted while later ones are applied (%s): revert them first, from the last one: SELECT %s",
						entry->label, labels.data,
						target_call("migrate.revert", last->version))));
}

/*
 * Repeatable migrations come after all others, and are made to be run again.
 */
static bool
depends_on(const LedgerEntry *later, bool is_later, const LedgerEntry *entry)
{
	ListCell   *cell;

	if (!later->applied)
		return false;
	foreach(cell, later->requires)
	{
		if (strcmp(lfirst(cell), entry->version) == 0)
			return true;
	}
	return is_later && !later->repeatable && !entry->repeatable;
}

/*
 * The down script as if it were a migration.
 */
static LedgerEntry *
down_script_of(const LedgerEntry *entry)
{
	LedgerEntry *down = palloc0(sizeof(LedgerEntry));

	down->version = entry->version;
	down->name = entry->name;
	down->label = entry->label;
	down->body = ledger_read_down_body(entry, &down->body_line);
	if (down->body == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migration %s has no down script: load it again with one, or write a new migration that takes its changes back",
						entry->label)));
	down->checksum = text_checksum(down->body);
	down->in_transaction = true;
	return down;
}

/*
 * Returns how many statements it has.
 */
static int
run_down_script(const LedgerEntry *down, List *repeatable)
{
	MemoryContext caller = CurrentMemoryContext;
	const ScriptStatement *volatile statement = NULL;
	volatile int statements = 0;
	int			level = NewGUCNestLevel();

	if (ledger_target_schema()[0] != '\0')
		enter_target_search_path(GUC_ACTION_SAVE);
	set_migration_running(true);
	PG_TRY();
	{
		MigrationScript *script = read_migration_script(down);

		refuse_without_transaction(script);
		run_script_in_function(script, &statement);
		statements = list_length(script->statements);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		set_migration_running(false);
		if (statement != NULL)
			locate_error(error, down, statement);
		name_down_script(error);
		name_repeatable(error, repeatable);
		record_failed_script(error, statement);
		ReThrowError(error);
	}
	PG_END_TRY();
	set_migration_running(false);
	AtEOXact_GUC(false, level);
	return statements;
}

/*
 * Nothing commits on the way, so it is all there or all gone.
 */
static void
refuse_without_transaction(const MigrationScript *script)
{
	ListCell   *cell;

	if (script->commits_inside != NULL)
		refuse_statement(script->entry, script->commits_inside,
						 "ends a transaction by itself");
	foreach(cell, script->statements)
	{
		const ScriptStatement *statement = lfirst(cell);
		const char *reason = reason_to_refuse(statement->raw->stmt);

		if (reason != NULL)
			refuse_statement(script->entry, statement, reason);
	}
}

static const char *
reason_to_refuse(Node *statement)
{
	StatementRole role = statement_role(statement);

	if (role == STATEMENT_SET_TRANSACTION ||
		(role == STATEMENT_BEGIN &&
		 ((TransactionStmt *) statement)->options != NIL))
		return "sets the characteristics of its transaction";
	if (role == STATEMENT_ORDINARY && statement_must_run_alone(statement))
		return psprintf("has %s%s, which cannot run inside a transaction",
						GetCommandTagName(CreateCommandTag(statement)),
						IsA(statement, IndexStmt) || IsA(statement, DropStmt) ?
						" CONCURRENTLY" : "");
	return NULL;
}

static void
refuse_statement(const LedgerEntry *down, const ScriptStatement *statement,
				 const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("migration %s, line %d, %s, but all of it is run in one transaction: change the down script and load it again, or revert in a new migration",
					down->label, statement->line, reason)));
}

/*
 * Whatever is said of a migration is said of its down script here.
 */
static void
name_down_script(ErrorData *error)
{
	if (strncmp(error->message, "migration ", strlen("migration ")) == 0)
		error->message = psprintf("down script of %s", error->message);
}

/*
 * What repeatable migrations have made on top of others is not taken back by
 * those, and stands in their way.
 */
static void
name_repeatable(ErrorData *error, List *repeatable)
{
	if (error->sqlerrcode == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST &&
		repeatable != NIL)
		error->hint = psprintf("What a repeatable migration has made (%s) is not reverted: drop it in the down script, and the next deploy makes it again.",
							   labels_of(repeatable));
}

/*
 * The repeatable migrations that are applied and have no down script, and so
 * are not reverted by themselves either.
 */
static List *
repeatable_migrations(List *entries)
{
	List	   *repeatable = NIL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);
		int			line;

		if (entry->repeatable && entry->applied &&
			ledger_read_down_body(entry, &line) == NULL)
			repeatable = lappend(repeatable, entry);
	}
	return repeatable;
}

/*
 * The down script may have dropped what repeatable migrations have made: they
 * run again.
 */
static void
renew_repeatable(List *repeatable)
{
	ListCell   *cell;

	foreach(cell, repeatable)
		(void) ledger_end_effect(lfirst(cell), ATTEMPT_RESTARTED);
	if (repeatable != NIL)
		ereport(NOTICE,
				(errmsg("the next deploy runs repeatable migrations again: %s",
						labels_of(repeatable))));
}

/* Separated by commas. */
static char *
labels_of(List *entries)
{
	StringInfoData labels;
	ListCell   *cell;

	initStringInfo(&labels);
	foreach(cell, entries)
		appendStringInfo(&labels, "%s%s", labels.len ? ", " : "",
						 ((LedgerEntry *) lfirst(cell))->label);
	return labels.data;
}
