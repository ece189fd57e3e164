/*-------------------------------------------------------------------------
 *
 * record_worker.c
 *	  The worker that moves decisions from the queue into the table of one
 *	  database.
 *
 * It must not be in the way of DROP DATABASE, CREATE DATABASE ... TEMPLATE
 * and ALTER DATABASE ... RENAME, which wait for up to five seconds for other
 * sessions to leave.  So it waits neither for a lock on the table nor for a
 * synchronous standby, and is cancelled when it takes too long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/worker.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "record/record_internal.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

/* Milliseconds after which the worker is cancelled. */
#define RECORDING_TIMEOUT	3000

PGDLLEXPORT void safe_migrate_recorder_main(Datum main_arg);

/* Where to leave word for the launcher. */
static int	place;

static bool error_will_pass(int sqlerrcode);
static void recorder_settings(void);
static Oid	decision_log_relid(void);
static void record_queued(uint64 last);
static int	insert_queued(Oid relid, uint64 last, uint64 *sequences);
static SPIPlanPtr prepare_insert(void);

/*
 * A worker: record what is queued for one database, and leave.  An error ends
 * the worker, and the launcher tries again.
 *
 * Nothing of ours is judged in here: what the worker runs is no utility
 * statement.
 */
void
safe_migrate_recorder_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	memcpy(&place, MyBgworkerEntry->bgw_extra, sizeof(place));

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	/*
	 * As bootstrap superuser, and even if connections were disallowed since.
	 */
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	recorder_settings();

	PG_TRY();
	{
		/* what is queued from now on is for the next worker */
		record_queued(queue_last(database));
	}
	PG_CATCH();
	{
		if (error_will_pass(geterrcode()))
			queue_set_busy(place, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	proc_exit(0);
}

/*
 * Locks, time-outs, and a lack of disk space or memory are worth waiting for:
 * the decisions are visible in the queue.
 */
static bool
error_will_pass(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlerrcode == ERRCODE_QUERY_CANCELED ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES;
}

/*
 * Do not depend on what is set for the database or for everybody.
 */
static void
recorder_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "safe_migrate"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		/* on system catalogs */
		{"lock_timeout", "1s"},
		/* flush, but do not wait for a standby that may be away */
		{"synchronous_commit", "local"},
	};

	fix_worker_settings(settings, lengthof(settings));
}

/*
 * Insert the entries of this database up to the sequence number "last" into
 * the table, in a transaction of its own, and take them out of the queue.
 */
static void
record_queued(uint64 last)
{
	static uint64 sequences[QUEUE_SIZE];
	FullTransactionId writer = InvalidFullTransactionId;
	int			count = 0;
	Oid			relid;

	set_ps_display("recording");
	pgstat_report_activity(STATE_RUNNING, "recording decisions");
	SetCurrentStatementStartTimestamp();
	enable_timeout_after(STATEMENT_TIMEOUT, RECORDING_TIMEOUT);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());

	relid = decision_log_relid();
	if (!OidIsValid(relid))
		lose_waiting(MyDatabaseId, last,
					 "safe_migrate is not created in its database");
	else if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
		queue_set_busy(place, true);
	else
	{
		count = insert_queued(relid, last, sequences);
		if (count > 0)
			writer = GetTopFullTransactionId();
	}

	PopActiveSnapshot();
	CommitTransactionCommand();
	disable_timeout(STATEMENT_TIMEOUT, false);

	/* not before: an error in the commit leaves the entries in the queue */
	for (int i = 0; i < count; i++)
		queue_mark_recorded(sequences[i], writer);

	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * The table migrate.decision_log, or InvalidOid if there is none that belongs
 * to our extension.  Anybody may have made a schema and a table of that name.
 */
static Oid
decision_log_relid(void)
{
	Oid			extension_oid = migrate_extension_oid(true);
	Oid			namespace_oid = get_namespace_oid(MIGRATE_SCHEMA, true);
	Oid			relid = InvalidOid;

	if (OidIsValid(extension_oid) && OidIsValid(namespace_oid))
		relid = get_relname_relid("decision_log", namespace_oid);
	if (OidIsValid(relid) &&
		getExtensionOfObject(RelationRelationId, relid) != extension_oid)
		relid = InvalidOid;
	return relid;
}

/*
 * Insert entries, and return their number and their sequence numbers.  The
 * caller holds a lock on the table.
 *
 * Runs as the table's owner and without deferred triggers: if the owner is not
 * a superuser any more, a trigger on the table must not make him one.
 */
static int
insert_queued(Oid relid, uint64 last, uint64 *sequences)
{
	QueuedDecision *decision = palloc(sizeof(QueuedDecision));
	uint64		sequence = 0;
	int			count = 0;
	Oid			save_role;
	int			save_context;
	SPIPlanPtr	plan;

	GetUserIdAndSecContext(&save_role, &save_context);
	SetUserIdAndSecContext(relation_owner(relid),
						   save_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
	SPI_connect();
	plan = prepare_insert();

	while (count < QUEUE_SIZE &&
		   (sequence = queue_next(MyDatabaseId, sequence, decision,
								  NULL)) != 0 &&
		   sequence <= last)
	{
		Datum		values[DECISION_COLUMNS + 1];
		bool		isnull[DECISION_COLUMNS];
		char		nulls[DECISION_COLUMNS + 1];
		int			result;

		decision_values(decision, values, isnull);
		for (int i = 0; i < DECISION_COLUMNS; i++)
			nulls[i] = isnull[i] ? 'n' : ' ';
		values[DECISION_COLUMNS] = Int64GetDatum((int64) GetSystemIdentifier());
		nulls[DECISION_COLUMNS] = ' ';

		result = SPI_execute_plan(plan, values, nulls, false, 0);
		if (result != SPI_OK_INSERT)
			elog(ERROR, "SPI_execute_plan failed: %s",
				 SPI_result_code_string(result));
		sequences[count++] = sequence;
	}

	SPI_finish();
	SetUserIdAndSecContext(save_role, save_context);
	pfree(decision);
	return count;
}

/*
 * A worker that died between its commit and the removal of its entries leaves
 * them to the next one, hence ON CONFLICT.
 */
static SPIPlanPtr
prepare_insert(void)
{
	Oid			types[DECISION_COLUMNS + 1] = {
		UUIDOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INETOID, TEXTOID,
		INT4OID, XID8OID, INT8OID, INT8OID, INT8OID, INT8OID
	};
	SPIPlanPtr	plan;

	plan = SPI_prepare("INSERT INTO migrate.decision_log"
					   " (id, decided_at, outcome, rule, command, relation,"
					   " statement, executed, message, reason, role,"
					   " session_role, client, application, pid, transaction,"
					   " duration_ms, lock_wait_ms, size_bytes, cluster)"
					   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
					   " $12, $13, $14, $15, $16, $17, $18, $19, $20)"
					   " ON CONFLICT (id) DO NOTHING",
					   lengthof(types), types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s",
			 SPI_result_code_string(SPI_result));
	return plan;
}
