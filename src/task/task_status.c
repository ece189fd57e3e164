/*-------------------------------------------------------------------------
 *
 * task_status.c
 *	  How far tasks are, for those who look at them from outside.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "task/task.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* The holder of the lock is looked for in the way that the view does it. */
#define STATUS_QUERY \
	"SELECT t.id, t.state, t.relation, t.steps_done, t.steps, t.step, " \
	"t.error, t.sqlstate, t.next_attempt_at, t.deferred, t.role, " \
	"t.session_role, (SELECT k.pid FROM pg_catalog.pg_locks k " \
	"WHERE k.locktype OPERATOR(pg_catalog.=) 'object' " \
	"AND k.classid OPERATOR(pg_catalog.=) " \
	"'migrate.task_log'::pg_catalog.regclass " \
	"AND k.objid OPERATOR(pg_catalog.=) " \
	"(t.id OPERATOR(pg_catalog.&) 4294967295::bigint)::pg_catalog.oid " \
	"AND k.database OPERATOR(pg_catalog.=) (SELECT d.oid " \
	"FROM pg_catalog.pg_database d WHERE d.datname " \
	"OPERATOR(pg_catalog.=) pg_catalog.current_database()) " \
	"AND k.granted LIMIT 1), l.role_oid, l.session_role_oid " \
	"FROM migrate.tasks t JOIN migrate.task_log l " \
	"ON l.id OPERATOR(pg_catalog.=) t.id "

PG_FUNCTION_INFO_V1(migrate_origin);

static TaskStatus *status_of_row(OwnAccess *access, uint64 row);
static Oid	same_role(const char *name, uint64 row, int column);

/*
 * See task.h.
 */
bool
task_is_of_migration(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("SELECT FROM migrate.attempts a "
				  "WHERE $1 OPERATOR(pg_catalog.=) ANY (a.tasks) LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	result = SPI_processed > 0;
	end_own_access(&access);
	return result;
}

/*
 * See task.h.
 */
TaskStatus *
task_status(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	TaskStatus *status = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query(STATUS_QUERY "WHERE t.id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		status = status_of_row(&access, 0);
	end_own_access(&access);
	return status;
}

/*
 * See task.h.
 */
List *
tasks_for_background(void)
{
	OwnAccess	access;
	OwnArguments none = {0};
	List	   *result = NIL;

	begin_own_access(&access);
	run_own_query(STATUS_QUERY "WHERE t.deferred "
				  "AND t.state OPERATOR(pg_catalog.<>) "
				  "ALL (ARRAY['done', 'cancelled', 'elsewhere']) ORDER BY t.id",
				  &none, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		TaskStatus *status = status_of_row(&access, row);
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		result = lappend(result, status);
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return result;
}

/* In the caller's memory context. */
static TaskStatus *
status_of_row(OwnAccess *access, uint64 row)
{
	TaskStatus *status = MemoryContextAllocZero(access->caller,
												sizeof(TaskStatus));
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		next;

	status->id = own_bigint_column(row, 1);
	status->state = own_text_column(access, row, 2);
	status->relation = own_text_column(access, row, 3);
	status->done = own_int_column(row, 4);
	status->steps = own_int_column(row, 5);
	status->step = own_text_column(access, row, 6);
	status->error = own_text_column(access, row, 7);
	status->sqlstate = own_text_column(access, row, 8);
	next = SPI_getbinval(tuple, desc, 9, &isnull);
	status->next_attempt = isnull ? 0 : DatumGetTimestampTz(next);
	status->deferred = DatumGetBool(SPI_getbinval(tuple, desc, 10, &isnull));
	status->role = own_text_column(access, row, 11);
	status->session_role = own_text_column(access, row, 12);
	status->runner = own_int_column(row, 13);
	status->role_oid = same_role(status->role, row, 14);
	status->session_role_oid = same_role(status->session_role, row, 15);
	return status;
}

/* The role with that name, if it is still the one with that OID. */
static Oid
same_role(const char *name, uint64 row, int column)
{
	bool		isnull;
	Oid			oid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
													 SPI_tuptable->tupdesc,
													 column, &isnull));

	return get_role_oid(name, true) == oid ? oid : InvalidOid;
}

/*
 * See task.h.
 */
void
require_task_from_here(const TaskStatus *status)
{
	if (strcmp(status->state, "elsewhere") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task " INT64_FORMAT " was asked for in another database",
						status->id),
				 errdetail("This database is a copy, in which the task is never run, resumed or taken back."),
				 errhint("Send the statement again, or see migrate.verify() for what was left half-done.")));
}

/*
 * See the comment on the SQL function.
 */
Datum
migrate_origin(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT ".%u",
											  GetSystemIdentifier(),
											  MyDatabaseId)));
}
