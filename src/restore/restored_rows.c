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
#include "common/own_tables.h"
#include "executor/spi.h"
#include "lock/lock.h"
#include "preserve/changed_rows.h"
#include "restore/column_values.h"
#include "restore/empty_values.h"
#include "restore/later_values.h"
#include "restore/later_writes.h"
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
	List	   *xids;			/* of migrations */
	List	   *empty_values;
	List	   *relids;
};

static bool is_merged(const RestoredRows *rows,
					  const RestoredRelation *relation);
static List *merged_relations(const RestoredRows *rows);
static void revert_changes(RestoredRows *rows);
static bool change_counts(HTAB *relations, RevertedFile *file, uint64 xid);

/*
 * Transactions that the snapshot of a restore point does not see; but not those
 * that a rollback has undone which went back to that point or to a later one,
 * nor that rollback: after it the rows were those of the point, and of clients.
 */
#define CHANGES_SINCE \
	"FROM migrate.changed_rows c, migrate.restore_point_data p " \
	"WHERE p.id OPERATOR(pg_catalog.=) $1 " \
	"AND NOT pg_catalog.pg_visible_in_snapshot(c.xid, p.data_snapshot) " \
	"AND NOT EXISTS (SELECT FROM migrate.rollbacks b WHERE (" \
	"b.target_creator OPERATOR(pg_catalog.=) p.creator " \
	"OR pg_catalog.pg_visible_in_snapshot(p.creator, b.target_snapshot)) " \
	"AND (c.xid OPERATOR(pg_catalog.=) b.xid " \
	"OR (c.id OPERATOR(pg_catalog.<=) b.last_change AND NOT " \
	"pg_catalog.pg_visible_in_snapshot(c.xid, b.target_snapshot)))) "

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
				  "WHERE r.id IN (SELECT c.id " CHANGES_SINCE ") ORDER BY 1",
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
	run_own_query("SELECT c.id " CHANGES_SINCE "ORDER BY c.id DESC",
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
migration_xids_since(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *xids;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT DISTINCT x::text::pg_catalog.oid FROM ("
				  "SELECT c.xid::xid OPERATOR(pg_catalog.||) c.subxids AS xids "
				  CHANGES_SINCE
				  "AND NOT c.by_rollback "
				  "UNION ALL SELECT s.xid::xid OPERATOR(pg_catalog.||) s.subxids "
				  "FROM migrate.parked_storage s, migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 AND s.by_migration "
				  "AND NOT EXISTS (SELECT FROM migrate.rollbacks b "
				  "WHERE b.xid OPERATOR(pg_catalog.=) s.xid) "
				  "AND NOT pg_catalog.pg_visible_in_snapshot(s.xid, "
				  "p.data_snapshot)) t, pg_catalog.unnest(t.xids) x",
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
	rows->xids = migration_xids_since(target);
	lock_relations_patiently(CMDTAG_CALL, "migrate.rollback_to()",
							 merged, ShareUpdateExclusiveLock);
	foreach(cell, merged)
	{
		RestoredRelation *relation = find_restored_relation(relations,
															lfirst_oid(cell));
		LaterWrites *later = collect_later_writes(target, relation,
												  rows->xids);

		refuse_ambiguous_rows(later, target, on_conflict);
		refuse_unknown_values(later);
		if (write_before_lock(later, target, relations, on_conflict))
			rows->before = lappend(rows->before, later);
		else
			drop_later_writes(later);
	}
	return rows;
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
	if (merged != NIL && rows->xids == NIL)
		rows->xids = migration_xids_since(rows->target);
	foreach(cell, merged)
	{
		LaterWrites *later = collect_later_writes(rows->target,
												  find_restored_relation(relations, lfirst_oid(cell)),
												  rows->xids);

		refuse_ambiguous_rows(later, rows->target, rows->on_conflict);
		refuse_unknown_values(later);
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
	fill_column_values(differences, rows->relations, rows->empty_values,
					   rows->relids);
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

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT r.relid::bigint, r.filenode::bigint, "
				  "pg_catalog.max(d.xid)::text::bigint "
				  "FROM migrate.changed_rows_relation r "
				  "JOIN migrate.changed_rows d ON d.id OPERATOR(pg_catalog.=) r.id "
				  "WHERE r.id IN (SELECT c.id " CHANGES_SINCE ") "
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
	return files;
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
