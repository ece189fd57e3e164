/*-------------------------------------------------------------------------
 *
 * task_worker.c
 *	  The worker that runs one task in the background.
 *
 * It is connected as the role that asked (see task_role.c), with the settings
 * that were in force there.  Whatever ends it leaves a row that
 * tells how far it got, and the launcher of src/task does the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/migration_flag.h"
#include "common/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "run/run_task.h"
#include "storage/ipc.h"
#include "task/task.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

PGDLLEXPORT void safe_migrate_task_main(Datum main_arg);

static void task_settings(void);
static ErrorData *carry_out(int64 id, MemoryContext context);
static Task *take_task(int64 id);
static void become_asker(const Task *task);
static ErrorData *leave_transaction(MemoryContext context);
static bool record_failure(int64 id, const ErrorData *error, bool first);

/*
 * A worker: run a task, or take it back, and leave.
 */
void
safe_migrate_task_main(Datum main_arg)
{
	TaskAssignment assignment;
	MemoryContext context;
	ErrorData  *error;

	memcpy(&assignment, MyBgworkerEntry->bgw_extra, sizeof(assignment));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg),
											  assignment.role,
											  COMPAT_BGWORKER_BYPASS_LOGIN);
	task_worker_is_connected(assignment.place);
	task_settings();
	set_ps_display("task");

	context = AllocSetContextCreate(TopMemoryContext, "safe_migrate task",
									ALLOCSET_DEFAULT_SIZES);
	error = carry_out(assignment.task, context);

	/* it may have been cancelled, to be taken back */
	if (error != NULL && record_failure(assignment.task, error, true))
	{
		error = carry_out(assignment.task, context);
		if (error != NULL)
			(void) record_failure(assignment.task, error, false);
	}
	proc_exit(0);
}

/*
 * Time limits of the role or the database are for its sessions.  What is
 * waited for is bounded by safe_migrate.lock_deadline.
 */
static void
task_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "safe_migrate task"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"lock_timeout", "0"},
	};

	fix_worker_settings(settings, lengthof(settings));
}

/*
 * Run the task, or take it back if that is asked for.  Outside of a
 * transaction; returns the error, in the context, or NULL.
 */
static ErrorData *
carry_out(int64 id, MemoryContext context)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		Task	   *task;
		bool		of_migration;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		task = take_task(id);
		of_migration = task != NULL && task_is_of_migration(id);
		CommitTransactionCommand();
		if (task != NULL)
		{
			MemoryContextSwitchTo(context);
			set_migration_running(of_migration);
			pgstat_report_activity(STATE_RUNNING,
								   psprintf("task " INT64_FORMAT ": %s", id,
											task->statement));
			SetCurrentStatementStartTimestamp();
			StartTransactionCommand();
			MemoryContextSwitchTo(context);
			if (task->cancelled || task->state == TASK_UNDOING)
				undo_task(task);
			else
				run_task(task);
			CommitTransactionCommand();
		}
	}
	PG_CATCH();
	{
		error = leave_transaction(context);
	}
	PG_END_TRY();
	set_migration_running(false);
	MemoryContextSwitchTo(context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
}

/* Lock and read it, and become who asked for it; NULL if it needs nothing. */
static Task *
take_task(int64 id)
{
	Task	   *task;

	if (!extension_is_created() || !task_lock(id))
		return NULL;
	task = task_read(id);
	if (task == NULL || !task->deferred ||
		task->state == TASK_DONE || task->state == TASK_CANCELLED)
		return NULL;
	become_asker(task);
	return task;
}

/* The roles may have changed since the finder has looked at them. */
static void
become_asker(const Task *task)
{
	TaskStatus *status = task_status(task->id);
	Oid			connect_as;
	char	   *reason;

	if (status == NULL || !task_can_be_served(status, &connect_as, &reason) ||
		connect_as != GetSessionUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" of task " INT64_FORMAT " was changed while the task was being started",
						task->role, task->id)));

	/* a setting of the role may have made it another one */
	if (status->role_oid != GetUserId())
		SetConfigOption("role", task->role, PGC_USERSET, PGC_S_SESSION);
	for (int i = 0; i + 1 < list_length(task->settings); i += 2)
	{
		const char *name = list_nth(task->settings, i);

		/* a newer version of PostgreSQL may be without it */
		if (GetConfigOption(name, true, false) != NULL)
			SetConfigOption(name, list_nth(task->settings, i + 1),
							PGC_USERSET, PGC_S_SESSION);
	}
}

/* In PG_CATCH: the error goes to the server log as it is. */
static ErrorData *
leave_transaction(MemoryContext context)
{
	ErrorData  *error;

	/* a cancel that comes now is for what follows */
	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	RESUME_INTERRUPTS();
	return error;
}

/*
 * Write the error to the row, if that is not done yet.  True if what was done
 * is to be taken back, which was not tried yet.
 */
static bool
record_failure(int64 id, const ErrorData *error, bool first)
{
	Task	   *task = NULL;
	bool		again = false;

	StartTransactionCommand();
	if (extension_is_created() && task_lock(id))
		task = task_read(id);
	if (task != NULL)
		again = first && task->cancelled && task->state == TASK_WAITING;
	if (task != NULL && !again &&
		(task->state == TASK_RUNNING || task->state == TASK_WAITING ||
		 task->state == TASK_UNDOING))
	{
		bool		begin = task->state == TASK_WAITING;

		task->state = TASK_FAILED;
		task->error = task_error_text(error);
		task->sqlstate = unpack_sql_state(error->sqlerrcode);
		task_update(task, begin);
	}
	CommitTransactionCommand();
	return again;
}
