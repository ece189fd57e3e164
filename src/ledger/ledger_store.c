/*-------------------------------------------------------------------------
 *
 * ledger_store.c
 *	  All SQL that touches the tables of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "preserve/point.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static const char *const attempt_state_names[] = {
	[ATTEMPT_RUNNING] = "running",
	[ATTEMPT_APPLIED] = "applied",
	[ATTEMPT_FAILED] = "failed",
	[ATTEMPT_BASELINE] = "baseline",
	[ATTEMPT_ADOPTED] = "adopted",
	[ATTEMPT_REPAIRED] = "repaired",
	[ATTEMPT_REVERTED] = "reverted",
	[ATTEMPT_SUPERSEDED] = "superseded",
	[ATTEMPT_RESTARTED] = "restarted"
};

static const char *const attempt_kind_names[] = {
	[ATTEMPT_APPLY] = "apply",
	[ATTEMPT_REVERT] = "revert"
};

/* The schema whose history is meant; empty: that of the database. */
static char *target_schema = "";

/*
 * What is known of a migration, for the target schema $1.  Of one that is not
 * applied, or is repeatable, the last attempt since tells how far it got,
 * because an attempt that resumes another starts with what that one had done;
 * behind one that was taken back or set aside, nothing of it counts.
 */
#define ENTRY_COLUMNS \
	"SELECT m.version, m.name, m.checksum, m.in_transaction, " \
	"a.checksum, l.id, l.state OPERATOR(pg_catalog.=) 'running', " \
	"l.statements, l.done_bytes, m.repeatable, m.requires, " \
	"m.missing_since IS NOT NULL, l.tasks::pg_catalog.text[]"

#define ENTRY_SOURCE \
	" FROM migrate.migrations m " \
	"LEFT JOIN migrate.attempts a " \
	"ON a.version OPERATOR(pg_catalog.=) m.version " \
	"AND a.target_schema OPERATOR(pg_catalog.=) $1 AND a.in_effect " \
	"LEFT JOIN LATERAL (SELECT t.id, t.state, t.statements, t.done_bytes, " \
	"t.tasks, t.body FROM migrate.attempts t " \
	"WHERE (a.id IS NULL OR m.repeatable) " \
	"AND t.id OPERATOR(pg_catalog.>) COALESCE(a.id, 0) " \
	"AND t.version OPERATOR(pg_catalog.=) m.version " \
	"AND t.target_schema OPERATOR(pg_catalog.=) $1 " \
	"AND t.kind OPERATOR(pg_catalog.=) 'apply' " \
	"ORDER BY t.id DESC LIMIT 1) l " \
	"ON l.state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'failed']) "

#define ENTRY_QUERY ENTRY_COLUMNS ENTRY_SOURCE

/* Behind those columns. */
#define BODY_COLUMNS	", m.body, l.body, m.body_line"
#define FIRST_BODY_COLUMN 14

static LedgerEntry *entry_of_row(OwnAccess *access, uint64 row);
static List *numbers_of(List *texts);
static LedgerEntry *read_one(const char *query, const char *version,
							 bool with_bodies);
static bool state_is_in_effect(AttemptState state);
static bool state_has_run(AttemptState state);
static void supersede(const Attempt *attempt);
static void insert_attempt(Attempt *attempt, OwnArguments *arguments);
static void add_numbers(OwnArguments *arguments, List *numbers);
static void add_attempt_arguments(OwnArguments *arguments,
								  const Attempt *attempt);
static void add_migration_arguments(OwnArguments *arguments,
									const MigrationText *migration,
									const char *checksum);

/*
 * A row of ENTRY_QUERY as a LedgerEntry in the caller's memory context.
 */
static LedgerEntry *
entry_of_row(OwnAccess *access, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	MemoryContext old = MemoryContextSwitchTo(access->caller);
	LedgerEntry *entry = palloc0(sizeof(LedgerEntry));
	char	   *applied_checksum;
	bool		isnull;
	Datum		value;

	entry->version = own_text_column(access, row, 1);
	entry->name = own_text_column(access, row, 2);
	entry->label = migration_label(entry->version, entry->name);
	entry->checksum = own_text_column(access, row, 3);
	entry->in_transaction =
		DatumGetBool(SPI_getbinval(tuple, tupdesc, 4, &isnull));
	applied_checksum = own_text_column(access, row, 5);
	entry->applied = applied_checksum != NULL;
	entry->edited = entry->applied &&
		strcmp(applied_checksum, entry->checksum) != 0;
	entry->repeatable = own_bool_column(row, 10);
	entry->requires = own_text_list_column(access, row, 11);
	entry->missing = own_bool_column(row, 12);

	value = SPI_getbinval(tuple, tupdesc, 6, &isnull);
	if (!isnull)
	{
		entry->attempt = DatumGetInt64(value);
		entry->interrupted =
			DatumGetBool(SPI_getbinval(tuple, tupdesc, 7, &isnull));
		entry->statements = own_int_column(row, 8);
		entry->done_bytes = own_int_column(row, 9);
		entry->tasks = numbers_of(own_text_list_column(access, row, 13));
	}

	/* another text of it, or a part of one, has run since it was applied */
	if (entry->repeatable && (entry->edited || entry->done_bytes > 0))
	{
		entry->applied = entry->edited = false;
		entry->repeat = true;
	}
	MemoryContextSwitchTo(old);
	return entry;
}

/* Of numbers as text, a list of int64 *. */
static List *
numbers_of(List *texts)
{
	List	   *numbers = NIL;
	ListCell   *cell;

	foreach(cell, texts)
	{
		int64	   *number = palloc(sizeof(int64));

		*number = pg_strtoint64(lfirst(cell));
		numbers = lappend(numbers, number);
	}
	return numbers;
}

/*
 * See ledger.h.
 */
void
ledger_set_target_schema(const char *schema)
{
	char	   *before = target_schema;

	target_schema = MemoryContextStrdup(TopMemoryContext, schema);
	if (before[0] != '\0')
		pfree(before);
}

const char *
ledger_target_schema(void)
{
	return target_schema;
}

/*
 * All migrations in order.
 */
List *
ledger_read(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *entries = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, target_schema);
	run_own_query(ENTRY_QUERY "ORDER BY m.repeatable, m.version_key",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		LedgerEntry *entry = entry_of_row(&access, row);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		entries = lappend(entries, entry);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return entries;
}

/*
 * One migration, locked against other changes of its text; NULL if it is not
 * registered.
 */
LedgerEntry *
ledger_read_version(const char *version)
{
	return read_one(ENTRY_QUERY
					"WHERE m.version OPERATOR(pg_catalog.=) $2 "
					"FOR UPDATE OF m", version, false);
}

/*
 * See ledger.h.
 */
LedgerEntry *
ledger_read_entry(const char *version)
{
	LedgerEntry *entry = read_one(ENTRY_COLUMNS BODY_COLUMNS ENTRY_SOURCE
								  "WHERE m.version OPERATOR(pg_catalog.=) $2",
								  version, true);

	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("migration %s was unregistered while the ones before it were run: look at migrate.status, then start again",
						version)));
	return entry;
}

static LedgerEntry *
read_one(const char *query, const char *version, bool with_bodies)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	LedgerEntry *entry = NULL;

	begin_own_access(&access);
	add_own_text(&arguments, target_schema);
	add_own_text(&arguments, version);
	run_own_query(query, &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		entry = entry_of_row(&access, 0);
	if (entry != NULL && with_bodies)
	{
		entry->body = own_text_column(&access, 0, FIRST_BODY_COLUMN);
		entry->attempted_body = own_text_column(&access, 0,
												FIRST_BODY_COLUMN + 1);
		entry->body_line = own_int_column(0, FIRST_BODY_COLUMN + 2);
	}
	end_own_access(&access);
	return entry;
}

/*
 * Read the text of a migration, and that of the last attempt at it.
 */
void
ledger_read_body(LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, entry->version);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(entry->attempt), false);
	run_own_query("SELECT m.body, t.body, m.body_line FROM migrate.migrations m "
				  "LEFT JOIN migrate.attempts t "
				  "ON t.id OPERATOR(pg_catalog.=) $2 "
				  "WHERE m.version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "migration \"%s\" has vanished", entry->version);
	entry->body = own_text_column(&access, 0, 1);
	entry->attempted_body = own_text_column(&access, 0, 2);
	entry->body_line = own_int_column(0, 3);
	end_own_access(&access);
}

/*
 * A migration as it is registered, for another database to have it so too.
 */
MigrationText *
ledger_read_text(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	MigrationText *text = palloc0(sizeof(MigrationText));

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("SELECT name, format, body, down_body, tool_checksum, requires, "
				  "listed_at, in_transaction, repeatable, body_line, down_line "
				  "FROM migrate.migrations "
				  "WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "migration \"%s\" has vanished", version);
	text->version = version;
	text->name = own_text_column(&access, 0, 1);
	text->format = own_text_column(&access, 0, 2);
	text->body = own_text_column(&access, 0, 3);
	text->down_body = own_text_column(&access, 0, 4);
	text->tool_checksum = own_text_column(&access, 0, 5);
	text->requires = own_text_list_column(&access, 0, 6);
	text->listed_at = own_int_column(0, 7);
	text->in_transaction = own_bool_column(0, 8);
	text->repeatable = own_bool_column(0, 9);
	text->body_line = own_int_column(0, 10);
	text->down_line = own_int_column(0, 11);
	end_own_access(&access);
	return text;
}

/*
 * What was applied to a schema does not count any more.  Returns how many
 * migrations that were.
 */
int64
ledger_forget_target(const char *schema)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		forgotten;

	begin_own_access(&access);
	add_own_text(&arguments, schema);
	run_own_query("UPDATE migrate.attempts SET state = CASE WHEN in_effect "
				  "THEN 'superseded' ELSE 'restarted' END "
				  "WHERE target_schema OPERATOR(pg_catalog.=) $1 "
				  "AND kind OPERATOR(pg_catalog.=) 'apply' "
				  "AND state OPERATOR(pg_catalog.<>) ALL "
				  "(ARRAY['superseded', 'reverted', 'restarted'])",
				  &arguments, SPI_OK_UPDATE);
	forgotten = SPI_processed;
	end_own_access(&access);
	return forgotten;
}

/*
 * True if nothing is in a schema to which migrations were applied: it was
 * dropped, and one of the same name was made.
 */
bool
ledger_outlives_schema(const char *schema)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_text(&arguments, schema);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.attempts "
				  "WHERE target_schema OPERATOR(pg_catalog.=) $1 AND in_effect "
				  "AND state OPERATOR(pg_catalog.=) 'applied') "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_class "
				  "WHERE relnamespace OPERATOR(pg_catalog.=) n.oid) "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc "
				  "WHERE pronamespace OPERATOR(pg_catalog.=) n.oid) "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_type "
				  "WHERE typnamespace OPERATOR(pg_catalog.=) n.oid) "
				  "FROM pg_catalog.pg_namespace n "
				  "WHERE n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0 && own_bool_column(0, 1);
	end_own_access(&access);
	return result;
}

/*
 * The number of schemas to which migrations are applied, and, if there are any,
 * the first of them by name.
 */
int
ledger_count_targets(char **first)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int			count;

	begin_own_access(&access);
	run_own_query("SELECT DISTINCT target_schema FROM migrate.attempts "
				  "WHERE in_effect AND target_schema OPERATOR(pg_catalog.<>) '' "
				  "ORDER BY target_schema",
				  &arguments, SPI_OK_SELECT);
	count = SPI_processed;
	if (count > 0)
		*first = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return count;
}

/*
 * Another version that has the same place in the order, or NULL.
 */
char *
ledger_version_with_same_key(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *other = NULL;

	begin_own_access(&access);
	add_own_text(&arguments, version);
	add_own_text(&arguments, version_sort_key(version));
	run_own_query("SELECT version FROM migrate.migrations "
				  "WHERE version_key OPERATOR(pg_catalog.=) $2 "
				  "AND version OPERATOR(pg_catalog.<>) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		other = own_text_column(&access, 0, 1);
	end_own_access(&access);
	return other;
}

static void
add_migration_arguments(OwnArguments *arguments,
						const MigrationText *migration, const char *checksum)
{
	add_own_text(arguments, migration->version);
	add_own_text(arguments, migration->name);
	add_own_text(arguments, migration->format);
	add_own_text(arguments, migration->body);
	add_own_text(arguments, migration->down_body);
	add_own_text(arguments, checksum);
	add_own_argument(arguments, BOOLOID, BoolGetDatum(migration->in_transaction),
					 false);
	add_own_text(arguments, migration->tool_checksum);
	add_own_text_list(arguments, migration->requires);
	add_own_argument(arguments, INT4OID, Int32GetDatum(migration->listed_at),
					 migration->listed_at == 0);
	add_own_argument(arguments, BOOLOID, BoolGetDatum(migration->repeatable),
					 false);
	add_own_argument(arguments, INT4OID, Int32GetDatum(migration->body_line),
					 false);
	add_own_argument(arguments, INT4OID, Int32GetDatum(migration->down_line),
					 false);
}

/*
 * True if the migration is registered exactly so: nothing is to be written.
 */
bool
ledger_is_same(const MigrationText *migration, const char *checksum)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		same;

	begin_own_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	run_own_query("SELECT FROM migrate.migrations "
				  "WHERE version OPERATOR(pg_catalog.=) $1 "
				  "AND name OPERATOR(pg_catalog.=) $2 "
				  "AND format OPERATOR(pg_catalog.=) $3 "
				  "AND checksum OPERATOR(pg_catalog.=) $6 "
				  "AND body OPERATOR(pg_catalog.=) $4 "
				  "AND (down_body IS NULL) OPERATOR(pg_catalog.=) ($5 IS NULL) "
				  "AND COALESCE(down_body OPERATOR(pg_catalog.=) $5, true) "
				  "AND in_transaction OPERATOR(pg_catalog.=) $7 "
				  "AND ARRAY[tool_checksum] OPERATOR(pg_catalog.=) ARRAY[$8] "
				  "AND requires OPERATOR(pg_catalog.=) $9 "
				  "AND ARRAY[listed_at] OPERATOR(pg_catalog.=) ARRAY[$10] "
				  "AND repeatable OPERATOR(pg_catalog.=) $11 "
				  "AND body_line OPERATOR(pg_catalog.=) $12 "
				  "AND down_line OPERATOR(pg_catalog.=) $13 "
				  "AND missing_since IS NULL",
				  &arguments, SPI_OK_SELECT);
	same = SPI_processed > 0;
	end_own_access(&access);
	return same;
}

/*
 * Returns false if the version, or one of the same place in the order, is
 * registered already.
 */
bool
ledger_insert_migration(const MigrationText *migration, const char *checksum)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);
	bool		inserted;

	begin_own_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	add_own_text(&arguments, role);
	run_own_query("INSERT INTO migrate.migrations (version, name, format, body, "
				  "down_body, checksum, in_transaction, tool_checksum, requires, "
				  "listed_at, repeatable, body_line, down_line, registered_at, "
				  "registered_by) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
				  "$13, pg_catalog.clock_timestamp(), $14) ON CONFLICT DO NOTHING",
				  &arguments, SPI_OK_INSERT);
	inserted = SPI_processed > 0;
	end_own_access(&access);
	return inserted;
}

/*
 * Forget a migration of which nothing is there.  Returns false if there is none.
 */
bool
ledger_delete_migration(const char *version)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		deleted;

	begin_own_access(&access);
	add_own_text(&arguments, version);
	run_own_query("DELETE FROM migrate.migrations m "
				  "WHERE m.version OPERATOR(pg_catalog.=) $1 AND NOT EXISTS ("
				  "SELECT FROM migrate.attempts a "
				  "WHERE a.version OPERATOR(pg_catalog.=) m.version "
				  "AND a.kind OPERATOR(pg_catalog.=) 'apply' "
				  "AND (a.in_effect OR a.state OPERATOR(pg_catalog.=) 'running' "
				  "OR (a.state OPERATOR(pg_catalog.=) 'failed' "
				  "AND a.statements OPERATOR(pg_catalog.>) 0)) "
				  "AND NOT EXISTS (SELECT FROM migrate.attempts b "
				  "WHERE b.version OPERATOR(pg_catalog.=) a.version "
				  "AND b.target_schema OPERATOR(pg_catalog.=) a.target_schema "
				  "AND b.kind OPERATOR(pg_catalog.=) 'apply' "
				  "AND b.state OPERATOR(pg_catalog.=) ANY "
				  "(ARRAY['reverted', 'restarted']) "
				  "AND b.id OPERATOR(pg_catalog.>) a.id))",
				  &arguments, SPI_OK_DELETE);
	deleted = SPI_processed > 0;
	end_own_access(&access);
	return deleted;
}

void
ledger_update_migration(const MigrationText *migration, const char *checksum)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);

	begin_own_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	add_own_text(&arguments, role);
	run_own_query("UPDATE migrate.migrations SET name = $2, format = $3, "
				  "body = $4, down_body = $5, checksum = $6, "
				  "in_transaction = $7, tool_checksum = $8, requires = $9, "
				  "listed_at = $10, repeatable = $11, body_line = $12, "
				  "down_line = $13, missing_since = NULL, "
				  "registered_at = pg_catalog.clock_timestamp(), "
				  "registered_by = $14 WHERE version OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * As the ledger has it.
 */
const char *
attempt_state_name(AttemptState state)
{
	return attempt_state_names[state];
}

/*
 * Note of all migrations of a format but those of the given versions, a list
 * of char *, that their files are gone; when, unless that is known already.
 * Returns them in order, as LedgerEntry with version, name and label only.
 */
List *
ledger_mark_missing(const char *format, List *versions)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *missing = NIL;

	begin_own_access(&access);
	add_own_text(&arguments, format);
	add_own_text_list(&arguments, versions);
	run_own_query("WITH gone AS (UPDATE migrate.migrations m "
				  "SET missing_since = COALESCE(m.missing_since, "
				  "pg_catalog.clock_timestamp()) "
				  "WHERE m.format OPERATOR(pg_catalog.=) $1 AND NOT EXISTS ("
				  "SELECT FROM pg_catalog.unnest($2) AS v (version) "
				  "WHERE v.version OPERATOR(pg_catalog.=) m.version) "
				  "RETURNING m.version, m.name, m.repeatable, m.version_key) "
				  "SELECT g.version, g.name FROM gone g "
				  "ORDER BY g.repeatable, g.version_key",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);
		LedgerEntry *entry = palloc0(sizeof(LedgerEntry));

		entry->version = own_text_column(&access, row, 1);
		entry->name = own_text_column(&access, row, 2);
		entry->label = migration_label(entry->version, entry->name);
		missing = lappend(missing, entry);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return missing;
}

/*
 * Insert or update the row of an attempt.  A repeatable migration that is
 * applied again has one that counts as applied already.
 */
void
ledger_write_attempt(Attempt *attempt)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	if (attempt->entry->repeatable && attempt->kind == ATTEMPT_APPLY &&
		state_is_in_effect(attempt->state))
		supersede(attempt);
	add_attempt_arguments(&arguments, attempt);
	if (attempt->id == 0)
		insert_attempt(attempt, &arguments);
	else
	{
		add_own_argument(&arguments, INT8OID, Int64GetDatum(attempt->id), false);
		run_own_query("UPDATE migrate.attempts SET state = $1, "
					  "finished_at = $2, duration_ms = $3, statements = $4, "
					  "done_bytes = $5, error = $6, sqlstate = $7, "
					  "error_statement = $8, error_line = $9, fingerprint = $10, "
					  "tasks = $11 WHERE id OPERATOR(pg_catalog.=) $12",
					  &arguments, SPI_OK_UPDATE);
	}
	end_own_access(&access);
}

/* As in_effect of the table says. */
static bool
state_is_in_effect(AttemptState state)
{
	return state == ATTEMPT_APPLIED || state == ATTEMPT_BASELINE ||
		state == ATTEMPT_ADOPTED || state == ATTEMPT_REPAIRED;
}

/* The others are about what need not run, or no longer counts. */
static bool
state_has_run(AttemptState state)
{
	return state == ATTEMPT_RUNNING || state == ATTEMPT_APPLIED ||
		state == ATTEMPT_FAILED;
}

static void
supersede(const Attempt *attempt)
{
	OwnArguments arguments = {0};

	add_own_text(&arguments, target_schema);
	add_own_text(&arguments, attempt->entry->version);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(attempt->id), false);
	run_own_query("UPDATE migrate.attempts SET state = 'superseded' "
				  "WHERE target_schema OPERATOR(pg_catalog.=) $1 "
				  "AND version OPERATOR(pg_catalog.=) $2 AND in_effect "
				  "AND id OPERATOR(pg_catalog.<>) $3",
				  &arguments, SPI_OK_UPDATE);
}

static void
add_attempt_arguments(OwnArguments *arguments, const Attempt *attempt)
{
	bool		running = attempt->state == ATTEMPT_RUNNING;
	TimestampTz now = GetCurrentTimestamp();

	add_own_text(arguments, attempt_state_names[attempt->state]);
	add_own_argument(arguments, TIMESTAMPTZOID, TimestampTzGetDatum(now), running);
	add_own_argument(arguments, INT8OID,
					 Int64GetDatum((now - attempt->started_at) / 1000), running);
	add_own_argument(arguments, INT4OID, Int32GetDatum(attempt->statements), false);
	add_own_argument(arguments, INT4OID, Int32GetDatum(attempt->done_bytes), false);
	add_own_text(arguments, attempt->error);
	add_own_text(arguments, attempt->sqlstate);
	add_own_argument(arguments, INT4OID, Int32GetDatum(attempt->error_statement),
					 attempt->error_statement == 0);
	add_own_argument(arguments, INT4OID, Int32GetDatum(attempt->error_line),
					 attempt->error_line == 0);
	add_own_text(arguments, attempt->fingerprint);
	add_numbers(arguments, attempt->tasks);
}

/* A bigint[] of a list of int64 *. */
static void
add_numbers(OwnArguments *arguments, List *numbers)
{
	Datum	   *elements = palloc(list_length(numbers) * sizeof(Datum));
	ArrayType  *array;
	ListCell   *cell;

	foreach(cell, numbers)
		elements[foreach_current_index(cell)] =
		Int64GetDatum(*(const int64 *) lfirst(cell));
	array = construct_array(elements, list_length(numbers), INT8OID,
							sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	add_own_argument(arguments, INT8ARRAYOID, PointerGetDatum(array), false);
}

static void
insert_attempt(Attempt *attempt, OwnArguments *arguments)
{
	bool		transactional;
	bool		has_point;
	bool		isnull;

	/* whoever runs migrations has made one before, where that is possible */
	has_point = state_has_run(attempt->state) && preserving();

	/* all of it in this transaction, or none of it */
	transactional = attempt->state != ATTEMPT_RUNNING &&
		attempt->entry->done_bytes == 0;

	add_own_text(arguments, attempt->entry->version);
	add_own_text(arguments, attempt->role);
	add_own_argument(arguments, TIMESTAMPTZOID,
					 TimestampTzGetDatum(attempt->started_at), false);
	add_own_argument(arguments, BOOLOID, BoolGetDatum(transactional), false);
	add_own_text(arguments, attempt->entry->name);
	add_own_text(arguments, attempt->entry->checksum);
	add_own_text(arguments, attempt->entry->body);
	add_own_text(arguments, target_schema);
	add_own_text(arguments, attempt_kind_names[attempt->kind]);
	add_own_text(arguments, attempt->tool);
	add_own_argument(arguments, BOOLOID, BoolGetDatum(attempt->out_of_order),
					 false);
	add_own_argument(arguments, BOOLOID, BoolGetDatum(has_point), false);
	run_own_query("INSERT INTO migrate.attempts (state, finished_at, duration_ms, "
				  "statements, done_bytes, error, sqlstate, error_statement, "
				  "error_line, fingerprint, tasks, version, role, started_at, "
				  "transactional, name, checksum, body, target_schema, kind, "
				  "tool, out_of_order, restore_point, session_role, client, "
				  "application) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
				  "$13, $14, $15, $16, $17, $18, $19, $20, $21, $22, "
				  "(SELECT pg_catalog.max(p.id) "
				  "FROM migrate.restore_point_data p WHERE $23 "
				  "AND p.kind OPERATOR(pg_catalog.=) 'migration'), SESSION_USER, "
				  "pg_catalog.inet_client_addr(), "
				  "pg_catalog.current_setting('application_name')) "
				  "RETURNING id",
				  arguments, SPI_OK_INSERT_RETURNING);
	attempt->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
}

/*
 * The last attempt at a migration ended without a word, by a crash: say so.
 * Only to be called while holding the lock of the ledger.
 */
void
ledger_end_interrupted(const LedgerEntry *entry)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(entry->attempt), false);
	run_own_query("UPDATE migrate.attempts SET state = 'failed', "
				  "error = 'the session ended before the migration did' "
				  "WHERE id OPERATOR(pg_catalog.=) $1 "
				  "AND state OPERATOR(pg_catalog.=) 'running'",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
