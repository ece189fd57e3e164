/*-------------------------------------------------------------------------
 *
 * task_finder.c
 *	  The worker that looks for tasks in one database, or for databases.
 *
 * It behaves as an autovacuum worker does: it is gone in a moment, and whoever
 * waits for the database, as DROP DATABASE does, makes it go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "common/catalog.h"
#include "common/worker.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "task/task_internal.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Milliseconds until a task that somebody else runs is looked at again. */
#define BUSY_DELAY			10000

/* And until housekeeping that was not done is tried again. */
#define HOUSEKEEPING_DELAY	10000

/* So many workers may fail to get there before their task has failed. */
#define MAX_UNREACHED		10

PGDLLEXPORT void safe_migrate_task_finder_main(Datum main_arg);

static const FinderHousekeeping *housekeeping = NULL;

static void finder_settings(void);
static void note_housekeeping(FinderAnswer *answer);
static void do_housekeeping(void);
static void list_databases(Oid after, FinderAnswer *answer);
static void find_task(const FinderOrder *order, FinderAnswer *answer);
static void choose_task(const FinderOrder *order, FinderAnswer *answer);
static bool may_run_now(const TaskStatus *status, List *earlier,
						FinderAnswer *answer);
static bool is_given_up(const TaskStatus *status);
static void look_again(FinderAnswer *answer, long delay);
static bool can_be_served(const TaskStatus *status, const FinderOrder *order,
						  Oid *role);
static void note_error(int64 id, TaskState state, const char *sqlstate,
					   const char *message);

/*
 * See task.h.
 */
void
register_finder_housekeeping(const FinderHousekeeping *work)
{
	housekeeping = work;
}

/*
 * A finder: answer one question of the launcher, and leave.
 */
void
safe_migrate_task_finder_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);
	FinderOrder order;
	FinderAnswer answer = {0};

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	if (OidIsValid(database))
		BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	else
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	give_way_like_autovacuum();
	finder_settings();

	answer.ticket = order.ticket;
	answer.delay = -1;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (OidIsValid(database))
		find_task(&order, &answer);
	else
		list_databases(order.after, &answer);
	CommitTransactionCommand();
	if (answer.has_extension)
		note_housekeeping(&answer);
	task_queue_answer(&answer);
	if (answer.has_extension)
		do_housekeeping();
	proc_exit(0);
}

static void
finder_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "safe_migrate"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"},
		{"lock_timeout", "1s"},
		{"synchronous_commit", "local"},
	};

	fix_worker_settings(settings, lengthof(settings));
}

/* Tell the launcher when the housekeeping is due. */
static void
note_housekeeping(FinderAnswer *answer)
{
	int			delay;

	StartTransactionCommand();
	delay = housekeeping->delay();
	CommitTransactionCommand();
	if (delay >= 0)
		look_again(answer, Max(delay, HOUSEKEEPING_DELAY));
}

/*
 * The launcher has its answer by now: an error, which goes to the server log,
 * or the end of our time leaves the rest for the next finder.
 */
static void
do_housekeeping(void)
{
	Oid			user;
	int			security_context;
	bool		more = true;

	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		GetUserIdAndSecContext(&user, &security_context);
		SetUserIdAndSecContext(user, security_context |
							   SECURITY_RESTRICTED_OPERATION);
		more = housekeeping->work();
		SetUserIdAndSecContext(user, security_context);
		CommitTransactionCommand();
	}
}

/*
 * Those above a number.  Without a database, there may be no index of
 * pg_database to be used.
 */
static void
list_databases(Oid after, FinderAnswer *answer)
{
	List	   *databases = NIL;
	List	   *closed = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	ListCell   *cell;

	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		/* a limit below -1: what an interrupted DROP DATABASE has left */
		if (form->datconnlimit < -1 || form->oid <= after)
			continue;
		databases = lappend_oid(databases, form->oid);
		if (!form->datallowconn)
			closed = lappend_oid(closed, form->oid);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);

	list_sort(databases, list_oid_cmp);
	foreach(cell, databases)
	{
		if (answer->count == LISTED_SIZE)
			break;
		answer->databases[answer->count] = lfirst_oid(cell);
		answer->allow_connections[answer->count] =
			!list_member_oid(closed, lfirst_oid(cell));
		answer->count++;
	}
	answer->is_last = answer->count == list_length(databases);
}

/*
 * The session is that of a superuser: nothing that the tables might make run
 * shall be able to use that, or to wait for the commit.
 */
static void
find_task(const FinderOrder *order, FinderAnswer *answer)
{
	Oid			user;
	int			security_context;

	answer->has_extension = extension_is_created();
	if (!answer->has_extension || !tasks_may_exist())
		return;
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(user, security_context |
						   SECURITY_RESTRICTED_OPERATION);
	choose_task(order, answer);
	SetUserIdAndSecContext(user, security_context);
}

/*
 * The first task that may run now; none overtakes another one on the same
 * table that is still to be run.
 */
static void
choose_task(const FinderOrder *order, FinderAnswer *answer)
{
	List	   *earlier = NIL;	/* of TaskStatus */
	ListCell   *cell;

	foreach(cell, tasks_for_background())
	{
		TaskStatus *status = lfirst(cell);

		if (strcmp(status->state, "failed") == 0 && status->next_attempt == 0)
			continue;
		if (is_given_up(status))
		{
			note_error(status->id, TASK_FAILED, "57P02",
					   "given up: the process that ran it has ended too often");
			continue;
		}
		if (may_run_now(status, earlier, answer) &&
			can_be_served(status, order, &answer->role))
		{
			answer->task = status->id;
			return;
		}
		earlier = lappend(earlier, status);
	}
}

/* If not, *answer is told when to look again. */
static bool
may_run_now(const TaskStatus *status, List *earlier, FinderAnswer *answer)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	if (status->runner != 0)
	{
		look_again(answer, BUSY_DELAY);
		return false;
	}
	if (status->next_attempt > now)
	{
		look_again(answer,
				   TimestampDifferenceMilliseconds(now, status->next_attempt));
		return false;
	}
	foreach(cell, earlier)
	{
		const TaskStatus *other = lfirst(cell);

		if (status->relation == NULL || other->relation == NULL ||
			strcmp(status->relation, other->relation) == 0)
			return false;
	}
	return true;
}

static bool
is_given_up(const TaskStatus *status)
{
	return strcmp(status->state, "interrupted") == 0 &&
		status->next_attempt == 0;
}

static void
look_again(FinderAnswer *answer, long delay)
{
	delay = Min(delay, INT_MAX);
	if (answer->delay < 0 || delay < answer->delay)
		answer->delay = (int) delay;
}

/* If not, the task has failed. */
static bool
can_be_served(const TaskStatus *status, const FinderOrder *order, Oid *role)
{
	char	   *reason;

	if (!task_can_be_served(status, role, &reason))
	{
		note_error(status->id, TASK_FAILED, "42501", reason);
		return false;
	}
	if (order->unreached == status->id && order->failures > 0)
	{
		bool		enough = order->failures >= MAX_UNREACHED;

		note_error(status->id, enough ? TASK_FAILED : TASK_WAITING, "08006",
				   psprintf("no background worker could connect as role \"%s\": see the server log",
							GetUserNameFromId(*role, false)));
		return !enough;
	}
	return true;
}

static void
note_error(int64 id, TaskState state, const char *sqlstate,
		   const char *message)
{
	Task	   *task;

	if (!task_lock(id))
		return;
	task = task_read(id);
	if (task != NULL)
	{
		task->state = state;
		task->error = message;
		task->sqlstate = sqlstate;
		task_update(task, false);
	}
	task_unlock();
}
