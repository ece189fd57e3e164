/*-------------------------------------------------------------------------
 *
 * wait_task.c
 *	  CALL migrate.wait(task, timeout).
 *
 * A function would hold a snapshot for as long as it waits, and a task that
 * builds an index CONCURRENTLY would wait for that in turn, which PostgreSQL
 * cannot see as a deadlock.  So this is a CALL that is taken over: between two
 * looks it is in no transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/errors.h"
#include "miscadmin.h"
#include "run/run.h"
#include "storage/latch.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Milliseconds between two looks, and until the client is told. */
#define FIRST_PAUSE		20
#define LONGEST_PAUSE	1000
#define SILENT_WAIT		2000

static void poll_task(int64 id, int64 timeout, const char *version);
static int64 timeout_argument(const ProcedureArgument *argument);
static bool task_has_ended(const TaskStatus *status, int64 id,
						   const char *version);
static bool will_go_on(const TaskStatus *status);
static void raise_failure(const TaskStatus *status, const char *version);
static char *remedy_for_migration(const TaskStatus *status,
								  const char *version);
static void tell_progress(const TaskStatus *status, char *told);
static char *progress_in_words(const TaskStatus *status);
static void wait_a_moment(long pause);

/*
 * See run.h.  Looks more and more seldom.
 */
void
wait_for_task(int nargs, const ProcedureArgument *args)
{
	int64		id;
	int64		timeout;

	Assert(nargs == 2);
	if (args[0].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the task for migrate.wait() must not be null")));
	id = pg_strtoint64(args[0].value);
	timeout = timeout_argument(&args[1]);
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(PortalContext);
	poll_task(id, timeout, NULL);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(CurTransactionContext);
}

/*
 * See run.h.
 */
void
wait_until_task_is_done(int64 id, const char *version)
{
	MemoryContext caller = CurrentMemoryContext;

	poll_task(id, -1, version);
	MemoryContextSwitchTo(caller);
}

/*
 * Outside of a transaction: look at the task until it is done, for so many
 * milliseconds, or without a limit if that is negative.  version is that of the
 * migration that waits, NULL for none: to that, one that does not exist is done.
 */
static void
poll_task(int64 id, int64 timeout, const char *version)
{
	TimestampTz start = GetCurrentTimestamp();
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "safe_migrate wait",
												  ALLOCSET_DEFAULT_SIZES);
	long		pause = FIRST_PAUSE;
	char		told[NAMEDATALEN] = "";

	for (;;)
	{
		int64		waited = (GetCurrentTimestamp() - start) / 1000;
		TaskStatus *status;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		status = task_status(id);
		if ((status == NULL && version != NULL) ||
			task_has_ended(status, id, version))
			break;
		if (timeout >= 0 && waited >= timeout)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling migrate.wait() due to timeout: %s; the task goes on",
							progress_in_words(status))));
		if (waited >= SILENT_WAIT)
			tell_progress(status, told);
		CommitTransactionCommand();
		if (timeout >= 0)
			pause = Min(pause, (long) (timeout - waited) + 1);
		wait_a_moment(pause);
		pause = Min(pause * 2, LONGEST_PAUSE);
	}
	CommitTransactionCommand();
	MemoryContextDelete(context);
}

/* Milliseconds, or -1 for no limit. */
static int64
timeout_argument(const ProcedureArgument *argument)
{
	Interval   *interval;
	double		milliseconds;

	if (argument->isnull)
		return -1;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in,
													 CStringGetDatum(argument->value),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	milliseconds = interval->time / 1000.0 +
		(interval->day + interval->month * (double) DAYS_PER_MONTH) *
		SECS_PER_DAY * 1000.0;
	if (milliseconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the timeout for migrate.wait() must not be negative")));
	return (int64) Min(milliseconds, 1e15);
}

/* True if it is done; throws if it has ended in another way. */
static bool
task_has_ended(const TaskStatus *status, int64 id, const char *version)
{
	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("task " INT64_FORMAT " does not exist", id)));
	if (!may_wait_for_task(status))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("task " INT64_FORMAT " belongs to role \"%s\"", id,
						status->role)));
	require_task_from_here(status);
	if (strcmp(status->state, "done") == 0)
		return true;
	if (strcmp(status->state, "waiting") == 0 && !status->deferred &&
		status->runner == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nobody runs task " INT64_FORMAT " by itself: CALL migrate.advance(" INT64_FORMAT ")%s",
						id, id, status->role_oid == GetUserId() ? "" :
						psprintf(" as role \"%s\"", status->role))));
	if (!will_go_on(status))
		raise_failure(status, version);
	return false;
}

/* Without anybody's help? */
static bool
will_go_on(const TaskStatus *status)
{
	if (strcmp(status->state, "cancelled") == 0)
		return false;
	if (strcmp(status->state, "failed") == 0 ||
		strcmp(status->state, "interrupted") == 0)
		return status->next_attempt != 0;
	return true;
}

static void
raise_failure(const TaskStatus *status, const char *version)
{
	const char *code = status->sqlstate;
	bool		cancelled = strcmp(status->state, "cancelled") == 0;
	bool		has_code = code != NULL && strlen(code) == 5;

	ereport(ERROR,
			(errcode(has_code ? MAKE_SQLSTATE(code[0], code[1], code[2],
											  code[3], code[4]) :
					 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("task " INT64_FORMAT " %s%s%s", status->id,
					strcmp(status->state, "failed") == 0 ? "failed" :
					cancelled ? "was cancelled" : "was interrupted",
					status->error ? ": " : "",
					status->error ? status->error : ""),
			 errdetail("%d of %d steps are done.", status->done, status->steps),
			 version != NULL ?
			 errhint("%s", remedy_for_migration(status, version)) :
			 cancelled ? 0 :
			 errhint("SELECT migrate.retry(" INT64_FORMAT "); or SELECT migrate.cancel(" INT64_FORMAT ");",
					 status->id, status->id)));
}

/* To go behind the message, see add_remedy() of run_migration.c. */
static char *
remedy_for_migration(const TaskStatus *status, const char *version)
{
	if (strcmp(status->state, "cancelled") == 0)
		return psprintf("do by hand what is missing (SELECT statement FROM migrate.tasks WHERE id = " INT64_FORMAT "), then SELECT migrate.baseline(%s)",
						status->id, quote_literal_cstr(version));
	return psprintf("mend the cause, SELECT migrate.retry(" INT64_FORMAT "), then deploy again, or have it taken back with SELECT migrate.cancel(" INT64_FORMAT ")",
					status->id, status->id);
}

/* Once for each step and state; told, of NAMEDATALEN bytes, is the last one. */
static void
tell_progress(const TaskStatus *status, char *told)
{
	char		now[NAMEDATALEN];

	snprintf(now, sizeof(now), "%d %s", status->done, status->state);
	if (strcmp(now, told) == 0)
		return;
	strlcpy(told, now, NAMEDATALEN);
	ereport(NOTICE,
			(errmsg("%s", progress_in_words(status)),
			 status->error ? errdetail("%s", status->error) : 0));
}

static char *
progress_in_words(const TaskStatus *status)
{
	char	   *step = "";

	if (status->step != NULL && strcmp(status->state, "running") == 0)
		step = psprintf(", step %d of %d: %s", status->done + 1,
						status->steps, status->step);
	if (status->next_attempt != 0)
		return psprintf("task " INT64_FORMAT " is %s and will be tried again at %s",
						status->id, status->state,
						timestamptz_to_str(status->next_attempt));
	return psprintf("task " INT64_FORMAT " is %s%s", status->id, status->state,
					step);
}

static void
wait_a_moment(long pause)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 pause, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}
