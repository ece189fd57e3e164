/*-------------------------------------------------------------------------
 *
 * restored_rows.c
 *	  The rows that a rollback brings back, changes back, and keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lock/lock.h"
#include "preserve/changed_rows.h"
#include "restore/column_values.h"
#include "restore/empty_values.h"
#include "restore/later_values.h"
#include "restore/later_writes.h"
#include "restore/old_shapes.h"
#include "restore/restored_rows.h"
#include "restore/silence.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

struct RestoredRows
{
	const RestoreTarget *target;
	HTAB	   *relations;
	RowConflict on_conflict;
	List	   *before;			/* of LaterWrites that are written already */
	List	   *later;			/* and of those that are not */
	List	   *empty_values;
	List	   *relids;
	List	   *merged;			/* tables whose later writes are brought over */
};

static bool is_merged(const RestoredRows *rows,
					  const RestoredRelation *relation);
static LaterWrites *collect(RestoredRows *rows,
							const RestoredRelation *relation);
static void refuse_migrated_rows(const RestoredRows *rows,
								 const RestoredRelation *relation);
static bool file_has_changes(const RestoreTarget *target,
							 const RevertedFile *file);
static List *merged_relations(const RestoredRows *rows);
static List *rollbacks_of_rows(const RestoreTarget *target, Oid relid);
static void revert_changes(RestoredRows *rows);
static bool change_counts(HTAB *relations, RevertedFile *file, uint64 xid);

/*
 * See restored_rows.h.
 */
List *
tables_with_changed_rows(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *relids;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT DISTINCT r.relid "
				  "FROM migrate.changed_rows_relation r "
				  "JOIN pg_catalog.pg_class t "
				  "ON t.oid OPERATOR(pg_catalog.=) r.relid "
				  "WHERE r.id OPERATOR(pg_catalog.=) ANY (SELECT migrate.changes_since($1)) ORDER BY 1",
				  &arguments, SPI_OK_SELECT);
	relids = own_oid_column(&access, 1);
	end_own_access(&access);
	return relids;
}

/*
 * See restored_rows.h.
 */
List *
changes_since(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *ids = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT c FROM migrate.changes_since($1) c ORDER BY c DESC",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		int64	   *id = palloc(sizeof(int64));

		*id = own_bigint_column(i, 1);
		ids = lappend(ids, id);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return ids;
}

/*
 * See restored_rows.h.
 */
List *
other_writers_since(const RestoreTarget *target, Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *xids;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	begin_own_access(&access);
	run_own_query("SELECT DISTINCT x::pg_catalog.text::pg_catalog.oid "
				  "FROM migrate.restore_point_data p, LATERAL ("
				  "SELECT c.xid, c.subxids FROM migrate.changed_rows c "
				  "WHERE NOT c.by_rollback UNION ALL "
				  "SELECT f.xid, f.subxids FROM migrate.replaced_files f "
				  "WHERE f.relid OPERATOR(pg_catalog.=) $2 "
				  "AND NOT f.by_rollback) w, LATERAL pg_catalog.unnest("
				  "w.xid::pg_catalog.xid OPERATOR(pg_catalog.||) w.subxids) x "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 "
				  "AND migrate.is_since(w.xid, p.creator, p.data_snapshot)",
				  &arguments, SPI_OK_SELECT);
	xids = own_oid_column(&access, 1);
	end_own_access(&access);
	return xids;
}

/*
 * See restored_rows.h.
 */
RestoredRows *
begin_restored_rows(const RestoreTarget *target, HTAB *relations,
					RowConflict on_conflict)
{
	RestoredRows *rows = palloc0(sizeof(RestoredRows));
	List	   *merged;
	ListCell   *cell;

	rows->target = target;
	rows->relations = relations;
	rows->on_conflict = on_conflict;
	rows->empty_values = find_empty_values(target, relations);
	merged = merged_relations(rows);
	if (merged == NIL)
		return rows;
	lock_relations_patiently(CMDTAG_CALL, "migrate.rollback_to()",
							 merged, ShareUpdateExclusiveLock);
	foreach(cell, merged)
	{
		RestoredRelation *relation = find_restored_relation(relations,
															lfirst_oid(cell));
		LaterWrites *later = collect(rows, relation);

		if (write_before_lock(later, target, relations, on_conflict))
			rows->before = lappend(rows->before, later);
		else
			drop_later_writes(later);
	}
	return rows;
}

/* What clients have written, if it can be kept. */
static LaterWrites *
collect(RestoredRows *rows, const RestoredRelation *relation)
{
	LaterWrites *later = collect_later_writes(rows->target, relation,
											  other_writers_since(rows->target,
																  relation->relid));

	refuse_ambiguous_rows(later, rows->target, rows->on_conflict);
	refuse_unknown_values(later);
	refuse_migrated_rows(rows, relation);
	rows->merged = list_append_unique_oid(rows->merged, relation->relid);
	return later;
}

/*
 * A row that a migration has changed in the file that goes, and a client again,
 * is brought over with the values of both.
 */
static void
refuse_migrated_rows(const RestoredRows *rows,
					 const RestoredRelation *relation)
{
	int64		count;

	if (rows->on_conflict == ROW_CONFLICT_KEEP)
		return;
	count = count_migrated_rows(rows->target, relation);
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back to restore point \"%s\": " INT64_FORMAT " rows of %s were changed by a migration after it was rewritten, and by clients again; say on_conflict := 'keep' to keep them as they are, or use mode 'as_of'",
						rows->target->label, count,
						relation_display_name(relation->relid))));
}

/*
 * See restored_rows.h.
 */
int64
count_migrated_rows(const RestoreTarget *target,
					const RestoredRelation *relation)
{
	RevertedFile *file = palloc0(sizeof(RevertedFile));

	file->relid = file->place = relation->relid;
	file->filenode = ((Form_pg_class) GETSTRUCT(relation->is))->relfilenode;
	if (!file_has_changes(target, file))
		return 0;
	file->rollbacks = rollbacks_of_rows(target, relation->relid);
	revert_rows(changes_since(target), list_make1(file), ROW_CONFLICT_KEEP,
				true);
	return file->conflicts;
}

static bool
file_has_changes(const RestoreTarget *target, const RevertedFile *file)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	bool		result;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(file->relid), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(file->filenode),
					 false);
	begin_own_access(&access);
	run_own_query("SELECT EXISTS (SELECT FROM migrate.changed_rows_relation r "
				  "WHERE r.relid OPERATOR(pg_catalog.=) $2 "
				  "AND r.filenode OPERATOR(pg_catalog.=) $3 "
				  "AND r.id OPERATOR(pg_catalog.=) ANY (SELECT migrate.changes_since($1)))",
				  &arguments, SPI_OK_SELECT);
	result = own_bool_column(0, 1);
	end_own_access(&access);
	return result;
}

/* By OID. */
static List *
merged_relations(const RestoredRows *rows)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *relids = NIL;

	hash_seq_init(&all, rows->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (is_merged(rows, relation))
			relids = lappend_oid(relids, relation->relid);
	}
	list_sort(relids, list_oid_cmp);
	return relids;
}

/*
 * See restored_rows.h.  relations is what they are by now.
 */
void
catch_up_restored_rows(RestoredRows *rows, HTAB *relations)
{
	List	   *merged;
	ListCell   *cell;

	rows->relations = relations;
	rows->relids = relations_with_other_file(relations);
	catch_up_empty_values(rows->empty_values);
	merged = merged_relations(rows);
	foreach(cell, rows->before)
	{
		LaterWrites *later = lfirst(cell);

		catch_up_later_writes(later);
		merged = list_delete_oid(merged, later->relid);

		/* its keys are those that it has had all the time */
		rows->relids = list_delete_oid(rows->relids, later->relid);
	}
	foreach(cell, merged)
	{
		LaterWrites *later = collect(rows,
									 find_restored_relation(relations, lfirst_oid(cell)));

		rows->later = lappend(rows->later, later);
	}
}

/*
 * See restored_rows.h.
 */
List *
relations_with_other_file(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *relids = NIL;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice == STORAGE_PARKED && relation->is != NULL &&
			relation->main_relid == relation->relid)
			relids = lappend_oid(relids, relation->relid);
	}
	return relids;
}

/* What a materialized view shows is not written by clients. */
static bool
is_merged(const RestoredRows *rows, const RestoredRelation *relation)
{
	return rows->target->mode == ROLLBACK_KEEP &&
		relation->choice == STORAGE_PARKED && relation->is != NULL &&
		relation->main_relid == relation->relid &&
		((Form_pg_class) GETSTRUCT(relation->was))->relkind ==
		RELKIND_RELATION;
}

/*
 * See restored_rows.h.
 */
void
restore_rows(RestoredRows *rows, List *differences)
{
	int			level = NewGUCNestLevel();
	List	   *silenced = silence_tables(rows->relations);
	ListCell   *cell;

	(void) set_config_option("session_replication_role", "replica",
							 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	foreach(cell, rows->later)
	{
		const LaterWrites *later = lfirst(cell);

		write_later_writes(later, rows->on_conflict);
		release_later_writes(later);
		rows->relids = list_append_unique_oid(rows->relids, later->relid);
	}
	foreach(cell, rows->before)
	{
		check_later_writes(lfirst(cell));
		release_later_writes(lfirst(cell));
	}
	if (rows->target->is_whole)
		revert_changes(rows);
	rows->relids = fill_old_shapes(differences, rows->relations, rows->relids);
	rows->relids = fill_column_values(differences, rows->relations,
									  rows->empty_values, rows->relids,
									  rows->on_conflict);
	end_silence(silenced);
	AtEOXact_GUC(false, level);
}

static void
revert_changes(RestoredRows *rows)
{
	List	   *files = changed_files(rows->target, rows->relations);
	ListCell   *cell;

	if (files == NIL)
		return;
	revert_rows(changes_since(rows->target), files, rows->on_conflict, false);
	foreach(cell, files)
		rows->relids = list_append_unique_oid(rows->relids,
											  ((RevertedFile *) lfirst(cell))->relid);
}

/*
 * See restored_rows.h.
 */
List *
changed_files(const RestoreTarget *target, HTAB *relations)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *files = NIL;
	ListCell   *cell;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT r.relid::bigint, r.filenode::bigint, "
				  "pg_catalog.max(d.xid)::pg_catalog.text::bigint "
				  "FROM migrate.changed_rows_relation r "
				  "JOIN migrate.changed_rows d ON d.id OPERATOR(pg_catalog.=) r.id "
				  "WHERE r.id OPERATOR(pg_catalog.=) ANY (SELECT migrate.changes_since($1)) "
				  "GROUP BY 1, 2 ORDER BY 1, 2",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		RevertedFile *file = palloc0(sizeof(RevertedFile));

		file->relid = (Oid) own_bigint_column(i, 1);
		file->filenode = (Oid) own_bigint_column(i, 2);
		if (change_counts(relations, file, (uint64) own_bigint_column(i, 3)))
			files = lappend(files, file);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	foreach(cell, files)
	{
		RevertedFile *file = lfirst(cell);

		file->rollbacks = rollbacks_of_rows(target, file->relid);
	}
	return files;
}

/* That have made the rows what they were; not where they brought others over. */
static List *
rollbacks_of_rows(const RestoreTarget *target, Oid relid)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *xids;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relid), false);
	begin_own_access(&access);
	run_own_query("SELECT b.xid::pg_catalog.xid::pg_catalog.text::pg_catalog.oid "
				  "FROM migrate.rollbacks_since($1) b "
				  "WHERE NOT $2 OPERATOR(pg_catalog.=) ANY (b.merged)",
				  &arguments, SPI_OK_SELECT);
	xids = own_oid_column(&access, 1);
	end_own_access(&access);
	return xids;
}

/*
 * See restored_rows.h.
 */
List *
restored_relids(const RestoredRows *rows)
{
	return rows->relids;
}

/*
 * See restored_rows.h.
 */
List *
merged_relids(const RestoredRows *rows)
{
	return rows->merged;
}

/*
 * What was done to a file does not count when the file of the restore point
 * comes back in place of it.  If that has been written anew with the same rows,
 * what was done before is in there.  xid is that of the last change; sets where
 * the rows are.
 */
static bool
change_counts(HTAB *relations, RevertedFile *file, uint64 xid)
{
	RestoredRelation *relation = find_restored_relation(relations,
														file->relid);

	if (relation == NULL || relation->was == NULL)
		return false;
	file->place = file->relid;
	if (relation->choice != STORAGE_PARKED)
		return true;
	file->place = relation->parked->holder;
	return relation->parked->filenode == file->filenode ||
		(relation->parked->filenode !=
		 ((Form_pg_class) GETSTRUCT(relation->was))->relfilenode &&
		 xid < U64FromFullTransactionId(relation->parked->xid));
}
