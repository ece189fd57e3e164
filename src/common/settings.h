/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The variables behind the safe_migrate.* settings.
 *
 * They are defined in settings.c and registered by _PG_init.  Everything
 * is PGC_SUSET, so that a tenant cannot switch the checks off.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SETTINGS_H
#define SAFE_MIGRATE_SETTINGS_H

#include "utils/guc.h"

typedef enum MigrateMode
{
	MODE_AUTO,					/* enforce where the extension is created */
	MODE_OFF,					/* do nothing at all */
	MODE_OBSERVE,				/* record what would be refused */
	MODE_WARN,					/* WARNING instead of refusal */
	MODE_ENFORCE				/* refuse */
} MigrateMode;

typedef enum InTransactionPolicy
{
	IN_TRANSACTION_REJECT,
	IN_TRANSACTION_DEFER
} InTransactionPolicy;

typedef enum OutOfOrderPolicy
{
	OUT_OF_ORDER_REJECT,
	OUT_OF_ORDER_APPLY
} OutOfOrderPolicy;

typedef enum InternalErrorPolicy
{
	INTERNAL_ERROR_REJECT,
	INTERNAL_ERROR_PASS
} InternalErrorPolicy;

extern int	setting_mode;
extern char *setting_rules;
extern char *setting_override;
extern bool override_is_spent;	/* its statement has failed; SET renews it */
extern int	setting_small_table;	/* kB */
extern int	setting_in_transaction;
extern int	setting_out_of_order;
extern int	setting_lock_deadline;	/* ms, 0: none */
extern int	setting_lock_queue_time;	/* ms */
extern int	setting_concurrent_deadline;	/* ms, 0: none */
extern int	setting_on_internal_error;
extern bool setting_restore_points;
extern int	setting_restore_point_ttl;	/* s, 0: for ever */
extern int	setting_restore_point_limit;	/* MB, 0: none */
extern bool setting_restoring;
extern bool setting_record_ddl;
extern bool setting_renew_statistics;
extern bool setting_rename_with_view;
extern bool setting_observation;
extern int	setting_row_limit;	/* 0: none */
extern int	setting_backfill_max_wait;	/* ms */
extern int	setting_backfill_max_lag;	/* ms, 0: none */
extern int	setting_backfill_max_archive_queue; /* segments, 0: none */
extern int	setting_backfill_max_checkpoints;	/* 0: none */
extern int	setting_backfill_max_horizon_wait;	/* ms, 0: none */
extern char *setting_backfill_throttle_query;
extern int	setting_max_columns;
extern int	setting_max_indexes;
extern int	setting_max_index_columns;
extern char *setting_forbidden_types;
extern char *setting_table_name_pattern;	/* regular expressions */
extern char *setting_column_name_pattern;
extern char *setting_index_name_pattern;
extern char *setting_constraint_name_pattern;

/* The hooks come from the policy. */
extern void define_settings(GucStringCheckHook check_rules,
							GucStringAssignHook assign_rules,
							GucIntAssignHook assign_row_limit);

/* What is wrong with a regular expression, palloc'd; NULL if nothing is. */
extern char *pattern_error(const char *pattern);

#endif							/* SAFE_MIGRATE_SETTINGS_H */
