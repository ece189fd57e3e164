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
#include "preserve/changed_rows.h"
#include "restore/later_writes.h"
#include "restore/restored_rows.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

struct RestoredRows
{
	const RestoreTarget *target;
	HTAB	   *relations;
	RowConflict on_conflict;
	List	   *later;			/* of LaterWrites */
	List	   *relids;
};

static bool is_merged(const RestoredRows *rows,
					  const RestoredRelation *relation);
static void revert_changes(RestoredRows *rows);
static bool change_counts(HTAB *relations, Oid relid, Oid filenode);

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
	List	   *relids = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT DISTINCT r.relid::bigint "
				  "FROM migrate.changed_rows_relation r "
				  "JOIN pg_catalog.pg_class t "
				  "ON t.oid OPERATOR(pg_catalog.=) r.relid "
				  "WHERE r.id IN (SELECT c.id " CHANGES_SINCE ") ORDER BY 1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);

		relids = lappend_oid(relids, (Oid) own_bigint_column(i, 1));
		MemoryContextSwitchTo(spi);
	}
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
	List	   *xids = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT DISTINCT x::text::bigint FROM ("
				  "SELECT c.xid::xid OPERATOR(pg_catalog.||) c.subxids AS xids "
				  CHANGES_SINCE
				  "UNION ALL SELECT s.xid::xid OPERATOR(pg_catalog.||) s.subxids "
				  "FROM migrate.parked_storage s, migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 AND s.by_migration "
				  "AND NOT pg_catalog.pg_visible_in_snapshot(s.xid, "
				  "p.data_snapshot)) t, pg_catalog.unnest(t.xids) x",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);

		xids = lappend_oid(xids, (Oid) own_bigint_column(i, 1));
		MemoryContextSwitchTo(spi);
	}
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
	List	   *xids = NIL;
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *merged = NIL;
	ListCell   *cell;

	rows->target = target;
	rows->relations = relations;
	rows->on_conflict = on_conflict;
	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice == STORAGE_PARKED && relation->is != NULL &&
			relation->main_relid == relation->relid)
			rows->relids = lappend_oid(rows->relids, relation->relid);
		if (is_merged(rows, relation))
			merged = lappend(merged, relation);
	}
	if (merged != NIL)
		xids = migration_xids_since(target);
	foreach(cell, merged)
	{
		LaterWrites *later = collect_later_writes(target, lfirst(cell), xids);

		if (later != NULL)
			rows->later = lappend(rows->later, later);
	}
	return rows;
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
restore_rows(RestoredRows *rows)
{
	int			level = NewGUCNestLevel();
	ListCell   *cell;

	(void) set_config_option("session_replication_role", "replica",
							 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	if (rows->target->is_whole)
		revert_changes(rows);
	foreach(cell, rows->later)
	{
		const LaterWrites *later = lfirst(cell);

		write_later_writes(later, rows->on_conflict);
		rows->relids = list_append_unique_oid(rows->relids, later->relid);
	}
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
	run_own_query("SELECT DISTINCT r.relid::bigint, r.filenode::bigint "
				  "FROM migrate.changed_rows_relation r "
				  "WHERE r.id IN (SELECT c.id " CHANGES_SINCE ") ORDER BY 1, 2",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		RevertedFile *file = palloc0(sizeof(RevertedFile));

		file->relid = (Oid) own_bigint_column(i, 1);
		file->filenode = (Oid) own_bigint_column(i, 2);
		if (change_counts(relations, file->relid, file->filenode))
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
 * comes back in place of it.
 */
static bool
change_counts(HTAB *relations, Oid relid, Oid filenode)
{
	RestoredRelation *relation = find_restored_relation(relations, relid);

	if (relation == NULL || relation->was == NULL)
		return false;
	return relation->choice != STORAGE_PARKED ||
		relation->parked->filenode == filenode;
}
