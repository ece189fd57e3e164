/*-------------------------------------------------------------------------
 *
 * change_advance.c
 *	  CALL migrate.advance(change), and taking a change back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/table_owner.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/version_views.h"
#include "run/run.h"
#include "run/run_task.h"
#include "task/task.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(migrate_remove_change);
PG_FUNCTION_INFO_V1(migrate_cancel);

static void advance_change(int nargs, const ProcedureArgument *args);
static TaskStatus *status_of_change(int64 id);
static void require_asker(const TaskStatus *status, bool is_taken_back);
static void refuse_contracted(const Change *change);

/*
 * See change.h.
 */
void
register_change_procedures(void)
{
	register_top_level_procedure("advance", advance_change);
}

/*
 * What is left of the task runs here; if a worker has it already, that is
 * waited for.
 */
static void
advance_change(int nargs, const ProcedureArgument *args)
{
	MemoryContext context;
	TaskStatus *status;
	Task	   *task;
	int64		id;

	Assert(nargs == 1);
	if (args[0].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the change for migrate.advance() must not be null")));
	PreventCommandIfReadOnly("migrate.advance()");
	context = AllocSetContextCreate(PortalContext, "safe_migrate advance",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	id = pg_strtoint64(args[0].value);
	status = status_of_change(id);
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	if (!task_lock(id))
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		wait_until_task_is_done(id, NULL);
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(CurTransactionContext);
		return;
	}
	task = task_read(id);
	require_asker(status, task->cancelled || task->state == TASK_UNDOING);
	run_task_as_asked(task);
	MemoryContextSwitchTo(CurTransactionContext);
}

/* Throws unless there is such a change, of which the user may decide. */
static TaskStatus *
status_of_change(int64 id)
{
	TaskStatus *status = task_status(id);
	Change	   *change = change_read(id);

	if (status == NULL || change == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("change " INT64_FORMAT " does not exist; migrate.changes lists those there are",
						id)));
	if (!may_wait_for_task(status) &&
		(get_rel_name(change->relid) == NULL ||
		 !is_owner_himself(change->relid)))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("change " INT64_FORMAT " belongs to role \"%s\"", id,
						status->role)));
	require_task_from_here(status);
	return status;
}

/*
 * The steps run with the rights of the caller.  Expressions in them are those
 * of whoever began the change; taking it back evaluates none.
 */
static void
require_asker(const TaskStatus *status, bool is_taken_back)
{
	Oid			relid = change_read(status->id)->relid;

	if (get_rel_name(relid) != NULL)
	{
		if (!compat_owns_relation(relid, GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_SM_NOT_PERMITTED),
					 errmsg("change " INT64_FORMAT " of %s is advanced by the owner of the table",
							status->id, status->relation)));
		require_owner_himself(relid, "migrate.advance()");
	}
	if (!is_taken_back && status->role_oid != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("change " INT64_FORMAT " of %s would run functions of role \"%s\", which began it: SELECT migrate.cancel(" INT64_FORMAT ") and begin it anew",
						status->id, status->relation, status->role,
						status->id)));
}

/*
 * migrate.remove_change(bigint): the undo of the first step.
 */
Datum
migrate_remove_change(PG_FUNCTION_ARGS)
{
	Change	   *change;

	require_preloaded();
	if (PG_ARGISNULL(0) || task_being_undone() != PG_GETARG_INT64(0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("migrate.remove_change() is a step of migrate.cancel(): call that")));
	change = change_read(PG_GETARG_INT64(0));
	if (change == NULL || get_rel_name(change->relid) == NULL)
		PG_RETURN_VOID();
	change_lock(change->id);
	if (change_is_contracted(change->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("change " INT64_FORMAT " of %s was contracted meanwhile, and is not taken back",
						change->id, change->relation)));
	lock_for_change("migrate.cancel()", change->relid, change->removal, false);
	require_owner_himself(change->relid, "migrate.cancel()");
	require_name_of_table(change);
	run_removal(change);
	PG_RETURN_VOID();
}

/*
 * migrate.cancel(bigint): of tasks and changes.
 */
Datum
migrate_cancel(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	Change	   *change;

	require_preloaded();
	change = change_read(id);
	if (change != NULL)
	{
		change_lock(id);
		refuse_contracted(change);
		refuse_cancel_of_versions(change);
	}
	PG_RETURN_TEXT_P(cstring_to_text(cancel_task(id, change != NULL && change->contract != NIL)));
}

/* Where there was nothing to contract, the last step was the contract. */
static void
refuse_contracted(const Change *change)
{
	TaskStatus *status = task_status(change->id);

	if (change_is_contracted(change->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("change " INT64_FORMAT " is contracted, and can be taken back only by migrate.rollback_to() the restore point in migrate.changes",
						change->id)));
	if (change->contract == NIL && status != NULL &&
		strcmp(status->state, "done") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("change " INT64_FORMAT " is contracted: take it back by ALTER TABLE %s",
						change->id, change->relation)));
}
