/*-------------------------------------------------------------------------
 *
 * backfill_internal.h
 *	  What the files of a backfill share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_BACKFILL_INTERNAL_H
#define SAFE_MIGRATE_BACKFILL_INTERNAL_H

#include "access/attnum.h"
#include "access/transam.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "online/backfill.h"
#include "storage/block.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

/*
 * Rows of a table that is full move to other pages, and into all of its
 * indexes, when they are set.  So a page is gone through in several turns, each
 * of them for a share of its rows: the first share leaves, and with the space
 * that the one before has freed the others stay where they are, with no work
 * for the indexes.  A power of 2.
 */
#define MAX_SHARES 16

/* In place of the number of a share: all rows. */
#define ALL_SHARES (-1)

/* A column that the expressions name. */
typedef struct BackfillColumn
{
	char	   *name;
	AttrNumber	attnum;
	bool		is_set;			/* not only read */
} BackfillColumn;

/* Rows of a table from one ctid to another, which is not one of them. */
typedef struct TidRange
{
	ItemPointerData first;
	ItemPointerData end;
} TidRange;

/* Pages behind a backfill, with the transaction that has left dead rows there. */
typedef struct PrunedRange
{
	BlockNumber first;
	BlockNumber end;
	TransactionId xid;
	TimestampTz since;			/* it waits */
} PrunedRange;

/* So many of them wait. */
#define MAX_PRUNED_RANGES 64

typedef struct PruneQueue
{
	int			start;			/* of the ring */
	int			count;
	BlockNumber pages;			/* in all of them */
	PrunedRange ranges[MAX_PRUNED_RANGES];
} PruneQueue;

/* A table with rows: the one that was named, a partition or a child. */
typedef struct BackfillLeaf
{
	Oid			relid;
	bool		is_root;		/* the one that the caller has named */
	bool		is_heap;		/* its pages can be pruned */
	double		page_rows;		/* about so many are in a page */
	bool		is_sparse;		/* there was little to do where it was last */
	int			shares;			/* of the rows of a page, see above; 1: rows
								 * must move, since indexes change */
	bool		is_gone;		/* dropped meanwhile, or nothing to be done */
	bool		is_checked;		/* rows that were set fulfil the condition no
								 * more */
	BlockNumber pages;			/* to be gone through first */
	BlockNumber next;			/* of these, the first that is not done */
	List	   *columns;		/* of BackfillColumn */
	List	   *skipped;		/* of TidRange *: others had locked rows there */
	uint64		touched;		/* rows that were updated, whatever they got */
	uint64		unstored_rows;	/* set, which the log does not say yet */
	TimestampTz stored_at;		/* when it was told last */
	char	   *name;			/* for which the plans were made, or NULL */
	char	   *condition;
	SPIPlanPtr	update;			/* of a range of ctids: $1 and $2 */
	SPIPlanPtr	update_share;	/* and a share of it, $3; NULL: there is one */
	SPIPlanPtr	search;			/* for a row that is still to be set */
	TransactionId xid;			/* the last that has set rows of it */
	PruneQueue	prune;
	List	   *known_sizes;	/* of backfill_disk.c */
	TimestampTz next_write_back;
} BackfillLeaf;

/* How much a transaction takes, of each kind of turn. */
typedef struct BackfillPace
{
	double		size;			/* pages; rows where all are set at once */
	double		row_ms;			/* that a row takes; not where all are set */
} BackfillPace;

typedef struct BackfillThrottle
{
	TimestampTz next_look;
	int64		checkpoints;	/* that were requested, at the last look; -1:
								 * there was none */
	TimestampTz checkpoint_time;	/* when the last of them was seen */
	int			recent_checkpoints;
	TimestampTz checkpoint_pause_end;
	bool		horizon_given_up;	/* others hold it for too long */
	TimestampTz horizon_since;	/* it is waited for, or 0 */
} BackfillThrottle;

typedef struct Backfill
{
	const BackfillRequest *request;
	MemoryContext context;		/* outlives the transactions */
	MemoryContext batch_context;	/* reset with each transaction */
	int64		id;
	Oid			relid;			/* of the table that was named */
	char	   *alias;			/* its name, quoted */
	List	   *leaves;
	int			pass;			/* from 1 */
	uint64		rows;			/* set in this call */
	bool		is_paused;		/* which the log says */
	TimestampTz started_at;
	TimestampTz next_notice;
	BackfillPace pace;			/* of all rows of a page */
	BackfillPace moving_pace;	/* of the first share, of which rows move */
	BackfillPace staying_pace;	/* of the others, which stay in their pages */
	BackfillThrottle throttle;
	TimestampTz others_expected_until;	/* to write, beside it */
	double		small_flush_ms; /* what a flush of little WAL takes */
} Backfill;

/* What a batch, and others meanwhile, have written. */
typedef struct BatchWal
{
	FullTransactionId next_xid; /* when it began */
	uint64		bytes_before;	/* of this session */
	uint64		own_xids;		/* of the batch */
} BatchWal;

/* backfill.c: the transactions, in b->batch_context. */
extern void begin_backfill_transaction(Backfill *b);
extern void commit_backfill_transaction(Backfill *b);

/*
 * backfill_text.c.  All need a transaction.
 *
 * Throw unless these are what stands behind SET, a condition alone.
 */
extern void check_set_text(const char *set);
extern void check_condition_text(const char *condition);

/*
 * The condition of those rows which the SET would change, for a table that is
 * called by the alias, palloc'd.  Throws if that can not be told.
 */
extern char *default_condition(const BackfillRequest *request, Oid relid,
							   const char *alias);

/* The columns of that table that the texts name, of BackfillColumn. */
extern List *columns_of_texts(const BackfillRequest *request, Oid relid,
							  const char *alias);

/* Statements about a range, palloc'd. */
extern char *update_text(const Backfill *b, const BackfillLeaf *leaf,
						 bool one_share);
extern char *checked_update_text(const Backfill *b, const BackfillLeaf *leaf);
extern char *check_text(const Backfill *b, const BackfillLeaf *leaf);
extern char *search_text(const Backfill *b, const BackfillLeaf *leaf);

/*
 * backfill_leaf.c.  Look for the tables, lock them for reading until the
 * transaction ends, add those that are new to b->leaves, which is true then, and
 * throw if one of them is none that the current user may do this with.
 */
extern bool find_backfill_leaves(Backfill *b);
extern void check_backfill_table(const Backfill *b, Oid relid);

/*
 * Lock a table until the transaction ends, with plans for it as it is now;
 * NULL if it is gone.  Throws if the one that was named is, or a column.
 */
extern Relation lock_backfill_leaf(Backfill *b, BackfillLeaf *leaf);
extern void forget_backfill_plans(BackfillLeaf *leaf);

/*
 * backfill_batch.c.  Set the rows of a range, in one transaction or more:
 * where others have locked a row, the range is divided, and what is left of it
 * is added to leaf->skipped, down to a page or, if by_row, to a row.  A row that
 * cannot be set ends it with an error that names it.  When it is done, all pages
 * before next are.  Returns how many rows were set.
 */
extern uint64 fill_range(Backfill *b, BackfillLeaf *leaf, TidRange range,
						 int share, BlockNumber next, bool by_row);
extern TidRange pages_as_range(BlockNumber first, BlockNumber end);

/* False for an error that any other row would have met as well. */
extern bool is_about_row(int sqlerrcode);

/* backfill_row.c.  A row in words, palloc'd: its key, or where it is. */
extern char *row_in_words(Oid relid, ItemPointer tid);

/* The key columns as an expression that gives such words, or NULL. */
extern char *key_expression(Oid relid, const char *alias);

/* backfill_prune.c */
extern void prune_later(BackfillLeaf *leaf, BlockNumber first,
						BlockNumber end, TransactionId xid);
extern bool prune_behind(BackfillLeaf *leaf, Relation rel);
extern bool prune_is_behind(const BackfillLeaf *leaf, BlockNumber pages);

/*
 * backfill_disk.c.  Pages by which a leaf has grown are sent to the disk: before a
 * batch locks rows, and what is left of them when the leaf is done, outside of a
 * transaction.
 */
extern void write_back_new_pages(Backfill *b, BackfillLeaf *leaf,
								 Relation rel);
extern void write_back_rest(Backfill *b, BackfillLeaf *leaf);

/*
 * Before the first row of a batch, before its commit, and behind it: flush its WAL
 * if others write.  Returns about the milliseconds that they wait because of it.
 */
extern void begin_batch_wal(BatchWal *wal);
extern void end_batch_wal(BatchWal *wal);
extern double flush_beside_others(Backfill *b, const BatchWal *wal);

/* backfill_pace.c: before the first batch. */
extern void begin_pace(Backfill *b);

/*
 * How many rows the next transaction is to take that sets all rows of a range, and
 * how many pages one that sets a share of theirs; at least one.
 */
extern int	rows_of_batch(const Backfill *b);
extern BlockNumber pages_of_batch(Backfill *b, const BackfillLeaf *leaf,
								  int share);

/*
 * A transaction took that many pages, and milliseconds from its first row to its
 * commit and for the flush of its WAL, and has set so many rows; others waited
 * for it.
 */
extern void adjust_pace(Backfill *b, BackfillLeaf *leaf, int share,
						BlockNumber pages, uint64 rows, double duration,
						double flush_ms, bool others_waited);

/*
 * backfill_throttle.c.  Wait while something speaks against going on; outside
 * of a transaction.
 */
extern void throttle_backfill(Backfill *b, BackfillLeaf *leaf);

/* Sleep outside of a transaction, for a reason that others can see, or NULL. */
extern void pause_backfill(Backfill *b, const char *reason, int milliseconds);

/* backfill_store.c.  The rows of the log; all need a transaction. */
extern void store_backfill_begin(Backfill *b, bool *is_resumed);
extern void store_backfill_leaf(Backfill *b, BackfillLeaf *leaf);
extern void store_backfill_batch(const Backfill *b, const BackfillLeaf *leaf,
								 BlockNumber next, uint64 rows);
extern void store_unstored_rows(Backfill *b);

/* Whether a batch is to be stored; then, after its commit, whether it was. */
extern bool is_to_be_stored(const BackfillLeaf *leaf);
extern void note_stored(BackfillLeaf *leaf, bool is_stored, uint64 rows);
extern void store_backfill_pass(const Backfill *b);
extern void store_backfill_wait(const Backfill *b, const char *reason);
extern void store_backfill_end(const Backfill *b, const char *state,
							   const ErrorData *error);
extern void unlock_backfill(const Backfill *b);

#endif							/* SAFE_MIGRATE_BACKFILL_INTERNAL_H */
