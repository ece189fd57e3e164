/*-------------------------------------------------------------------------
 *
 * task_store.c
 *	  All SQL that touches migrate.task_log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "plan/plan.h"
#include "task/task.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

static const char *const task_state_names[] = {
	[TASK_WAITING] = "waiting",
	[TASK_RUNNING] = "running",
	[TASK_FAILED] = "failed",
	[TASK_UNDOING] = "undoing",
	[TASK_DONE] = "done",
	[TASK_CANCELLED] = "cancelled"
};

/* What the meaning of DDL depends on, besides the role. */
static const char *const kept_settings[] = {
	"search_path",
	"DateStyle",
	"IntervalStyle",
	"TimeZone",
	"array_nulls",
	"backslash_quote",
	"check_function_bodies",
	"default_table_access_method",
	"default_tablespace",
	"default_toast_compression",
	"quote_all_identifiers",
	"standard_conforming_strings",
	"transform_null_equals",
	"xmloption"
};

#define TASK_QUERY \
	"SELECT id, statement, command, rule, relation, steps, undos, done, " \
	"state, deferred, settings, role, session_role, attempts, error, " \
	"sqlstate, pid, cancelled, relid, made, witness, continued_by " \
	"FROM migrate.task_log "

#define NEXT_ID \
	"pg_catalog.nextval('migrate.task_log_id_seq'::pg_catalog.regclass)"

static void set_origin(Task *task);
static void add_steps(OwnArguments *arguments, const Task *task);
static void add_text_list(OwnArguments *arguments, List *texts);
static void add_text_array(OwnArguments *arguments, char **texts, int count);
static Task *task_of_row(OwnAccess *access, uint64 row);
static TaskState state_of_name(const char *name);
static List *own_text_list(OwnAccess *access, uint64 row, int column);
static List *steps_of_row(OwnAccess *access, uint64 row);

/*
 * See task.h.
 */
int64
task_reserve_id(void)
{
	OwnAccess	access;
	OwnArguments none = {0};
	int64		id;

	begin_own_access(&access);
	run_own_query("SELECT " NEXT_ID, &none, SPI_OK_SELECT);
	id = own_bigint_column(0, 1);
	end_own_access(&access);
	return id;
}

/*
 * See task.h.
 */
void
task_insert(Task *task)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Oid			role = GetUserId();

	set_origin(task);
	begin_own_access(&access);
	add_own_text(&arguments, task->statement);
	add_own_text(&arguments, task->command);
	add_own_text(&arguments, task->rule);
	add_own_text(&arguments, task->relation);
	add_steps(&arguments, task);
	add_own_text(&arguments, task_state_names[task->state]);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(task->deferred), false);
	add_text_list(&arguments, task->settings);
	add_own_text(&arguments, task->role);
	add_own_text(&arguments, task->session_role);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(task->done), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(task->relid), false);
	add_text_list(&arguments, task->made);
	add_text_list(&arguments, task->witness);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(role), false);
	add_own_argument(&arguments, OIDOID,
					 ObjectIdGetDatum(GetSessionUserId()), false);
	add_own_text(&arguments, task->continued_by);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(task->id),
					 task->id == 0);
	run_own_query("INSERT INTO migrate.task_log (id, statement, command, rule, "
				  "relation, steps, undos, state, deferred, settings, role, "
				  "session_role, done, relid, made, witness, role_oid, "
				  "session_role_oid, continued_by, origin, client, "
				  "application, pid, attempts, created_at, started_at) "
				  "OVERRIDING SYSTEM VALUE VALUES (COALESCE($19, " NEXT_ID "), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
				  "$13, $14, $15, $16, $17, $18, migrate.origin(), "
				  "pg_catalog.inet_client_addr(), "
				  "pg_catalog.current_setting('application_name'), "
				  "CASE WHEN $8 THEN NULL ELSE pg_catalog.pg_backend_pid() END, "
				  "CASE WHEN $8 THEN 0 ELSE 1 END, "
				  "pg_catalog.clock_timestamp(), "
				  "CASE WHEN $8 THEN NULL ELSE pg_catalog.clock_timestamp() END) "
				  "RETURNING id",
				  &arguments, SPI_OK_INSERT_RETURNING);
	task->id = own_bigint_column(0, 1);
	task->attempts = task->deferred ? 0 : 1;
	end_own_access(&access);
}

/* Who asks, and under which settings. */
static void
set_origin(Task *task)
{
	task->role = GetUserNameFromId(GetUserId(), false);
	task->session_role = GetUserNameFromId(GetSessionUserId(), false);
	task->settings = NIL;
	for (int i = 0; i < lengthof(kept_settings); i++)
	{
		const char *value = GetConfigOption(kept_settings[i], true, false);

		if (value == NULL)
			continue;
		task->settings = lappend(task->settings, pstrdup(kept_settings[i]));
		task->settings = lappend(task->settings, pstrdup(value));
	}
}

static void
add_steps(OwnArguments *arguments, const Task *task)
{
	int			count = list_length(task->steps);
	char	  **texts = palloc(count * sizeof(char *));
	char	  **undos = palloc(count * sizeof(char *));

	for (int i = 0; i < count; i++)
	{
		const PlanStep *step = list_nth(task->steps, i);

		texts[i] = step->text;
		undos[i] = step->undo;
	}
	add_text_array(arguments, texts, count);
	add_text_array(arguments, undos, count);
}

static void
add_text_list(OwnArguments *arguments, List *texts)
{
	char	  **array = palloc(Max(list_length(texts), 1) * sizeof(char *));
	ListCell   *cell;

	foreach(cell, texts)
		array[foreach_current_index(cell)] = lfirst(cell);
	add_text_array(arguments, array, list_length(texts));
}

/* Elements may be NULL. */
static void
add_text_array(OwnArguments *arguments, char **texts, int count)
{
	Datum	   *values = palloc(Max(count, 1) * sizeof(Datum));
	bool	   *nulls = palloc(Max(count, 1) * sizeof(bool));
	int			lower_bound = 1;
	ArrayType  *array;

	for (int i = 0; i < count; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	array = construct_md_array(values, nulls, 1, &count, &lower_bound,
							   TEXTOID, -1, false, TYPALIGN_INT);
	add_own_argument(arguments, TEXTARRAYOID, PointerGetDatum(array), false);
}

/*
 * See task.h.
 */
void
task_update(Task *task, bool begin)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	if (begin)
		task->attempts++;
	if (task->state == TASK_DONE)
		task->error = task->sqlstate = NULL;
	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(task->id), false);
	add_own_text(&arguments, task_state_names[task->state]);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(task->done), false);
	add_own_text(&arguments, task->error);
	add_own_text(&arguments, task->sqlstate);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(begin), false);
	add_own_argument(&arguments, INT4OID, Int32GetDatum(task->attempts), false);
	add_text_list(&arguments, task->made);
	add_text_list(&arguments, task->witness);

	/* who was told to stop by migrate.cancel() leaves the rest to others */
	run_own_query("UPDATE migrate.task_log SET state = CASE "
				  "WHEN cancelled AND $2 OPERATOR(pg_catalog.=) 'failed' "
				  "AND state OPERATOR(pg_catalog.=) 'running' "
				  "THEN 'waiting' ELSE $2 END, done = $3, "
				  "cancelled = cancelled OR $2 OPERATOR(pg_catalog.=) 'cancelled', "
				  "error = $4, sqlstate = $5, attempts = $7, "
				  "made = $8, witness = $9, "
				  "started_at = CASE WHEN $6 "
				  "THEN pg_catalog.clock_timestamp() ELSE started_at END, "
				  "finished_at = CASE WHEN $2 OPERATOR(pg_catalog.=) "
				  "ANY (ARRAY['failed', 'done', 'cancelled']) "
				  "THEN pg_catalog.clock_timestamp() END, "
				  "pid = CASE WHEN $2 OPERATOR(pg_catalog.=) 'waiting' "
				  "THEN NULL ELSE pg_catalog.pg_backend_pid() END "
				  "WHERE id OPERATOR(pg_catalog.=) $1 RETURNING cancelled",
				  &arguments, SPI_OK_UPDATE_RETURNING);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task " INT64_FORMAT " has vanished from migrate.task_log",
						task->id)));
	task->cancelled = own_bool_column(0, 1);
	end_own_access(&access);
}

/*
 * See task.h.
 */
void
task_write_made(const Task *task)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(task->id), false);
	add_text_list(&arguments, task->made);
	run_own_query("UPDATE migrate.task_log SET made = $2 "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * See task.h.
 */
Task *
task_read(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Task	   *task = NULL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query(TASK_QUERY "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		task = task_of_row(&access, 0);
	end_own_access(&access);
	return task;
}

/*
 * See task.h.
 */
List *
task_made_by_others(const Task *task)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *made = NIL;

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(task->id), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(task->relid), false);
	run_own_query("SELECT made FROM migrate.task_log "
				  "WHERE relid OPERATOR(pg_catalog.=) $2 "
				  "AND id OPERATOR(pg_catalog.<>) $1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(access.caller);

		made = list_concat(made, own_text_list(&access, row, 1));
		MemoryContextSwitchTo(old);
	}
	end_own_access(&access);
	return made;
}

/*
 * See task.h.
 */
void
task_claim(Task *task)
{
	Task	   *current;

	if (!task_lock(task->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the same statement is being run by process %d, as task " INT64_FORMAT "; wait for it, or end it with pg_cancel_backend(%d)",
						task->pid, task->id, task->pid)));
	current = task_read(task->id);
	if (current == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no task " INT64_FORMAT, task->id)));
	task->done = current->done;
	task->state = current->state;
	task->made = current->made;
	task->witness = current->witness;
	task->attempts = current->attempts;
	task->error = current->error;
	task->sqlstate = current->sqlstate;
}

/*
 * See task.h.
 */
Task *
task_find_unfinished(const char *statement)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	Task	   *task = NULL;
	Oid			role = GetUserId();

	begin_own_access(&access);
	add_own_text(&arguments, statement);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(role), false);
	add_own_text(&arguments, namespace_search_path);
	run_own_query(TASK_QUERY
				  "WHERE state OPERATOR(pg_catalog.<>) "
				  "ALL (ARRAY['done', 'cancelled']) "
				  "AND statement OPERATOR(pg_catalog.=) $1 "
				  "AND role_oid OPERATOR(pg_catalog.=) $2 "
				  "AND origin OPERATOR(pg_catalog.=) migrate.origin() "
				  "AND NOT cancelled "
				  "AND settings[1] OPERATOR(pg_catalog.=) 'search_path' "
				  "AND settings[2] OPERATOR(pg_catalog.=) $3 "
				  "ORDER BY id DESC LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		task = task_of_row(&access, 0);
	end_own_access(&access);
	return task;
}

/*
 * See task.h.  This is asked for every statement that might have a plan, so
 * look at the file before running a query.
 */
bool
tasks_may_exist(void)
{
	return own_table_has_pages("task_log");
}

/*
 * See task.h.
 */
void
task_hand_over(int64 id, bool cancel)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(cancel), false);
	run_own_query("UPDATE migrate.task_log SET state = 'waiting', "
				  "deferred = true, cancelled = $2, attempts = 0, "
				  "pid = NULL, finished_at = NULL "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/*
 * See task.h.
 */
void
task_mark_cancelled(int64 id)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(id), false);
	run_own_query("UPDATE migrate.task_log "
				  "SET deferred = true, cancelled = true, "
				  "state = CASE WHEN state OPERATOR(pg_catalog.=) 'failed' "
				  "THEN 'waiting' ELSE state END "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}

/* A row of TASK_QUERY, in the caller's memory context. */
static Task *
task_of_row(OwnAccess *access, uint64 row)
{
	MemoryContext old = MemoryContextSwitchTo(access->caller);
	Task	   *task = palloc0(sizeof(Task));
	bool		isnull;

	task->id = own_bigint_column(row, 1);
	task->statement = own_text_column(access, row, 2);
	task->command = own_text_column(access, row, 3);
	task->rule = own_text_column(access, row, 4);
	task->relation = own_text_column(access, row, 5);
	task->steps = steps_of_row(access, row);
	task->done = own_int_column(row, 8);
	task->state = state_of_name(own_text_column(access, row, 9));
	task->deferred = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
												SPI_tuptable->tupdesc, 10,
												&isnull));
	task->settings = own_text_list(access, row, 11);
	task->role = own_text_column(access, row, 12);
	task->session_role = own_text_column(access, row, 13);
	task->attempts = own_int_column(row, 14);
	task->error = own_text_column(access, row, 15);
	task->sqlstate = own_text_column(access, row, 16);
	task->pid = own_int_column(row, 17);
	task->cancelled = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
												 SPI_tuptable->tupdesc, 18,
												 &isnull));
	task->relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
												 SPI_tuptable->tupdesc, 19,
												 &isnull));
	task->made = own_text_list(access, row, 20);
	task->witness = own_text_list(access, row, 21);
	task->continued_by = own_text_column(access, row, 22);
	MemoryContextSwitchTo(old);
	return task;
}

static TaskState
state_of_name(const char *name)
{
	for (int i = 0; i < lengthof(task_state_names); i++)
	{
		if (strcmp(task_state_names[i], name) == 0)
			return (TaskState) i;
	}
	elog(ERROR, "unknown state of a task: %s", name);
}

/* A column of type text[]: of char *, NULL for a null element. */
static List *
own_text_list(OwnAccess *access, uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *texts = NIL;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		texts = lappend(texts, nulls[i] ? NULL :
						TextDatumGetCString(elements[i]));
	return texts;
}

static List *
steps_of_row(OwnAccess *access, uint64 row)
{
	List	   *texts = own_text_list(access, row, 6);
	List	   *undos = own_text_list(access, row, 7);
	List	   *steps = NIL;
	ListCell   *text_cell;
	ListCell   *undo_cell;

	forboth(text_cell, texts, undo_cell, undos)
	{
		PlanStep   *step = palloc(sizeof(PlanStep));

		step->text = lfirst(text_cell);
		step->undo = lfirst(undo_cell);
		steps = lappend(steps, step);
	}
	return steps;
}
