/*-------------------------------------------------------------------------
 *
 * hidden_relation.c
 *	  Heaps of ours that no client, dump, publication or VACUUM FULL sees.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/storage.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "preserve/hidden_relation.h"
#include "utils/fmgroids.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

static Datum hidden_reloptions(void);
static List *hidden_indexes(Oid relid);
static void drop_one(Oid relid, bool with_files);
static void delete_index_row(Oid relid);
static void delete_class_row(Oid relid);

/*
 * See hidden_relation.h.  The dependencies of a TOAST table are those of its
 * table, so heap_create_with_catalog() records none but on the types of the
 * columns; those would keep the types from being dropped.
 */
Oid
create_hidden_relation(const char *name, TupleDesc columns)
{
	ObjectAddress relation;
	ObjectAddress extension;
	Oid			relid;

	relid = compat_create_hidden_heap(name,
									  get_namespace_oid(MIGRATE_SCHEMA, false),
									  migrate_extension_owner(), columns,
									  hidden_reloptions());
	CommandCounterIncrement();
	deleteDependencyRecordsFor(RelationRelationId, relid, false);
	ObjectAddressSet(relation, RelationRelationId, relid);
	ObjectAddressSet(extension, ExtensionRelationId,
					 migrate_extension_oid(false));
	recordDependencyOn(&relation, &extension, DEPENDENCY_EXTENSION);
	return relid;
}

/* Nothing is ever dead in there; only the fight against wraparound comes. */
static Datum
hidden_reloptions(void)
{
	DefElem    *option = makeDefElem("autovacuum_enabled",
									 (Node *) makeString("false"), -1);

	return transformRelOptions((Datum) 0, list_make1(option), NULL, NULL,
							   false, false);
}

/*
 * See hidden_relation.h.
 */
void
drop_hidden_relation(Oid relid, bool with_files)
{
	Relation	rel = relation_open(relid, AccessExclusiveLock);
	Oid			toast = rel->rd_rel->reltoastrelid;
	List	   *indexes = hidden_indexes(relid);
	ListCell   *cell;

	relation_close(rel, NoLock);
	foreach(cell, indexes)
		drop_one(lfirst_oid(cell), with_files);
	drop_one(relid, with_files);
	if (OidIsValid(toast) && extension_owns_relation(toast))
		drop_hidden_relation(toast, with_files);
}

/* Not the relation cache's list: that leaves out what is not live. */
static List *
hidden_indexes(Oid relid)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	List	   *indexes = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		indexes = lappend_oid(indexes,
							  ((Form_pg_index) GETSTRUCT(tuple))->indexrelid);
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
	return indexes;
}

static void
drop_one(Oid relid, bool with_files)
{
	Relation	rel = relation_open(relid, AccessExclusiveLock);
	bool		is_index = rel->rd_rel->relkind == RELKIND_INDEX;

	if (with_files)
		RelationDropStorage(rel);
	pgstat_drop_relation(rel);
	relation_close(rel, NoLock);
	if (is_index)
		delete_index_row(relid);
	RelationForgetRelation(relid);
	DeleteAttributeTuples(relid);
	deleteDependencyRecordsFor(RelationRelationId, relid, false);
	delete_class_row(relid);
}

static void
delete_index_row(Oid relid)
{
	Relation	pg_index = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", relid);
	CatalogTupleDelete(pg_index, &tuple->t_self);
	ReleaseSysCache(tuple);
	table_close(pg_index, RowExclusiveLock);
}

static void
delete_class_row(Oid relid)
{
	Relation	pg_class = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	CatalogTupleDelete(pg_class, &tuple->t_self);
	ReleaseSysCache(tuple);
	table_close(pg_class, RowExclusiveLock);
}
