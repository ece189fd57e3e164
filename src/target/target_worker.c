/*-------------------------------------------------------------------------
 *
 * target_worker.c
 *	  The worker that deploys to one target.
 *
 * It is connected as the role that has called migrate.deploy_all(), with the
 * settings of that session, and may do no more than that role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/worker.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "ledger/ledger_target.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "target/target_internal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"

PGDLLEXPORT void safe_migrate_target_main(Datum main_arg);

static void apply_settings(List *settings);
static void deploy_target(TargetPlace *place, const TargetMessage *message);
static void check_target(const TargetPlace *place);
static bool may_execute(const char *function);
static void register_history(List *history);
static void report_failure(TargetPlace *place, MemoryContext context);

/*
 * A worker: deploy to one target, say how it went, and leave.
 */
void
safe_migrate_target_main(Datum main_arg)
{
	TargetAssignment assignment;
	MemoryContext context;
	dsm_segment *segment;
	TargetArea *area;
	TargetPlace *place;

	memcpy(&assignment, MyBgworkerEntry->bgw_extra, sizeof(assignment));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg),
											  assignment.role,
											  COMPAT_BGWORKER_BYPASS_LOGIN);

	/* the leader may be gone already */
	segment = dsm_attach(assignment.area);
	if (segment == NULL)
		proc_exit(0);
	area = dsm_segment_address(segment);
	place = &area->place[assignment.place];
	context = AllocSetContextCreate(TopMemoryContext, "safe_migrate target",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	set_ps_display(place->schema[0] ? place->schema : "target");

	PG_TRY();
	{
		TargetMessage *message = unpack_message((char *) area +
												area->message_offset,
												area->message_size);

		apply_settings(message->settings);
		deploy_target(place, message);
		place->outcome = TARGET_DEPLOYED;
	}
	PG_CATCH();
	{
		report_failure(place, context);
	}
	PG_END_TRY();
	proc_exit(0);
}

/*
 * They were in force where the leader is, by whoever was allowed to set them.
 */
static void
apply_settings(List *settings)
{
	ListCell   *cell;

	StartTransactionCommand();
	foreach(cell, settings)
	{
		const TargetSetting *setting = lfirst(cell);

		SetConfigOption(setting->name, setting->value, setting->context,
						PGC_S_SESSION);
	}
	SetConfigOption("application_name", "safe_migrate target", PGC_USERSET,
					PGC_S_SESSION);
	CommitTransactionCommand();
}

static void
deploy_target(TargetPlace *place, const TargetMessage *message)
{
	MemoryContext context = CurrentMemoryContext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "CALL migrate.deploy_all()");
	ledger_set_target_schema(place->schema);
	check_target(place);
	register_history(message->history);
	PopActiveSnapshot();
	CommitTransactionCommand();

	MemoryContextSwitchTo(context);
	deploy_pending(message->version, &place->applied);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * In another database the extension may be missing, or not be for that role.
 */
static void
check_target(const TargetPlace *place)
{
	if (!extension_is_created())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("safe_migrate is not created in this database: CREATE EXTENSION safe_migrate there first")));
	if (!may_execute("migrate.deploy(text)"))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for procedure migrate.deploy in this database: GRANT EXECUTE ON PROCEDURE migrate.deploy(text) TO %s there",
						quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	if (place->schema[0] != '\0')
		require_target_schema();
}

static bool
may_execute(const char *function)
{
	Datum		oid = DirectFunctionCall1(to_regprocedure,
										  CStringGetTextDatum(function));

	return compat_function_aclcheck(DatumGetObjectId(oid), GetUserId(),
									ACL_EXECUTE) == ACLCHECK_OK;
}

static void
register_history(List *history)
{
	ListCell   *cell;

	if (history != NIL && !may_execute("migrate.register(text,text,text,text)"))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function migrate.register in this database: GRANT EXECUTE ON FUNCTION migrate.register(text, text, text, text) TO %s there",
						quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	foreach(cell, history)
	{
		CHECK_FOR_INTERRUPTS();
		(void) register_migration(lfirst(cell));
	}
}

/* In PG_CATCH. */
static void
report_failure(TargetPlace *place, MemoryContext context)
{
	ErrorData  *error;
	int			length;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();

	place->sqlerrcode = error->sqlerrcode;
	place->encoding = GetDatabaseEncoding();
	length = pg_mbcliplen(error->message, strlen(error->message),
						  sizeof(place->error) - 1);
	strlcpy(place->error, error->message, length + 1);
	place->outcome = TARGET_FAILED;
	RESUME_INTERRUPTS();
}
