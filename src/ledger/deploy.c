/*-------------------------------------------------------------------------
 *
 * deploy.c
 *	  CALL migrate.deploy(): each migration in a transaction of its own.
 *
 * The utility hook hands the CALL over to us, at top level and outside of a
 * transaction block, so that we may commit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/migration_flag.h"
#include "common/new_relations.h"
#include "drift/fingerprint.h"
#include "ledger/deploy_progress.h"
#include "ledger/ledger.h"
#include "ledger/point_before.h"
#include "ledger/precheck.h"
#include "ledger/run_migration.h"
#include "miscadmin.h"
#include "run/run.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

static void deploy(int nargs, const ProcedureArgument *args);
static void run_under_lock(const char *target, int *applied);
static void run_pending(const char *target, int *applied);
static List *plan_deployment(const char *target, char **role,
							 bool *has_neighbours);
static bool was_taken_over(const LedgerEntry *pending);
static void report_result(int applied);

/*
 * To be called from _PG_init.
 */
void
register_ledger_procedures(void)
{
	register_top_level_procedure("deploy", deploy);
}

/*
 * The hook calls this with a transaction open and wants one open again.
 */
static void
deploy(int nargs, const ProcedureArgument *args)
{
	const char *target = nargs > 0 && !args[0].isnull ? args[0].value : NULL;
	int			applied;

	PreventCommandDuringRecovery("CALL migrate.deploy()");
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();

	MemoryContextSwitchTo(PortalContext);
	deploy_pending(target, &applied);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(PortalContext);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	report_result(applied);
}

/*
 * See ledger.h.
 */
void
deploy_pending(const char *target, int *applied)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate deploy",
												  ALLOCSET_DEFAULT_SIZES);

	*applied = 0;
	begin_progress();
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		run_under_lock(target, applied);
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static void
run_under_lock(const char *target, int *applied)
{
	MemoryContext context = CurrentMemoryContext;

	lock_ledger_for_session();
	set_migration_running(true);
	begin_new_relations();
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		run_pending(target, applied);
	}
	PG_FINALLY();
	{
		end_fingerprints();
		end_new_relations();
		set_migration_running(false);
		unlock_ledger_for_session();
	}
	PG_END_TRY();
}

/* The current memory context outlives the transactions. */
static void
run_pending(const char *target, int *applied)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *pending;
	ListCell   *cell;
	char	   *role;
	bool		has_neighbours;

	pending = plan_deployment(target, &role, &has_neighbours);
	disarm_statement_timeout();
	progress_migrations(list_length(pending));

	/* whoever deploys to many schemas makes one for all of them */
	if (pending != NIL && ledger_target_schema()[0] == '\0')
		make_committed_point_before(((LedgerEntry *) linitial(pending))->label);
	foreach(cell, pending)
	{
		MemoryContextSwitchTo(context);
		if (has_neighbours && was_taken_over(lfirst(cell)))
			continue;
		run_migration(lfirst(cell), role);
		(*applied)++;
	}
}

/*
 * What is to be run, checked as far as that is possible before; and whether
 * there are tools that may run some of it meanwhile.
 */
static List *
plan_deployment(const char *target, char **role, bool *has_neighbours)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *pending;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	*role = GetUserNameFromId(GetUserId(), false);
	pending = pending_migrations(target);
	*has_neighbours = ledger_follows_tools();
	check_migrations(pending);

	/* whoever deploys to many schemas at a time takes one for all of them */
	if (pending != NIL && ledger_target_schema()[0] == '\0')
		begin_fingerprints(list_length(pending));
	CommitTransactionCommand();
	return pending;
}

/*
 * Whether a tool has applied it since the deploy began: its ledger was adopted,
 * and the tool goes on.
 */
static bool
was_taken_over(const LedgerEntry *pending)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		is_applied;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	ledger_adopt_new_rows();
	is_applied = ledger_read_entry(pending->version)->applied;

	/* one of those that were expected; the last one must not be missing */
	if (is_applied)
		(void) fingerprint_now();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return is_applied;
}

static void
report_result(int applied)
{
	if (applied == 0)
		ereport(NOTICE,
				(errmsg("nothing to do: no migration is pending")));
	else
		ereport(NOTICE,
				(errmsg_plural("%d migration applied",
							   "%d migrations applied",
							   applied, applied)));
}
