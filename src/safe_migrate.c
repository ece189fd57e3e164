/*-------------------------------------------------------------------------
 *
 * safe_migrate.c
 *	  Settings and hooks, nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "analyze/analyze.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/settings.h"
#include "fmgr.h"
#include "ledger/deploy_progress.h"
#include "ledger/ledger.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "online/backfill.h"
#include "online/change.h"
#include "online/fill_column.h"
#include "policy/policy.h"
#include "preserve/point_drop.h"
#include "preserve/preserve.h"
#include "preserve/refusal.h"
#include "rates/rates.h"
#include "record/record.h"
#include "restore/rollback.h"
#include "run/comment_rule.h"
#include "run/judge.h"
#include "run/override.h"
#include "run/run.h"
#include "target/target.h"
#include "task/task.h"

COMPAT_MODULE_MAGIC;

void		_PG_init(void);

/*
 * Never raises: triggers of ours may sit on user tables and load the library
 * in a server that does not preload it, and writing there must go on working.
 * The entry points migrate.* call require_preloaded().
 */
void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	library_is_preloaded = true;
	define_settings(check_rules_setting, assign_rules_setting,
					assign_row_limit_setting);
	if (IsBinaryUpgrade)
	{
		install_upgrade_refusal();
		return;
	}
	record_request_shared_memory();
	rates_request_shared_memory();
	analyze_request_shared_memory();
	lock_request_shared_memory();
	task_request_shared_memory();
	progress_request_shared_memory();
	record_register_launcher();
	register_override_callback();
	register_comment_rule();
	register_analyze_callbacks();
	register_task_callbacks();
	register_preserve_callbacks();
	register_expiry();
	register_run_procedures();
	register_fill_column();
	register_backfill();
	register_ledger_procedures();
	register_target_procedures();
	register_rollback_procedures();
	register_change_procedures();
	register_change_refusal();
	install_utility_hook();
	install_executor_hooks();
}
