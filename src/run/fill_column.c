/*-------------------------------------------------------------------------
 *
 * fill_column.c
 *	  CALL migrate.fill_column(table, column): the default for old rows.
 *
 * A step of the plan for a new column whose default differs from row to row.
 * Pages are taken in order, some at a time, each time in a transaction of its
 * own, so that no row is locked for long.  What is filled is not filled again:
 * after a crash it can be called once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "portability/instr_time.h"
#include "preserve/preserve.h"
#include "run/fill_column.h"
#include "run/run.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

/* What a transaction should take, milliseconds. */
#define BATCH_TIME 50.0

/* Pages of the first batch. */
#define FIRST_BATCH 64

/*
 * Rows that clients change meanwhile move to pages that were passed, so the
 * table is gone through again while something is found.  Rows for which the
 * default is null do not count; this is for those whose default is a row of
 * nulls.
 */
#define MAX_PASSES 10

/* A table that has the column. */
typedef struct FilledTable
{
	Oid			relid;
	AttrNumber	attnum;			/* of the column there */
	bool		is_root;		/* the one that the caller has named */
	BlockNumber pages;			/* when it was looked at last */
} FilledTable;

static void fill_column(int nargs, const ProcedureArgument *args);
static List *tables_to_fill(const char *name, const char *column);
static FilledTable *table_to_fill(Oid relid, AttrNumber attnum, bool is_root);
static void measure_tables(List *tables);
static uint64 fill_table(const FilledTable *table, const char *column);
static uint64 fill_pages(const FilledTable *table, const char *column,
						 BlockNumber first, BlockNumber end);
static bool lock_table(const FilledTable *table, const char *column);
static void next_transaction(MemoryContext context);

/*
 * See fill_column.h.
 */
void
register_fill_column(void)
{
	register_top_level_procedure("fill_column", fill_column);
}

static void
fill_column(int nargs, const ProcedureArgument *args)
{
	MemoryContext context;
	List	   *tables;
	uint64		filled;
	int			pass = 0;

	Assert(nargs == 2);
	if (args[0].isnull || args[1].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the column for migrate.fill_column() must not be null")));

	/* what is known of the tables outlives the transactions */
	context = AllocSetContextCreate(PortalContext, "safe_migrate fill_column",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	tables = tables_to_fill(args[0].value, args[1].value);

	/* the caller's transaction has done nothing but evaluate the arguments */
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	next_transaction(context);
	do
	{
		ListCell   *cell;

		filled = 0;
		foreach(cell, tables)
			filled += fill_table(lfirst(cell), args[1].value);
		measure_tables(tables);
	} while (filled > 0 && ++pass < MAX_PASSES);
	MemoryContextSwitchTo(CurTransactionContext);
}

/* The table and all that inherit from it, with their sizes. */
static List *
tables_to_fill(const char *name, const char *column)
{
	RangeVar   *relation = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Oid			root = RangeVarGetRelid(relation, NoLock, false);
	List	   *tables = NIL;
	ListCell   *cell;

	if (!compat_owns_relation(root, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(root)), name);
	foreach(cell, find_all_inheritors(root, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(cell);

		if (get_attnum(relid, column) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							column, get_rel_name(relid))));
		if (get_rel_relkind(relid) == RELKIND_RELATION)
			tables = lappend(tables,
							 table_to_fill(relid, get_attnum(relid, column),
										   relid == root));
	}
	return tables;
}

static FilledTable *
table_to_fill(Oid relid, AttrNumber attnum, bool is_root)
{
	FilledTable *table = palloc(sizeof(FilledTable));
	Relation	rel = relation_open(relid, NoLock);

	table->relid = relid;
	table->attnum = attnum;
	table->is_root = is_root;
	table->pages = RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);
	return table;
}

/* Rows have moved to new pages. */
static void
measure_tables(List *tables)
{
	ListCell   *cell;

	foreach(cell, tables)
	{
		FilledTable *table = lfirst(cell);
		Relation	rel = try_relation_open(table->relid, AccessShareLock);

		/* whoever drops a partition meanwhile wants nothing filled there */
		table->pages = rel != NULL ? RelationGetNumberOfBlocks(rel) : 0;
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
	}
}

/* How many rows got a value.  Commits by itself. */
static uint64
fill_table(const FilledTable *table, const char *column)
{
	MemoryContext context = CurrentMemoryContext;
	uint64		filled = 0;
	BlockNumber batch = FIRST_BATCH;
	BlockNumber first = 0;

	while (first < table->pages)
	{
		BlockNumber end = first + Min(batch, table->pages - first);
		instr_time	start;
		instr_time	duration;

		CHECK_FOR_INTERRUPTS();
		INSTR_TIME_SET_CURRENT(start);
		filled += fill_pages(table, column, first, end);
		next_transaction(context);
		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);

		first = end;
		if (INSTR_TIME_GET_MILLISEC(duration) < BATCH_TIME / 2)
			batch = Min(batch * 2, MaxBlockNumber / 2);
		else if (INSTR_TIME_GET_MILLISEC(duration) > BATCH_TIME)
			batch = Max(batch / 2, 1);
	}
	return filled;
}

static uint64
fill_pages(const FilledTable *table, const char *column, BlockNumber first,
		   BlockNumber end)
{
	const char *quoted = quote_identifier(column);
	int			nest_level;
	char	   *update;
	bool		isnull;
	uint64		filled;

	if (!lock_table(table, column))
		return 0;

	/* the rule is about what users change */
	nest_level = NewGUCNestLevel();
	(void) set_config_option("safe_migrate.row_limit", "0", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	update = psprintf("WITH filled AS (UPDATE ONLY %s SET %s = DEFAULT "
					  "WHERE ctid OPERATOR(pg_catalog.>=) '(%u,0)'::pg_catalog.tid "
					  "AND ctid OPERATOR(pg_catalog.<) '(%u,0)'::pg_catalog.tid "
					  "AND %s IS NULL RETURNING %s) "
					  "SELECT pg_catalog.count(%s) FROM filled",
					  relation_display_name(table->relid), quoted, first, end, quoted, quoted, quoted);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute(update, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not fill column %s of %s", quoted,
			 relation_display_name(table->relid));
	filled = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										 SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	AtEOXact_GUC(true, nest_level);
	return filled;
}

/*
 * Between two transactions others may have changed the table.  Under another
 * name it is filled further, and not the one that has its name now.  False if
 * it is gone with what inherits from the caller's.  The lock stays until the
 * transaction ends.
 */
static bool
lock_table(const FilledTable *table, const char *column)
{
	Relation	rel = try_relation_open(table->relid, RowExclusiveLock);
	char	   *name;

	if (rel == NULL && !table->is_root)
		return false;
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table was dropped while migrate.fill_column() filled its column \"%s\"",
						column)));
	relation_close(rel, NoLock);
	name = get_attname(table->relid, table->attnum, true);
	if (name == NULL || strcmp(name, column) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of %s was dropped or renamed while migrate.fill_column() filled it",
						column, relation_display_name(table->relid)),
				 errhint("What is filled stays so. To fill the rest, call migrate.fill_column() again with the new name.")));
	return true;
}

static void
next_transaction(MemoryContext context)
{
	CommitTransactionCommand();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);

	/* a row that somebody else has changed is no reason to fail */
	XactIsoLevel = XACT_READ_COMMITTED;
}
