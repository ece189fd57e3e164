/*-------------------------------------------------------------------------
 *
 * empty_values.c
 *	  Rows that have no value in a column that comes back and must have one.
 *
 * Those that were there have kept theirs; only rows that were inserted while
 * the column was dropped have none.  Whether a row is visible does not matter
 * here: who writes to it will see.  So a page that was not written to since it
 * was looked at need not be looked at again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "lock/lock.h"
#include "miscadmin.h"
#include "restore/empty_values.h"
#include "restore/label_rows.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A table with such columns. */
typedef struct EmptyTable
{
	Oid			relid;
	List	   *columns;		/* of EmptyColumn */
	XLogRecPtr	looked_at;		/* WAL that was written then */
} EmptyTable;

static List *tables_with_columns(const RestoreTarget *target,
								 HTAB *relations, bool to_count);
static bool is_partition(const RestoredRelation *relation);
static int	compare_tables(const ListCell *a, const ListCell *b);
static EmptyCount *count_rows(const RestoreTarget *target,
							  const EmptyTable *table,
							  const EmptyColumn *column);
static EmptyTable *table_with_columns(const RestoreTarget *target, Oid relid,
									  bool with_nullable);
static EmptyColumn *returning_column(Form_pg_attribute was,
									 bool with_nullable);
static bool type_has_default(Oid type);
static void scan_table(EmptyTable *table);
static bool block_may_have_changed(const EmptyTable *table, Relation heap,
								   BlockNumber block, Buffer *visibility);
static void scan_block(EmptyTable *table, Relation heap, BlockNumber block,
					   BufferAccessStrategy strategy);
static void note_row(EmptyTable *table, HeapTuple tuple);
static bool is_empty(const EmptyColumn *column, HeapTuple tuple);

/*
 * See empty_values.h.
 */
List *
count_empty_values(const RestoreTarget *target, HTAB *relations)
{
	List	   *counts = NIL;
	ListCell   *cell;
	ListCell   *column;

	foreach(cell, tables_with_columns(target, relations, true))
	{
		const EmptyTable *table = lfirst(cell);

		foreach(column, table->columns)
		{
			EmptyCount *count = count_rows(target, table, lfirst(column));

			if (count->rows > 0)
				counts = lappend(counts, count);
		}
	}
	return counts;
}

/* Of EmptyTable, by OID; pages of another access method are not ours to read. */
static List *
tables_with_columns(const RestoreTarget *target, HTAB *relations,
					bool to_count)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;
	List	   *tables = NIL;

	hash_seq_init(&all, relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		EmptyTable *table;

		if (relation->choice != STORAGE_KEPT || relation->is == NULL ||
			relation->was == NULL ||
			((Form_pg_class) GETSTRUCT(relation->was))->relkind !=
			RELKIND_RELATION ||
			((Form_pg_class) GETSTRUCT(relation->is))->relam !=
			HEAP_TABLE_AM_OID)
			continue;
		table = table_with_columns(target, relation->relid,
								   to_count && is_partition(relation));
		if (table != NULL)
			tables = lappend(tables, table);
	}
	list_sort(tables, compare_tables);
	return tables;
}

static bool
is_partition(const RestoredRelation *relation)
{
	return ((Form_pg_class) GETSTRUCT(relation->was))->relispartition ||
		((Form_pg_class) GETSTRUCT(relation->is))->relispartition;
}

static int
compare_tables(const ListCell *a, const ListCell *b)
{
	Oid			left = ((EmptyTable *) lfirst(a))->relid;
	Oid			right = ((EmptyTable *) lfirst(b))->relid;

	return left < right ? -1 : left > right;
}

/* What was being written when the point was made is taken to be new. */
static EmptyCount *
count_rows(const RestoreTarget *target, const EmptyTable *table,
		   const EmptyColumn *column)
{
	TransactionId oldest = (TransactionId) strtou64(target->snapshot, NULL, 10);
	EmptyCount *count = palloc0(sizeof(EmptyCount));
	Relation	heap = table_open(table->relid, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_beginscan(heap, snapshot);
	HeapTuple	tuple;

	count->relid = table->relid;
	count->column = column->name;
	count->has_default = column->has_default;
	count->is_nullable = column->is_nullable;
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		count->rows += is_empty(column, tuple) &&
			!TransactionIdPrecedes(HeapTupleHeaderGetRawXmin(tuple->t_data),
								   oldest);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(heap, AccessShareLock);
	return count;
}

/*
 * See empty_values.h.
 */
List *
find_empty_values(const RestoreTarget *target, HTAB *relations)
{
	List	   *tables = tables_with_columns(target, relations, false);
	List	   *relids = NIL;
	ListCell   *cell;

	if (tables == NIL)
		return NIL;
	foreach(cell, tables)
		relids = lappend_oid(relids, ((EmptyTable *) lfirst(cell))->relid);
	lock_relations_patiently(CMDTAG_CALL, "migrate.rollback_to()", relids,
							 ShareUpdateExclusiveLock);
	foreach(cell, tables)
		scan_table(lfirst(cell));
	return tables;
}

/* NULL if it has no such column. */
static EmptyTable *
table_with_columns(const RestoreTarget *target, Oid relid, bool with_nullable)
{
	EmptyTable *table;
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, label_attributes(target, relid))
	{
		EmptyColumn *column = returning_column((Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell)),
											   with_nullable);

		if (column != NULL)
			columns = lappend(columns, column);
	}
	if (columns == NIL)
		return NULL;
	table = palloc0(sizeof(EmptyTable));
	table->relid = relid;
	table->columns = columns;
	return table;
}

static EmptyColumn *
returning_column(Form_pg_attribute was, bool with_nullable)
{
	HeapTuple	row;
	EmptyColumn *column;
	bool		is_dropped;

	if (was->attnum <= 0 || was->attisdropped ||
		!(was->attnotnull || with_nullable) || was->attgenerated != '\0')
		return NULL;
	row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(was->attrelid),
						  Int16GetDatum(was->attnum));
	if (!HeapTupleIsValid(row))
		return NULL;
	is_dropped = ((Form_pg_attribute) GETSTRUCT(row))->attisdropped;
	ReleaseSysCache(row);
	if (!is_dropped)
		return NULL;
	column = palloc0(sizeof(EmptyColumn));
	column->attnum = was->attnum;
	column->name = pstrdup(NameStr(was->attname));
	column->has_default = was->atthasdef || was->attidentity != '\0' ||
		type_has_default(was->atttypid);
	column->is_nullable = !was->attnotnull;
	column->has_missing = was->atthasmissing;
	column->is_complete = true;
	return column;
}

/* A domain; the type may be gone. */
static bool
type_has_default(Oid type)
{
	return SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)) &&
		get_typdefault(type) != NULL;
}

static void
scan_table(EmptyTable *table)
{
	Relation	heap = table_open(table->relid, NoLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);

	table->looked_at = GetXLogInsertRecPtr();
	for (BlockNumber block = 0; block < blocks; block++)
		scan_block(table, heap, block, strategy);
	FreeAccessStrategy(strategy);
	table_close(heap, NoLock);
}

/*
 * See empty_values.h.
 */
void
catch_up_empty_values(List *tables)
{
	ListCell   *cell;

	foreach(cell, tables)
	{
		EmptyTable *table = lfirst(cell);
		Relation	heap = table_open(table->relid, AccessShareLock);
		BlockNumber blocks = RelationGetNumberOfBlocks(heap);
		Buffer		visibility = InvalidBuffer;

		for (BlockNumber block = 0; block < blocks; block++)
		{
			if (block_may_have_changed(table, heap, block, &visibility))
				scan_block(table, heap, block, NULL);
		}
		if (BufferIsValid(visibility))
			ReleaseBuffer(visibility);
		table_close(heap, NoLock);
	}
}

/* Who changes a page clears its mark, which VACUUM could not set since. */
static bool
block_may_have_changed(const EmptyTable *table, Relation heap,
					   BlockNumber block, Buffer *visibility)
{
	Buffer		buffer;
	bool		result;

	if (!COMPAT_READERS_SET_ALL_VISIBLE &&
		VM_ALL_VISIBLE(heap, block, visibility))
		return false;
	if (heap->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return true;
	buffer = ReadBuffer(heap, block);
	result = BufferGetLSNAtomic(buffer) > table->looked_at;
	ReleaseBuffer(buffer);
	return result;
}

static void
scan_block(EmptyTable *table, Relation heap, BlockNumber block,
		   BufferAccessStrategy strategy)
{
	Buffer		buffer;
	Page		page;
	OffsetNumber last;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBufferExtended(heap, MAIN_FORKNUM, block, RBM_NORMAL,
								strategy);
	page = BufferGetPage(buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	last = PageGetMaxOffsetNumber(page);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = table->relid;
		ItemPointerSet(&tuple.t_self, block, offset);
		note_row(table, &tuple);
	}
	UnlockReleaseBuffer(buffer);
}

static void
note_row(EmptyTable *table, HeapTuple tuple)
{
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		EmptyColumn *column = lfirst(cell);

		if (!column->is_complete || !is_empty(column, tuple))
			continue;
		if (column->count == MAX_EMPTY_ROWS)
		{
			column->is_complete = false;
			continue;
		}
		if (column->rows == NULL)
		{
			column->room = 64;
			column->rows = palloc(column->room * sizeof(ItemPointerData));
		}
		else if (column->count == column->room)
		{
			column->room *= 2;
			column->rows = repalloc(column->rows,
									column->room * sizeof(ItemPointerData));
		}
		column->rows[column->count++] = tuple->t_self;
	}
}

static bool
is_empty(const EmptyColumn *column, HeapTuple tuple)
{
	if (column->attnum > HeapTupleHeaderGetNatts(tuple->t_data))
		return !column->has_missing;
	return HeapTupleHasNulls(tuple) &&
		att_isnull(column->attnum - 1, tuple->t_data->t_bits);
}

/*
 * See empty_values.h.
 */
const EmptyColumn *
empty_column(List *tables, Oid relid, AttrNumber attnum)
{
	ListCell   *cell;
	ListCell   *column;

	foreach(cell, tables)
	{
		const EmptyTable *table = lfirst(cell);

		if (table->relid != relid)
			continue;
		foreach(column, table->columns)
		{
			if (((EmptyColumn *) lfirst(column))->attnum == attnum)
				return lfirst(column);
		}
	}
	return NULL;
}
