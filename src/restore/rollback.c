/*-------------------------------------------------------------------------
 *
 * rollback.c
 *	  CALL migrate.rollback_to(): going back to a restore point.
 *
 * Everything happens in one transaction.  What is long is done before the
 * locks are taken.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/fault.h"
#include "common/own_tables.h"
#include "drift/catalog_state.h"
#include "drift/fingerprint.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "preserve/point.h"
#include "preserve/preserve.h"
#include "restore/catalog_diff.h"
#include "restore/catalog_restore.h"
#include "restore/changed_table.h"
#include "restore/constraints.h"
#include "restore/enum_values.h"
#include "restore/label_manifest.h"
#include "restore/label_rows.h"
#include "restore/later_indexes.h"
#include "restore/owner_sql.h"
#include "restore/restored_rows.h"
#include "restore/rollback.h"
#include "restore/rolled_back.h"
#include "restore/sequences.h"
#include "run/run.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

/* What the user has asked for. */
typedef struct RollbackRequest
{
	const char *label;
	RollbackMode mode;
	RowConflict on_conflict;
	char	   *way_back;		/* label of the point that is made before */
} RollbackRequest;

static void rollback_to(int nargs, const ProcedureArgument *args);
static void read_arguments(RollbackRequest *request, int nargs,
						   const ProcedureArgument *args);
static const char *argument(int nargs, const ProcedureArgument *args,
							int number, const char *needed);
static void roll_back_under_lock(RollbackRequest *request);
static List *roll_back(RollbackRequest *request);
static void look_at_problem(const RollbackRequest *request,
							const RestoreTarget *target);
static void tell_of_subscribers(List *relids);
static void mark_indexes(const List *indexes, bool is_valid);
static HTAB *compare_and_lock(const RestoreTarget *target, List **differences);
static List *all_tables_to_lock(const RestoreTarget *target, HTAB *relations);
static void refuse_tables_of_others(const RestoreTarget *target,
									HTAB *relations);
static List *new_tables_with_rows(HTAB *relations);
static bool file_has_bytes(const char *path);
static void refuse_unknown(const char *label);
static void keep_new_fingerprint(void);

/*
 * See rollback.h.
 */
void
register_rollback_procedures(void)
{
	register_top_level_procedure("rollback_to", rollback_to);
}

/*
 * The hook calls this with a transaction open and wants one open again.
 */
static void
rollback_to(int nargs, const ProcedureArgument *args)
{
	RollbackRequest request;

	PreventCommandDuringRecovery("CALL migrate.rollback_to()");
	PreventCommandIfReadOnly("CALL migrate.rollback_to()");
	read_arguments(&request, nargs, args);
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();

	MemoryContextSwitchTo(PortalContext);
	roll_back_under_lock(&request);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(PortalContext);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	ereport(NOTICE,
			(errmsg("rolled back to restore point \"%s\"; the way back from here is restore point \"%s\"",
					request.label, request.way_back)));
}

static void
read_arguments(RollbackRequest *request, int nargs,
			   const ProcedureArgument *args)
{
	const char *mode;
	const char *on_conflict;

	request->label = argument(nargs, args, 0,
							  "the label of a restore point, not NULL: see migrate.restore_points");
	mode = argument(nargs, args, 1,
					"a mode, not NULL: it is \"keep\" (what clients have written since) or \"as_of\"");
	on_conflict = argument(nargs, args, 2,
						   "an on_conflict that is not NULL: it is \"refuse\", \"keep\" (what clients have written) or \"restore\"");
	if (mode == NULL || strcmp(mode, "keep") == 0)
		request->mode = ROLLBACK_KEEP;
	else if (strcmp(mode, "as_of") == 0)
		request->mode = ROLLBACK_AS_OF;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no mode \"%s\" of a rollback: it is \"keep\" (what clients have written since) or \"as_of\"",
						mode)));
	if (on_conflict == NULL || strcmp(on_conflict, "refuse") == 0)
		request->on_conflict = ROW_CONFLICT_REFUSE;
	else if (strcmp(on_conflict, "keep") == 0)
		request->on_conflict = ROW_CONFLICT_KEEP;
	else if (strcmp(on_conflict, "restore") == 0)
		request->on_conflict = ROW_CONFLICT_RESTORE;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict cannot be \"%s\": it is \"refuse\", \"keep\" (what clients have written) or \"restore\"",
						on_conflict)));
	if (request->mode == ROLLBACK_AS_OF)
		request->on_conflict = ROW_CONFLICT_RESTORE;
}

/* NULL if it is not given. */
static const char *
argument(int nargs, const ProcedureArgument *args, int number,
		 const char *needed)
{
	if (number >= nargs)
		return NULL;
	if (args[number].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("migrate.rollback_to() needs %s", needed)));
	return args[number].value;
}

static void
roll_back_under_lock(RollbackRequest *request)
{
	MemoryContext context = CurrentMemoryContext;

	lock_ledger_for_session();
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		build_later_indexes(roll_back(request));
		keep_new_fingerprint();
	}
	PG_FINALLY();
	{
		unlock_ledger_for_session();
	}
	PG_END_TRY();
}

/* Returns the indexes that are to be built yet, in the caller's context. */
static List *
roll_back(RollbackRequest *request)
{
	MemoryContext context;
	RestoreTarget *target;
	HTAB	   *relations;
	HTAB	   *owned_data;
	List	   *differences;
	List	   *indexes;
	RestoredRows *rows;
	LabelManifest *manifest;
	MemoryContext caller = CurrentMemoryContext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	(void) begin_exact_text();
	context = AllocSetContextCreate(TopTransactionContext,
									"safe_migrate rollback",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	target = hold_restore_target(request->label, request->mode, false);
	require_no_tasks(target);
	look_at_problem(request, target);
	if (request->on_conflict != ROW_CONFLICT_RESTORE)
		require_no_later_contracts(target);

	/* made before others have to wait */
	request->way_back = MemoryContextStrdup(caller,
											unused_label("before rollback"));
	(void) make_restore_point(request->way_back, POINT_ROLLBACK);
	note_rollback_in_transaction(target->point);

	manifest = read_label_manifest(target);
	relations = choose_storage(target);
	refuse_lost_files(target, relations);
	if (request->mode == ROLLBACK_KEEP &&
		request->on_conflict != ROW_CONFLICT_RESTORE)
		refuse_tables_of_others(target, relations);
	owned_data = read_owned_data(target);
	rows = begin_restored_rows(target, relations, request->on_conflict);
	relations = compare_and_lock(target, &differences);
	reach_fault_point("rollback_locked");

	/* nothing out of line can be read, or deleted, without */
	PushActiveSnapshot(GetTransactionSnapshot());
	catch_up_restored_rows(rows, relations);
	indexes = restore_catalogs(differences, relations);
	reach_fault_point("rollback_catalogs");
	restore_rows(rows, differences);
	enforce_indexes(relations);
	remove_enum_values(differences);
	restore_sequences(target, owned_data, restored_relids(rows));
	check_constraints(differences, relations, restored_relids(rows));
	mark_indexes(indexes, true);
	compare_manifest_with_label(target, manifest, differences, relations);
	mark_indexes(indexes, false);
	record_rollback(target, merged_relids(rows));
	tell_of_subscribers(relations_with_other_file(relations));
	PopActiveSnapshot();
	reach_fault_point("rollback_done");
	MemoryContextSwitchTo(caller);
	indexes = list_copy(indexes);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return indexes;
}

/* Something was not kept: that must be meant. */
static void
look_at_problem(const RollbackRequest *request, const RestoreTarget *target)
{
	if (target->is_complete)
		return;
	if (request->on_conflict == ROW_CONFLICT_REFUSE)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("restore point \"%s\" is not complete: %s; say on_conflict := 'keep' or 'restore', or use mode 'as_of', to go back without that",
						target->label, target->problem)));
	ereport(WARNING,
			(errmsg("restore point \"%s\" is not complete: %s",
					target->label, target->problem)));
}

/*
 * A table that gets another file is decoded neither as deleted nor as inserted
 * rows.
 */
static void
tell_of_subscribers(List *relids)
{
	ListCell   *cell;

	foreach(cell, relids)
	{
		OwnAccess	access;
		OwnArguments arguments = {0};
		Oid			relid = lfirst_oid(cell);
		bool		is_published;

		add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
		begin_own_access(&access);
		run_own_query("SELECT EXISTS (SELECT FROM pg_catalog.pg_publication p, "
					  "LATERAL pg_catalog.pg_get_publication_tables(p.pubname) t "
					  "WHERE t.relid OPERATOR(pg_catalog.=) $1)",
					  &arguments, SPI_OK_SELECT);
		is_published = own_bool_column(0, 1);
		end_own_access(&access);
		if (is_published)
			ereport(WARNING,
					(errmsg("table %s is published: subscribers do not see that its file was replaced; have them copy it again",
							relation_display_name(relid))));
	}
}

/* Only the definitions are compared while they are not built. */
static void
mark_indexes(const List *indexes, bool is_valid)
{
	ListCell   *cell;

	foreach(cell, indexes)
		mark_index(lfirst_oid(cell), is_valid);
	CommandCounterIncrement();
}

/*
 * Compare, lock what has to be locked, and compare again if somebody has
 * changed the schema meanwhile.
 */
static HTAB *
compare_and_lock(const RestoreTarget *target, List **differences)
{
	List	   *locked = NIL;

	for (;;)
	{
		char	   *before = catalog_state();
		HTAB	   *relations = choose_storage(target);
		List	   *tables;

		refuse_lost_files(target, relations);
		*differences = compare_catalogs_with_label(target, relations);
		tables = all_tables_to_lock(target, relations);
		if (list_difference_oid(tables, locked) != NIL)
		{
			locked = list_concat_unique_oid(locked, tables);
			list_sort(locked, list_oid_cmp);
			lock_relations_patiently(CMDTAG_CALL, "migrate.rollback_to()",
									 locked, AccessExclusiveLock);
		}
		if (strcmp(before, catalog_state()) == 0)
			return relations;
	}
}

static List *
all_tables_to_lock(const RestoreTarget *target, HTAB *relations)
{
	List	   *tables = tables_to_lock(relations);

	tables = list_concat_unique_oid(tables, tables_with_changed_rows(target));
	list_sort(tables, list_oid_cmp);
	return tables;
}

/*
 * See rollback.h.
 */
void
refuse_lost_files(const RestoreTarget *target, HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	StringInfoData names;
	int			count = 0;

	initStringInfo(&names);
	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		refuse_changed_table(target, relation);
		if (relation->choice != STORAGE_LOST || relation->is_toast)
			continue;
		appendStringInfo(&names, "%s%s", count++ ? ", " : "",
						 quote_identifier(NameStr(((Form_pg_class) GETSTRUCT(relation->was))->relname)));
	}
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg_plural("cannot roll back to restore point \"%s\": the data of relation %s was not kept",
							   "cannot roll back to restore point \"%s\": the data of relations %s was not kept",
							   count, target->label, names.data),
				 errdetail("It was dropped, emptied or rewritten while safe_migrate.restore_points was off, or was unlogged when the server crashed."),
				 errhint("Go back to a later restore point, or restore it from a backup.")));
}

/*
 * Tables that somebody has made since, and not a migration, have later writes
 * that nothing would keep.
 */
static void
refuse_tables_of_others(const RestoreTarget *target, HTAB *relations)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *others;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	add_own_text_list(&arguments, new_tables_with_rows(relations));
	begin_own_access(&access);
	run_own_query("SELECT pg_catalog.string_agg(n, ', ') "
				  "FROM pg_catalog.unnest($2) n WHERE EXISTS ("
				  "SELECT FROM migrate.ddl_log d, migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 "
				  "AND migrate.is_since(d.transaction, p.creator, "
				  "p.data_snapshot) AND ('table ' OPERATOR(pg_catalog.||) n) "
				  "OPERATOR(pg_catalog.=) ANY (d.objects))",
				  &arguments, SPI_OK_SELECT);
	others = own_text_column(&access, 0, 1);
	end_own_access(&access);
	if (others != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back to restore point \"%s\" and keep later writes: tables that no migration has made would go with their rows: %s; say on_conflict := 'restore', or use mode 'as_of', to remove them",
						target->label, others)));
}

/* Their names, as char *. */
static List *
new_tables_with_rows(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *names = NIL;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		char	   *path;

		if (relation->choice != STORAGE_REMOVED ||
			((Form_pg_class) GETSTRUCT(relation->is))->relkind !=
			RELKIND_RELATION)
			continue;
		path = compat_relation_path((Form_pg_class) GETSTRUCT(relation->is));
		if (file_has_bytes(path))
			names = lappend(names, relation_display_name(relation->relid));
	}
	return names;
}

/* Without a lock on the table: it may go meanwhile. */
static bool
file_has_bytes(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_size > 0;
}

/*
 * See rollback.h.
 */
RestoreTarget *
find_restore_target(const char *label, RollbackMode mode)
{
	RestoreTarget *target = palloc0(sizeof(RestoreTarget));
	OwnAccess	access;
	OwnArguments arguments = {0};
	char	   *catalog_version = NULL;

	target->label = pstrdup(label);
	target->mode = mode;
	target->rows = begin_label_rows();
	add_own_text(&arguments, label);
	begin_own_access(&access);
	run_own_query("SELECT id, kind OPERATOR(pg_catalog.<>) 'statement', "
				  "catalog_version, is_complete, problem, "
				  "ledger_position, creator::pg_catalog.text::bigint, "
				  "data_snapshot::pg_catalog.text FROM migrate.restore_point_data "
				  "WHERE label OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed == 1)
	{
		target->point = own_bigint_column(0, 1);
		target->is_whole = own_bool_column(0, 2);
		catalog_version = own_text_column(&access, 0, 3);
		target->is_complete = own_bool_column(0, 4);
		target->problem = own_text_column(&access, 0, 5);
		target->ledger_position = own_bigint_column(0, 6);
		target->creator = FullTransactionIdFromU64(own_bigint_column(0, 7));
		target->snapshot = own_text_column(&access, 0, 8);
	}
	end_own_access(&access);
	if (target->point == 0)
		refuse_unknown(label);
	if (strcmp(catalog_version, catalog_version_in_words()) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("restore point \"%s\" was made by another version of PostgreSQL, and cannot be used any more: drop it with SELECT migrate.drop_restore_point(%s)",
						label, quote_literal_cstr(label))));
	return target;
}

/*
 * See rollback.h.  Without its image, a point would be taken for one of an empty
 * database.
 */
RestoreTarget *
hold_restore_target(const char *label, RollbackMode mode, bool exclusively)
{
	RestoreTarget *target = find_restore_target(label, mode);

	if (!hold_restore_point(target->point, exclusively))
		refuse_unknown(label);
	return target;
}

static void
refuse_unknown(const char *label)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("there is no restore point \"%s\": see migrate.restore_points for those that are kept",
					label)));
}

/*
 * The rollback is no drift.  In a transaction of its own: nobody has to wait
 * for it.
 */
static void
keep_new_fingerprint(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	keep_fingerprint();
	CommitTransactionCommand();
}
