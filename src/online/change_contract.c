/*-------------------------------------------------------------------------
 *
 * change_contract.c
 *	  migrate.contract(): taking the old shape away.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/script.h"
#include "common/table_owner.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "online/change.h"
#include "online/version_views.h"
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
static void require_own_objects(const Change *change);
static void require_own_view(const Change *change, DropStmt *stmt);
static void require_triggers(const Change *change);
static void refuse_while_used(const Change *change);
static char *make_point_before_contract(const Change *change);
static void run_contract(const Change *change, const List *script);

/*
 * migrate.contract(bigint, boolean) returns text
 */
Datum
migrate_contract(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	bool		force = PG_GETARG_BOOL(1);
	Change	   *change;
	List	   *late_tables;
	List	   *script;
	char	   *label;

	require_preloaded();
	PreventCommandDuringRecovery("migrate.contract()");
	PreventCommandIfReadOnly("migrate.contract()");
	PreventCommandIfParallelMode("migrate.contract()");
	require_read_committed("migrate.contract()");
	change = change_to_contract(id);
	if (change->contract == NIL)
	{
		ereport(NOTICE,
				(errmsg("change " INT64_FORMAT " has no old shape: there is nothing to contract",
						id)));
		PG_RETURN_NULL();
	}
	script = list_concat(carry_versions(change), list_copy(change->contract));
	if (!force)
		refuse_while_used(change);
	late_tables = check_late_tables(change);

	/* views as well: who reads one has locked it before the table */
	lock_for_change("migrate.contract()", change->relid, script, false);
	require_owner_himself(change->relid, "migrate.contract()");
	require_name_of_table(change);
	require_own_objects(change);
	require_triggers(change);
	refuse_late_triggers(change);
	refuse_later_tables(change, late_tables);
	renew_column_contract(change);

	/* others may have made a version until the table was locked */
	script = list_concat(carry_versions(change), change->contract);

	/* a view, say, that has come since the start */
	lock_for_change("migrate.contract()", change->relid, script, false);
	label = make_point_before_contract(change);
	run_contract(change, script);
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

	require_name_of_table(change);
	change_lock(id);
	require_verified(change);
	return change;
}

/*
 * See change.h.
 */
void
require_name_of_table(const Change *change)
{
	if (strcmp(change->kind, "rename_table") != 0 &&
		strcmp(relation_display_name(change->relid), change->relation) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of change " INT64_FORMAT " is called %s now, and was %s when the change started: give it that name back first",
						change->id, relation_display_name(change->relid),
						change->relation)));
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
 * Names may be those of others by now, which the contract must not drop with
 * what they hold.
 */
static void
require_own_objects(const Change *change)
{
	ListCell   *cell;

	foreach(cell, change->contract)
	{
		ScriptStatement *parsed = linitial(parse_script(lfirst(cell),
														"statement", 1));
		Node	   *statement = parsed->raw->stmt;
		char	   *column = dropped_column(statement);

		if (column != NULL)
			require_own_column(change, column, false);
		else if (IsA(statement, DropStmt) &&
				 ((DropStmt *) statement)->removeType == OBJECT_VIEW)
			require_own_view(change, (DropStmt *) statement);
	}
}

/*
 * See change.h.
 */
void
require_own_column(const Change *change, const char *column, bool is_new)
{
	if (!change_has_column(change, column, is_new))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column %s of %s is not the one that change " INT64_FORMAT " is about: that was dropped or renamed meanwhile; SELECT migrate.cancel(" INT64_FORMAT ") ends the change",
						quote_identifier(column), change->relation, change->id,
						change->id)));
}

/* One that is gone is what the contract is for. */
static void
require_own_view(const Change *change, DropStmt *stmt)
{
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(linitial(stmt->objects)),
										 NoLock, true);

	if (OidIsValid(relid) &&
		!task_has_made(task_read(change->id), RelationRelationId, relid, 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not the view that change " INT64_FORMAT " has made: give it another name, and contract again",
						relation_display_name(relid), change->id)));
}

/*
 * Rows that came where the trigger was switched off, or in a table that was
 * attached without it, may have nothing in the new shape.
 */
static void
require_triggers(const Change *change)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *table = NULL;

	begin_own_access(&access);
	add_own_oid_list(&arguments,
					 find_all_inheritors(change->relid, NoLock, NULL));
	add_own_text(&arguments,
				 psprintf(CHANGE_TRIGGER, change->id));
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(change->relid),
					 false);
	run_own_query("SELECT r.oid::pg_catalog.regclass::pg_catalog.text "
				  "FROM pg_catalog.unnest($1) r (oid) "
				  "WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger t "
				  "WHERE t.tgrelid OPERATOR(pg_catalog.=) $3 "
				  "AND t.tgname OPERATOR(pg_catalog.=) $2) "
				  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t "
				  "WHERE t.tgrelid OPERATOR(pg_catalog.=) r.oid "
				  "AND t.tgname OPERATOR(pg_catalog.=) $2 "
				  "AND t.tgenabled OPERATOR(pg_catalog.=) 'A') LIMIT 1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed > 0)
		table = own_text_column(&access, 0, 1);
	end_own_access(&access);
	if (table != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the trigger of change " INT64_FORMAT " is missing or switched off on %s: rows written meanwhile may have no value in the new shape; cancel the change, or take that table out of %s",
						change->id, table, change->relation)));
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

	/* who has set a time of grace has said for how long they may */
	if (change->grace_until != 0 && change->uses < 0)
		return;
	if (change->uses >= 0)
	{
		int64		uses = count_uses(change->relid);

		if (uses < change->uses || uses_were_reset(change))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BREAKS_CLIENT),
					 errmsg("contract: clients may have used %s since change " INT64_FORMAT " has started, as the counters that would tell were reset: make sure that none does, or SELECT migrate.contract(" INT64_FORMAT ", force := true)",
							change->old_shape, change->id, change->id)));
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

/* Other changes of the table go on afterwards. */
static void
run_contract(const Change *change, const List *script)
{
	Task	   *task = task_read(change->id);
	List	   *witness = take_witness(task);

	run_change_as_one(script,
					  psprintf("SELECT migrate.contract(" INT64_FORMAT ")",
							   change->id));
	note_lost(task, witness);
	task_write_made(task);
}
