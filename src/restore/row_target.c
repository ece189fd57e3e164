/*-------------------------------------------------------------------------
 *
 * row_target.c
 *	  A table in which rows are found and put back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "common/compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "restore/row_target.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A row whose place in an index has to be checked again. */
typedef struct Recheck
{
	Oid			index;
	ItemPointerData tid;
} Recheck;

struct RowTarget
{
	Relation	rel;
	MemoryContext context;
	const List *rollbacks;		/* transaction IDs, as OIDs */
	bool		tids_are_valid; /* the images are of the file it has now */
	BlockNumber blocks;
	TupleTableSlot *found;		/* a row of the table */
	TupleTableSlot *written;	/* a row to write */
	EState	   *estate;
	ResultRelInfo *result;		/* NULL if it is only read */
	List	   *rechecks;		/* of Recheck * */

	/* what begin_row_writes() has changed */
	Oid			user;
	int			security_context;
	int			guc_level;

	/* the unique index by which rows are found; NULL if there is none */
	Relation	key_index;
	IndexScanDesc key_scan;
	ScanKeyData key[INDEX_MAX_KEYS];
};

static void open_key(RowTarget *target);
static void open_for_writing(RowTarget *target);
static bool fetch_row(RowTarget *target, ItemPointer tid, Snapshot snapshot);
static TransactionId row_maker(RowTarget *target);
static bool follow_row(RowTarget *target, ItemPointer tid);
static bool find_by_key(RowTarget *target, HeapTuple row);
static HeapTuple fit_row(RowTarget *target, HeapTuple row);
static void make_index_entries(RowTarget *target, bool only_summarizing);
static void check_index_entry(RowTarget *target, Recheck *recheck);

/*
 * See row_target.h.
 */
RowTarget *
open_row_target(Oid relid, Oid filenode, const List *rollbacks,
				bool to_write)
{
	RowTarget  *target = palloc0(sizeof(RowTarget));

	target->context = CurrentMemoryContext;
	target->rollbacks = rollbacks;
	target->rel = table_open(relid, to_write ? ShareRowExclusiveLock :
							 AccessShareLock);
	target->tids_are_valid = target->rel->rd_rel->relfilenode == filenode;
	target->blocks = RelationGetNumberOfBlocks(target->rel);
	target->found = table_slot_create(target->rel, NULL);
	open_key(target);
	if (to_write)
		open_for_writing(target);
	return target;
}

/* The primary key, or else the index that is the replica identity. */
static void
open_key(RowTarget *target)
{
	Oid			index;

	list_free(RelationGetIndexList(target->rel));
	index = OidIsValid(target->rel->rd_pkindex) ? target->rel->rd_pkindex :
		target->rel->rd_replidindex;
	if (!OidIsValid(index))
		return;
	target->key_index = index_open(index, AccessShareLock);
	if (target->key_index->rd_rel->relam != BTREE_AM_OID)
	{
		index_close(target->key_index, AccessShareLock);
		target->key_index = NULL;
		return;
	}
	for (int i = 0; i < target->key_index->rd_index->indnkeyatts; i++)
	{
		Oid			type = target->key_index->rd_opcintype[i];
		Oid			equal = get_opfamily_member(target->key_index->rd_opfamily[i],
												type, type,
												BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&target->key[i], 0, i + 1,
							   BTEqualStrategyNumber, InvalidOid,
							   target->key_index->rd_indcollation[i],
							   get_opcode(equal), (Datum) 0);
	}
	target->key_scan = compat_index_beginscan(target->rel, target->key_index,
											  SnapshotSelf,
											  target->key_index->rd_index->indnkeyatts);
}

static void
open_for_writing(RowTarget *target)
{
	target->written = MakeSingleTupleTableSlot(RelationGetDescr(target->rel),
											   &TTSOpsHeapTuple);
	target->estate = CreateExecutorState();
	target->result = makeNode(ResultRelInfo);
	InitResultRelInfo(target->result, target->rel, 0, NULL, 0);
	ExecOpenIndices(target->result, false);
}

/*
 * See row_target.h.  A row whose TID is known and that is not there any more
 * cannot be another one that the transaction has left with the same key.
 */
RowState
find_written_row(RowTarget *target, const ChangedRows *rows,
				 const RowImage *image, ItemPointer tid)
{
	HeapTuple	key = image->new_key ? image->new_key : image->old_row;
	bool		is_found = false;

	*tid = image->new_tid;
	if (target->tids_are_valid)
	{
		if (fetch_row(target, tid, SnapshotSelf) &&
			has_made_version(rows, row_maker(target)))
			return ROW_AS_LEFT;
		is_found = fetch_row(target, tid, SnapshotAny) &&
			has_made_version(rows, row_maker(target)) && follow_row(target, tid);
	}
	if (!is_found && key != NULL)
		is_found = find_by_key(target, key);
	if (!is_found)
		return ROW_NOT_FOUND;
	*tid = target->found->tts_tid;
	if (list_member_oid(target->rollbacks, row_maker(target)))
		return ROW_AS_LEFT;
	if (!has_made_version(rows, row_maker(target)))
		return ROW_CHANGED_SINCE;
	return target->tids_are_valid ? ROW_NOT_FOUND : ROW_AS_LEFT;
}

/* Into the slot; false if there is none.  VACUUM may have cut the file. */
static bool
fetch_row(RowTarget *target, ItemPointer tid, Snapshot snapshot)
{
	return ItemPointerGetBlockNumber(tid) < target->blocks &&
		table_tuple_fetch_row_version(target->rel, tid, snapshot,
									  target->found);
}

/* Also of a row that was frozen since. */
static TransactionId
row_maker(RowTarget *target)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(target->found, false,
											   &should_free);

	return HeapTupleHeaderGetRawXmin(tuple->t_data);
}

/*
 * See row_target.h.
 */
bool
has_made_version(const ChangedRows *rows, TransactionId xid)
{
	if (rows->xid_count == 1)
		return rows->xids[0] == xid;
	return bsearch(&xid, rows->xids, rows->xid_count, sizeof(TransactionId),
				   xidComparator) != NULL;
}

/* The version that is alive, if the row was updated and all are still there. */
static bool
follow_row(RowTarget *target, ItemPointer tid)
{
	TableScanDesc scan = compat_beginscan(target->rel, SnapshotSelf);

	table_tuple_get_latest_tid(scan, tid);
	table_endscan(scan);
	return fetch_row(target, tid, SnapshotSelf);
}

/* Into the slot; false if there is none, or no key to find it by. */
static bool
find_by_key(RowTarget *target, HeapTuple row)
{
	Form_pg_index index;

	if (target->key_index == NULL)
		return false;
	index = target->key_index->rd_index;
	for (int i = 0; i < index->indnkeyatts; i++)
	{
		bool		isnull;

		target->key[i].sk_argument =
			heap_getattr(row, index->indkey.values[i],
						 RelationGetDescr(target->rel), &isnull);
		if (isnull)
			return false;
	}
	index_rescan(target->key_scan, target->key, index->indnkeyatts, NULL, 0);
	return index_getnext_slot(target->key_scan, ForwardScanDirection,
							  target->found);
}

/*
 * See row_target.h.
 */
RowState
find_row_instead(RowTarget *target, const ChangedRows *rows,
				 HeapTuple old_row, ItemPointer tid)
{
	TransactionId maker;

	if (!find_by_key(target, old_row))
		return ROW_NOT_FOUND;
	*tid = target->found->tts_tid;
	maker = row_maker(target);
	return has_made_version(rows, maker) ||
		list_member_oid(target->rollbacks, maker) ||
		TransactionIdIsCurrentTransactionId(maker) ?
		ROW_AS_LEFT : ROW_CHANGED_SINCE;
}

/*
 * See row_target.h.
 */
void
put_row_over(RowTarget *target, ItemPointer old_tid, HeapTuple row,
			 ItemPointer tid)
{
	MemoryContext old =
	MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
	bool		only_summarizing;

	ExecStoreHeapTuple(fit_row(target, row), target->written, false);
	if (compat_update_row(target->rel, old_tid, target->written,
						  &only_summarizing))
		make_index_entries(target, only_summarizing);
	*tid = target->written->tts_tid;
	ExecClearTuple(target->written);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(target->estate);
}

/*
 * A row as the table has them now.  If it has fewer columns than when the row
 * was written, the rest must not show up in columns that it gets later; those
 * that it has more are what they are in all its older rows.
 */
static HeapTuple
fit_row(RowTarget *target, HeapTuple row)
{
	TupleDesc	columns = RelationGetDescr(target->rel);
	Datum	   *values;
	bool	   *nulls;

	if (HeapTupleHeaderGetNatts(row->t_data) <= columns->natts)
		return row;
	values = palloc(columns->natts * sizeof(Datum));
	nulls = palloc(columns->natts * sizeof(bool));
	heap_deform_tuple(row, columns, values, nulls);
	return heap_form_tuple(columns, values, nulls);
}

static void
make_index_entries(RowTarget *target, bool only_summarizing)
{
	List	   *unsure;
	ListCell   *cell;

	if (target->result->ri_NumIndices == 0)
		return;
	unsure = compat_insert_index_entries(target->result, target->written,
										 target->estate, only_summarizing);
	foreach(cell, unsure)
	{
		MemoryContext old = MemoryContextSwitchTo(target->context);
		Recheck    *recheck = palloc(sizeof(Recheck));

		recheck->index = lfirst_oid(cell);
		recheck->tid = target->written->tts_tid;
		target->rechecks = lappend(target->rechecks, recheck);
		MemoryContextSwitchTo(old);
	}
}

/*
 * See row_target.h.
 */
void
put_row(RowTarget *target, HeapTuple row, ItemPointer tid)
{
	MemoryContext old =
	MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));

	ExecStoreHeapTuple(fit_row(target, row), target->written, false);
	simple_table_tuple_insert(target->rel, target->written);
	make_index_entries(target, false);
	*tid = target->written->tts_tid;
	ExecClearTuple(target->written);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(target->estate);
}

/*
 * See row_target.h.
 */
void
take_row(RowTarget *target, ItemPointer tid)
{
	simple_table_tuple_delete(target->rel, tid, SnapshotSelf);
}

/*
 * See row_target.h.
 */
void
check_row_target(RowTarget *target)
{
	ListCell   *cell;

	if (target->rechecks == NIL)
		return;
	begin_row_writes(target);
	foreach(cell, target->rechecks)
		check_index_entry(target, lfirst(cell));
	end_row_writes(target);
	list_free_deep(target->rechecks);
	target->rechecks = NIL;
}

/* As unique_key_recheck() does it for constraints that are deferred. */
static void
check_index_entry(RowTarget *target, Recheck *recheck)
{
	ExprContext *context = GetPerTupleExprContext(target->estate);
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	IndexInfo  *info;
	Relation	index;

	target->blocks = RelationGetNumberOfBlocks(target->rel);
	if (!fetch_row(target, &recheck->tid, SnapshotSelf))
		return;
	index = index_open(recheck->index, RowExclusiveLock);
	info = BuildIndexInfo(index);
	context->ecxt_scantuple = target->found;
	FormIndexDatum(info, target->found, target->estate, values, nulls);
	if (info->ii_ExclusionOps == NULL)
		index_insert(index, values, nulls, &recheck->tid, target->rel,
					 UNIQUE_CHECK_EXISTING, false, info);
	else
		check_exclusion_constraint(target->rel, index, info, &recheck->tid,
								   values, nulls, target->estate, false);
	index_close(index, RowExclusiveLock);
	ResetPerTupleExprContext(target->estate);
}

/*
 * See row_target.h.
 */
void
begin_row_writes(RowTarget *target)
{
	GetUserIdAndSecContext(&target->user, &target->security_context);
	SetUserIdAndSecContext(target->rel->rd_rel->relowner,
						   target->security_context |
						   SECURITY_RESTRICTED_OPERATION);
	target->guc_level = NewGUCNestLevel();
	compat_restrict_search_path();
}

/*
 * See row_target.h.
 */
void
end_row_writes(RowTarget *target)
{
	AtEOXact_GUC(false, target->guc_level);
	SetUserIdAndSecContext(target->user, target->security_context);
}

/*
 * See row_target.h.
 */
void
close_row_target(RowTarget *target)
{
	if (target->result != NULL)
	{
		ExecCloseIndices(target->result);
		ExecDropSingleTupleTableSlot(target->written);
		FreeExecutorState(target->estate);
	}
	if (target->key_index != NULL)
	{
		index_endscan(target->key_scan);
		index_close(target->key_index, NoLock);
	}
	ExecDropSingleTupleTableSlot(target->found);
	table_close(target->rel, NoLock);
}
