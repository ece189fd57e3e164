/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  The migrations that are to be run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void refuse_edited(List *entries);
static void refuse_out_of_order(List *entries);
static void read_bodies(List *entries);
static LedgerEntry *find_by_prefix(List *entries, const char *target);

/*
 * See ledger.h.  Without a target, all that is pending.
 */
List *
pending_migrations(const char *target)
{
	List	   *entries = ledger_read();
	LedgerEntry *last = target ? find_migration(entries, target) : NULL;
	List	   *pending = NIL;
	ListCell   *cell;

	refuse_edited(entries);
	refuse_out_of_order(entries);
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (!entry->applied)
			pending = lappend(pending, entry);
		if (entry == last)
			break;
	}
	read_bodies(pending);
	return pending;
}

/*
 * See ledger.h.  A list of one, or NIL when the migration is applied.
 */
List *
pending_single_migration(const char *version)
{
	List	   *entries = ledger_read();
	LedgerEntry *entry = find_migration(entries, version);
	LedgerEntry *first = NULL;
	ListCell   *cell;

	refuse_edited(entries);
	if (entry->applied)
		return NIL;
	refuse_out_of_order(entries);

	foreach(cell, entries)
	{
		LedgerEntry *other = lfirst(cell);

		if (!other->applied)
		{
			first = other;
			break;
		}
	}
	if (first != entry)
		ereport(ERROR,
				(errcode(ERRCODE_SM_OUT_OF_ORDER),
				 errmsg("migration %s comes before %s and is pending: apply it first with SELECT migrate.apply(%s)",
						first->label, entry->label,
						quote_literal_cstr(first->version))));
	read_bodies(list_make1(entry));
	return list_make1(entry);
}

/*
 * Find a migration by its version, by another spelling of it, or by the part
 * of it before an underscore.  Throws if there is none, or more than one.
 */
LedgerEntry *
find_migration(List *entries, const char *target)
{
	char	   *key = version_sort_key(target);
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (strcmp(entry->version, target) == 0)
			return entry;
	}
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (strcmp(version_sort_key(entry->version), key) == 0)
			return entry;
	}
	return find_by_prefix(entries, target);
}

static LedgerEntry *
find_by_prefix(List *entries, const char *target)
{
	size_t		length = strlen(target);
	LedgerEntry *found = NULL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (strncmp(entry->version, target, length) != 0 ||
			entry->version[length] != '_')
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("version \"%s\" is that of %s and of %s: write one of them in full",
							target, found->version, entry->version)));
		found = entry;
	}
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("there is no migration \"%s\": register it, or look for its version in migrate.status",
						target)));
	return found;
}

/*
 * Nothing runs while the text of an applied migration differs from what was
 * applied: the database and the files have gone separate ways.
 */
static void
refuse_edited(List *entries)
{
	StringInfoData others;
	LedgerEntry *first = NULL;
	ListCell   *cell;

	initStringInfo(&others);
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (!entry->edited)
			continue;
		if (first == NULL)
			first = entry;
		else
			appendStringInfo(&others, "%s%s", others.len ? ", " : "",
							 entry->label);
	}
	if (first != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("migration %s was changed after it had been applied: restore its file, or put the change into a new migration",
						first->label),
				 others.len ? errdetail("Also changed: %s.", others.data) : 0,
				 errhint("The text that was applied: SELECT body FROM migrate.attempts WHERE version = %s AND state IN ('applied', 'baseline');",
						 quote_literal_cstr(first->version))));
}

static void
refuse_out_of_order(List *entries)
{
	LedgerEntry *last_applied = NULL;
	LedgerEntry *late = NULL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (entry->applied)
			last_applied = entry;
	}
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (entry == last_applied)
			break;
		if (last_applied != NULL && !entry->applied && late == NULL)
			late = entry;
	}
	if (late != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_OUT_OF_ORDER),
				 errmsg("migration %s comes before %s, which is applied: give it a version after that one and forget this one with SELECT migrate.unregister(%s), or, if its changes are there already, mark it with SELECT migrate.baseline(%s)",
						late->label, last_applied->label,
						quote_literal_cstr(late->version),
						quote_literal_cstr(late->version))));
}

static void
read_bodies(List *entries)
{
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		ledger_read_body(entry);
		if (done_part_was_changed(entry))
			ereport(ERROR,
					(errcode(ERRCODE_SM_MIGRATION_EDITED),
					 errmsg("migration %s was changed in the part that has run already (%d statements): restore that part, or finish it by hand and mark it with SELECT migrate.baseline(%s)",
							entry->label, entry->statements,
							quote_literal_cstr(entry->version)),
					 errhint("The text that was run: SELECT body FROM migrate.attempts WHERE id = " INT64_FORMAT ";",
							 entry->attempt)));
	}
}

/*
 * Does the text of a migration that has run in part no longer begin with that
 * part?  Its bodies must have been read.
 */
bool
done_part_was_changed(const LedgerEntry *entry)
{
	return entry->done_bytes > 0 &&
		strncmp(entry->body, entry->attempted_body, entry->done_bytes) != 0;
}
