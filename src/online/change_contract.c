/*-------------------------------------------------------------------------
 *
 * change_contract.c
 *	  migrate.contract(): taking the old shape away.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/migration_flag.h"
#include "common/script.h"
#include "common/settings.h"
#include "drift/ddl_record.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/table_owner.h"
#include "preserve/point.h"
#include "run/made.h"
#include "run/run.h"
#include "task/task.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(migrate_contract);

static Change *change_to_contract(int64 id);
static void require_verified(const Change *change);
static void refuse_while_used(const Change *change);
static char *make_point_before_contract(const Change *change);
static void run_contract(const Change *change);

/*
 * migrate.contract(bigint, boolean) returns text
 */
Datum
migrate_contract(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	bool		force = PG_GETARG_BOOL(1);
	Change	   *change;
	char	   *label;

	require_preloaded();
	PreventCommandDuringRecovery("migrate.contract()");
	PreventCommandIfReadOnly("migrate.contract()");
	PreventCommandIfParallelMode("migrate.contract()");
	change = change_to_contract(id);
	if (change->contract == NIL)
	{
		ereport(NOTICE,
				(errmsg("change " INT64_FORMAT " has no old shape: there is nothing to contract",
						id)));
		PG_RETURN_NULL();
	}
	if (!force)
		refuse_while_used(change);
	lock_for_change("migrate.contract()", change->relid, change->contract,
					false);
	require_owner_himself(change->relid, "migrate.contract()");
	renew_column_contract(change);

	/* a view, say, that has come since the start */
	lock_for_change("migrate.contract()", change->relid, change->contract,
					false);
	label = make_point_before_contract(change);
	run_contract(change);
	change_write_contracted(id, label, force);
	if (label == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(label));
}

/* Nobody else contracts or cancels it until the end of the transaction. */
static Change *
change_to_contract(int64 id)
{
	Change	   *change = change_read(id);

	if (change == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("change " INT64_FORMAT " does not exist; migrate.changes lists those there are",
						id)));
	if (get_rel_name(change->relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("change " INT64_FORMAT " has lost its table %s, which was dropped",
						id, change->relation)));
	if (!compat_owns_relation(change->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(change->relid)),
					   change->relation);
	require_owner_himself(change->relid, "migrate.contract()");
	change_lock(id);
	require_verified(change);
	return change;
}

static void
require_verified(const Change *change)
{
	TaskStatus *status = task_status(change->id);

	if (change_is_contracted(change->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("change " INT64_FORMAT " of %s is contracted already",
						change->id, change->relation)));
	if (status != NULL)
		require_task_from_here(status);
	if (status == NULL || strcmp(status->state, "done") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("change " INT64_FORMAT " of %s is not verified yet: CALL migrate.advance(" INT64_FORMAT ") first",
						change->id, change->relation, change->id),
				 status != NULL && status->error != NULL ?
				 errdetail("%s", status->error) : 0));
}

/*
 * Nothing is recorded of the columns that clients use: so somebody has to say
 * that there are none that use the old shape.
 */
static void
refuse_while_used(const Change *change)
{
	if (change->old_shape == NULL)
		return;
	if (change->grace_until > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_SM_BREAKS_CLIENT),
				 errmsg("contract: %s is kept until %s: wait, or SELECT migrate.contract(" INT64_FORMAT ", force := true)",
						change->old_shape,
						timestamptz_to_str(change->grace_until), change->id)));
	if (change->uses >= 0)
	{
		int64		uses = count_uses(change->relid);

		if (uses == change->uses)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_SM_BREAKS_CLIENT),
				 errmsg("contract: %s was used since change " INT64_FORMAT " has started: find out by whom, or SELECT migrate.contract(" INT64_FORMAT ", force := true)",
						change->old_shape, change->id, change->id),
				 errdetail("Scans and changed rows by the server's counters: " INT64_FORMAT " then, " INT64_FORMAT " now.",
						   change->uses, uses)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_SM_BREAKS_CLIENT),
			 errmsg("contract: clients may still rely on %s: when all run the new code, SELECT migrate.contract(" INT64_FORMAT ", force := true)",
					change->old_shape, change->id),
			 errdetail("What clients use is not recorded, so it takes your word that none does.")));
}

/* The label, or NULL where restore points are switched off. */
static char *
make_point_before_contract(const Change *change)
{
	char	   *label;

	if (!preserving())
		return NULL;
	label = unused_label(psprintf("before contract of change " INT64_FORMAT,
								  change->id));
	(void) make_restore_point(label, POINT_MIGRATION);
	return label;
}

/*
 * As one statement, for the record of schema changes.  Other changes of the
 * table go on afterwards.
 */
static void
run_contract(const Change *change)
{
	Task	   *task = task_read(change->id);
	List	   *witness = take_witness(task);
	DdlRecord  *record = NULL;

	if (setting_record_ddl && !migration_is_running() && hook_is_active())
		record = begin_ddl_record(((ScriptStatement *) linitial(parse_script(linitial(change->contract), "statement", 1)))->raw->stmt,
								  psprintf("SELECT migrate.contract(" INT64_FORMAT ")",
										   change->id));
	PG_TRY();
	{
		run_change_statements(change->contract, false);
	}
	PG_CATCH();
	{
		if (record != NULL)
			abandon_ddl_record(record);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (record != NULL)
		end_ddl_record(record, NULL);
	note_lost(task, witness);
	task_write_made(task);
}
