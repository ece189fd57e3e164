/*-------------------------------------------------------------------------
 *
 * later_indexes.c
 *	  Indexes that come back, built while others write.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "miscadmin.h"
#include "restore/later_indexes.h"
#include "run/step.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static void build_later_index(Oid relid);

/*
 * See later_indexes.h.
 */
bool
can_be_built_later(HTAB *relations, const RestoredRelation *index)
{
	RestoredRelation *table = find_restored_relation(relations,
													 index->main_relid);
	HeapTuple	row = SearchSysCache1(INDEXRELID,
									  ObjectIdGetDatum(index->relid));
	Form_pg_index form;
	bool		enforces;
	BlockNumber blocks;
	Relation	rel;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for index %u", index->relid);
	form = (Form_pg_index) GETSTRUCT(row);
	enforces = form->indisunique || form->indisexclusion ||
		form->indisreplident || form->indisclustered;
	ReleaseSysCache(row);
	if (enforces || table == NULL || table->is == NULL ||
		table->choice != STORAGE_KEPT)
		return false;
	rel = table_open(index->main_relid, AccessShareLock);
	blocks = RelationGetNumberOfBlocks(rel);
	table_close(rel, NoLock);
	return blocks > (uint64) setting_small_table * 1024 / BLCKSZ;
}

/*
 * See later_indexes.h.
 */
void
mark_index(Oid relid, bool is_valid)
{
	Relation	rel = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	row = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(relid));
	Form_pg_index form;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for index %u", relid);
	form = (Form_pg_index) GETSTRUCT(row);
	form->indisvalid = form->indisready = is_valid;
	CatalogTupleUpdate(rel, &row->t_self, row);
	heap_freetuple(row);
	table_close(rel, RowExclusiveLock);
}

/*
 * See later_indexes.h.
 */
void
build_later_indexes(const List *relids)
{
	ListCell   *cell;

	foreach(cell, relids)
		build_later_index(lfirst_oid(cell));
}

static void
build_later_index(Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *name;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(caller);
	name = relation_display_name(relid);
	PG_TRY();
	{
		run_statement_at_top_level(psprintf("REINDEX INDEX CONCURRENTLY %s",
											name));
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		ereport(WARNING,
				(errmsg("the rollback is done, but index %s is not built: %s",
						name, error->message),
				 errhint("Build it with REINDEX INDEX CONCURRENTLY %s.", name)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
}
