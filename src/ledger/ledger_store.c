/*-------------------------------------------------------------------------
 *
 * ledger_store.c
 *	  All SQL that touches the tables of the ledger.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* What is to be put back after the ledger has been used. */
typedef struct LedgerAccess
{
	Oid			user;
	int			security_context;
	bool		read_only;
	MemoryContext caller;
} LedgerAccess;

/* The parameters of a query. */
typedef struct QueryArguments
{
	int			count;
	Oid			types[16];
	Datum		values[16];
	char		nulls[16];
} QueryArguments;

/* A query and its plan, kept for the session. */
typedef struct KeptPlan
{
	struct KeptPlan *next;
	const char *query;
	SPIPlanPtr	plan;
} KeptPlan;

static const char *const attempt_state_names[] = {
	[ATTEMPT_RUNNING] = "running",
	[ATTEMPT_APPLIED] = "applied",
	[ATTEMPT_FAILED] = "failed",
	[ATTEMPT_BASELINE] = "baseline"
};

/*
 * Of one that is not applied, the last attempt tells how far it got, because
 * an attempt that resumes another starts with what that one had done.
 */
#define ENTRY_QUERY \
	"SELECT m.version, m.name, m.checksum, m.in_transaction, " \
	"a.checksum, l.id, l.state OPERATOR(pg_catalog.=) 'running', " \
	"l.statements, l.done_bytes " \
	"FROM migrate.migrations m " \
	"LEFT JOIN migrate.attempts a " \
	"ON a.version OPERATOR(pg_catalog.=) m.version " \
	"AND a.state OPERATOR(pg_catalog.=) ANY (ARRAY['applied', 'baseline']) " \
	"LEFT JOIN LATERAL (SELECT t.id, t.state, t.statements, t.done_bytes " \
	"FROM migrate.attempts t " \
	"WHERE a.id IS NULL AND t.version OPERATOR(pg_catalog.=) m.version " \
	"ORDER BY t.id DESC LIMIT 1) l ON true "

static void begin_access(LedgerAccess *access);
static void end_access(LedgerAccess *access);
static void add_argument(QueryArguments *arguments, Oid type, Datum value,
						 bool isnull);
static void add_text(QueryArguments *arguments, const char *value);
static SPIPlanPtr kept_plan(const char *query, QueryArguments *arguments);
static void run_query(const char *query, QueryArguments *arguments,
					  int expected);
static LedgerEntry *entry_of_row(LedgerAccess *access, uint64 row);
static char *text_column(LedgerAccess *access, uint64 row, int column);
static int	int_column(uint64 row, int column);
static void insert_attempt(Attempt *attempt, QueryArguments *arguments);
static void add_attempt_arguments(QueryArguments *arguments,
								  const Attempt *attempt);
static void add_migration_arguments(QueryArguments *arguments,
									const MigrationText *migration,
									const char *checksum);

/*
 * Become the owner of the extension.  An error on the way needs no care: the
 * end of the transaction, or of the subtransaction that catches it, puts the
 * user and the read-only mode back.
 *
 * A migration may have made its transaction, or the session, read only; that
 * is about its own statements, and the ledger has to be written all the same.
 * Functions that must not run in a read-only transaction have refused before
 * they get here.
 */
static void
begin_access(LedgerAccess *access)
{
	Oid			owner = migrate_extension_owner();

	access->caller = CurrentMemoryContext;
	access->read_only = XactReadOnly;
	GetUserIdAndSecContext(&access->user, &access->security_context);

	SPI_connect();
	SetUserIdAndSecContext(owner, access->security_context |
						   SECURITY_LOCAL_USERID_CHANGE);
	XactReadOnly = false;
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
end_access(LedgerAccess *access)
{
	PopActiveSnapshot();
	XactReadOnly = access->read_only;
	SetUserIdAndSecContext(access->user, access->security_context);
	SPI_finish();
	MemoryContextSwitchTo(access->caller);
}

static void
add_argument(QueryArguments *arguments, Oid type, Datum value, bool isnull)
{
	Assert(arguments->count < lengthof(arguments->types));
	arguments->types[arguments->count] = type;
	arguments->values[arguments->count] = value;
	arguments->nulls[arguments->count] = isnull ? 'n' : ' ';
	arguments->count++;
}

static void
add_text(QueryArguments *arguments, const char *value)
{
	add_argument(arguments, TEXTOID,
				 value ? CStringGetTextDatum(value) : (Datum) 0,
				 value == NULL);
}

/*
 * The plan of a query, kept for the session: a load asks the same questions of
 * every file.  The plan cache takes care of whatever changes meanwhile, be it
 * that the extension is dropped and created again.  query is a constant.
 */
static SPIPlanPtr
kept_plan(const char *query, QueryArguments *arguments)
{
	static KeptPlan *plans = NULL;
	KeptPlan   *kept;
	SPIPlanPtr	plan;

	for (kept = plans; kept != NULL; kept = kept->next)
	{
		if (kept->query == query)
			return kept->plan;
	}
	plan = SPI_prepare(query, arguments->count, arguments->types);
	if (plan == NULL)
		elog(ERROR, "could not plan a ledger query: %s",
			 SPI_result_code_string(SPI_result));
	kept = MemoryContextAlloc(TopMemoryContext, sizeof(KeptPlan));
	SPI_keepplan(plan);
	kept->query = query;
	kept->plan = plan;
	kept->next = plans;
	plans = kept;
	return kept->plan;
}

static void
run_query(const char *query, QueryArguments *arguments, int expected)
{
	int			result;

	result = SPI_execute_plan(kept_plan(query, arguments), arguments->values,
							  arguments->nulls, false, 0);
	if (result != expected)
		elog(ERROR, "unexpected result of a ledger query: %s",
			 SPI_result_code_string(result));
}

/* The copy is in the caller's memory context. */
static char *
text_column(LedgerAccess *access, uint64 row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row],
									 SPI_tuptable->tupdesc, column);
	char	   *copy;

	if (value == NULL)
		return NULL;
	copy = MemoryContextStrdup(access->caller, value);
	pfree(value);
	return copy;
}

/* 0 for NULL */
static int
int_column(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/*
 * A row of ENTRY_QUERY as a LedgerEntry in the caller's memory context.
 */
static LedgerEntry *
entry_of_row(LedgerAccess *access, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;
	MemoryContext old = MemoryContextSwitchTo(access->caller);
	LedgerEntry *entry = palloc0(sizeof(LedgerEntry));
	char	   *applied_checksum;
	bool		isnull;
	Datum		value;

	entry->version = text_column(access, row, 1);
	entry->name = text_column(access, row, 2);
	entry->label = migration_label(entry->version, entry->name);
	entry->checksum = text_column(access, row, 3);
	entry->in_transaction =
		DatumGetBool(SPI_getbinval(tuple, tupdesc, 4, &isnull));
	applied_checksum = text_column(access, row, 5);
	entry->applied = applied_checksum != NULL;
	entry->edited = entry->applied &&
		strcmp(applied_checksum, entry->checksum) != 0;

	value = SPI_getbinval(tuple, tupdesc, 6, &isnull);
	if (!isnull)
	{
		entry->attempt = DatumGetInt64(value);
		entry->interrupted =
			DatumGetBool(SPI_getbinval(tuple, tupdesc, 7, &isnull));
		entry->statements = int_column(row, 8);
		entry->done_bytes = int_column(row, 9);
	}
	MemoryContextSwitchTo(old);
	return entry;
}

/*
 * All migrations in order.
 */
List *
ledger_read(void)
{
	LedgerAccess access;
	QueryArguments none = {0};
	List	   *entries = NIL;

	begin_access(&access);
	run_query(ENTRY_QUERY "ORDER BY m.version_key", &none, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		LedgerEntry *entry = entry_of_row(&access, row);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		entries = lappend(entries, entry);
		MemoryContextSwitchTo(old);
	}
	end_access(&access);
	return entries;
}

/*
 * One migration, locked against other changes of its text; NULL if it is not
 * registered.
 */
LedgerEntry *
ledger_read_version(const char *version)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	LedgerEntry *entry = NULL;

	begin_access(&access);
	add_text(&arguments, version);
	run_query(ENTRY_QUERY
			  "WHERE m.version OPERATOR(pg_catalog.=) $1 FOR UPDATE OF m",
			  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		entry = entry_of_row(&access, 0);
	end_access(&access);
	return entry;
}

/*
 * Read the text of a migration, and that of the last attempt at it.
 */
void
ledger_read_body(LedgerEntry *entry)
{
	LedgerAccess access;
	QueryArguments arguments = {0};

	begin_access(&access);
	add_text(&arguments, entry->version);
	add_argument(&arguments, INT8OID, Int64GetDatum(entry->attempt), false);
	run_query("SELECT m.body, t.body FROM migrate.migrations m "
			  "LEFT JOIN migrate.attempts t "
			  "ON t.id OPERATOR(pg_catalog.=) $2 "
			  "WHERE m.version OPERATOR(pg_catalog.=) $1",
			  &arguments, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "migration \"%s\" has vanished", entry->version);
	entry->body = text_column(&access, 0, 1);
	entry->attempted_body = text_column(&access, 0, 2);
	end_access(&access);
}

/*
 * Another version that has the same place in the order, or NULL.
 */
char *
ledger_version_with_same_key(const char *version)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	char	   *other = NULL;

	begin_access(&access);
	add_text(&arguments, version);
	add_text(&arguments, version_sort_key(version));
	run_query("SELECT version FROM migrate.migrations "
			  "WHERE version_key OPERATOR(pg_catalog.=) $2 "
			  "AND version OPERATOR(pg_catalog.<>) $1",
			  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		other = text_column(&access, 0, 1);
	end_access(&access);
	return other;
}

static void
add_migration_arguments(QueryArguments *arguments,
						const MigrationText *migration, const char *checksum)
{
	add_text(arguments, migration->version);
	add_text(arguments, migration->name);
	add_text(arguments, migration->format);
	add_text(arguments, migration->body);
	add_text(arguments, migration->down_body);
	add_text(arguments, checksum);
	add_argument(arguments, BOOLOID, BoolGetDatum(migration->in_transaction),
				 false);
}

/*
 * True if the migration is registered exactly so: nothing is to be written.
 */
bool
ledger_is_same(const MigrationText *migration, const char *checksum)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	bool		same;

	begin_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	run_query("SELECT FROM migrate.migrations "
			  "WHERE version OPERATOR(pg_catalog.=) $1 "
			  "AND name OPERATOR(pg_catalog.=) $2 "
			  "AND format OPERATOR(pg_catalog.=) $3 "
			  "AND checksum OPERATOR(pg_catalog.=) $6 "
			  "AND body OPERATOR(pg_catalog.=) $4 "
			  "AND (down_body IS NULL) OPERATOR(pg_catalog.=) ($5 IS NULL) "
			  "AND COALESCE(down_body OPERATOR(pg_catalog.=) $5, true) "
			  "AND in_transaction OPERATOR(pg_catalog.=) $7",
			  &arguments, SPI_OK_SELECT);
	same = SPI_processed > 0;
	end_access(&access);
	return same;
}

/*
 * Returns false if the version, or one of the same place in the order, is
 * registered already.
 */
bool
ledger_insert_migration(const MigrationText *migration, const char *checksum)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);
	bool		inserted;

	begin_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	add_text(&arguments, role);
	run_query("INSERT INTO migrate.migrations (version, name, format, body, "
			  "down_body, checksum, in_transaction, registered_at, "
			  "registered_by) VALUES ($1, $2, $3, $4, $5, $6, $7, "
			  "pg_catalog.clock_timestamp(), $8) ON CONFLICT DO NOTHING",
			  &arguments, SPI_OK_INSERT);
	inserted = SPI_processed > 0;
	end_access(&access);
	return inserted;
}

/*
 * Forget a migration of which nothing has run.  Returns false if there is none.
 */
bool
ledger_delete_migration(const char *version)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	bool		deleted;

	begin_access(&access);
	add_text(&arguments, version);
	run_query("DELETE FROM migrate.migrations m "
			  "WHERE m.version OPERATOR(pg_catalog.=) $1 AND NOT EXISTS ("
			  "SELECT FROM migrate.attempts a "
			  "WHERE a.version OPERATOR(pg_catalog.=) m.version "
			  "AND (a.state OPERATOR(pg_catalog.<>) 'failed' "
			  "OR a.statements OPERATOR(pg_catalog.>) 0))",
			  &arguments, SPI_OK_DELETE);
	deleted = SPI_processed > 0;
	end_access(&access);
	return deleted;
}

void
ledger_update_migration(const MigrationText *migration, const char *checksum)
{
	LedgerAccess access;
	QueryArguments arguments = {0};
	char	   *role = GetUserNameFromId(GetUserId(), false);

	begin_access(&access);
	add_migration_arguments(&arguments, migration, checksum);
	add_text(&arguments, role);
	run_query("UPDATE migrate.migrations SET name = $2, format = $3, "
			  "body = $4, down_body = $5, checksum = $6, "
			  "in_transaction = $7, "
			  "registered_at = pg_catalog.clock_timestamp(), "
			  "registered_by = $8 WHERE version OPERATOR(pg_catalog.=) $1",
			  &arguments, SPI_OK_UPDATE);
	end_access(&access);
}

/*
 * Insert or update the row of an attempt.
 */
void
ledger_write_attempt(Attempt *attempt)
{
	LedgerAccess access;
	QueryArguments arguments = {0};

	begin_access(&access);
	add_attempt_arguments(&arguments, attempt);
	if (attempt->id == 0)
		insert_attempt(attempt, &arguments);
	else
	{
		add_argument(&arguments, INT8OID, Int64GetDatum(attempt->id), false);
		run_query("UPDATE migrate.attempts SET state = $1, "
				  "finished_at = $2, duration_ms = $3, statements = $4, "
				  "done_bytes = $5, error = $6, sqlstate = $7, "
				  "error_statement = $8, error_line = $9 "
				  "WHERE id OPERATOR(pg_catalog.=) $10",
				  &arguments, SPI_OK_UPDATE);
	}
	end_access(&access);
}

static void
add_attempt_arguments(QueryArguments *arguments, const Attempt *attempt)
{
	bool		running = attempt->state == ATTEMPT_RUNNING;
	TimestampTz now = GetCurrentTimestamp();

	add_text(arguments, attempt_state_names[attempt->state]);
	add_argument(arguments, TIMESTAMPTZOID, TimestampTzGetDatum(now), running);
	add_argument(arguments, INT8OID,
				 Int64GetDatum((now - attempt->started_at) / 1000), running);
	add_argument(arguments, INT4OID, Int32GetDatum(attempt->statements), false);
	add_argument(arguments, INT4OID, Int32GetDatum(attempt->done_bytes), false);
	add_text(arguments, attempt->error);
	add_text(arguments, attempt->sqlstate);
	add_argument(arguments, INT4OID, Int32GetDatum(attempt->error_statement),
				 attempt->error_statement == 0);
	add_argument(arguments, INT4OID, Int32GetDatum(attempt->error_line),
				 attempt->error_line == 0);
}

static void
insert_attempt(Attempt *attempt, QueryArguments *arguments)
{
	bool		transactional;
	bool		isnull;

	/* all of it in this transaction, or none of it */
	transactional = attempt->state != ATTEMPT_RUNNING &&
		attempt->entry->done_bytes == 0;

	add_text(arguments, attempt->entry->version);
	add_text(arguments, attempt->role);
	add_argument(arguments, TIMESTAMPTZOID,
				 TimestampTzGetDatum(attempt->started_at), false);
	add_argument(arguments, BOOLOID, BoolGetDatum(transactional), false);
	add_text(arguments, attempt->entry->name);
	add_text(arguments, attempt->entry->checksum);
	add_text(arguments, attempt->entry->body);
	run_query("INSERT INTO migrate.attempts (state, finished_at, duration_ms, "
			  "statements, done_bytes, error, sqlstate, error_statement, "
			  "error_line, version, role, started_at, transactional, name, "
			  "checksum, body, session_role, client, application) "
			  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
			  "$13, $14, $15, $16, SESSION_USER, "
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
	LedgerAccess access;
	QueryArguments arguments = {0};

	begin_access(&access);
	add_argument(&arguments, INT8OID, Int64GetDatum(entry->attempt), false);
	run_query("UPDATE migrate.attempts SET state = 'failed', "
			  "error = 'the session ended before the migration did' "
			  "WHERE id OPERATOR(pg_catalog.=) $1 "
			  "AND state OPERATOR(pg_catalog.=) 'running'",
			  &arguments, SPI_OK_UPDATE);
	end_access(&access);
}
