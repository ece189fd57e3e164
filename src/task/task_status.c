/*-------------------------------------------------------------------------
 *
 * task_status.c
 *	  How far tasks are, for those who look at them from outside.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "task/task.h"
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
	"AND k.granted LIMIT 1) FROM migrate.tasks t "

static TaskStatus *status_of_row(OwnAccess *access, uint64 row);

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
				  "ALL (ARRAY['done', 'cancelled']) ORDER BY t.id",
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
	return status;
}
