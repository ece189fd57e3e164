/*-------------------------------------------------------------------------
 *
 * executor_hooks.c
 *	  UPDATE, DELETE and MERGE pass here before they run, whatever they are
 *	  sent in: a statement, WITH, a function, DO, a prepared statement.
 *
 * For everybody else, and where no rule about them is on, this is the test of
 * two variables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/migration_flag.h"
#include "common/settings.h"
#include "effects/dml.h"
#include "executor/executor.h"
#include "policy/opt_in.h"
#include "run/judge.h"
#include "run/row_limit.h"
#include "run/run.h"

static ExecutorStart_hook_type next_executor_start = NULL;

static void migrate_executor_start(QueryDesc *query, int eflags);
static bool query_is_judged(const QueryDesc *query, int eflags);
static bool query_may_be_judged(const QueryDesc *query, int eflags);
static void describe_foreign_query(PlannedStmt *pstmt, EffectContext *context,
								   void *arg);
static void describe_query(PlannedStmt *pstmt, EffectContext *context,
						   void *arg);

void
install_executor_hooks(void)
{
	next_executor_start = ExecutorStart_hook ? ExecutorStart_hook :
		standard_ExecutorStart;
	ExecutorStart_hook = migrate_executor_start;
}

/*
 * The executor is started first: it checks privileges, so that PostgreSQL's own
 * error is the one that is seen, and runs nothing yet.
 */
static void
migrate_executor_start(QueryDesc *query, int eflags)
{
	next_executor_start(query, eflags);
	if (migration_is_running() && query_writes(query->plannedstmt) &&
		query_may_be_judged(query, eflags))
		judge_query(query->plannedstmt, query->sourceText,
					describe_foreign_query, NULL);
	if (!dml_rules_may_count || !query_is_judged(query, eflags))
		return;
	judge_query(query->plannedstmt, query->sourceText, describe_query, NULL);
	if (setting_row_limit > 0)
		watch_row_limit(query);
}

static bool
query_is_judged(const QueryDesc *query, int eflags)
{
	return query_changes_rows(query->plannedstmt) &&
		query_may_be_judged(query, eflags) && dml_rules_count();
}

static bool
query_may_be_judged(const QueryDesc *query, int eflags)
{
	return (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		query->sourceText != NULL && hook_is_active();
}

static void
describe_foreign_query(PlannedStmt *pstmt, EffectContext *context, void *arg)
{
	describe_foreign_changes(pstmt, context);
}

static void
describe_query(PlannedStmt *pstmt, EffectContext *context, void *arg)
{
	describe_whole_table_changes(pstmt, context);
}
