/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  The migrations that are to be run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/settings.h"
#include "ledger/directives.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define OUT_OF_ORDER_SETTING "safe_migrate.out_of_order"

/* Versions that are applied, or about to be, by their names. */
typedef struct KnownVersion
{
	char		version[VERSION_MAX_BYTES + 1];
	const LedgerEntry *entry;
	bool		is_before;		/* applied, or run before the one looked at */
} KnownVersion;

static void refuse_edited(List *entries);
static void refuse_missing(List *pending);
static void check_order(List *entries, const LedgerEntry *single);
static LedgerEntry *copy_entry(const LedgerEntry *entry);
static bool asks_for_its_place(const LedgerEntry *entry);
static void refuse_out_of_order(const LedgerEntry *late,
								const LedgerEntry *last_applied);
static void check_required(List *entries, List *pending);
static HTAB *index_versions(List *entries);
static KnownVersion *find_known(HTAB *versions, const char *version,
								HASHACTION action);
static void note_as_before(HTAB *versions, const LedgerEntry *entry);
static void refuse_required(const LedgerEntry *entry, const char *required,
							const KnownVersion *known);
static LedgerEntry *find_by_prefix(List *entries, const char *target);

/*
 * See ledger.h.  Entries that are applied are forgotten at once.
 */
List *
pending_migrations(const char *target)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate ledger",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *entries;
	LedgerEntry *last;
	List	   *pending = NIL;
	List	   *result = NIL;
	ListCell   *cell;

	MemoryContextSwitchTo(context);
	ledger_adopt_new_rows();
	entries = ledger_read();
	last = target ? find_migration(entries, target) : NULL;
	refuse_edited(entries);
	check_order(entries, NULL);
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (!entry->applied)
			pending = lappend(pending, entry);
		if (entry == last)
			break;
	}
	refuse_missing(pending);
	check_required(entries, pending);
	if (pending != NIL)
		refuse_history_of_schemas(entries);

	MemoryContextSwitchTo(caller);
	foreach(cell, pending)
		result = lappend(result, copy_entry(lfirst(cell)));
	MemoryContextDelete(context);
	return result;
}

/*
 * See ledger.h.
 */
List *
pending_single_migration(const char *version)
{
	List	   *entries;
	LedgerEntry *entry;
	List	   *pending;
	ListCell   *cell;

	ledger_adopt_new_rows();
	entries = ledger_read();
	entry = find_migration(entries, version);
	pending = list_make1(entry);
	refuse_edited(entries);
	if (entry->applied)
		return NIL;
	check_order(entries, entry);
	foreach(cell, entries)
	{
		LedgerEntry *other = lfirst(cell);

		if (other == entry)
			break;
		if (!other->applied && !other->repeatable &&
			setting_out_of_order == OUT_OF_ORDER_REJECT)
			ereport(ERROR,
					(errcode(ERRCODE_SM_OUT_OF_ORDER),
					 errmsg("migration %s comes before %s and is pending: apply it first with SELECT migrate.apply(%s)",
							other->label, entry->label,
							quote_literal_cstr(other->version))));
	}
	refuse_missing(pending);
	check_required(entries, pending);
	refuse_history_of_schemas(entries);
	return pending;
}

/* Without bodies, in the current memory context. */
static LedgerEntry *
copy_entry(const LedgerEntry *entry)
{
	LedgerEntry *copy = palloc(sizeof(LedgerEntry));

	*copy = *entry;
	copy->version = pstrdup(entry->version);
	copy->name = pstrdup(entry->name);
	copy->label = pstrdup(entry->label);
	copy->checksum = pstrdup(entry->checksum);
	copy->runs_after = entry->runs_after ? pstrdup(entry->runs_after) : NULL;
	copy->body = copy->attempted_body = NULL;
	copy->requires = copy->tasks = NIL;
	return copy;
}

/*
 * See ledger.h.
 */
LedgerEntry *
read_pending(const LedgerEntry *pending)
{
	LedgerEntry *entry = ledger_read_entry(pending->version);

	entry->runs_after = pending->runs_after;
	if (!done_part_was_changed(entry))
		return entry;
	if (!entry->repeatable)
		ereport(ERROR,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("migration %s was changed in the part that has run already (%d statements): restore that part, or finish it by hand and mark it with SELECT %s",
						entry->label, entry->statements,
						target_call("migrate.baseline", entry->version)),
				 errhint("The text that was run: SELECT body FROM migrate.attempts WHERE id = " INT64_FORMAT ";",
						 entry->attempt)));

	/* one that may be run again begins anew */
	entry->statements = entry->done_bytes = 0;
	entry->tasks = NIL;
	return entry;
}

/*
 * See ledger.h.
 */
void
tell_late(const LedgerEntry *entry)
{
	if (entry->runs_after != NULL)
		ereport(NOTICE,
				(errmsg("migration %s runs out of order: %s, which comes after it, is applied already",
						entry->label, entry->runs_after)));
}

/*
 * See ledger.h.
 */
bool
done_part_was_changed(const LedgerEntry *entry)
{
	return entry->done_bytes > 0 &&
		strncmp(entry->body, entry->attempted_body, entry->done_bytes) != 0;
}

/*
 * See ledger.h.
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
				 errmsg("migration %s was changed after it had been applied: restore its file and put the change into a new migration, or, if it makes no difference, SELECT %s",
						first->label,
						target_call("migrate.repair", first->version)),
				 others.len ? errdetail("Also changed: %s.", others.data) : 0,
				 errhint("The text that was applied: SELECT body FROM migrate.attempts WHERE version = %s AND target_schema = %s AND in_effect;",
						 quote_literal_cstr(first->version),
						 quote_literal_cstr(ledger_target_schema()))));
}

/*
 * What was removed from the directory was probably meant not to run.
 */
static void
refuse_missing(List *pending)
{
	ListCell   *cell;

	foreach(cell, pending)
	{
		LedgerEntry *entry = lfirst(cell);

		if (!entry->missing)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 entry->statements > 0 ?
				 errmsg("migration %s has run in part, and its file is gone since the last load: put the file back and load it again",
						entry->label) :
				 errmsg("migration %s is pending, but its file is gone since the last load: put the file back and load it again, or forget it with SELECT migrate.unregister(%s)",
						entry->label, quote_literal_cstr(entry->version))));
	}
}

/*
 * See ledger.h.
 */
void
refuse_unsettled_history(List *entries)
{
	List	   *pending = NIL;
	ListCell   *cell;

	refuse_edited(entries);
	foreach(cell, entries)
	{
		if (!((LedgerEntry *) lfirst(cell))->applied)
			pending = lappend(pending, lfirst(cell));
	}
	refuse_missing(pending);
}

/*
 * See ledger.h.
 */
void
refuse_history_of_schemas(List *entries)
{
	char	   *first;
	int			count;
	ListCell   *cell;

	if (ledger_target_schema()[0] != '\0')
		return;
	foreach(cell, entries)
	{
		const LedgerEntry *entry = lfirst(cell);

		if (entry->applied || entry->repeat || entry->statements > 0)
			return;
	}
	count = ledger_count_targets(&first);
	if (count == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 count == 1 ?
			 errmsg("the migrations of this database are for schema %s, not for the database as a whole: CALL migrate.deploy_all(schemas := '{...}') deploys them",
					quote_identifier(first)) :
			 errmsg("the migrations of this database are for schemas (%s and %d more), not for the database as a whole: CALL migrate.deploy_all(schemas := '{...}') deploys them",
					quote_identifier(first), count - 1),
			 errhint("From a client: pg_safe_migrate up --all-schemas. To have them in schema public as well, name that as one more target.")));
}

/*
 * Refuse what comes before a migration that is applied, or note that it is run
 * late; all such, or only that one.
 */
static void
check_order(List *entries, const LedgerEntry *single)
{
	LedgerEntry *last_applied = NULL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (entry->applied && !entry->repeatable)
			last_applied = entry;
	}
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (last_applied == NULL || entry == last_applied)
			break;
		if (entry->applied || (single != NULL && entry != single))
			continue;
		if (setting_out_of_order == OUT_OF_ORDER_REJECT &&
			!asks_for_its_place(entry))
			refuse_out_of_order(entry, last_applied);
		entry->runs_after = last_applied->label;
	}
}

/* By a directive in its text, which not everybody may give. */
static bool
asks_for_its_place(const LedgerEntry *entry)
{
	LedgerEntry *copy = copy_entry(entry);
	char	   *role;

	ledger_read_body(copy);
	if (!read_directives(copy->body, copy->body_line,
						 copy->label).out_of_order)
		return false;
	if (pg_parameter_aclcheck(OUT_OF_ORDER_SETTING, GetUserId(),
							  ACL_SET) == ACLCHECK_OK)
		return true;
	role = GetUserNameFromId(GetUserId(), false);
	ereport(ERROR,
			(errcode(ERRCODE_SM_NOT_PERMITTED),
			 errmsg("migration %s asks to run out of order, which role %s may not do: deploy as another role, or GRANT SET ON PARAMETER " OUT_OF_ORDER_SETTING " TO %s",
					entry->label, quote_literal_cstr(role),
					quote_identifier(role))));
	return false;
}

static void
refuse_out_of_order(const LedgerEntry *late, const LedgerEntry *last_applied)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_OUT_OF_ORDER),
			 errmsg("migration %s comes before %s, which is applied: give it a later version and SELECT migrate.unregister(%s), or run it all the same with -- safe_migrate: out-of-order in its text, or, if its changes are there, SELECT %s",
					late->label, last_applied->label,
					quote_literal_cstr(late->version),
					target_call("migrate.baseline", late->version))));
}

/*
 * What a migration requires has to be applied when its turn comes.
 */
static void
check_required(List *entries, List *pending)
{
	HTAB	   *versions = NULL;
	ListCell   *cell;
	ListCell   *required;

	foreach(cell, pending)
	{
		const LedgerEntry *entry = lfirst(cell);
		KnownVersion *known;

		/* most histories have none of these */
		if (entry->requires != NIL && versions == NULL)
		{
			versions = index_versions(entries);
			for (int i = 0; i < foreach_current_index(cell); i++)
				note_as_before(versions, list_nth(pending, i));
		}
		foreach(required, entry->requires)
		{
			known = find_known(versions, lfirst(required), HASH_FIND);
			if (known == NULL || !known->is_before)
				refuse_required(entry, lfirst(required), known);
		}
		if (versions != NULL)
			note_as_before(versions, entry);
	}
	if (versions != NULL)
		hash_destroy(versions);
}

static HTAB *
index_versions(List *entries)
{
	HASHCTL		control = {0};
	HTAB	   *versions;
	ListCell   *cell;

	control.keysize = sizeof(((KnownVersion *) NULL)->version);
	control.entrysize = sizeof(KnownVersion);
	control.hcxt = CurrentMemoryContext;
	versions = hash_create("safe_migrate versions", list_length(entries),
						   &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	foreach(cell, entries)
	{
		const LedgerEntry *entry = lfirst(cell);
		KnownVersion *known = find_known(versions, entry->version, HASH_ENTER);

		known->entry = entry;
		known->is_before = entry->applied;
	}
	return versions;
}

static KnownVersion *
find_known(HTAB *versions, const char *version, HASHACTION action)
{
	return hash_search(versions, version, action, NULL);
}

static void
note_as_before(HTAB *versions, const LedgerEntry *entry)
{
	find_known(versions, entry->version, HASH_FIND)->is_before = true;
}

static void
refuse_required(const LedgerEntry *entry, const char *required,
				const KnownVersion *known)
{
	if (known == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_OUT_OF_ORDER),
				 errmsg("migration %s requires %s, which is not registered: load that as well, or take it out of what %s requires",
						entry->label, required, entry->label)));
	ereport(ERROR,
			(errcode(ERRCODE_SM_OUT_OF_ORDER),
			 errmsg("migration %s requires %s, which is not applied and does not come before it: give %s a later version, or one of them an earlier place",
					entry->label, known->entry->label, entry->label)));
}
