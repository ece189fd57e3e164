/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The extension's own tables of adopted ledgers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "ledger/adopt/adopt.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EQUALS " OPERATOR(pg_catalog.=) "

static const char *const archived_state_names[] = {
	[FOREIGN_APPLIED] = "applied",
	[FOREIGN_MARK] = "mark",
	[FOREIGN_ROLLED_BACK] = "rolled back",
	[FOREIGN_FAILED] = "failed"
};

static ForeignLedger *remembered_ledger(const char *tool, char *name,
										Oid relid);
static ForeignRow *archived_row(OwnAccess *access, uint64 row);
static void supersede_attempt(const char *version);

/*
 * All ledgers that were adopted, each looked at anew: its table may be gone, or
 * another, or not be followed any more.
 */
List *
store_adopted_ledgers(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int			count;
	char	  **tools;
	char	  **names;
	Oid		   *relids;
	List	   *ledgers = NIL;

	begin_own_access(&access);
	run_own_query("SELECT l.tool, l.ledger, c.oid "
				  "FROM migrate.adopted_ledgers l "
				  "LEFT JOIN pg_catalog.pg_namespace n "
				  "ON n.nspname" EQUALS "l.schema_name "
				  "LEFT JOIN pg_catalog.pg_class c "
				  "ON c.relnamespace" EQUALS "n.oid "
				  "AND c.relname" EQUALS "l.table_name AND l.followed "
				  "ORDER BY l.ledger",
				  &arguments, SPI_OK_SELECT);
	count = SPI_processed;
	tools = MemoryContextAllocZero(access.caller, (count + 1) * sizeof(char *));
	names = MemoryContextAllocZero(access.caller, (count + 1) * sizeof(char *));
	relids = MemoryContextAllocZero(access.caller, (count + 1) * sizeof(Oid));
	for (int row = 0; row < count; row++)
	{
		bool		isnull;

		tools[row] = own_text_column(&access, row, 1);
		names[row] = own_text_column(&access, row, 2);
		relids[row] = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
													 SPI_tuptable->tupdesc, 3,
													 &isnull));
	}
	end_own_access(&access);

	/* as the role that asks, not as the owner */
	for (int row = 0; row < count; row++)
	{
		ForeignLedger *ledger = remembered_ledger(tools[row], names[row],
												  relids[row]);

		if (ledger != NULL)
			ledgers = lappend(ledgers, ledger);
	}
	return ledgers;
}

static ForeignLedger *
remembered_ledger(const char *tool, char *name, Oid relid)
{
	List	   *found = NIL;
	ForeignLedger *ledger;

	if (OidIsValid(relid))
		found = find_foreign_ledgers(tool, relid);
	if (found != NIL)
		return linitial(found);
	for (int i = 0; i < foreign_tool_count; i++)
	{
		if (strcmp(foreign_tools[i].tool, tool) != 0)
			continue;
		ledger = palloc0(sizeof(ForeignLedger));
		ledger->tool = &foreign_tools[i];
		ledger->name = name;
		ledger->changed = OidIsValid(relid);
		return ledger;
	}
	return NULL;
}

/*
 * Follow a ledger from now on.
 */
void
store_remember_ledger(const ForeignLedger *ledger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);

	begin_own_access(&access);
	add_own_text(&arguments, ledger->name);
	add_own_text(&arguments, ledger->tool->tool);
	add_own_text(&arguments,
				 get_namespace_name(get_rel_namespace(ledger->relid)));
	add_own_text(&arguments, get_rel_name(ledger->relid));
	add_own_text(&arguments, role);
	run_own_query("INSERT INTO migrate.adopted_ledgers "
				  "(ledger, tool, schema_name, table_name, adopted_at, adopted_by) "
				  "VALUES ($1, $2, $3, $4, pg_catalog.clock_timestamp(), $5) "
				  "ON CONFLICT (ledger) DO UPDATE SET tool = $2, followed = true",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * Look at a ledger no more.  Returns false if none was looked at.
 */
bool
store_forget_ledger(const char *ledger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		forgotten;

	begin_own_access(&access);
	add_own_text(&arguments, ledger);
	run_own_query("UPDATE migrate.adopted_ledgers SET followed = false "
				  "WHERE ledger" EQUALS "$1 AND followed",
				  &arguments, SPI_OK_UPDATE);
	forgotten = SPI_processed > 0;
	end_own_access(&access);
	return forgotten;
}

/*
 * All rows of a ledger that are in the archive, of ForeignRow, by key.
 */
List *
store_archived_rows(const char *ledger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *rows = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, ledger);
	run_own_query("SELECT key, ids, name, applied_at, role, duration_ms, "
				  "checksum, body, state, version "
				  "FROM migrate.adopted_rows WHERE ledger" EQUALS "$1 "
				  "ORDER BY key",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ForeignRow *archived = archived_row(&access, row);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		rows = lappend(rows, archived);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return rows;
}

static ForeignRow *
archived_row(OwnAccess *access, uint64 row)
{
	ForeignRow *archived = MemoryContextAllocZero(access->caller,
												  sizeof(ForeignRow));
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	char	   *state = own_text_column(access, row, 9);
	bool		isnull;

	archived->key = own_text_column(access, row, 1);
	archived->ids = own_text_list_column(access, row, 2);
	archived->name = own_text_column(access, row, 3);
	archived->applied_at =
		DatumGetTimestampTz(SPI_getbinval(tuple, tupdesc, 4, &isnull));
	archived->has_applied_at = !isnull;
	archived->role = own_text_column(access, row, 5);
	archived->duration_ms =
		DatumGetInt64(SPI_getbinval(tuple, tupdesc, 6, &isnull));
	archived->has_duration = !isnull;
	archived->checksum = own_text_column(access, row, 7);
	archived->body = own_text_column(access, row, 8);
	for (int i = 0; i < lengthof(archived_state_names); i++)
		if (strcmp(archived_state_names[i], state) == 0)
			archived->state = i;
	archived->version = own_text_column(access, row, 10);
	archived->in_archive = true;
	archived->rank = PG_INT32_MAX;
	return archived;
}

/*
 * Keep a row as it is now.  version is the registered migration that it is
 * about, or NULL.
 */
void
store_archive_row(const ForeignLedger *ledger, const ForeignRow *row,
				  const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, ledger->name);
	add_own_text(&arguments, row->key);
	add_own_text_list(&arguments, row->ids);
	add_own_text(&arguments, row->name);
	add_own_argument(&arguments, TIMESTAMPTZOID,
					 TimestampTzGetDatum(row->applied_at), !row->has_applied_at);
	add_own_text(&arguments, row->role);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(row->duration_ms),
					 !row->has_duration);
	add_own_text(&arguments, row->checksum);
	add_own_text(&arguments, row->body);
	add_own_text(&arguments, archived_state_names[row->state]);
	add_own_text(&arguments, version);
	run_own_query("INSERT INTO migrate.adopted_rows AS r (ledger, key, ids, name, "
				  "applied_at, role, duration_ms, checksum, body, state, version, "
				  "adopted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
				  "$11, pg_catalog.clock_timestamp()) "
				  "ON CONFLICT (ledger, key) DO UPDATE SET ids = $3, name = $4, "
				  "applied_at = $5, role = $6, duration_ms = $7, checksum = $8, "
				  "body = $9, state = $10, version = $11",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/*
 * Forget a row that its ledger does not have any more.
 */
void
store_forget_row(const ForeignLedger *ledger, const ForeignRow *row)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, ledger->name);
	add_own_text(&arguments, row->key);
	run_own_query("DELETE FROM migrate.adopted_rows "
				  "WHERE ledger" EQUALS "$1 AND key" EQUALS "$2",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/*
 * Record that a migration was applied by another tool, with that text, in the
 * place of whatever counted before.
 */
void
store_adopted_attempt(const ForeignLedger *ledger, const Adoption *adoption,
					  const char *checksum, const char *body)
{
	const ForeignRow *row = adoption->row;
	const LedgerEntry *entry = adoption->entry;
	TimestampTz finished = row->has_applied_at ? row->applied_at :
	GetCurrentTimestamp();
	TimestampTz started = row->has_duration ?
	finished - row->duration_ms * 1000 : finished;
	char	   *role = row->role ? row->role :
	GetUserNameFromId(GetUserId(), false);
	OwnAccess	access;
	OwnArguments arguments = {0};

	if (entry->interrupted)
		ledger_end_interrupted(entry);
	begin_own_access(&access);
	supersede_attempt(entry->version);
	add_own_text(&arguments, ledger_target_schema());
	add_own_text(&arguments, entry->version);
	add_own_text(&arguments, entry->name);
	add_own_text(&arguments, checksum);
	add_own_text(&arguments, body);
	add_own_text(&arguments, ledger->tool->tool);
	add_own_text(&arguments, role);
	add_own_argument(&arguments, TIMESTAMPTZOID, TimestampTzGetDatum(started),
					 false);
	add_own_argument(&arguments, TIMESTAMPTZOID, TimestampTzGetDatum(finished),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(row->duration_ms),
					 !row->has_duration);
	run_own_query("INSERT INTO migrate.attempts (target_schema, version, name, "
				  "checksum, body, state, tool, transactional, role, "
				  "session_role, client, application, started_at, finished_at, "
				  "duration_ms, statements, done_bytes) "
				  "VALUES ($1, $2, $3, $4, $5, 'adopted', $6, false, $7, "
				  "SESSION_USER, pg_catalog.inet_client_addr(), "
				  "pg_catalog.current_setting('application_name'), "
				  "$8, $9, $10, 0, 0)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

/* Within an access to our tables. */
static void
supersede_attempt(const char *version)
{
	OwnArguments arguments = {0};

	add_own_text(&arguments, ledger_target_schema());
	add_own_text(&arguments, version);
	run_own_query("UPDATE migrate.attempts SET state = 'superseded' "
				  "WHERE target_schema" EQUALS "$1 AND version" EQUALS "$2 "
				  "AND in_effect",
				  &arguments, SPI_OK_UPDATE);
}

/*
 * Its tool has rolled back a migration that was adopted from there.  Returns
 * false if it does not count as applied by that.
 */
bool
store_revert_attempt(const ForeignLedger *ledger, const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		reverted;

	begin_own_access(&access);
	add_own_text(&arguments, ledger_target_schema());
	add_own_text(&arguments, version);
	add_own_text(&arguments, ledger->tool->tool);
	run_own_query("UPDATE migrate.attempts SET state = 'reverted' "
				  "WHERE target_schema" EQUALS "$1 AND version" EQUALS "$2 "
				  "AND tool" EQUALS "$3 AND in_effect",
				  &arguments, SPI_OK_UPDATE);
	reverted = SPI_processed > 0;
	end_own_access(&access);
	return reverted;
}

/*
 * The migrations that count as applied because they were adopted from a tool.
 */
List *
store_versions_in_effect(const ForeignLedger *ledger)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *versions = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, ledger_target_schema());
	add_own_text(&arguments, ledger->tool->tool);
	run_own_query("SELECT version FROM migrate.attempts "
				  "WHERE target_schema" EQUALS "$1 AND tool" EQUALS "$2 "
				  "AND in_effect ORDER BY id",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *version = own_text_column(&access, row, 1);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		versions = lappend(versions, version);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return versions;
}

/*
 * A registered migration with that checksum, or NULL.  Where a tool has the
 * SHA-256 of a file, ours is the same unless its lines end with CR and LF.
 */
char *
store_version_of_checksum(const char *checksum)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *version = NULL;

	begin_own_access(&access);
	add_own_text(&arguments, checksum);
	run_own_query("SELECT version FROM migrate.migrations "
				  "WHERE tool_checksum" EQUALS "$1 OR checksum" EQUALS "$1 "
				  "ORDER BY version_key LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		version = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return version;
}

/*
 * The text of a registered migration, and what its format says of it.
 */
void
store_migration_text(const char *version, char **tool_checksum, char **body)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("SELECT tool_checksum, body FROM migrate.migrations "
				  "WHERE version" EQUALS "$1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "migration \"%s\" has vanished", version);
	*tool_checksum = own_text_column(&access, 0, 1);
	*body = own_text_column(&access, 0, 2);
	end_own_access(&access);
}
