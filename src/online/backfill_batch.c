/*-------------------------------------------------------------------------
 *
 * backfill_batch.c
 *	  One transaction of a backfill, and what becomes of it if it fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/fault.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* No page has a row behind that one. */
#define LAST_OFFSET MaxOffsetNumber

typedef enum BatchOutcome
{
	BATCH_DONE,
	BATCH_LOCKED,				/* somebody else has locked a row */
	BATCH_FAILED				/* a row cannot be set */
} BatchOutcome;

typedef struct Batch
{
	Backfill   *backfill;
	BackfillLeaf *leaf;
	TidRange	range;
	int			share;
	uint64		rows;			/* that were set */
	uint64		touched;		/* the same, with those set to null */
	TransactionId xid;			/* of the subtransaction */
	bool		is_endless;		/* its rows still fulfil the condition */
} Batch;

static BatchOutcome run_batch(Batch *batch, BlockNumber next,
							  ErrorData **error);
static bool set_rows(void *arg);
static uint64 update_range(Batch *batch);
static uint64 update_and_check(Batch *batch);
static void check_rows(Batch *batch, const Datum *tids, int count);
static void fire_deferred_triggers(void);
static bool others_wait(TransactionId xid);
static BatchOutcome outcome_of_error(const Batch *batch,
									 const ErrorData *error);
static bool divide_range(TidRange range, bool by_row, TidRange *first,
						 TidRange *second);
static void skip_range(const Backfill *b, BackfillLeaf *leaf, TidRange range);
static BlockNumber pages_of_range(TidRange range);
static void throw_row_error(Backfill *b, const BackfillLeaf *leaf,
							TidRange range, ErrorData *error);

/*
 * See backfill_internal.h.
 */
TidRange
pages_as_range(BlockNumber first, BlockNumber end)
{
	TidRange	range;

	ItemPointerSet(&range.first, first, 0);
	ItemPointerSet(&range.end, end, 0);
	return range;
}

/*
 * See backfill_internal.h.
 */
uint64
fill_range(Backfill *b, BackfillLeaf *leaf, TidRange range, int share,
		   BlockNumber next, bool by_row)
{
	Batch		batch = {b, leaf, range, share};
	ErrorData  *error = NULL;
	TidRange	first;
	TidRange	second;
	uint64		rows;

	switch (run_batch(&batch, next, &error))
	{
		case BATCH_DONE:
			return batch.rows;
		case BATCH_LOCKED:
			FreeErrorData(error);
			if (!divide_range(range, by_row, &first, &second))
			{
				skip_range(b, leaf, range);
				return 0;
			}
			break;
		case BATCH_FAILED:

			/* without shares, so that all before the row is done */
			share = ALL_SHARES;
			by_row = true;
			if (!divide_range(range, true, &first, &second))
				throw_row_error(b, leaf, range, error);
			FreeErrorData(error);
			break;
	}
	rows = fill_range(b, leaf, first, share, leaf->next, by_row);
	return rows + fill_range(b, leaf, second, share, next, by_row);
}

/* One transaction.  *error is in b->context, for BATCH_FAILED. */
static BatchOutcome
run_batch(Batch *batch, BlockNumber next, ErrorData **error)
{
	Backfill   *b = batch->backfill;
	BackfillLeaf *leaf = batch->leaf;
	BatchOutcome outcome = BATCH_DONE;
	bool		is_stored = is_to_be_stored(leaf);
	bool		others_waited;
	BatchWal	wal;
	instr_time	start;
	instr_time	duration;
	double		flush_ms;
	Relation	rel;

	CHECK_FOR_INTERRUPTS();
	begin_backfill_transaction(b);
	rel = lock_backfill_leaf(b, leaf);
	if (rel == NULL)
	{
		commit_backfill_transaction(b);
		return BATCH_DONE;
	}
	(void) prune_behind(leaf, rel);
	write_back_new_pages(b, leaf, rel);
	relation_close(rel, NoLock);

	begin_batch_wal(&wal);
	INSTR_TIME_SET_CURRENT(start);
	MemoryContextSwitchTo(b->context);
	*error = run_in_subtransaction(set_rows, batch);
	MemoryContextSwitchTo(b->batch_context);
	if (*error != NULL)
	{
		outcome = outcome_of_error(batch, *error);
		commit_backfill_transaction(b);
		return outcome;
	}
	if (is_stored)
		store_backfill_batch(b, leaf, next, leaf->unstored_rows + batch->rows);
	reach_fault_point("backfill_batch");
	others_waited = others_wait(batch->xid);
	end_batch_wal(&wal);
	commit_backfill_transaction(b);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	flush_ms = flush_beside_others(b, &wal);

	b->rows += batch->rows;
	note_stored(leaf, is_stored, batch->rows);
	leaf->touched += batch->touched;
	leaf->is_checked |= batch->rows > 0;
	leaf->xid = TransactionIdIsValid(batch->xid) ? batch->xid : leaf->xid;
	adjust_pace(b, leaf, batch->share, pages_of_range(batch->range),
				batch->rows, INSTR_TIME_GET_MILLISEC(duration), flush_ms,
				others_waited);
	return outcome;
}

/* In a subtransaction. */
static bool
set_rows(void *arg)
{
	Batch	   *batch = arg;
	int			nest_level = NewGUCNestLevel();
	char		timeout[32];

	/*
	 * While we wait for a row, others wait for those that we have.
	 */
	snprintf(timeout, sizeof(timeout), "%d",
			 Max(setting_backfill_max_wait / 2, 1));
	(void) set_config_option("lock_timeout", timeout, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	MemoryContextSwitchTo(batch->backfill->batch_context);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	batch->rows = batch->leaf->is_checked ? update_range(batch) :
		update_and_check(batch);
	SPI_finish();
	fire_deferred_triggers();
	PopActiveSnapshot();
	batch->xid = GetCurrentTransactionIdIfAny();
	AtEOXact_GUC(true, nest_level);
	return true;
}

static uint64
update_range(Batch *batch)
{
	const BackfillLeaf *leaf = batch->leaf;
	bool		is_share = batch->share != ALL_SHARES;
	Datum		values[] = {
		PointerGetDatum(&batch->range.first),
		PointerGetDatum(&batch->range.end),
		Int32GetDatum(batch->share)
	};
	int			result = SPI_execute_plan(is_share ? leaf->update_share :
										  leaf->update, values, NULL, false, 0);
	bool		isnull;

	batch->touched = SPI_processed;
	if (result == SPI_OK_UPDATE)
		return SPI_processed;
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not update %s: %s", leaf->name,
			 SPI_result_code_string(result));
	batch->touched = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 2, &isnull));
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * The first rows of a table: were they still to be set when they have been,
 * this would never end.
 */
static uint64
update_and_check(Batch *batch)
{
	Oid			types[] = {TIDOID, TIDOID};
	Datum		values[] = {
		PointerGetDatum(&batch->range.first),
		PointerGetDatum(&batch->range.end)
	};
	Datum	   *tids;
	uint64		count;
	bool		isnull;

	if (SPI_execute_with_args(checked_update_text(batch->backfill, batch->leaf),
							  2, types, values, NULL, false, 0) !=
		SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not update %s", batch->leaf->name);
	count = batch->touched = SPI_processed;
	tids = palloc(count * sizeof(Datum));
	for (uint64 i = 0; i < count; i++)
		tids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
								1, &isnull);
	if (count > 0)
		check_rows(batch, tids, count);
	return count;
}

static void
check_rows(Batch *batch, const Datum *tids, int count)
{
	const BackfillLeaf *leaf = batch->leaf;
	Oid			type = TIDARRAYOID;
	Datum		array;
	bool		isnull;

	array = PointerGetDatum(construct_array((Datum *) tids, count, TIDOID,
											sizeof(ItemPointerData), false,
											TYPALIGN_SHORT));
	if (SPI_execute_with_args(check_text(batch->backfill, leaf), 1, &type,
							  &array, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not check %s", leaf->name);
	if (SPI_processed == 0)
		return;
	batch->is_endless = true;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a backfill of %s would never end, because rows that it has set are still to be set: \"where\" must be false for them",
					relation_display_name(leaf->relid)),
			 errdetail("One of them is that with %s; the condition is: %s",
					   row_in_words(leaf->relid,
									(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[0],
																				SPI_tuptable->tupdesc,
																				1, &isnull))),
					   leaf->condition)));
}

/* At the commit their errors would belong to no row. */
static void
fire_deferred_triggers(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(all);
}

/* Does anybody wait for the end of this transaction? */
static bool
others_wait(TransactionId xid)
{
	LOCKTAG		tag;

	if (!TransactionIdIsValid(xid))
		return false;
	SET_LOCKTAG_TRANSACTION(tag, xid);
	return LockWaiterCount(&tag) > 0;
}

/* Rethrows those that are about no row. */
static BatchOutcome
outcome_of_error(const Batch *batch, const ErrorData *error)
{
	int			code = error->sqlerrcode;

	if (code == ERRCODE_LOCK_NOT_AVAILABLE ||
		ERRCODE_TO_CATEGORY(code) == ERRCODE_TRANSACTION_ROLLBACK)
		return BATCH_LOCKED;
	if (batch->is_endless || !is_about_row(code))
		ReThrowError((ErrorData *) error);
	return BATCH_FAILED;
}

/*
 * See backfill_internal.h.
 */
bool
is_about_row(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_INTERNAL_ERROR:
			return false;
	}
	return true;
}

/* In pages, then in rows, if so wanted.  False if it cannot be divided. */
static bool
divide_range(TidRange range, bool by_row, TidRange *first, TidRange *second)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(&range.first);
	BlockNumber pages = pages_of_range(range);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&range.first);
	OffsetNumber end = ItemPointerGetOffsetNumberNoCheck(&range.end);

	*first = *second = range;
	if (pages > 1)
		ItemPointerSet(&first->end, block + (pages + 1) / 2, 0);
	else
	{
		if (ItemPointerGetBlockNumberNoCheck(&range.end) > block)
			end = LAST_OFFSET + 1;
		if (!by_row || end - offset <= 1)
			return false;
		ItemPointerSet(&first->end, block, offset + (end - offset) / 2);
	}
	second->first = first->end;
	return true;
}

static void
skip_range(const Backfill *b, BackfillLeaf *leaf, TidRange range)
{
	MemoryContext old = MemoryContextSwitchTo(b->context);
	TidRange   *skipped = palloc(sizeof(TidRange));

	*skipped = range;
	leaf->skipped = lappend(leaf->skipped, skipped);
	MemoryContextSwitchTo(old);
}

static BlockNumber
pages_of_range(TidRange range)
{
	BlockNumber first = ItemPointerGetBlockNumberNoCheck(&range.first);
	BlockNumber end = ItemPointerGetBlockNumberNoCheck(&range.end);

	/* it may end within a page */
	if (ItemPointerGetOffsetNumberNoCheck(&range.end) > 0)
		end++;
	return Max(end - first, 1);
}

/* What was said of the row, and which one it is. */
static void
throw_row_error(Backfill *b, const BackfillLeaf *leaf, TidRange range,
				ErrorData *error)
{
	char	   *row;

	begin_backfill_transaction(b);
	MemoryContextSwitchTo(b->context);
	row = row_in_words(leaf->relid, &range.first);
	error->message = psprintf("%s (the row of %s with %s)", error->message,
							  relation_display_name(leaf->relid), row);
	if (error->hint == NULL)
		error->hint = psprintf("What is set by then stays. Mend the row, and send the same call again to go on.");
	commit_backfill_transaction(b);
	ReThrowError(error);
}
