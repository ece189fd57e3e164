/*-------------------------------------------------------------------------
 *
 * catalog_restore.c
 *	  Making the catalogs what they were.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "analyze/analyze.h"
#include "catalog/heap.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/storage.h"
#include "commands/defrem.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/errors.h"
#include "common/subtransaction.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "restore/catalog_diff.h"
#include "restore/catalog_restore.h"
#include "restore/enum_values.h"
#include "restore/later_indexes.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static void refuse_taken_names(HTAB *relations);
static void give_up_files(HTAB *relations);
static bool gives_up_file(const RestoredRelation *relation);
static void take_files(HTAB *relations);
static void drop_rest_of_files(HTAB *relations);
static void remove_rows(const CatalogDifference *difference);
static void put_rows_back(const CatalogDifference *difference,
						  HTAB *relations);
static void give_new_file(HTAB *relations, HeapTuple row);
static void forget_statistics(const CatalogDifference *difference);
static void check_references(const CatalogDifference *difference);
static void invalidate(List *differences, HTAB *relations);
static List *later_indexes(HTAB *relations);
static List *build_indexes(HTAB *relations);
static void build_index(RestoredRelation *index);
static bool reindex(void *arg);
static void set_lenient(RestoredRelation *index, bool is_lenient);

#define CLASS_FORM(row)	((Form_pg_class) GETSTRUCT(row))

/*
 * See catalog_restore.h.
 */
List *
tables_to_lock(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *relids = NIL;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		RestoredRelation *table = main_relation(relations, relation);

		if ((relation->changed || gives_up_file(relation)) &&
			table->is != NULL)
			relids = lappend_oid(relids, table->relid);
	}
	list_sort(relids, list_oid_cmp);
	list_deduplicate_oid(relids);
	return relids;
}

/*
 * See catalog_restore.h.
 */
List *
restore_catalogs(List *differences, HTAB *relations)
{
	ListCell   *cell;

	refuse_taken_names(relations);
	give_up_files(relations);
	take_files(relations);

	/* names may have been swapped: all go before the first comes */
	foreach(cell, differences)
		remove_rows(lfirst(cell));
	foreach(cell, differences)
		put_rows_back(lfirst(cell), relations);
	foreach(cell, differences)
		forget_statistics(lfirst(cell));
	CommandCounterIncrement();
	invalidate(differences, relations);
	CommandCounterIncrement();
	foreach(cell, differences)
		check_references(lfirst(cell));
	return build_indexes(relations);
}

/*
 * Where only a statement is taken back, somebody else may have the name of what
 * comes back.
 */
static void
refuse_taken_names(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		Form_pg_class was;
		Oid			other;

		if (relation->was == NULL || relation->is != NULL ||
			relation->is_toast || relation->is_concerned)
			continue;
		was = CLASS_FORM(relation->was);
		other = get_relname_relid(NameStr(was->relname), was->relnamespace);
		if (OidIsValid(other) &&
			find_restored_relation(relations, other) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_CANNOT_UNDO),
					 errmsg("cannot bring back %s: there is another relation of that name by now; rename it first",
							relation_display_name(other))));
	}
}

/* What is unlinked at commit is kept for the restore point of the rollback. */
static void
give_up_files(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		Relation	rel;

		if (!gives_up_file(relation))
			continue;
		LockRelationOid(relation->relid, AccessExclusiveLock);
		rel = relation_open(relation->relid, NoLock);
		RelationDropStorage(rel);
		if (relation->choice == STORAGE_REMOVED)
			pgstat_drop_relation(rel);
		relation_close(rel, NoLock);
		RemoveStatistics(relation->relid, 0);
		if (relation->choice == STORAGE_PARKED &&
			relation->main_relid == relation->relid)
			analyze_after_commit(relation->relid, InvalidAttrNumber);
	}
}

static bool
gives_up_file(const RestoredRelation *relation)
{
	if (relation->is == NULL ||
		!RELKIND_HAS_STORAGE(CLASS_FORM(relation->is)->relkind))
		return false;
	return relation->choice == STORAGE_REMOVED ||
		relation->choice == STORAGE_PARKED ||
		(relation->choice == STORAGE_BUILT && !is_built_in_place(relation));
}

static void
take_files(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice == STORAGE_PARKED)
			(void) take_parked_file(relation->parked->holder);
	}
	drop_rest_of_files(relations);
}

/* Indexes that were not there at the restore point. */
static void
drop_rest_of_files(HTAB *relations)
{
	ListCell   *cell;

	foreach(cell, parked_files())
	{
		const ParkedFile *file = lfirst(cell);
		RestoredRelation *table = find_restored_relation(relations,
														 file->main_relid);

		if (table != NULL && table->choice == STORAGE_PARKED &&
			FullTransactionIdEquals(file->xid, table->parked->xid))
			drop_parked_file(file->holder);
	}
}

static void
remove_rows(const CatalogDifference *difference)
{
	Relation	rel = table_open(difference->catalog->relid, RowExclusiveLock);
	ListCell   *cell;

	foreach(cell, difference->added)
	{
		if (!is_added_enum_value(difference, lfirst(cell)))
			CatalogTupleDelete(rel, &((HeapTuple) lfirst(cell))->t_self);
	}
	table_close(rel, RowExclusiveLock);
}

static void
put_rows_back(const CatalogDifference *difference, HTAB *relations)
{
	Relation	rel = table_open(difference->catalog->relid, RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);
	ListCell   *cell;

	foreach(cell, difference->gone)
	{
		HeapTuple	row = heap_copytuple(lfirst(cell));

		if (difference->catalog->relid == RelationRelationId)
			give_new_file(relations, row);
		CatalogTupleInsertWithInfo(rel, row, indexes);
		heap_freetuple(row);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, RowExclusiveLock);
}

/* An index that is to be built is opened before: it needs a file. */
static void
give_new_file(HTAB *relations, HeapTuple row)
{
	Form_pg_class form = CLASS_FORM(row);
	RestoredRelation *relation = find_restored_relation(relations, form->oid);

	if (relation->choice == STORAGE_BUILT && !is_built_in_place(relation))
		form->relfilenode = compat_create_file(form->reltablespace,
											   form->relpersistence);
}

/* Those of a column with another type would be read as of that type. */
static void
forget_statistics(const CatalogDifference *difference)
{
	ListCell   *cell;

	if (difference->catalog->relid == StatisticExtRelationId)
	{
		foreach(cell, difference->added)
		{
			Oid			oid = ((Form_pg_statistic_ext) GETSTRUCT((HeapTuple) lfirst(cell)))->oid;

			RemoveStatisticsDataById(oid, false);
			RemoveStatisticsDataById(oid, true);
		}
	}
	if (difference->catalog->relid != AttributeRelationId)
		return;
	foreach(cell, difference->added)
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (form->attnum > 0)
			RemoveStatistics(form->attrelid, form->attnum);
	}
}

/*
 * A role, a tablespace, or what another statement has dropped meanwhile, may
 * be gone for good.
 */
static void
check_references(const CatalogDifference *difference)
{
	const Catalog *catalog = difference->catalog;
	Relation	rel;
	ListCell   *cell;

	if (catalog->relid != DependRelationId &&
		catalog->relid != SharedDependRelationId)
		return;
	rel = table_open(catalog->relid, AccessShareLock);
	foreach(cell, difference->gone)
	{
		ObjectAddress referenced = {0};
		ObjectAddress object = {0};

		referenced.classId = catalog_row_oid(rel, lfirst(cell),
											 catalog->referenced_class);
		referenced.objectId = catalog_row_oid(rel, lfirst(cell),
											  catalog->referenced_object);
		object.classId = catalog_row_oid(rel, lfirst(cell), catalog->class_id);
		object.objectId = catalog_row_oid(rel, lfirst(cell),
										  catalog->object_id);
		if (getObjectDescription(&referenced, true) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SM_CANNOT_UNDO),
					 errmsg("cannot bring back %s: %s %u, which it needs, is gone",
							getObjectDescription(&object, false),
							get_rel_name(referenced.classId),
							referenced.objectId)));
	}
	table_close(rel, AccessShareLock);
}

/*
 * The rows have told the caches of the catalogs.  A relation is also made of
 * rows of which nobody tells them: rules, triggers, policies, partitions.
 */
static void
invalidate(List *differences, HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	ListCell   *cell;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->changed &&
			SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation->relid)))
			CacheInvalidateRelcacheByRelid(relation->relid);
	}
	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid == PublicationRelationId ||
			difference->catalog->relid == PublicationNamespaceRelationId)
			CacheInvalidateRelcacheAll();
	}
}

/* Those that others have made since of tables that get another file. */
static List *
later_indexes(HTAB *relations)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	List	   *indexes = NIL;
	SysScanDesc scan;
	HeapTuple	row;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(row);
		RestoredRelation *table = find_restored_relation(relations,
														 form->indrelid);

		if (table != NULL && table->choice == STORAGE_PARKED &&
			find_restored_relation(relations, form->indexrelid) == NULL)
			indexes = lappend_oid(indexes, form->indexrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return indexes;
}

/* Returns those that are left to later. */
static List *
build_indexes(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *now = NIL;
	List	   *later = NIL;
	ListCell   *cell;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->choice != STORAGE_BUILT)
			continue;
		if (can_be_built_later(relations, relation))
			later = lappend_oid(later, relation->relid);
		else
			now = lappend_oid(now, relation->relid);
	}

	/* none of them may be read before it is built */
	foreach(cell, later)
		mark_index(lfirst_oid(cell), false);
	CommandCounterIncrement();
	foreach(cell, now)
		build_index(find_restored_relation(relations, lfirst_oid(cell)));
	foreach(cell, later_indexes(relations))
		compat_reindex_index(lfirst_oid(cell));
	CommandCounterIncrement();
	return later;
}

/* Rows that contradict it may be those that are put back later. */
static void
build_index(RestoredRelation *index)
{
	ErrorData  *error = run_in_subtransaction(reindex, &index->relid);

	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
		error->sqlerrcode != ERRCODE_EXCLUSION_VIOLATION)
		ReThrowError(error);
	set_lenient(index, true);
	compat_reindex_index(index->relid);
}

static bool
reindex(void *arg)
{
	compat_reindex_index(*(Oid *) arg);
	return true;
}

static void
set_lenient(RestoredRelation *index, bool is_lenient)
{
	Relation	rel = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	row = SearchSysCacheCopy1(INDEXRELID,
										  ObjectIdGetDatum(index->relid));
	Form_pg_index form;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for index %u", index->relid);
	form = (Form_pg_index) GETSTRUCT(row);
	if (is_lenient)
	{
		index->was_unique = form->indisunique;
		index->was_exclusion = form->indisexclusion;
	}
	index->is_lenient = is_lenient;
	form->indisunique = !is_lenient && index->was_unique;
	form->indisexclusion = !is_lenient && index->was_exclusion;
	CatalogTupleUpdate(rel, &row->t_self, row);
	heap_freetuple(row);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * See catalog_restore.h.
 */
void
enforce_indexes(HTAB *relations)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (!relation->is_lenient)
			continue;
		set_lenient(relation, false);
		compat_reindex_index(relation->relid);
	}
	CommandCounterIncrement();
}
