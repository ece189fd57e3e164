/*-------------------------------------------------------------------------
 *
 * backfill.c
 *	  CALL migrate.backfill(): the passes over a table.
 *
 * In the first one, pages are taken in order, some at a time, each time in a
 * transaction of its own.  Rows that clients change meanwhile move to pages that
 * were passed.  So the table is read by one snapshot afterwards, for rows that
 * are still to be set; those found are set, until a reading finds none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/fault.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "online/backfill_task.h"
#include "run/run.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Readings that may find rows before it is given up. */
#define MAX_READINGS 10

/* Pages of a step of a reading. */
#define SEARCH_PAGES 256

/* Transactions for each share of a window. */
#define WINDOW_BATCHES 8

#define NOTICE_INTERVAL_MS 5000
#define LOCKED_ROWS_PAUSE_MS 100

/* Pages that are gone through by themselves where a condition fails. */
#define FAILED_PAGES 16

/* A look for rows that are to be set. */
typedef struct RowSearch
{
	BackfillLeaf *leaf;
	const TidRange *range;
	int			limit;			/* at most so many rows */
	int			count;
	TidRange	found;
} RowSearch;

typedef struct BackfillEnd
{
	Backfill   *backfill;
	ErrorData  *error;
} BackfillEnd;

static void backfill(int nargs, const ProcedureArgument *args);
static void begin_backfill(Backfill *b);
static void fill_and_verify(Backfill *b);
static void fill_leaves(Backfill *b);
static void fill_leaf(Backfill *b, BackfillLeaf *leaf);
static int	shares_of(const Backfill *b, const BackfillLeaf *leaf);
static BlockNumber end_of_window(Backfill *b, const BackfillLeaf *leaf,
								 int shares);
static uint64 fill_share(Backfill *b, BackfillLeaf *leaf, BlockNumber end,
						 int share, bool is_last);
static uint64 fill_all_rows(Backfill *b, BackfillLeaf *leaf, BlockNumber first,
							BlockNumber *end);
static bool next_rows_to_set(Backfill *b, BackfillLeaf *leaf, TidRange *rest,
							 TidRange *range);
static void store_progress(Backfill *b, BackfillLeaf *leaf);
static void fill_skipped(Backfill *b, BackfillLeaf *leaf);
static bool search_leaves(Backfill *b);
static bool search_leaf(Backfill *b, BackfillLeaf *leaf);
static bool find_rows(void *arg);
static void range_with_error(RowSearch *search, ErrorData *error);
static int	search_rows(BackfillLeaf *leaf, const TidRange *range, int limit,
						TidRange *found);
static ItemPointerData tid_of_row(int row);
static void begin_search(Backfill *b);
static bool begin_reading(Backfill *b);
static void finish_backfill(Backfill *b);
static void end_backfill_plans(Backfill *b);
static void record_error(void *arg);
static void tell_progress(Backfill *b);

/*
 * See backfill.h.
 */
void
register_backfill(void)
{
	register_top_level_procedure("backfill", backfill);
}

static void
backfill(int nargs, const ProcedureArgument *args)
{
	BackfillRequest request = {"backfill"};

	Assert(nargs == 5);
	for (int i = 0; i < 2; i++)
	{
		if (args[i].isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the table and the \"set\" for migrate.backfill() must not be null")));
	}
	request.table = args[0].value;
	request.set = args[1].value;
	request.condition = args[2].isnull ? NULL : args[2].value;
	request.throttle = args[4].isnull ? NULL : args[4].value;
	if (!args[3].isnull && strcmp(args[3].value, "t") == 0)
		defer_backfill(&request);
	else
		run_backfill(&request);
}

/*
 * See backfill.h.
 */
void
run_backfill(const BackfillRequest *request)
{
	MemoryContext context = AllocSetContextCreate(PortalContext,
												  "safe_migrate backfill",
												  ALLOCSET_DEFAULT_SIZES);
	Backfill   *b;

	MemoryContextSwitchTo(context);
	b = palloc0(sizeof(Backfill));
	b->request = request;
	b->context = context;
	b->batch_context = AllocSetContextCreate(context,
											 "safe_migrate backfill batch",
											 ALLOCSET_DEFAULT_SIZES);
	begin_backfill(b);
	PG_TRY();
	{
		fill_and_verify(b);
		end_backfill_plans(b);
	}
	PG_CATCH();
	{
		BackfillEnd end = {b};

		MemoryContextSwitchTo(context);
		end.error = CopyErrorData();
		FlushErrorState();
		(void) run_after_error(record_error, &end);
		end_backfill_plans(b);
		ReThrowError(end.error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(CurTransactionContext);
}

/* Look at what is asked for, and commit that it has begun. */
static void
begin_backfill(Backfill *b)
{
	bool		is_resumed;

	PreventCommandIfReadOnly("CALL migrate.backfill()");
	check_set_text(b->request->set);
	if (b->request->condition != NULL)
		check_condition_text(b->request->condition);
	b->relid = RangeVarGetRelid(range_var_of_name(b->request->table),
								AccessShareLock, false);
	b->alias = MemoryContextStrdup(b->context,
								   quote_identifier(get_rel_name(b->relid)));
	b->started_at = GetCurrentTimestamp();
	b->next_notice = TimestampTzPlusMilliseconds(b->started_at, NOTICE_INTERVAL_MS);
	begin_pace(b);
	b->throttle.checkpoints = -1;

	/* the caller's transaction has done nothing but evaluate the arguments */
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	check_backfill_table(b, b->relid);
	if (b->request->condition == NULL)
		(void) default_condition(b->request, b->relid, b->alias);
	store_backfill_begin(b, &is_resumed);
	if (is_resumed && !b->request->quiet)
		ereport(NOTICE,
				(errmsg("goes on with backfill " INT64_FORMAT " of %s",
						b->id, relation_display_name(b->relid))));
	(void) find_backfill_leaves(b);
	commit_backfill_transaction(b);
	reach_fault_point("backfill_begun");
}

static void
fill_and_verify(Backfill *b)
{
	fill_leaves(b);
	for (int readings = 1; search_leaves(b); readings++)
	{
		if (readings == MAX_READINGS && b->request->counted != NULL)
			break;
		if (readings == MAX_READINGS)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s was gone through %d times, and each time there were rows to be set: clients write such rows all the time",
							b->alias, readings + 1),
					 errhint("Have a trigger or a default set them as well, then call it once more.")));
		fill_leaves(b);
	}
	finish_backfill(b);
}

/* The first pass, for those tables that have not had it. */
static void
fill_leaves(Backfill *b)
{
	ListCell   *cell;

	foreach(cell, b->leaves)
		fill_leaf(b, lfirst(cell));
}

static void
fill_leaf(Backfill *b, BackfillLeaf *leaf)
{
	while (leaf->next < leaf->pages && !leaf->is_gone)
	{
		int			shares = shares_of(b, leaf);
		BlockNumber end = end_of_window(b, leaf, shares);
		uint64		rows = 0;

		if (shares > 1)
		{
			/* where there is little to do, reading often does not pay */
			rows = fill_share(b, leaf, end, 0, false);
			if (rows < (end - leaf->next) / 2)
				shares = 1;
			for (int share = 1; share < shares; share++)
				rows += fill_share(b, leaf, end, share, share == shares - 1);
		}
		if (shares == 1)
			rows += fill_all_rows(b, leaf, leaf->next, &end);
		leaf->is_sparse = rows < (end - leaf->next) / 2;
		if (rows > 0)
			prune_later(leaf, leaf->next, end, leaf->xid);
		leaf->next = end;
		if (rows == 0 || end == leaf->pages)
			store_progress(b, leaf);
	}
	fill_skipped(b, leaf);
	write_back_rest(b, leaf);
}

/*
 * While the old versions of rows cannot be pruned, there is no space to win; and
 * without plans, nothing is known of its rows.
 */
static int
shares_of(const Backfill *b, const BackfillLeaf *leaf)
{
	if (leaf->name == NULL || !leaf->is_checked || leaf->is_sparse ||
		prune_is_behind(leaf, 0))
		return 1;
	return leaf->shares;
}

/*
 * In a window there are so many transactions that those which began while one
 * share was set have ended when the next one is.
 */
static BlockNumber
end_of_window(Backfill *b, const BackfillLeaf *leaf, int shares)
{
	BlockNumber pages = shares == 1 ? SEARCH_PAGES :
	pages_of_batch(b, leaf, 1) * WINDOW_BATCHES;

	return leaf->next + Min(pages, leaf->pages - leaf->next);
}

/* When the last share is done, the pages are. */
static uint64
fill_share(Backfill *b, BackfillLeaf *leaf, BlockNumber end, int share,
		   bool is_last)
{
	BlockNumber first = leaf->next;
	uint64		rows = 0;

	while (first < end && !leaf->is_gone)
	{
		BlockNumber pages = pages_of_batch(b, leaf, share);
		BlockNumber stop = first + Min(pages, end - first);

		throttle_backfill(b, leaf);
		rows += fill_range(b, leaf, pages_as_range(first, stop), share,
						   is_last ? stop : leaf->next, false);
		tell_progress(b);
		first = stop;
	}
	return rows;
}

/*
 * All rows at once, which are looked for first: a transaction that writes for
 * pages with nothing to do would cost more than the reading, and one for pages
 * of which nothing is known could take any time.  Ends early, and changes *end,
 * as soon as shares can be taken.
 */
static uint64
fill_all_rows(Backfill *b, BackfillLeaf *leaf, BlockNumber first,
			  BlockNumber *end)
{
	bool		was_checked = leaf->is_checked;
	TidRange	rest = pages_as_range(first, *end);
	TidRange	range;
	uint64		rows = 0;

	while (next_rows_to_set(b, leaf, &rest, &range))
	{
		BlockNumber stop = ItemPointerGetBlockNumberNoCheck(&range.end);

		throttle_backfill(b, leaf);
		rows += fill_range(b, leaf, range, ALL_SHARES,
						   Max(leaf->next, Min(stop, leaf->pages)), false);
		tell_progress(b);
		if (!was_checked && leaf->is_checked)
		{
			*end = stop;
			break;
		}
	}
	return rows;
}

/*
 * Without writing, find as many rows as a transaction is to take; *rest becomes
 * what is behind them.  False if there are none.
 */
static bool
next_rows_to_set(Backfill *b, BackfillLeaf *leaf, TidRange *rest,
				 TidRange *range)
{
	RowSearch	search = {leaf, rest, rows_of_batch(b)};
	ErrorData  *error = NULL;
	Relation	rel;

	CHECK_FOR_INTERRUPTS();
	if (ItemPointerCompare(&rest->first, &rest->end) >= 0)
		return false;
	begin_backfill_transaction(b);
	rel = lock_backfill_leaf(b, leaf);
	if (rel != NULL)
	{
		relation_close(rel, NoLock);
		error = run_in_subtransaction(find_rows, &search);
	}
	if (error != NULL)
		range_with_error(&search, error);
	commit_backfill_transaction(b);
	*range = search.found;
	rest->first = search.count < search.limit ? rest->end : range->end;
	return search.count > 0;
}

static bool
find_rows(void *arg)
{
	RowSearch  *search = arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	search->count = search_rows(search->leaf, search->range, search->limit,
								&search->found);
	PopActiveSnapshot();
	return true;
}

/*
 * The condition cannot be computed for a row: who sets the rows finds out for
 * which one, with all before it set.
 */
static void
range_with_error(RowSearch *search, ErrorData *error)
{
	const TidRange *range = search->range;
	BlockNumber first = ItemPointerGetBlockNumberNoCheck(&range->first);
	BlockNumber end = ItemPointerGetBlockNumberNoCheck(&range->end);

	if (!is_about_row(error->sqlerrcode))
		ReThrowError(error);
	FreeErrorData(error);
	search->found = pages_as_range(first, Min(end, first + FAILED_PAGES));
	search->found.first = range->first;
	search->count = search->limit;
}

/* Of pages in which there was nothing to do, or of the last ones. */
static void
store_progress(Backfill *b, BackfillLeaf *leaf)
{
	throttle_backfill(b, leaf);
	begin_backfill_transaction(b);
	store_backfill_batch(b, leaf, leaf->next, leaf->unstored_rows);
	commit_backfill_transaction(b);
	note_stored(leaf, true, 0);
	tell_progress(b);
}

/* What others had locked, until they have ended their transactions. */
static void
fill_skipped(Backfill *b, BackfillLeaf *leaf)
{
	TimestampTz start = GetCurrentTimestamp();

	while (leaf->skipped != NIL && !leaf->is_gone)
	{
		List	   *skipped = leaf->skipped;
		ListCell   *cell;

		leaf->skipped = NIL;
		foreach(cell, skipped)
		{
			TidRange	range = *(TidRange *) lfirst(cell);
			BlockNumber first = ItemPointerGetBlockNumberNoCheck(&range.first);
			BlockNumber end = ItemPointerGetBlockNumberNoCheck(&range.end);

			throttle_backfill(b, leaf);
			if (fill_range(b, leaf, range, ALL_SHARES, leaf->next, true) > 0)
				prune_later(leaf, first, Max(end, first + 1), leaf->xid);
		}
		list_free_deep(skipped);
		if (leaf->skipped == NIL)
			break;
		if (LockTimeout > 0 &&
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LockTimeout))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("rows of %s are locked by other sessions for longer than lock_timeout; all others are set",
							leaf->name),
					 errhint("Send the same call again to go on.")));
		pause_backfill(b, psprintf("other sessions, which have locked rows of %s",
								   leaf->name),
					   LOCKED_ROWS_PAUSE_MS);
	}
	pause_backfill(b, NULL, 0);
}

/*
 * Read all tables by one snapshot.  True if rows were found, and set; what was
 * found are at least these, so that there is to be another reading.
 */
static bool
search_leaves(Backfill *b)
{
	bool		found;
	ListCell   *cell;

	begin_search(b);
	found = begin_reading(b);
	foreach(cell, b->leaves)
	{
		BackfillLeaf *leaf = lfirst(cell);

		if (!leaf->is_gone)
			found |= search_leaf(b, leaf);
	}
	PopActiveSnapshot();
	commit_backfill_transaction(b);
	return found;
}

static void
begin_search(Backfill *b)
{
	begin_backfill_transaction(b);
	b->pass++;
	store_backfill_pass(b);
	commit_backfill_transaction(b);
}

/*
 * In a new transaction, push a snapshot that sees the rows of all tables, which
 * are locked before: what rewrites one hides its rows from snapshots that are
 * older.  True if there are new tables.
 */
static bool
begin_reading(Backfill *b)
{
	bool		is_new;

	begin_backfill_transaction(b);
	is_new = find_backfill_leaves(b);
	PushActiveSnapshot(GetTransactionSnapshot());
	return is_new;
}

/* Under the active snapshot, which is another one when rows were set. */
static bool
search_leaf(Backfill *b, BackfillLeaf *leaf)
{
	Relation	rel = lock_backfill_leaf(b, leaf);
	bool		found = false;
	BlockNumber first = 0;
	BlockNumber pages;

	if (rel == NULL)
		return false;
	pages = RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);
	while (first < pages)
	{
		BlockNumber end = first + Min(SEARCH_PAGES, pages - first);
		TidRange	pages_here = pages_as_range(first, end);
		TidRange	to_set;

		CHECK_FOR_INTERRUPTS();
		if (search_rows(leaf, &pages_here, 1, &to_set) > 0)
		{
			uint64		rows;

			PopActiveSnapshot();
			commit_backfill_transaction(b);
			leaf->touched = 0;
			rows = fill_all_rows(b, leaf,
								 ItemPointerGetBlockNumberNoCheck(&to_set.first),
								 &end);
			fill_skipped(b, leaf);

			/* to null, by the default; or it has moved to where we have been */
			found |= rows > 0 || b->request->counted == NULL ||
				leaf->touched == 0;
			found |= begin_reading(b);
			if ((rel = lock_backfill_leaf(b, leaf)) == NULL)
				break;
			relation_close(rel, NoLock);
		}
		first = end;
	}
	return found;
}

/*
 * Rows that are still to be set, at most so many; *found is from the first to the
 * last of them.  Under the active snapshot.  Returns their number.
 */
static int
search_rows(BackfillLeaf *leaf, const TidRange *range, int limit,
			TidRange *found)
{
	Datum		values[] = {
		PointerGetDatum(&range->first),
		PointerGetDatum(&range->end)
	};
	int			count;

	SPI_connect();
	if (SPI_execute_snapshot(leaf->search, values, NULL, GetActiveSnapshot(),
							 InvalidSnapshot, true, false, limit) != SPI_OK_SELECT)
		elog(ERROR, "could not search %s", leaf->name);
	count = (int) SPI_processed;
	if (count > 0)
	{
		found->first = tid_of_row(0);
		found->end = tid_of_row(count - 1);
		ItemPointerSetOffsetNumber(&found->end,
								   ItemPointerGetOffsetNumberNoCheck(&found->end) + 1);
	}
	SPI_finish();
	return count;
}

/* Of the result of a query: its only column. */
static ItemPointerData
tid_of_row(int row)
{
	bool		isnull;

	return *(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[row],
														SPI_tuptable->tupdesc, 1,
														&isnull));
}

/* With the settings of the session, so that its commit is on disk. */
static void
finish_backfill(Backfill *b)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	store_unstored_rows(b);
	store_backfill_end(b, "done", NULL);
	CommitTransactionCommand();
	StartTransactionCommand();
	unlock_backfill(b);
	if (!b->request->quiet)
		ereport(NOTICE,
				(errmsg("backfill " INT64_FORMAT " of %s is done: " UINT64_FORMAT " rows were set",
						b->id, relation_display_name(b->relid), b->rows)));
}

static void
end_backfill_plans(Backfill *b)
{
	ListCell   *cell;

	foreach(cell, b->leaves)
		forget_backfill_plans(lfirst(cell));
}

/* After an error; no transaction is open. */
static void
record_error(void *arg)
{
	BackfillEnd *end = arg;
	bool		was_stopped = ERRCODE_TO_CATEGORY(end->error->sqlerrcode) ==
	ERRCODE_OPERATOR_INTERVENTION;

	StartTransactionCommand();
	store_unstored_rows(end->backfill);
	store_backfill_end(end->backfill, was_stopped ? "interrupted" : "failed",
					   end->error);
	unlock_backfill(end->backfill);
	CommitTransactionCommand();
}

/*
 * See backfill_internal.h.
 */
void
begin_backfill_transaction(Backfill *b)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] = {
		/* the rule is about what users change */
		{"safe_migrate.row_limit", "0"},
		/* what a crash takes is done again */
		{"synchronous_commit", "off"},
		/* pages are read by a plan whose cost is said to be that of many */
		{"jit", "off"},
		{"enable_tidscan", "on"}
	};

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();

	/* a row that somebody else has changed is no reason to fail */
	XactIsoLevel = XACT_READ_COMMITTED;

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i].name, settings[i].value,
								 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
	MemoryContextSwitchTo(b->batch_context);
}

/*
 * See backfill_internal.h.
 */
void
commit_backfill_transaction(Backfill *b)
{
	CommitTransactionCommand();
	MemoryContextReset(b->batch_context);
	MemoryContextSwitchTo(b->batch_context);
}

/* Every few seconds, how far it is. */
static void
tell_progress(Backfill *b)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		pages = 0;
	uint64		done = 0;
	double		seconds = (now - b->started_at) / 1e6;
	ListCell   *cell;

	if (b->request->quiet || now < b->next_notice)
		return;
	b->next_notice = TimestampTzPlusMilliseconds(now, NOTICE_INTERVAL_MS);
	foreach(cell, b->leaves)
	{
		const BackfillLeaf *leaf = lfirst(cell);

		pages += leaf->pages;
		done += leaf->next;
	}
	ereport(NOTICE,
			(errmsg("backfill " INT64_FORMAT " of %s: " UINT64_FORMAT " rows were set, %.0f %% of the pages are done, %.0f rows a second",
					b->id, b->alias, b->rows, 100.0 * done / Max(pages, 1),
					b->rows / seconds)));
}
