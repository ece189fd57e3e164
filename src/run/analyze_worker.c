/*-------------------------------------------------------------------------
 *
 * analyze_worker.c
 *	  The worker that analyzes the tables of one database which have lost
 *	  statistics of the planner.
 *
 * It behaves as an autovacuum worker does: it runs as the bootstrap superuser,
 * ANALYZE itself switches to the owner of the table before it evaluates
 * anything of his, and whoever waits for a lock that it holds, or for the
 * database as DROP DATABASE does, makes it go.  All that it is told is which
 * tables and columns, by their numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "analyze/analyze.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/worker.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "run/step.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

PGDLLEXPORT void safe_migrate_analyzer_main(Datum main_arg);

static void analyzer_settings(void);
static AnalyzeResult analyze(const AnalyzeTask *task);
static char *analyze_text(const AnalyzeTask *task);
static AnalyzeResult result_of_error(const char *text);
static bool may_do_later(int sqlerrcode);

/*
 * A worker: do what the launcher has assigned to this database, and leave.
 */
void
safe_migrate_analyzer_main(Datum main_arg)
{
	AnalyzeTask task = {0};
	int			place;

	memcpy(&place, MyBgworkerEntry->bgw_extra, sizeof(place));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	/* even if connections were disallowed since */
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg),
											  InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	give_way_like_autovacuum();
	analyzer_is_connected(place);
	analyzer_settings();
	set_ps_display("analyzing");

	while (analyzer_next_task(place, &task))
		analyzer_end_task(place, &task, analyze(&task));
	proc_exit(0);
}

/*
 * Do not depend on what is set for the database or for everybody, but for
 * what says how to analyze.
 */
static void
analyzer_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "safe_migrate"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"},
		/* while we wait, DDL waits behind us, but no reader or writer */
		{"lock_timeout", "2s"},
		{"synchronous_commit", "local"},
		{"zero_damaged_pages", "off"},
	};

	fix_worker_settings(settings, lengthof(settings));
}

/*
 * Analyze one table, in transactions of its own.  Never throws.
 */
static AnalyzeResult
analyze(const AnalyzeTask *task)
{
	MemoryContext context;
	AnalyzeResult result = ANALYZE_DONE;
	char	   *volatile text = NULL;

	context = AllocSetContextCreate(TopMemoryContext, "safe_migrate analyze",
									ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		text = analyze_text(task);
		if (text != NULL)
		{
			pgstat_report_activity(STATE_RUNNING, text);
			run_statement_at_top_level(text);
		}
		CommitTransactionCommand();
		if (text != NULL)
			ereport(LOG,
					(errmsg("renewed statistics of the planner: %s", text)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		result = result_of_error(text);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return result;
}

/*
 * The statement by what the table and its columns are called now; NULL if
 * there is nothing left to be analyzed.
 */
static char *
analyze_text(const AnalyzeTask *task)
{
	StringInfoData text;
	char		relkind = get_rel_relkind(task->relid);
	char	   *nspname = get_namespace_name(get_rel_namespace(task->relid));
	char	   *relname = get_rel_name(task->relid);
	int			count = 0;

	if (nspname == NULL || relname == NULL)
		return NULL;
	initStringInfo(&text);

	/* tables that inherit have entries of their own, partitions do not */
	appendStringInfo(&text, "ANALYZE %s%s",
					 COMPAT_ANALYZE_RECURSES &&
					 relkind != RELKIND_PARTITIONED_TABLE ? "ONLY " : "",
					 quote_qualified_identifier(nspname, relname));
	for (int i = 0; i < task->column_count; i++)
	{
		char	   *name = get_attname(task->relid, task->columns[i], true);

		if (name != NULL)
			appendStringInfo(&text, "%s%s", count++ == 0 ? " (" : ", ",
							 quote_identifier(name));
	}
	if (task->column_count > 0 && count == 0)
		return NULL;
	if (count > 0)
		appendStringInfoChar(&text, ')');
	return text.data;
}

/* Called in PG_CATCH: leave the transaction, and say if we shall try again. */
static AnalyzeResult
result_of_error(const char *text)
{
	ErrorData  *error = CopyErrorData();
	bool		later = may_do_later(error->sqlerrcode);

	/* keep a cancel that comes now for the next table */
	HOLD_INTERRUPTS();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("could not renew statistics of the planner: %s: %s",
					text ? text : "ANALYZE", error->message),
			 later ? errdetail("It will be tried again.") : 0));
	RESUME_INTERRUPTS();
	return later ? ANALYZE_POSTPONED : ANALYZE_FAILED;
}

/*
 * Locks, cancels, and a lack of disk space or memory pass, and what was
 * renamed or dropped a moment ago will be seen next time.
 */
static bool
may_do_later(int sqlerrcode)
{
	switch (sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
			return true;
		default:
			return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
				ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES;
	}
}
