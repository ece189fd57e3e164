/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Registering migrations, and marking them as applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/catalog.h"
#include "common/errors.h"
#include "common/script.h"
#include "drift/fingerprint.h"
#include "fmgr.h"
#include "ledger/directives.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "ledger/migration_script.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static const char *const register_result_names[] = {
	[REGISTER_NEW] = "new",
	[REGISTER_UNCHANGED] = "unchanged",
	[REGISTER_CHANGED] = "changed",
	[REGISTER_EDITED] = "edited",
	[REGISTER_RESTORED] = "restored"
};

static void normalize_migration(MigrationText *migration);
static bool names_version(List *versions, const char *version);
static void check_version(const char *version);
static void check_text(const MigrationText *migration);
static void check_down(const MigrationText *migration, MemoryContext context);
static bool insert_new(const MigrationText *migration, const char *checksum);
static Datum baseline(PG_FUNCTION_ARGS);
static RegisterResult compare_with_applied(const LedgerEntry *before,
										   const MigrationText *migration,
										   RegisterResult result);

PG_FUNCTION_INFO_V1(migrate_register);
PG_FUNCTION_INFO_V1(migrate_baseline);
PG_FUNCTION_INFO_V1(migrate_acknowledge_drift);
PG_FUNCTION_INFO_V1(migrate_unregister);

/*
 * migrate.register(version text, name text, sql text, down text) returns text
 */
Datum
migrate_register(PG_FUNCTION_ARGS)
{
	MigrationText migration = {0};

	require_preloaded();
	PreventCommandIfReadOnly("migrate.register()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.register() needs a version and a text, not NULL")));
	migration.version = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
		migration.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	migration.body = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		migration.down_body = text_to_cstring(PG_GETARG_TEXT_PP(3));
	migration.body_line = migration.down_line = 1;
	migration.in_transaction = true;
	PG_RETURN_TEXT_P(cstring_to_text(register_result_name(register_migration(&migration))));
}

const char *
register_result_name(RegisterResult result)
{
	return register_result_names[result];
}

/*
 * Version and name as messages show them.  Formats whose version has the name
 * in it show it once.
 */
char *
migration_label(const char *version, const char *name)
{
	char	   *suffix;

	if (name == NULL || name[0] == '\0')
		return pstrdup(version);
	suffix = psprintf("_%s", name);
	if (strlen(version) > strlen(suffix) &&
		strcmp(version + strlen(version) - strlen(suffix), suffix) == 0)
		return pstrdup(version);
	return psprintf("%s%s", version, suffix);
}

/*
 * SHA-256 of a text in UTF-8, in hexadecimal: that of the file, if the file
 * has LF line ends and no byte order mark.  Empty lines at the top do not
 * count: what a tool puts before a section is no edit of the section.
 */
char *
text_checksum(const char *body)
{
	const char *content = body + strspn(body, "\n");
	char	   *utf8 = pg_server_to_any(content, strlen(content), PG_UTF8);
	Datum		hash = DirectFunctionCall1(sha256_bytea,
										   PointerGetDatum(cstring_to_text(utf8)));
	Datum		hex = DirectFunctionCall2(binary_encode, hash,
										  CStringGetTextDatum("hex"));

	return TextDatumGetCString(hex);
}

/*
 * Register a migration, or change how it is registered.  An applied one may
 * be changed as well, so that the difference can be looked at; nothing will
 * run until it is gone.
 */
RegisterResult
register_migration(MigrationText *migration)
{
	LedgerEntry *before;
	RegisterResult result;
	char	   *checksum;

	check_version(migration->version);
	for (;;)
	{
		before = ledger_read_version(migration->version);
		if (migration->name == NULL)
			migration->name = before ? before->name : "";
		normalize_migration(migration);
		checksum = text_checksum(migration->body);
		if (before != NULL)
			break;

		/* look again if another session was faster */
		check_text(migration);
		if (insert_new(migration, checksum))
			return REGISTER_NEW;
		CHECK_FOR_INTERRUPTS();
	}

	result = strcmp(before->checksum, checksum) == 0 ? REGISTER_UNCHANGED :
		REGISTER_CHANGED;
	if (!ledger_is_same(migration, checksum))
	{
		check_text(migration);
		ledger_update_migration(migration, checksum);
	}
	if (result == REGISTER_UNCHANGED && !before->edited &&
		before->done_bytes == 0)
		return result;
	return compare_with_applied(before, migration, result);
}

static void
normalize_migration(MigrationText *migration)
{
	ListCell   *cell;

	migration->body = normalize_newlines(migration->body);
	if (migration->down_body != NULL)
		migration->down_body = normalize_newlines(migration->down_body);
	if (migration->format == NULL)
		migration->format = "sql";
	if (migration->origin == NULL)
		migration->origin = psprintf("migration %s",
									 migration_label(migration->version,
													 migration->name));
	if (migration->down_origin == NULL)
		migration->down_origin = psprintf("down script of %s",
										  migration->origin);
	foreach(cell, read_directives(migration->body,
								  migration->body_line,
								  migration->origin).requires)
	{
		if (!names_version(migration->requires, lfirst(cell)))
			migration->requires = lappend(migration->requires, lfirst(cell));
	}
}

static bool
names_version(List *versions, const char *version)
{
	ListCell   *cell;

	foreach(cell, versions)
	{
		if (strcmp(lfirst(cell), version) == 0)
			return true;
	}
	return false;
}

static void
check_version(const char *version)
{
	size_t		length = strlen(version);

	/* complains about an empty one */
	(void) version_sort_key(version);

	if (length > VERSION_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("version \"%s\" is longer than %d bytes: use a number or a timestamp",
						version, VERSION_MAX_BYTES)));
	if (isspace((unsigned char) version[0]) ||
		isspace((unsigned char) version[length - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("version \"%s\" begins or ends with white space: take it out",
						version)));
	for (size_t i = 0; i < length; i++)
		if (iscntrl((unsigned char) version[i]))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("version \"%s\" has a control character in it: take it out",
							version)));
}

/*
 * A text that cannot be parsed is refused at once: who registers it is who
 * can mend it.
 */
static void
check_text(const MigrationText *migration)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;

	if (migration->body[strspn(migration->body, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("%s is empty: write its SQL, or a comment if nothing is to be done",
						migration->origin)));

	context = AllocSetContextCreate(caller, "safe_migrate parse",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	(void) parse_migration(migration->body, migration->body_line,
						   migration->origin);
	if (migration->down_body != NULL)
		check_down(migration, context);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * Real histories have ways back that nobody has ever tried, so one that cannot
 * be parsed is told, but does not keep its migration from being registered.
 */
static void
check_down(const MigrationText *migration, MemoryContext context)
{
	PG_TRY();
	{
		(void) parse_migration(migration->down_body, migration->down_line,
							   migration->down_origin);
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

		/* nothing but what the parser finds wrong with a text */
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			PG_RE_THROW();
		FlushErrorState();
		ereport(WARNING,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("%s: the migration can be applied, but not reverted",
						error->message)));
	}
	PG_END_TRY();
}

/*
 * Returns false if the version is there all of a sudden.
 */
static bool
insert_new(const MigrationText *migration, const char *checksum)
{
	char	   *other;

	if (ledger_insert_migration(migration, checksum))
		return true;
	other = ledger_version_with_same_key(migration->version);
	if (other == NULL)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("%s: version \"%s\" has the same place in the order as \"%s\", which is registered: give one of them another version",
					migration->origin, migration->version, other)));
}

/*
 * Does the text differ from what has run?
 */
static RegisterResult
compare_with_applied(const LedgerEntry *before, const MigrationText *migration,
					 RegisterResult result)
{
	LedgerEntry *entry = ledger_read_version(migration->version);

	ledger_read_body(entry);
	if (entry->edited)
		ereport(WARNING,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("migration %s is applied with another text: nothing will run until its file is restored",
						entry->label)));
	else if (done_part_was_changed(entry))
		ereport(WARNING,
				(errcode(ERRCODE_SM_MIGRATION_EDITED),
				 errmsg("migration %s has run in part, and that part is another now: nothing will run until it is restored",
						entry->label)));
	else
		return before->edited ? REGISTER_RESTORED : result;
	return REGISTER_EDITED;
}

/*
 * migrate.baseline(version text) returns int
 * migrate.baseline(version text, target_schema text) returns int
 */
Datum
migrate_baseline(PG_FUNCTION_ARGS)
{
	return call_on_target(fcinfo, 1, baseline);
}

static Datum
baseline(PG_FUNCTION_ARGS)
{
	List	   *entries;
	LedgerEntry *last;
	ListCell   *cell;
	int			marked = 0;

	require_preloaded();
	PreventCommandIfReadOnly("migrate.baseline()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.baseline() needs the version up to which everything is applied, not NULL")));
	lock_ledger_for_transaction();

	entries = ledger_read();
	refuse_history_of_schemas(entries);
	last = find_migration(entries, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	foreach(cell, entries)
	{
		LedgerEntry *entry = lfirst(cell);

		if (entry->edited)
			ereport(ERROR,
					(errcode(ERRCODE_SM_MIGRATION_EDITED),
					 errmsg("migration %s was changed after it had been applied: restore its file before you mark others as applied",
							entry->label)));
		if (!entry->applied)
		{
			ledger_release_tasks(entry);
			mark_as_applied(entry, ATTEMPT_BASELINE);
			marked++;
		}
		if (entry == last)
			break;
	}

	/* the schema as it is counts as migrated from now on */
	if (marked > 0)
		accept_schema();
	PG_RETURN_INT32(marked);
}

/*
 * migrate.acknowledge_drift() returns bigint
 */
Datum
migrate_acknowledge_drift(PG_FUNCTION_ARGS)
{
	require_preloaded();
	PreventCommandIfReadOnly("migrate.acknowledge_drift()");
	lock_ledger_for_transaction();
	PG_RETURN_INT64(acknowledge_drift());
}

/*
 * migrate.unregister(version text)
 */
Datum
migrate_unregister(PG_FUNCTION_ARGS)
{
	char	   *version;
	LedgerEntry *entry;

	require_preloaded();
	PreventCommandIfReadOnly("migrate.unregister()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migrate.unregister() needs a version, not NULL")));
	lock_ledger_for_transaction();
	version = text_to_cstring(PG_GETARG_TEXT_PP(0));
	entry = ledger_read_version(version);
	if (entry != NULL)
		ledger_release_tasks(entry);
	if (!ledger_delete_migration(version))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migration %s is not registered, or has run and stays on record: migrate.status tells which",
						version)));
	PG_RETURN_VOID();
}

/*
 * See ledger.h.
 */
void
mark_as_applied(LedgerEntry *entry, AttemptState state)
{
	Attempt		attempt = {entry};

	if (entry->interrupted)
		ledger_end_interrupted(entry);
	(void) ledger_end_effect(entry, ATTEMPT_SUPERSEDED);
	ledger_read_body(entry);
	attempt.state = state;
	attempt.role = GetUserNameFromId(GetUserId(), false);
	attempt.started_at = GetCurrentTimestamp();
	ledger_write_attempt(&attempt);
}
