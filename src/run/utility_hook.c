/*-------------------------------------------------------------------------
 *
 * utility_hook.c
 *	  Every utility statement passes here, whoever sends it.
 *
 * What is not judged leaves at once: transaction control (no catalog access
 * is possible in an aborted transaction), statements without effects, parts
 * of a statement that was judged as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/migration_flag.h"
#include "common/settings.h"
#include "drift/ddl_record.h"
#include "effects/ddl.h"
#include "effects/effects.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "observe/observe.h"
#include "plan/plan.h"
#include "policy/opt_in.h"
#include "postmaster/autovacuum.h"
#include "preserve/destruction.h"
#include "preserve/preserve.h"
#include "preserve/refusal.h"
#include "rates/rates.h"
#include "record/record.h"
#include "replication/logicalworker.h"
#include "run/comment_rule.h"
#include "run/host.h"
#include "run/judge.h"
#include "run/override.h"
#include "run/rewrite.h"
#include "run/run.h"
#include "run/run_task.h"
#include "run/step.h"
#include "run/take_over.h"
#include "task/task.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

static ProcessUtility_hook_type next_process_utility = NULL;

static void migrate_process_utility(PlannedStmt *pstmt,
									const char *query_string,
									bool read_only_tree,
									ProcessUtilityContext context,
									ParamListInfo params,
									QueryEnvironment *query_env,
									DestReceiver *dest, QueryCompletion *qc);
static void run_destructive(PlannedStmt *pstmt, const char *query_string,
							bool read_only_tree,
							ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *query_env,
							DestReceiver *dest, QueryCompletion *qc,
							Destruction *destruction);
static void run_recorded(PlannedStmt *pstmt, const char *query_string,
						 bool read_only_tree, ProcessUtilityContext context,
						 ParamListInfo params, QueryEnvironment *query_env,
						 DestReceiver *dest, QueryCompletion *qc,
						 StatementOrigin origin);
static bool is_to_be_recorded(Node *statement, ProcessUtilityContext context,
							  StatementOrigin origin);
static void run_judged(PlannedStmt *pstmt, const char *query_string,
					   bool read_only_tree, ProcessUtilityContext context,
					   ParamListInfo params, QueryEnvironment *query_env,
					   DestReceiver *dest, QueryCompletion *qc,
					   StatementOrigin origin);
static void run_instead(const Replacement *instead, const ScriptHost *host,
						PlannedStmt *pstmt, ParamListInfo params,
						QueryEnvironment *query_env, QueryCompletion *qc);
static void run_observed(PlannedStmt *pstmt, const char *query_string,
						 bool read_only_tree, ProcessUtilityContext context,
						 ParamListInfo params, QueryEnvironment *query_env,
						 DestReceiver *dest, QueryCompletion *qc,
						 HeavyWork *work);
static void run_statement(PlannedStmt *pstmt, const char *query_string,
						  bool read_only_tree, ProcessUtilityContext context,
						  ParamListInfo params, QueryEnvironment *query_env,
						  DestReceiver *dest, QueryCompletion *qc,
						  HeavyWork *work);
static PlannedStmt *without_concurrently(PlannedStmt *pstmt,
										 const char *query_string);
static void dismiss_task_workers(DropdbStmt *stmt);

void
install_utility_hook(void)
{
	next_process_utility = ProcessUtility_hook ? ProcessUtility_hook :
		standard_ProcessUtility;
	ProcessUtility_hook = migrate_process_utility;
}

static void
migrate_process_utility(PlannedStmt *pstmt, const char *query_string,
						bool read_only_tree, ProcessUtilityContext context,
						ParamListInfo params, QueryEnvironment *query_env,
						DestReceiver *dest, QueryCompletion *qc)
{
	StatementOrigin origin = take_step_mark() ? ORIGIN_STEP :
	context == PROCESS_UTILITY_TOPLEVEL ? ORIGIN_TOP_LEVEL : ORIGIN_INSIDE;
	Destruction destruction;
	bool		is_computed;

	refuse_to_lose_restore_points(pstmt->utilityStmt);
	if (changes_type(pstmt->utilityStmt, &is_computed))
		note_type_change(is_computed);
	if (origin == ORIGIN_TOP_LEVEL && !IsAbortedTransactionBlockState() &&
		begin_destruction(&destruction, pstmt->utilityStmt))
		run_destructive(pstmt, query_string, read_only_tree, context, params,
						query_env, dest, qc, &destruction);
	else
		run_recorded(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc, origin);
}

/* What is typed at top level, and destroys something, can be had back. */
static void
run_destructive(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env,
				DestReceiver *dest, QueryCompletion *qc,
				Destruction *destruction)
{
	char	   *text = statement_source(pstmt, query_string);

	PG_TRY();
	{
		run_recorded(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc, ORIGIN_TOP_LEVEL);
	}
	PG_FINALLY();
	{
		end_destruction(destruction);
	}
	PG_END_TRY();
	if (destruction->found)
		note_destructive_statement(text);
}

/* A schema change that is no part of a migration is recorded with it. */
static void
run_recorded(PlannedStmt *pstmt, const char *query_string,
			 bool read_only_tree, ProcessUtilityContext context,
			 ParamListInfo params, QueryEnvironment *query_env,
			 DestReceiver *dest, QueryCompletion *qc,
			 StatementOrigin origin)
{
	DdlRecord  *record;
	char	   *reason;

	if (!is_to_be_recorded(pstmt->utilityStmt, context, origin))
	{
		run_judged(pstmt, query_string, read_only_tree, context, params,
				   query_env, dest, qc, origin);
		return;
	}
	reason = override_reason(pstmt, query_string);
	record = begin_ddl_record(pstmt->utilityStmt,
							  statement_source(pstmt, query_string));
	PG_TRY();
	{
		run_judged(pstmt, query_string, read_only_tree, context, params,
				   query_env, dest, qc, origin);
	}
	PG_CATCH();
	{
		abandon_ddl_record(record);
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_ddl_record(record, reason);
}

/* The steps of a task stand for the statement that is behind it. */
static bool
is_to_be_recorded(Node *statement, ProcessUtilityContext context,
				  StatementOrigin origin)
{
	return setting_record_ddl && context != PROCESS_UTILITY_SUBCOMMAND &&
		origin != ORIGIN_STEP && !IsA(statement, TransactionStmt) &&
		!IsAbortedTransactionBlockState() &&
		statement_changes_schema(statement) && !migration_is_running() &&
		!task_is_running() && hook_is_active() && extension_is_created();
}

static void
run_judged(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo params,
		   QueryEnvironment *query_env, DestReceiver *dest,
		   QueryCompletion *qc, StatementOrigin origin)
{
	Node	   *statement = pstmt->utilityStmt;
	bool		top_level = context == PROCESS_UTILITY_TOPLEVEL;
	NewTable   *new_table = NULL;
	bool		observed = false;
	HeavyWork	work = {0};
	const ScriptHost *host = take_script_host();

	if (!IsA(statement, TransactionStmt) &&
		!IsAbortedTransactionBlockState() &&
		context != PROCESS_UTILITY_SUBCOMMAND)
	{
		if (IsA(statement, CallStmt))
		{
			if (top_level &&
				take_over_call((CallStmt *) statement, params, qc))
				return;
		}
		else if ((statement_has_effects(statement) ||
				  (design_rules_may_count && statement_has_traits(statement))) &&
				 hook_is_active())
		{
			Replacement instead;

			if (IsInTransactionBlock(top_level) &&
				setting_mode != MODE_OBSERVE &&
				concurrently_is_needless(statement))
			{
				pstmt = without_concurrently(pstmt, query_string);
				read_only_tree = false;
			}
			instead = judge_statement(pstmt, query_string, origin, host, &work);
			if (instead.task != NULL || instead.online != NULL)
			{
				run_instead(&instead, host, pstmt, params, query_env, qc);
				return;
			}
			new_table = expect_new_table(pstmt, query_string);
		}
		if (IsA(statement, DropdbStmt))
			dismiss_task_workers((DropdbStmt *) statement);
		observed = setting_observation && hook_is_active();
	}
	if (observed)
		run_observed(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc, &work);
	else
		run_statement(pstmt, query_string, read_only_tree, context, params,
					  query_env, dest, qc, &work);
	if (new_table != NULL)
		note_new_table(new_table);
}

/* The client gets the tag that it expects. */
static void
run_instead(const Replacement *instead, const ScriptHost *host,
			PlannedStmt *pstmt, ParamListInfo params, QueryEnvironment *query_env,
			QueryCompletion *qc)
{
	CommandTag	tag = CreateCommandTag((Node *) pstmt);
	Task	   *task = instead->task;

	if (instead->online != NULL)
		start_online(instead->online, tag, qc);
	else if (task->deferred && task->id == 0)
		defer_rewrite(task, tag, params, query_env, qc);
	else
	{
		tell_rewrite(task);
		run_rewrite(task, host, tag, qc);
	}
}

/* Pass a statement on, and learn from how long it takes. */
static void
run_statement(PlannedStmt *pstmt, const char *query_string,
			  bool read_only_tree, ProcessUtilityContext context,
			  ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *qc, HeavyWork *work)
{
	bool		top_level = context == PROCESS_UTILITY_TOPLEVEL;
	ConcurrentCommand *command = NULL;

	if (top_level && statement_has_effects(pstmt->utilityStmt) &&
		hook_is_active() && !IsInTransactionBlock(top_level))
		command = begin_concurrent_command(pstmt->utilityStmt, query_string,
										   task_is_running());
	start_heavy_work(work);
	if (command == NULL)
	{
		next_process_utility(pstmt, query_string, read_only_tree, context,
							 params, query_env, dest, qc);
		learn_from_heavy_work(work);
		return;
	}
	PG_TRY();
	{
		next_process_utility(pstmt, query_string, read_only_tree, context,
							 params, query_env, dest, qc);
	}
	PG_CATCH();
	{
		fail_concurrent_command(command);
	}
	PG_END_TRY();
	end_concurrent_command(command);
	learn_from_heavy_work(work);
}

/* For developers: compare what the statement does with what we predict. */
static void
run_observed(PlannedStmt *pstmt, const char *query_string,
			 bool read_only_tree, ProcessUtilityContext context,
			 ParamListInfo params, QueryEnvironment *query_env,
			 DestReceiver *dest, QueryCompletion *qc, HeavyWork *work)
{
	Observation *observation;

	observation = begin_observation(pstmt->utilityStmt, query_string,
									statement_source(pstmt, query_string),
									statement_needs_no_transaction(pstmt->utilityStmt));
	PG_TRY();
	{
		run_statement(pstmt, query_string, read_only_tree, context, params,
					  query_env, dest, qc, work);
		compare_observation(observation);
	}
	PG_FINALLY();
	{
		end_observation(observation);
	}
	PG_END_TRY();
}

/*
 * See run.h.  The hooks do nothing when it is switched off, when PostgreSQL
 * itself repeats DDL that was judged where it was typed (replication, restore,
 * pg_upgrade, scripts of extensions), and in "auto" wherever the extension is
 * not created.
 */
bool
hook_is_active(void)
{
	if (setting_mode == MODE_OFF || setting_restoring)
		return false;
	if (!IsNormalProcessingMode() || !IsTransactionState() ||
		IsBinaryUpgrade || creating_extension || RecoveryInProgress() ||
		IsParallelWorker() || IsLogicalWorker() ||
		compat_is_autovacuum_worker())
		return false;
	return setting_mode != MODE_AUTO || extension_is_created();
}

/*
 * CONCURRENTLY cannot run in a transaction, but on a new, empty or small table
 * nobody would notice the difference: leave the word out, and say so.
 */
static PlannedStmt *
without_concurrently(PlannedStmt *pstmt, const char *query_string)
{
	char	   *original = statement_source(pstmt, query_string);
	Decision	decision = {0};

	/* the tree may belong to a plan cache */
	pstmt = copyObject(pstmt);
	decision.outcome = DECISION_REWRITTEN;
	decision.command = GetCommandTagName(CreateCommandTag(pstmt->utilityStmt));
	decision.statement = original;
	decision.executed = remove_concurrently(pstmt->utilityStmt, original);
	decision.message = "CONCURRENTLY was left out: the table is new, empty or small, and the statement is inside a transaction";
	(void) GetTopFullTransactionId();
	record_decision(&decision);
	ereport(NOTICE, (errmsg("%s", decision.message)));
	return pstmt;
}

/*
 * Who may drop a database does not have to wait for a task in it, which would
 * be in the way as a session is.
 */
static void
dismiss_task_workers(DropdbStmt *stmt)
{
	Oid			database = get_database_oid(stmt->dbname, true);

	if (OidIsValid(database) && compat_owns_database(database, GetUserId()))
		task_dismiss_workers(database);
}
