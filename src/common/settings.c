/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The safe_migrate.* settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_collation.h"
#include "common/fault.h"
#include "common/settings.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "regex/regex.h"

int			setting_mode = MODE_AUTO;
char	   *setting_rules = NULL;
char	   *setting_override = NULL;
bool		override_is_spent = false;
int			setting_small_table = 1024;
int			setting_in_transaction = IN_TRANSACTION_REJECT;
int			setting_out_of_order = OUT_OF_ORDER_REJECT;
int			setting_lock_deadline = 30000;
int			setting_lock_queue_time = 15;
int			setting_concurrent_deadline = 30 * 60 * 1000;
int			setting_on_internal_error = INTERNAL_ERROR_REJECT;
bool		setting_restore_points = true;
int			setting_restore_point_ttl = 7 * 24 * 60 * 60;
int			setting_restore_point_limit = 100 * 1024;
bool		setting_restoring = false;
bool		setting_record_ddl = true;
bool		setting_renew_statistics = true;
bool		setting_rename_with_view = false;
bool		setting_observation = false;
int			setting_row_limit = 0;
int			setting_backfill_max_wait = 5;
int			setting_backfill_max_lag = 10000;
int			setting_backfill_max_archive_queue = 42;
int			setting_backfill_max_checkpoints = 2;
int			setting_backfill_max_horizon_wait = 60000;
char	   *setting_backfill_throttle_query = NULL;
int			setting_max_columns = 50;
int			setting_max_indexes = 10;
int			setting_max_index_columns = 3;
char	   *setting_forbidden_types = NULL;
char	   *setting_table_name_pattern = NULL;
char	   *setting_column_name_pattern = NULL;
char	   *setting_index_name_pattern = NULL;
char	   *setting_constraint_name_pattern = NULL;

static const struct config_enum_entry mode_options[] = {
	{"auto", MODE_AUTO, false},
	{"off", MODE_OFF, false},
	{"observe", MODE_OBSERVE, false},
	{"warn", MODE_WARN, false},
	{"enforce", MODE_ENFORCE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry in_transaction_options[] = {
	{"reject", IN_TRANSACTION_REJECT, false},
	{"defer", IN_TRANSACTION_DEFER, false},
	{NULL, 0, false}
};

static const struct config_enum_entry out_of_order_options[] = {
	{"reject", OUT_OF_ORDER_REJECT, false},
	{"apply", OUT_OF_ORDER_APPLY, false},
	{NULL, 0, false}
};

static const struct config_enum_entry internal_error_options[] = {
	{"reject", INTERNAL_ERROR_REJECT, false},
	{"pass", INTERNAL_ERROR_PASS, false},
	{NULL, 0, false}
};

static bool check_pattern(char **newval, void **extra, GucSource source);
static void define_judging_settings(GucStringCheckHook check_rules,
									GucStringAssignHook assign_rules);
static void define_ledger_settings(void);
static void define_lock_settings(void);
static void define_row_limit(GucIntAssignHook assign_row_limit);
static void define_design_settings(void);
static void define_name_patterns(void);
static void define_restore_settings(void);
static void define_backfill_settings(void);
static void assign_override(const char *newval, void *extra);

/*
 * Register all settings.  The hooks of safe_migrate.rules come from the
 * policy, which knows the names of the rules.
 */
void
define_settings(GucStringCheckHook check_rules,
				GucStringAssignHook assign_rules,
				GucIntAssignHook assign_row_limit)
{
	define_judging_settings(check_rules, assign_rules);
	define_ledger_settings();
	define_lock_settings();
	define_row_limit(assign_row_limit);
	define_design_settings();
	define_name_patterns();
	define_restore_settings();
	define_backfill_settings();
	MarkGUCPrefixReserved("safe_migrate");
}

static void
define_judging_settings(GucStringCheckHook check_rules,
						GucStringAssignHook assign_rules)
{
	DefineCustomEnumVariable("safe_migrate.mode",
							 "What happens to a statement that a rule refuses.",
							 "\"auto\" enforces where the extension is created and is inert elsewhere.",
							 &setting_mode, MODE_AUTO, mode_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.rules",
							   "Actions of rules that differ from their defaults.",
							   "A list \"rule:action, ...\"; the view migrate.rules names them.",
							   &setting_rules, "", PGC_SUSET, GUC_LIST_INPUT,
							   check_rules, assign_rules, NULL);
	DefineCustomStringVariable("safe_migrate.override",
							   "Reason why statements may pass although a rule refuses them.",
							   "Recorded. Ends with the transaction in which a statement was judged.",
							   &setting_override, "", PGC_SUSET, 0,
							   NULL, assign_override, NULL);
	DefineCustomIntVariable("safe_migrate.small_table",
							"Tables up to this size may be scanned, rewritten and indexed under a lock.",
							"0 judges tables of every size.",
							&setting_small_table, 1024, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomEnumVariable("safe_migrate.in_transaction",
							 "What happens to a statement with a safer equivalent inside a transaction block.",
							 "\"defer\" runs its quick part at once and the rest after the commit, in the background.",
							 &setting_in_transaction, IN_TRANSACTION_REJECT,
							 in_transaction_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("safe_migrate.on_internal_error",
							 "What happens to a statement when judging it fails internally.",
							 NULL,
							 &setting_on_internal_error,
							 INTERNAL_ERROR_REJECT, internal_error_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("safe_migrate.restoring",
							 "Judges and records nothing, for pg_restore.",
							 "Set it for the session (PGOPTIONS), never for a database.",
							 &setting_restoring, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("safe_migrate.record_ddl",
							 "Records schema changes that do not come from a migration.",
							 "migrate.drift() tells of them.",
							 &setting_record_ddl, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("safe_migrate.renew_statistics",
							 "Renews statistics of the planner that a statement has lost.",
							 "By ANALYZE in the background, after the commit.",
							 &setting_renew_statistics, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("safe_migrate.rename_with_view",
							 "Leaves a view under the old name of a table that is renamed the safe way.",
							 NULL,
							 &setting_rename_with_view, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("safe_migrate.observation",
							 "Compares what statements do with what was predicted of them, for developers.",
							 "Slow. Differences go to the server log as \"safe_migrate mismatch\", and to migrate.decisions.",
							 &setting_observation, false, PGC_SUSET,
							 GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	define_fault_point_setting();
}

static void
define_ledger_settings(void)
{
	DefineCustomEnumVariable("safe_migrate.out_of_order",
							 "What happens to a pending migration that comes before one that is applied.",
							 "\"apply\" runs it and says so; \"reject\" refuses to run any.",
							 &setting_out_of_order, OUT_OF_ORDER_REJECT,
							 out_of_order_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_lock_settings(void)
{
	DefineCustomIntVariable("safe_migrate.lock_deadline",
							"Time after which a statement gives up waiting for its locks.",
							"It waits without making others wait; 0 waits without a limit.",
							&setting_lock_deadline, 30000, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.lock_queue_time",
							"Longest single stay of a statement in a lock queue.",
							"It enters the queue only behind transactions that are younger than this; 0 never enters it.",
							&setting_lock_queue_time, 15, 0, 10000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.concurrent_deadline",
							"Longest single wait of a command with CONCURRENTLY, instead of lock_timeout.",
							"0 is no limit.",
							&setting_concurrent_deadline, 30 * 60 * 1000, 0,
							INT_MAX, PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

static void
define_row_limit(GucIntAssignHook assign_row_limit)
{
	DefineCustomIntVariable("safe_migrate.row_limit",
							"Rows that one UPDATE, DELETE or MERGE may change.",
							"The rule row_limit says what happens beyond; 0 is no limit.",
							&setting_row_limit, 0, 0, INT_MAX,
							PGC_SUSET, 0, NULL, assign_row_limit, NULL);
}

/* What the design rules measure by; they are off unless named. */
static void
define_design_settings(void)
{
	DefineCustomIntVariable("safe_migrate.max_columns",
							"Columns of a table from which the rule wide_table counts it as too wide.",
							NULL,
							&setting_max_columns, 50, 1, 1600,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.max_indexes",
							"Indexes that a table may have for the rule many_indexes.",
							NULL,
							&setting_max_indexes, 10, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.max_index_columns",
							"Key columns that an index may have for the rule wide_index.",
							NULL,
							&setting_max_index_columns, 3, 1, INDEX_MAX_KEYS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.forbidden_types",
							   "Types of columns that the rule forbidden_type refuses.",
							   "A list of type names, as in a column definition, without modifiers.",
							   &setting_forbidden_types, "", PGC_SUSET,
							   GUC_LIST_INPUT, NULL, NULL, NULL);
}

static void
define_name_patterns(void)
{
	DefineCustomStringVariable("safe_migrate.table_name_pattern",
							   "Regular expression for names of tables, for the rule naming_pattern.",
							   "Empty for no demand.",
							   &setting_table_name_pattern, "", PGC_SUSET, 0,
							   check_pattern, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.column_name_pattern",
							   "Regular expression for names of columns, for the rule naming_pattern.",
							   "Empty for no demand.",
							   &setting_column_name_pattern, "", PGC_SUSET, 0,
							   check_pattern, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.index_name_pattern",
							   "Regular expression for names of indexes, for the rule naming_pattern.",
							   "Empty for no demand.",
							   &setting_index_name_pattern, "", PGC_SUSET, 0,
							   check_pattern, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.constraint_name_pattern",
							   "Regular expression for names of constraints, for the rule naming_pattern.",
							   "Empty for no demand.",
							   &setting_constraint_name_pattern, "", PGC_SUSET,
							   0, check_pattern, NULL, NULL);
}

/*
 * The encoding is that of the database: of one that is not known yet, in the
 * postmaster, the use of the pattern has to tell.
 */
static bool
check_pattern(char **newval, void **extra, GucSource source)
{
	char	   *error;

	if (*newval == NULL || !OidIsValid(MyDatabaseId))
		return true;
	error = pattern_error(*newval);
	if (error == NULL)
		return true;
	GUC_check_errdetail("Invalid regular expression: %s.", error);
	return false;
}

/*
 * See settings.h.  Whether a pattern is valid does not depend on a collation,
 * and that of the database may not be known.
 */
char *
pattern_error(const char *pattern)
{
	int			length = strlen(pattern);
	pg_wchar   *wide = palloc((length + 1) * sizeof(pg_wchar));
	char		message[100];
	regex_t		compiled;
	int			result;

	length = pg_mb2wchar_with_len(pattern, wide, length);
	result = pg_regcomp(&compiled, wide, length, REG_ADVANCED | REG_NOSUB,
						C_COLLATION_OID);
	pfree(wide);
	if (result == REG_OKAY)
	{
		pg_regfree(&compiled);
		return NULL;
	}
	pg_regerror(result, &compiled, message, sizeof(message));
	return pstrdup(message);
}

static void
define_backfill_settings(void)
{
	DefineCustomIntVariable("safe_migrate.backfill_max_wait",
							"Longest time for which a batch of a backfill should hold the locks of its rows.",
							"Batches become smaller when they take longer, with the flush of their WAL while others write.",
							&setting_backfill_max_wait, 5, 1, 60000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.backfill_max_lag",
							"Replay lag of a standby above which a backfill pauses.",
							"0 does not look at standbys.",
							&setting_backfill_max_lag, 10000, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.backfill_max_archive_queue",
							"WAL segments that may wait for the archive before a backfill pauses.",
							"0 does not look at the archive.",
							&setting_backfill_max_archive_queue, 42, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.backfill_max_checkpoints",
							"Checkpoints within checkpoint_warning, caused by WAL, at which a backfill pauses.",
							"It pauses for checkpoint_warning; 0 does not look at checkpoints.",
							&setting_backfill_max_checkpoints, 2, 0, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.backfill_max_horizon_wait",
							"How long a backfill pauses for a transaction that keeps it from reusing space.",
							"It goes on then, and the table grows; 0 never pauses for one.",
							&setting_backfill_max_horizon_wait, 60000, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("safe_migrate.backfill_throttle_query",
							   "Query whose one value pauses backfills while it is true or above 0.",
							   "It is run by the role that runs the backfill, some times a second.",
							   &setting_backfill_throttle_query, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_restore_settings(void)
{
	DefineCustomBoolVariable("safe_migrate.restore_points",
							 "Keeps what migrations, and destructive statements typed by anybody, would destroy.",
							 "What is destroyed while it is off cannot be had back from an earlier restore point.",
							 &setting_restore_points, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.restore_point_ttl",
							"Time for which restore points are kept.",
							"It counts when one is made; 0 keeps them until somebody drops them.",
							&setting_restore_point_ttl, 7 * 24 * 60 * 60, 0,
							INT_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("safe_migrate.restore_point_limit",
							"Space that restore points of a database may take.",
							"What would take more is refused; 0 is no limit.",
							&setting_restore_point_limit, 100 * 1024, 0,
							INT_MAX, PGC_SUSET, GUC_UNIT_MB, NULL, NULL, NULL);
}

/* Whoever sets it means the next statement. */
static void
assign_override(const char *newval, void *extra)
{
	override_is_spent = false;
}
