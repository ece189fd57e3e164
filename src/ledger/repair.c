/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  migrate.repair(): the ledger follows what somebody did by hand.
 *
 * Nothing that has been written is taken away: another row says what counts
 * from now on, and who said so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "ledger/script_in_function.h"
#include "utils/builtins.h"

static Datum repair(PG_FUNCTION_ARGS);
static const char *repair_migration(LedgerEntry *entry);
static bool can_be_forgotten(const LedgerEntry *entry, bool was_half_done);
static void nothing_to_repair(const LedgerEntry *entry);

PG_FUNCTION_INFO_V1(migrate_repair);

/*
 * migrate.repair(version text) returns text
 * migrate.repair(version text, target_schema text) returns text
 */
Datum
migrate_repair(PG_FUNCTION_ARGS)
{
	return call_on_target(fcinfo, 1, repair);
}

static Datum
repair(PG_FUNCTION_ARGS)
{
	LedgerEntry *entry;

	begin_ledger_script("migrate.repair()", NULL);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.repair() needs the version of a migration, not NULL")));
	entry = find_migration(ledger_read(), text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_TEXT_P(cstring_to_text(repair_migration(entry)));
}

/*
 * Returns in a word what was done.
 */
static const char *
repair_migration(LedgerEntry *entry)
{
	bool		half_done = !entry->applied && entry->done_bytes > 0;

	if (entry->edited && !entry->missing)
	{
		mark_as_applied(entry, ATTEMPT_REPAIRED);
		return "accepted";
	}
	if (half_done)
		mark_as_applied(entry, ATTEMPT_RESTARTED);
	if (entry->missing && can_be_forgotten(entry, half_done))
	{
		ledger_release_tasks(entry);
		ledger_forget_migration(entry);
		return "forgotten";
	}
	if (!half_done)
		nothing_to_repair(entry);
	return "restarted";
}

/*
 * Of the others that have it half done, the registered text is what tells how
 * they go on.
 */
static bool
can_be_forgotten(const LedgerEntry *entry, bool was_half_done)
{
	List	   *schemas = ledger_half_done_elsewhere(entry);
	const char *first;

	if (schemas == NIL)
		return true;
	if (was_half_done)
		return false;
	first = linitial(schemas);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 first[0] == '\0' ?
			 errmsg("migration %s cannot be forgotten, it has run in part in the database itself: take that part back and SELECT migrate.repair(%s) first",
					entry->label, quote_literal_cstr(entry->version)) :
			 errmsg("migration %s cannot be forgotten, it has run in part in schema %s: take that part back and SELECT migrate.repair(%s, %s) first",
					entry->label, first, quote_literal_cstr(entry->version),
					quote_literal_cstr(first)),
			 list_length(schemas) > 1 ?
			 errdetail_plural("So it has in %d more schema.",
							  "So it has in %d more schemas.",
							  list_length(schemas) - 1,
							  list_length(schemas) - 1) : 0));
	return false;
}

static void
nothing_to_repair(const LedgerEntry *entry)
{
	const char *state;

	if (entry->applied)
		state = "is applied with the text that is registered";
	else if (entry->attempt != 0)
		state = "has failed and nothing of it has stayed: mend its file, load it and deploy it again";
	else if (entry->repeat)
		state = "is repeatable, and its text has changed: the next deploy runs it again";
	else
		state = "is pending: the next deploy runs it";
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("there is nothing to repair, migration %s %s",
					entry->label, state)));
}
