/*-------------------------------------------------------------------------
 *
 * hidden_relation.c
 *	  Heaps of ours that no client, dump, publication or VACUUM FULL sees.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
#include "preserve/transaction_start.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

static void delete_row(Oid catalog, int cacheid, Oid relid);

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
									  hidden_relation_options());
	CommandCounterIncrement();
	deleteDependencyRecordsFor(RelationRelationId, relid, false);
	ObjectAddressSet(relation, RelationRelationId, relid);
	ObjectAddressSet(extension, ExtensionRelationId,
					 migrate_extension_oid(false));
	recordDependencyOn(&relation, &extension, DEPENDENCY_EXTENSION);
	return relid;
}

/*
 * See hidden_relation.h.
 */
Datum
hidden_relation_options(void)
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
drop_hidden_relation(Oid relid)
{
	Relation	rel = relation_open(relid, AccessExclusiveLock);
	Oid			toast = rel->rd_rel->reltoastrelid;
	List	   *indexes = hidden_indexes(relid);
	ListCell   *cell;

	relation_close(rel, NoLock);
	foreach(cell, indexes)
		remove_hidden_relation(lfirst_oid(cell), true);
	remove_hidden_relation(relid, true);
	if (OidIsValid(toast) && extension_owns_relation(toast))
		drop_hidden_relation(toast);
}

/*
 * See hidden_relation.h.
 */
List *
hidden_indexes(Oid relid)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	List	   *rows = fetch_catalog_rows(pg_index, IndexIndrelidIndexId,
										  Anum_pg_index_indrelid, relid, NULL);
	List	   *indexes = NIL;
	ListCell   *cell;

	foreach(cell, rows)
		indexes = lappend_oid(indexes,
							  ((Form_pg_index) GETSTRUCT((HeapTuple) lfirst(cell)))->indexrelid);
	table_close(pg_index, AccessShareLock);
	return indexes;
}

/*
 * See hidden_relation.h.  The OID of a TOAST table will be used again.
 */
void
remove_hidden_relation(Oid relid, bool with_file)
{
	Relation	rel = relation_open(relid, AccessExclusiveLock);
	bool		is_index = rel->rd_rel->relkind == RELKIND_INDEX;

	if (with_file)
	{
		RelationDropStorage(rel);
		pgstat_drop_relation(rel);
	}
	relation_close(rel, NoLock);
	if (is_index)
		delete_row(IndexRelationId, INDEXRELID, relid);
	RelationForgetRelation(relid);
	DeleteAttributeTuples(relid);
	deleteDependencyRecordsFor(RelationRelationId, relid, false);
	deleteSharedDependencyRecordsFor(RelationRelationId, relid, 0);
	delete_row(RelationRelationId, RELOID, relid);
}

static void
delete_row(Oid catalog, int cacheid, Oid relid)
{
	Relation	rel = table_open(catalog, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCache1(cacheid, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	CatalogTupleDelete(rel, &tuple->t_self);
	ReleaseSysCache(tuple);
	table_close(rel, RowExclusiveLock);
}
