/*-------------------------------------------------------------------------
 *
 * rollback_plan.c
 *	  migrate.rollback_plan(): what a rollback would do.
 *
 * All is counted, nothing is estimated: it reads the tables that are
 * concerned, as a rollback would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_description.h"
#include "catalog/pg_namespace.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/subtransaction.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "preserve/catalog_image.h"
#include "restore/catalog_diff.h"
#include "restore/empty_values.h"
#include "restore/label_manifest.h"
#include "restore/later_writes.h"
#include "restore/owner_sql.h"
#include "restore/restored_rows.h"
#include "restore/rollback.h"
#include "restore/rows_between.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* A row of the plan; a count below 0 is none. */
typedef struct PlanRow
{
	const char *action;
	const char *object;
	int64		rows;
	int64		later_writes;
	int64		conflicts;
	int64		unrepresentable;
	const char *detail;
} PlanRow;

/* What the rows are made of. */
typedef struct Planner
{
	ReturnSetInfo *result;
	const RestoreTarget *target;
	HTAB	   *relations;
	List	   *changes;		/* of ManifestChange */
	List	   *differences;	/* of CatalogDifference */
	List	   *namespaces;		/* of HeapTuple: schemas, as they were */
	int			step;
} Planner;

/* Of a table, counted in a subtransaction that is rolled back. */
typedef struct LaterCount
{
	const RestoreTarget *target;
	const RestoredRelation *relation;
	int64		later_writes;
	int64		conflicts;
	int64		unrepresentable;
	bool		is_unsure;
} LaterCount;

static void plan_problem(Planner *planner);
static void plan_definitions(Planner *planner);
static void plan_comments(Planner *planner);
static void plan_other_changes(Planner *planner);
static bool is_planned(const Planner *planner, const char *table);
static void plan_files(Planner *planner);
static bool is_left_empty(const RestoredRelation *relation);
static void plan_empty_values(Planner *planner);
static void plan_file(Planner *planner, RestoredRelation *relation);
static const char *name_of_namespace(const Planner *planner, Oid namespace);
static bool count_later(void *arg);
static void plan_removed(Planner *planner);
static void plan_changed_rows(Planner *planner);
static void put_plan_row(Planner *planner, const PlanRow *row);
static int64 count_relation(Oid relid);

PG_FUNCTION_INFO_V1(migrate_rollback_plan);

/*
 * migrate.rollback_plan(label text)
 */
Datum
migrate_rollback_plan(PG_FUNCTION_ARGS)
{
	Planner		planner = {0};

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migrate.rollback_plan() needs the label of a restore point, not NULL: see migrate.restore_points")));
	planner.result = (ReturnSetInfo *) fcinfo->resultinfo;
	planner.target = find_restore_target(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										 ROLLBACK_KEEP);
	planner.relations = choose_storage(planner.target);
	planner.differences = compare_catalogs_with_label(planner.target,
													  planner.relations);
	plan_problem(&planner);
	plan_definitions(&planner);
	plan_comments(&planner);
	plan_other_changes(&planner);
	plan_files(&planner);
	plan_removed(&planner);
	plan_changed_rows(&planner);
	plan_empty_values(&planner);
	return (Datum) 0;
}

/* What was not kept when something was destroyed. */
static void
plan_problem(Planner *planner)
{
	PlanRow		row = {"cannot bring back", planner->target->label, -1, -1, -1, -1};

	if (planner->target->is_complete)
		return;
	row.detail = planner->target->problem;
	put_plan_row(planner, &row);
}

static void
plan_definitions(Planner *planner)
{
	ListCell   *cell;

	planner->changes = manifest_changes(read_label_manifest(planner->target));
	foreach(cell, planner->changes)
	{
		const ManifestChange *change = lfirst(cell);
		PlanRow		row = {change->action, NULL, -1, -1, -1, -1};

		row.object = psprintf("%s %s", change->kind, change->identity);
		put_plan_row(planner, &row);
	}
}

/* A definition is without its comment. */
static void
plan_comments(Planner *planner)
{
	List	   *objects = NIL;
	ListCell   *cell;

	foreach(cell, planner->differences)
	{
		const CatalogDifference *difference = lfirst(cell);
		ListCell   *row;

		if (difference->catalog->relid != DescriptionRelationId)
			continue;
		foreach(row, list_concat_copy(difference->gone, difference->added))
		{
			Form_pg_description form = (Form_pg_description) GETSTRUCT((HeapTuple) lfirst(row));
			ObjectAddress object = {form->classoid, form->objoid,
			form->objsubid};
			char	   *name = getObjectDescription(&object, true);

			if (name != NULL && !name_is_listed(objects, name))
				objects = lappend(objects, name);
		}
	}
	foreach(cell, objects)
	{
		PlanRow		row = {"change comment back", lfirst(cell), -1, -1, -1, -1};

		put_plan_row(planner, &row);
	}
}

/* Tables of which something changes back that no definition shows. */
static void
plan_other_changes(Planner *planner)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *tables = NIL;
	ListCell   *cell;

	hash_seq_init(&all, planner->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		RestoredRelation *table = main_relation(planner->relations, relation);

		if (relation->changed && table->was != NULL && table->is != NULL)
			tables = list_append_unique_oid(tables, table->relid);
	}
	list_sort(tables, list_oid_cmp);
	foreach(cell, tables)
	{
		PlanRow		row = {"change back", NULL, -1, -1, -1, -1};
		char	   *table = relation_display_name(lfirst_oid(cell));

		if (is_planned(planner, table))
			continue;
		row.object = psprintf("table %s", table);
		row.detail = "what its definition does not show, such as the state of internal triggers, or a comment";
		put_plan_row(planner, &row);
	}
}

static bool
is_planned(const Planner *planner, const char *table)
{
	ListCell   *cell;

	foreach(cell, planner->changes)
	{
		if (strstr(((ManifestChange *) lfirst(cell))->identity, table) != NULL)
			return true;
	}
	return false;
}

static void
plan_files(Planner *planner)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *restored = NIL;
	ListCell   *cell;

	hash_seq_init(&all, planner->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->main_relid == relation->relid &&
			(relation->choice == STORAGE_PARKED ||
			 relation->choice == STORAGE_LOST || is_left_empty(relation)))
			restored = lappend(restored, relation);
	}
	if (restored == NIL)
		return;
	planner->namespaces = load_catalog_rows(planner->target->point,
											NamespaceRelationId);
	foreach(cell, restored)
		plan_file(planner, lfirst(cell));
}

static void
plan_file(Planner *planner, RestoredRelation *relation)
{
	Form_pg_class was = (Form_pg_class) GETSTRUCT(relation->was);
	PlanRow		row = {"put data back", NULL, -1, -1, -1, -1};
	LaterCount	later = {planner->target, relation};
	ErrorData  *error;

	row.object = quote_qualified_identifier(name_of_namespace(planner,
															  was->relnamespace),
											NameStr(was->relname));
	if (relation->choice == STORAGE_LOST)
	{
		row.action = "cannot bring back";
		row.detail = "its data was not kept: it was dropped, emptied or rewritten while safe_migrate.restore_points was off";
		put_plan_row(planner, &row);
		return;
	}
	if (is_left_empty(relation))
	{
		row.action = "leave emptied";
		row.rows = count_relation(relation->left_aside->holder);
		row.detail = "TRUNCATE outside of a migration is a later write like any other: mode as_of brings the rows back";
		put_plan_row(planner, &row);
		return;
	}
	row.detail = psprintf("was %s", relation->parked->cause);
	if (was->relkind == RELKIND_RELATION)
	{
		row.rows = count_relation(relation->parked->holder);
		if (relation->is != NULL)
		{
			error = run_in_subtransaction(count_later, &later);
			row.later_writes = later.later_writes;
			row.conflicts = later.conflicts;
			row.unrepresentable = later.unrepresentable;
			if (error != NULL)
				row.detail = psprintf("%s; %s", row.detail, error->message);
			else if (later.is_unsure)
				row.detail = psprintf("%s, by more than one migration: what clients have written between them is not known",
									  row.detail);
		}
	}
	put_plan_row(planner, &row);
}

/* In mode keep. */
static bool
is_left_empty(const RestoredRelation *relation)
{
	return relation->choice == STORAGE_KEPT &&
		relation->left_aside != NULL && relation->left_aside->emptied;
}

/* What the statement of a point has left alone is called as it is now. */
static const char *
name_of_namespace(const Planner *planner, Oid namespace)
{
	ListCell   *cell;

	foreach(cell, planner->namespaces)
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT((HeapTuple) lfirst(cell));

		if (form->oid == namespace)
			return NameStr(form->nspname);
	}
	return get_namespace_name(namespace);
}

/* What it copies is rolled back. */
static bool
count_later(void *arg)
{
	LaterCount *count = arg;
	int			level = begin_exact_text();
	LaterWrites *later = collect_later_writes(count->target, count->relation,
											  other_writers_since(count->target,
																  count->relation->relid));

	count->later_writes = later->changed_rows + later->gone_rows;
	count->conflicts = count_later_conflicts(later) + later->unknown_rows +
		count_migrated_rows(count->target, count->relation) +
		count_rows_between(later, count->target);
	if (rows_are_ambiguous(later, count->target))
		count->conflicts += later->gone_rows;
	count->is_unsure = file_between_is_lost(later, count->target);
	count->unrepresentable = count_unrepresentable(later);
	AtEOXact_GUC(false, level);
	release_later_writes(later);
	return false;
}

/* Tables that are new since go with what is in them. */
static void
plan_removed(Planner *planner)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *removed = NIL;
	ListCell   *cell;

	hash_seq_init(&all, planner->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice == STORAGE_REMOVED &&
			relation->main_relid == relation->relid &&
			((Form_pg_class) GETSTRUCT(relation->is))->relkind ==
			RELKIND_RELATION)
			removed = lappend(removed, relation);
	}
	foreach(cell, removed)
	{
		PlanRow		row = {"remove table with its data", NULL, -1, -1, -1, -1};

		relation = lfirst(cell);
		row.object = relation_display_name(relation->relid);
		row.rows = count_relation(relation->relid);
		row.detail = "kept for the restore point of the rollback";
		put_plan_row(planner, &row);
	}
}

static void
plan_changed_rows(Planner *planner)
{
	List	   *files = changed_files(planner->target, planner->relations);
	ListCell   *cell;

	if (files == NIL)
		return;
	revert_rows(changes_since(planner->target), files,
				ROW_CONFLICT_KEEP, true);
	foreach(cell, files)
	{
		const RevertedFile *file = lfirst(cell);
		PlanRow		row = {"change rows back", NULL, -1, -1, -1, -1};

		row.object = relation_display_name(file->relid);
		row.rows = file->updated + file->deleted + file->inserted;
		row.conflicts = file->conflicts;
		row.detail = psprintf(INT64_FORMAT " updated, " INT64_FORMAT " deleted, " INT64_FORMAT " inserted",
							  file->updated, file->deleted, file->inserted);
		put_plan_row(planner, &row);
	}
}

static void
plan_empty_values(Planner *planner)
{
	ListCell   *cell;

	foreach(cell, count_empty_values(planner->target, planner->relations))
	{
		const EmptyCount *empty = lfirst(cell);
		PlanRow		row = {"give values", NULL, -1, -1, -1, -1};

		row.object = psprintf("column %s.%s",
							  relation_display_name(empty->relid),
							  quote_identifier(empty->column));
		row.rows = empty->rows;
		if (empty->is_nullable)
		{
			row.action = "leave NULL";
			row.detail = "in rows written since that have no value: inserted here, moved here from a partition with another order of columns, or NULL before";
		}
		else if (empty->has_default)
			row.detail = "rows that were inserted without the column get its default";
		else
		{
			row.conflicts = empty->rows;
			row.detail = "rows that were inserted without the column, which is NOT NULL and has no default, have to go: on_conflict 'restore' and mode as_of delete them";
		}
		put_plan_row(planner, &row);
	}
}

static void
put_plan_row(Planner *planner, const PlanRow *row)
{
	int64		counts[] = {row->rows, row->later_writes, row->conflicts,
	row->unrepresentable};
	Datum		values[8] = {0};
	bool		nulls[8] = {false};

	values[0] = Int32GetDatum(++planner->step);
	values[1] = CStringGetTextDatum(row->action);
	values[2] = CStringGetTextDatum(row->object);
	for (int i = 0; i < lengthof(counts); i++)
	{
		values[3 + i] = Int64GetDatum(counts[i]);
		nulls[3 + i] = counts[i] < 0;
	}
	if (row->detail != NULL)
		values[7] = CStringGetTextDatum(row->detail);
	else
		nulls[7] = true;
	tuplestore_putvalues(planner->result->setResult, planner->result->setDesc,
						 values, nulls);
}

/*
 * Of a table or of the hidden relation that has its file, of which types of
 * columns may be gone.
 */
static int64
count_relation(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_beginscan(rel, snapshot);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int64		count = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return count;
}
