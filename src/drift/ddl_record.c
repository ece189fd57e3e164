/*-------------------------------------------------------------------------
 *
 * ddl_record.c
 *	  The record of schema changes that do not come from a migration.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "drift/ddl_objects.h"
#include "drift/ddl_record.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Bytes of the statement that are kept. */
#define STATEMENT_LENGTH 2048

struct DdlRecord
{
	MemoryContext context;
	DdlRecord  *outer;			/* of the statement that runs this one */
	ObjectWatch watch;
	DdlObjects	objects;
	const char *command;
	char	   *source;
	char	   *role;
	bool		disregarded;	/* nothing is to be written */
	Node	   *statement;		/* of those of which the hook tells nothing */
	CommandId	command_id;		/* before it */
	TimestampTz transaction_start;
};

static DdlRecord *innermost = NULL;

static void note_object(ObjectAccessType access, Oid classid, Oid objid,
						int32 subid, bool is_internal, void *arg);
static void close_record(DdlRecord *record);
static bool has_changed_something(const DdlRecord *record);
static bool may_hold_password(Node *statement);
static char *shortened(const char *source);
static void write_record(const DdlRecord *record, const char *reason);

/*
 * See ddl_record.h.
 */
DdlRecord *
begin_ddl_record(Node *statement, const char *source)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "safe_migrate statement",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DdlRecord  *record = palloc0(sizeof(DdlRecord));

	record->context = context;
	record->objects.context = context;
	record->command = GetCommandTagName(CreateCommandTag(statement));
	record->source = may_hold_password(statement) ?
		psprintf("%s (its text may hold a password, and is not kept)",
				 record->command) : shortened(source);
	record->role = GetUserNameFromId(GetUserId(), false);
	if (hook_tells_nothing_of(statement))
		record->statement = copyObject(statement);
	record->objects.reaches_others = reaches_others(statement);
	record->objects.renames = IsA(statement, RenameStmt) ||
		IsA(statement, AlterObjectSchemaStmt);
	record->command_id = GetCurrentCommandId(false);
	record->transaction_start = GetCurrentTransactionStartTimestamp();
	record->outer = innermost;
	innermost = record;
	record->watch.watcher = note_object;
	record->watch.arg = record;
	begin_object_watch(&record->watch);
	MemoryContextSwitchTo(old);
	return record;
}

/* A statement inside of this one has a record of its own. */
static void
note_object(ObjectAccessType access, Oid classid, Oid objid, int32 subid,
			bool is_internal, void *arg)
{
	DdlRecord  *record = arg;

	if (record == innermost && !is_internal)
		note_ddl_object(&record->objects, access, classid, objid);
}

/*
 * See ddl_record.h.
 */
void
end_ddl_record(DdlRecord *record, const char *reason)
{
	MemoryContext old;

	close_record(record);
	/* the end of the transaction frees it should we fail on the way */
	MemoryContextSetParent(record->context, CurTransactionContext);
	old = MemoryContextSwitchTo(record->context);
	/* the statement may have dropped us */
	if (!record->disregarded && has_changed_something(record) &&
		extension_is_created())
	{
		if (record->statement != NULL)
			note_ddl_targets(&record->objects, record->statement);
		if (describe_ddl_objects(&record->objects))
			write_record(record, reason);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(record->context);
}

/*
 * See ddl_record.h.
 */
void
disregard_ddl_record(void)
{
	if (innermost != NULL)
		innermost->disregarded = true;
}

/*
 * See ddl_record.h.
 */
void
abandon_ddl_record(DdlRecord *record)
{
	close_record(record);
	MemoryContextDelete(record->context);
}

static void
close_record(DdlRecord *record)
{
	end_object_watch(&record->watch);
	innermost = record->outer;
}

/* IF NOT EXISTS, for example, may do nothing at all. */
static bool
has_changed_something(const DdlRecord *record)
{
	CommandCounterIncrement();
	return GetCurrentCommandId(false) != record->command_id ||
		GetCurrentTransactionStartTimestamp() != record->transaction_start;
}

/* Dumps have the record in them, and whoever reads it need not know that. */
static bool
may_hold_password(Node *statement)
{
	return IsA(statement, CreateUserMappingStmt) ||
		IsA(statement, AlterUserMappingStmt) ||
		IsA(statement, CreateForeignServerStmt) ||
		IsA(statement, AlterForeignServerStmt) ||
		IsA(statement, CreateSubscriptionStmt) ||
		IsA(statement, AlterSubscriptionStmt);
}

/* Without white space at its ends, and cut between characters; palloc'd. */
static char *
shortened(const char *source)
{
	int			length;

	while (isspace((unsigned char) *source))
		source++;
	length = strlen(source);
	while (length > 0 && isspace((unsigned char) source[length - 1]))
		length--;
	if (length <= STATEMENT_LENGTH)
		return pnstrdup(source, length);
	length = pg_mbcliplen(source, length, STATEMENT_LENGTH - 3);
	return psprintf("%.*s...", length, source);
}

static void
write_record(const DdlRecord *record, const char *reason)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_text(&arguments, record->command);
	add_own_text_list(&arguments, record->objects.shown);
	add_own_text_list(&arguments, record->objects.units);
	add_own_text(&arguments, record->source);
	add_own_text(&arguments, record->role);
	add_own_text(&arguments, reason);
	add_own_text(&arguments, record->objects.runner);
	run_own_query("INSERT INTO migrate.ddl_log (executed_at, command, objects, "
				  "units, statement, role, reason, runner, session_role, client, "
				  "application, transaction, cluster) "
				  "SELECT pg_catalog.clock_timestamp(), $1, $2, $3, $4, $5, $6, $7, "
				  "SESSION_USER, pg_catalog.inet_client_addr(), "
				  "pg_catalog.current_setting('application_name'), "
				  "pg_catalog.pg_current_xact_id(), c.system_identifier "
				  "FROM pg_catalog.pg_control_system() c",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}
