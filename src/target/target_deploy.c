/*-------------------------------------------------------------------------
 *
 * target_deploy.c
 *	  CALL migrate.deploy_all(): one history for many schemas or databases.
 *
 * The session that calls is the leader: it has a background worker deploy to
 * each target, a few at a time, connected as the role that calls.  Each target
 * has a ledger of its own, and what happens to one is of no concern to the
 * others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/subtransaction.h"
#include "common/worker.h"
#include "drift/fingerprint.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/point_before.h"
#include "ledger/run_migration.h"
#include "ledger/session_settings.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "target/target.h"
#include "target/target_internal.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* Workers at a time. */
#define MAX_PARALLEL 64

/* Milliseconds, in case that a signal got lost. */
#define POLL_DELAY 500

/* Targets that the summary names. */
#define LISTED_FAILURES 20

/* What a place is busy with. */
typedef struct RunningTarget
{
	BackgroundWorkerHandle *handle; /* NULL: the place is free */
	Target	   *target;
} RunningTarget;

/* One CALL. */
typedef struct TargetRun
{
	MemoryContext context;		/* outlives the transactions */
	const char *version;		/* to go up to, NULL: all */
	int			parallel;
	bool		whole_databases;
	List	   *targets;
	int			next;			/* index of the first that was not started */
	bool		is_stopping;	/* after an error: workers are terminated */
	dsm_segment *segment;
	TargetArea *area;
	RunningTarget *running;		/* one a place */

	int			deployed;		/* targets in which something was to do, */
	int			untouched;		/* in which nothing was, */
	int			failed;
	int64		migrations;
	int			sqlerrcode;		/* of the first failure */
	StringInfoData failures;
} TargetRun;

PG_FUNCTION_INFO_V1(migrate_forget_target);

static void deploy_all(int nargs, const ProcedureArgument *args);
static void look_for_drift(const TargetRun *run);
static void make_point_for_all(const TargetRun *run);
static void take_fingerprint_of_all(const TargetRun *run);
static void read_arguments(TargetRun *run, const ProcedureArgument *args);
static List *patterns_of(const ProcedureArgument *argument);
static void require_role_for_workers(void);
static void prepare_run(TargetRun *run);
static void share_message(TargetRun *run);
static List *session_settings(void);
static bool stays_with_session(const struct config_generic *variable);
static List *whole_history(void);
static void run_targets(TargetRun *run);
static void stop_workers(int code, Datum run);
static int	start_workers(TargetRun *run);
static bool start_worker(TargetRun *run, int place);
static int	collect_workers(TargetRun *run);
static void collect_worker(TargetRun *run, int place);
static char *error_in_words(const TargetPlace *shared);
static void add_failure(TargetRun *run, const Target *target, int sqlerrcode,
						const char *error);
static void end_unfinished(TargetRun *run);
static void record_unfinished(void *arg);
static const char *target_name(const TargetRun *run, const Target *target);
static void report_run(const TargetRun *run);

/*
 * See target.h.
 */
void
register_target_procedures(void)
{
	register_top_level_procedure("deploy_all", deploy_all);
}

/*
 * migrate.deploy_all(schemas text[], databases text[], target text,
 *					  parallel int)
 *
 * The hook calls this with a transaction open and wants one open again.
 */
static void
deploy_all(int nargs, const ProcedureArgument *args)
{
	MemoryContext context = AllocSetContextCreate(PortalContext,
												  "safe_migrate targets",
												  ALLOCSET_DEFAULT_SIZES);
	TargetRun  *run = MemoryContextAllocZero(context, sizeof(TargetRun));
	bool		locked = false;

	PreventCommandDuringRecovery("CALL migrate.deploy_all()");
	run->context = context;
	MemoryContextSwitchTo(context);
	read_arguments(run, args);
	initStringInfo(&run->failures);
	require_role_for_workers();
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();

	/* it counts for each statement of a migration, in the workers */
	disarm_statement_timeout();

	/* a database that is a target takes this lock itself */
	if (!run->whole_databases)
	{
		lock_ledger_for_session();
		locked = true;
	}
	PG_TRY();
	{
		prepare_run(run);
		look_for_drift(run);
		make_point_for_all(run);
		run_targets(run);
		take_fingerprint_of_all(run);
	}
	PG_FINALLY();
	{
		if (locked)
			unlock_ledger_for_session();
	}
	PG_END_TRY();

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	report_run(run);
}

/* Before what the targets do mixes with it. */
static void
look_for_drift(const TargetRun *run)
{
	if (run->whole_databases)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PG_TRY();
	{
		begin_fingerprints(1);
	}
	PG_FINALLY();
	{
		end_fingerprints();
	}
	PG_END_TRY();
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
}

/* A database that is a target makes one itself. */
static void
make_point_for_all(const TargetRun *run)
{
	if (run->whole_databases)
		return;
	if (any_schema_is_behind(run->targets, run->version))
		make_committed_point_before("deploy_all");
	MemoryContextSwitchTo(run->context);
}

/* The schema as it is now, with all targets, is what migrations made it. */
static void
take_fingerprint_of_all(const TargetRun *run)
{
	if (run->whole_databases || run->migrations == 0)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	keep_fingerprint();
	CommitTransactionCommand();
}

/* In the transaction of the CALL. */
static void
read_arguments(TargetRun *run, const ProcedureArgument *args)
{
	List	   *schemas = patterns_of(&args[0]);
	List	   *databases = patterns_of(&args[1]);

	if (schemas != NIL && databases != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migrate.deploy_all() takes schemas or databases, not both")));
	run->whole_databases = databases != NIL;
	run->version = args[2].isnull ? NULL : args[2].value;
	run->parallel = args[3].isnull ? 0 : pg_strtoint32(args[3].value);
	if (run->parallel < 1 || run->parallel > MAX_PARALLEL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parallel must be between 1 and %d", MAX_PARALLEL)));
	run->targets = databases != NIL ? list_target_databases(databases) :
		schemas != NIL ? list_target_schemas(schemas) : list_known_schemas();
	if (run->targets == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("it was deployed to no schema yet: name them, as in schemas := '{tenant_*}', or databases, as in databases := '{app1, app2}'")));
}

static List *
patterns_of(const ProcedureArgument *argument)
{
	List	   *patterns = NIL;
	Datum		array;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (argument->isnull)
		return NIL;
	array = OidInputFunctionCall(F_ARRAY_IN, argument->value, TEXTOID, -1);
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a name given to migrate.deploy_all() is NULL")));
		patterns = lappend(patterns, TextDatumGetCString(values[i]));
	}
	return patterns;
}

/*
 * The workers connect as the current user, never as another one: what they
 * run could RESET ROLE.
 */
static void
require_role_for_workers(void)
{
	char	   *reason;

	if (!worker_can_connect_as(GetUserId(), &reason))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("the targets cannot be deployed to: %s", reason)));
}

/*
 * The list of targets is on record before the first is touched.
 */
static void
prepare_run(TargetRun *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(run->context);
	record_targets(run->targets);
	share_message(run);
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
	run->running = palloc0(sizeof(RunningTarget) * run->parallel);
}

/* The segment stays until the memory of the run goes, or the process. */
static void
share_message(TargetRun *run)
{
	TargetMessage message = {run->version};
	StringInfoData buffer;
	Size		offset = offsetof(TargetArea, place) +
	sizeof(TargetPlace) * run->parallel;

	message.settings = session_settings();
	if (run->whole_databases)
		message.history = whole_history();
	initStringInfo(&buffer);
	pack_message(&buffer, &message);

	run->segment = dsm_create(offset + buffer.len, 0);
	dsm_pin_mapping(run->segment);
	run->area = dsm_segment_address(run->segment);
	run->area->role = GetUserId();
	run->area->places = run->parallel;
	run->area->message_offset = offset;
	run->area->message_size = buffer.len;
	memcpy((char *) run->area + offset, buffer.data, buffer.len);
	pfree(buffer.data);
}

/*
 * What this session has SET holds for its workers too.  Those that name a
 * role or belong to a connection are left out.
 */
static List *
session_settings(void)
{
	struct config_generic **variables;
	List	   *settings = NIL;
	int			count;

	variables = compat_guc_variables(&count);
	for (int i = 0; i < count; i++)
	{
		TargetSetting *setting;

		if (variables[i]->source != PGC_S_SESSION ||
			(variables[i]->context != PGC_SUSET &&
			 variables[i]->context != PGC_USERSET) ||
			stays_with_session(variables[i]))
			continue;
		setting = palloc(sizeof(TargetSetting));
		setting->name = variables[i]->name;
		setting->value = pstrdup(GetConfigOption(setting->name, false, false));
		setting->context = setting_context(variables[i]);
		settings = lappend(settings, setting);
	}
	return settings;
}

static bool
stays_with_session(const struct config_generic *variable)
{
	static const char *const names[] = {
		"role", "session_authorization", "application_name",
		"client_encoding", "search_path", "transaction_isolation",
		"transaction_read_only", "transaction_deferrable",
		"safe_migrate.override"
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(names[i], variable->name) == 0)
			return true;
	}

	/* such as seed, whose value cannot be read; but not my.own */
	return (variable->flags & GUC_NO_SHOW_ALL) != 0 &&
		(variable->flags & GUC_CUSTOM_PLACEHOLDER) == 0;
}

/*
 * Without what has run here and whose file is gone since: the others may never
 * have had it.
 */
static List *
whole_history(void)
{
	List	   *history = NIL;
	List	   *entries = ledger_read();
	ListCell   *cell;

	refuse_unsettled_history(entries);
	foreach(cell, entries)
	{
		const LedgerEntry *entry = lfirst(cell);

		if (!entry->missing)
			history = lappend(history, ledger_read_text(entry->version));
	}
	if (history == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("no migration is registered in this database: register here what the others are to get")));
	return history;
}

/*
 * An error or the end of this process ends the workers too.
 */
static void
run_targets(TargetRun *run)
{
	PG_ENSURE_ERROR_CLEANUP(stop_workers, PointerGetDatum(run));
	{
		for (;;)
		{
			/* first see which places have become free */
			int			busy = collect_workers(run);

			busy += start_workers(run);
			if (busy == 0 && run->next == list_length(run->targets))
				break;
			if (busy == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						 errmsg("no background worker is free to deploy with: raise max_worker_processes, or try again later")));
			(void) WaitLatch(MyLatch,
							 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 POLL_DELAY, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_workers, PointerGetDatum(run));
	dsm_detach(run->segment);
}

/*
 * Have the workers end what they are at, and say so on record.  Throws the
 * error that has been caught: another one meanwhile would take its place.
 */
static void
stop_workers(int code, Datum argument)
{
	TargetRun  *run = (TargetRun *) DatumGetPointer(argument);
	ErrorData  *error;

	run->is_stopping = true;
	for (int place = 0; place < run->parallel; place++)
	{
		if (run->running[place].handle != NULL)
			TerminateBackgroundWorker(run->running[place].handle);
	}

	/* the view tells what this process could not write, once it is gone */
	if (proc_exit_inprogress)
		return;
	MemoryContextSwitchTo(run->context);
	error = CopyErrorData();
	FlushErrorState();
	HOLD_INTERRUPTS();
	for (int place = 0; place < run->parallel; place++)
	{
		if (run->running[place].handle != NULL)
			(void) WaitForBackgroundWorkerShutdown(run->running[place].handle);
	}
	RESUME_INTERRUPTS();
	end_unfinished(run);
	dsm_detach(run->segment);
	ReThrowError(error);
}

/* Returns how many were started. */
static int
start_workers(TargetRun *run)
{
	int			started = 0;

	for (int place = 0; place < run->parallel; place++)
	{
		if (run->running[place].handle != NULL)
			continue;
		if (run->next == list_length(run->targets) ||
			!start_worker(run, place))
			break;
		started++;
	}
	return started;
}

/* False if there is no slot for another one now. */
static bool
start_worker(TargetRun *run, int place)
{
	Target	   *target = list_nth(run->targets, run->next);
	TargetPlace *shared = &run->area->place[place];
	TargetAssignment assignment;
	ShortWorker worker = {"target", "safe_migrate_target_main"};

	shared->outcome = TARGET_STARTED;
	shared->applied = 0;
	shared->error[0] = '\0';
	strlcpy(shared->schema, target->schema, sizeof(shared->schema));

	assignment.area = dsm_segment_handle(run->segment);
	assignment.role = run->area->role;
	assignment.place = place;
	worker.database = target->database;
	worker.extra = &assignment;
	worker.extra_size = sizeof(assignment);
	MemoryContextSwitchTo(run->context);
	if (!start_short_worker(&worker, &run->running[place].handle))
	{
		run->running[place].handle = NULL;
		return false;
	}
	run->running[place].target = target;
	run->next++;

	StartTransactionCommand();
	record_target_started(target);
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);
	return true;
}

/* Returns how many still run. */
static int
collect_workers(TargetRun *run)
{
	int			running = 0;

	for (int place = 0; place < run->parallel; place++)
	{
		pid_t		pid;

		if (run->running[place].handle == NULL)
			continue;
		switch (GetBackgroundWorkerPid(run->running[place].handle, &pid))
		{
			case BGWH_STARTED:
			case BGWH_NOT_YET_STARTED:
				running++;
				break;
			case BGWH_STOPPED:
				collect_worker(run, place);
				break;
			case BGWH_POSTMASTER_DIED:
				proc_exit(1);
		}
	}
	return running;
}

/* The worker of a place has ended: read what it says, and free the place. */
static void
collect_worker(TargetRun *run, int place)
{
	TargetPlace *shared = &run->area->place[place];
	Target	   *target = run->running[place].target;
	const char *state = "deployed";
	const char *error = NULL;
	int			sqlerrcode = 0;

	switch (shared->outcome)
	{
		case TARGET_STARTED:
			if (run->is_stopping)
				state = "cancelled";
			else
				error = "its background worker ended without a word: the server log tells why";
			sqlerrcode = ERRCODE_CONNECTION_FAILURE;
			break;
		case TARGET_FAILED:
			error = error_in_words(shared);
			sqlerrcode = shared->sqlerrcode;
			break;
		case TARGET_DEPLOYED:
			break;
	}
	if (error != NULL)
		state = "failed";

	StartTransactionCommand();
	record_target_ended(target, state, shared->applied, error,
						error ? unpack_sql_state(sqlerrcode) : NULL);
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->context);

	/* what could not be written is tried once more when the run ends */
	run->running[place].handle = NULL;
	run->migrations += shared->applied;
	if (error != NULL)
		add_failure(run, target, sqlerrcode, error);
	else if (shared->applied > 0)
		run->deployed++;
	else
		run->untouched++;
}

/*
 * A conversion from the encoding of another database might fail, and the ledger
 * of that has the error as it was.
 */
static char *
error_in_words(const TargetPlace *shared)
{
	char	   *error = pstrdup(shared->error);

	if (shared->encoding == GetDatabaseEncoding())
		return error;
	for (char *at = error; *at; at++)
	{
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	}
	return error;
}

static void
add_failure(TargetRun *run, const Target *target, int sqlerrcode,
			const char *error)
{
	run->failed++;
	if (run->failed == 1)
		run->sqlerrcode = sqlerrcode;
	if (run->failed <= LISTED_FAILURES)
		appendStringInfo(&run->failures, "%s%s: %s",
						 run->failed > 1 ? "\n" : "",
						 target_name(run, target), error);
	else if (run->failed == LISTED_FAILURES + 1)
		appendStringInfoString(&run->failures, "\n...");
}

/*
 * After an error: what has run says how it ended, the rest was not begun.
 * A failure to write that must not hide the error.
 */
static void
end_unfinished(TargetRun *run)
{
	ErrorData  *reason;

	MemoryContextSwitchTo(run->context);
	reason = run_after_error(record_unfinished, run);
	if (reason != NULL)
		ereport(WARNING,
				(errcode(reason->sqlerrcode),
				 errmsg("what became of the targets could not be recorded: %s",
						reason->message)));
}

static void
record_unfinished(void *arg)
{
	TargetRun  *run = arg;

	for (int place = 0; place < run->parallel; place++)
	{
		if (run->running[place].handle != NULL)
			collect_worker(run, place);
	}
	StartTransactionCommand();
	for (int i = run->next; i < list_length(run->targets); i++)
		record_target_ended(list_nth(run->targets, i), "cancelled", 0,
							NULL, NULL);
	CommitTransactionCommand();
}

static const char *
target_name(const TargetRun *run, const Target *target)
{
	return run->whole_databases ? target->database_name : target->schema;
}

/* In a transaction. */
static void
report_run(const TargetRun *run)
{
	char	   *summary = psprintf("%d %s: %d deployed (" INT64_FORMAT " %s), %d with nothing to do, %d failed",
								   list_length(run->targets),
								   list_length(run->targets) == 1 ? "target" : "targets",
								   run->deployed, run->migrations,
								   run->migrations == 1 ? "migration" : "migrations",
								   run->untouched, run->failed);

	if (run->failed == 0)
		ereport(NOTICE, (errmsg("%s", summary)));
	else
		ereport(ERROR,
				(errcode(run->sqlerrcode),
				 errmsg("%s: %s", summary,
						pnstrdup(run->failures.data,
								 strcspn(run->failures.data, "\n"))),
				 errdetail("%s", run->failures.data),
				 errhint("SELECT * FROM migrate.targets WHERE state <> 'deployed'; CALL migrate.deploy_all() again goes on with those that are behind.")));
}

/*
 * migrate.forget_target(target_schema text) returns bigint
 */
Datum
migrate_forget_target(PG_FUNCTION_ARGS)
{
	char	   *schema = text_to_cstring(PG_GETARG_TEXT_PP(0));

	require_preloaded();
	PreventCommandIfReadOnly("migrate.forget_target()");
	if (schema[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migrate.forget_target() needs the name of a schema: the history of the database itself stays")));
	lock_ledger_for_transaction();
	PG_RETURN_INT64(ledger_forget_target(schema));
}
