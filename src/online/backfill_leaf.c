/*-------------------------------------------------------------------------
 *
 * backfill_leaf.c
 *	  The tables with rows that a backfill goes through, and plans for them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/table_owner.h"
#include "miscadmin.h"
#include "online/backfill_internal.h"
#include "optimizer/plancat.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/syscache.h"

static BackfillLeaf *find_leaf(const Backfill *b, Oid relid);
static void add_leaf(Backfill *b, Oid relid);
static bool rows_may_stay(const BackfillLeaf *leaf, Relation rel);
static double rows_of_pages(Relation rel);
static int	shares_of_rows(double page_rows);
static void throw_dropped(const Backfill *b);
static void check_columns(const Backfill *b, const BackfillLeaf *leaf);
static void make_plans(Backfill *b, BackfillLeaf *leaf, Relation rel);
static SPIPlanPtr make_plan(const char *text, int parameters);
static void free_plan(SPIPlanPtr *plan);

/*
 * See backfill_internal.h.
 */
bool
find_backfill_leaves(Backfill *b)
{
	bool		is_new = false;
	ListCell   *cell;

	LockRelationOid(b->relid, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(b->relid)))
		throw_dropped(b);
	foreach(cell, find_all_inheritors(b->relid, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(cell);

		check_backfill_table(b, relid);
		if (get_rel_relkind(relid) == RELKIND_RELATION &&
			find_leaf(b, relid) == NULL)
		{
			add_leaf(b, relid);
			is_new = true;
		}
	}
	return is_new;
}

/*
 * See backfill_internal.h.  Partitions and children are updated by themselves,
 * so all of that is asked of each.
 */
void
check_backfill_table(const Backfill *b, Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	Relation	rel;

	if (!compat_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind),
					   relid == b->relid ? b->request->table :
					   relation_display_name(relid));
	require_owner_himself(relid, psprintf("migrate.%s()",
										  b->request->procedure));
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table with rows of its own: migrate.%s() cannot set them",
						relation_display_name(relid), b->request->procedure)));
	rel = relation_open(relid, NoLock);
	if (IsCatalogRelation(rel) || IsToastRelation(rel) ||
		extension_owns_relation(relid) || RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s belongs to the system, to safe_migrate or to another session: migrate.%s() does not set its rows",
						relation_display_name(relid), b->request->procedure)));
	relation_close(rel, NoLock);
	if (b->request->counted != NULL &&
		get_attnum(relid, b->request->counted) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						b->request->counted, get_rel_name(relid))));
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security of %s hides rows from role \"%s\": call migrate.%s() as a role that bypasses it",
						relation_display_name(relid),
						GetUserNameFromId(GetUserId(), false),
						b->request->procedure)));
}

static BackfillLeaf *
find_leaf(const Backfill *b, Oid relid)
{
	ListCell   *cell;

	foreach(cell, b->leaves)
	{
		BackfillLeaf *leaf = lfirst(cell);

		if (leaf->relid == relid)
			return leaf;
	}
	return NULL;
}

static void
add_leaf(Backfill *b, Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(b->context);
	BackfillLeaf *leaf = palloc0(sizeof(BackfillLeaf));
	Relation	rel = relation_open(relid, NoLock);

	leaf->relid = relid;
	leaf->is_root = relid == b->relid;
	leaf->is_heap = rel->rd_rel->relam == HEAP_TABLE_AM_OID;
	leaf->pages = RelationGetNumberOfBlocks(rel);
	leaf->is_checked = b->request->counted != NULL;
	leaf->is_gone = b->request->counted != NULL &&
		build_column_default(rel, get_attnum(relid, b->request->counted)) == NULL;
	leaf->columns = columns_of_texts(b->request, relid, b->alias);
	relation_close(rel, NoLock);
	store_backfill_leaf(b, leaf);
	b->leaves = lappend(b->leaves, leaf);
	MemoryContextSwitchTo(old);
}

/*
 * See backfill_internal.h.  Between two transactions others may have changed
 * the table.  Under another name it is filled further, and not the one that
 * has its name now.
 */
Relation
lock_backfill_leaf(Backfill *b, BackfillLeaf *leaf)
{
	Relation	rel = try_relation_open(leaf->relid, RowExclusiveLock);
	char	   *name;

	if (rel == NULL && !leaf->is_root)
	{
		leaf->is_gone = true;
		return NULL;
	}
	if (rel == NULL)
		throw_dropped(b);

	/* its owner may be another by now, and with him whose functions run here */
	require_owner_himself(leaf->relid, psprintf("migrate.%s()",
												b->request->procedure));
	leaf->is_heap = rel->rd_rel->relam == HEAP_TABLE_AM_OID;
	check_columns(b, leaf);
	name = relation_display_name(leaf->relid);
	if (leaf->name == NULL || strcmp(leaf->name, name) != 0)
	{
		forget_backfill_plans(leaf);
		leaf->name = MemoryContextStrdup(b->context, name);
		make_plans(b, leaf, rel);
	}
	return rel;
}

static void
throw_dropped(const Backfill *b)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table %s was dropped while migrate.%s() filled it",
					b->alias, b->request->procedure)));
}

static void
check_columns(const Backfill *b, const BackfillLeaf *leaf)
{
	ListCell   *cell;

	foreach(cell, leaf->columns)
	{
		const BackfillColumn *column = lfirst(cell);
		char	   *name = get_attname(leaf->relid, column->attnum, true);

		if (name == NULL || strcmp(name, column->name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of %s was dropped or renamed while migrate.%s() filled it",
							column->name, relation_display_name(leaf->relid),
							b->request->procedure),
					 errhint("What is filled stays so. To fill the rest, call migrate.%s() again with the new name.",
							 b->request->procedure)));
	}
}

/*
 * The planner is kept from reading the whole table for some pages; nothing else
 * is said by the number of rows that it expects, for it does not know the range.
 */
static void
make_plans(Backfill *b, BackfillLeaf *leaf, Relation rel)
{
	int			nest_level = NewGUCNestLevel();
	MemoryContext old;

	leaf->condition = MemoryContextStrdup(b->context,
										  b->request->condition != NULL ? b->request->condition :
										  default_condition(b->request, leaf->relid, b->alias));
	leaf->page_rows = rows_of_pages(rel);
	leaf->shares = b->request->counted == NULL && rows_may_stay(leaf, rel) ?
		shares_of_rows(leaf->page_rows) : 1;
	SPI_connect();
	old = MemoryContextSwitchTo(b->batch_context);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	leaf->update = make_plan(update_text(b, leaf, false), 2);
	if (leaf->shares > 1)
		leaf->update_share = make_plan(update_text(b, leaf, true), 3);
	leaf->search = make_plan(search_text(b, leaf), 2);
	MemoryContextSwitchTo(old);
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
}

static SPIPlanPtr
make_plan(const char *text, int parameters)
{
	Oid			types[] = {TIDOID, TIDOID, INT4OID};
	SPIPlanPtr	plan = SPI_prepare_cursor(text, parameters, types,
										  CURSOR_OPT_GENERIC_PLAN);
	CachedPlan *cached;

	if (plan == NULL)
		elog(ERROR, "could not plan a batch: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
		ReleaseCachedPlan(cached, CurrentResourceOwner);
	return plan;
}

/*
 * True if setting the columns changes no index, so that a row may stay in its
 * page, and in the indexes.
 */
static bool
rows_may_stay(const BackfillLeaf *leaf, Relation rel)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	foreach(cell, leaf->columns)
	{
		const BackfillColumn *column = lfirst(cell);

		if (column->is_set)
			columns = bms_add_member(columns, column->attnum -
									 FirstLowInvalidHeapAttributeNumber);
	}
	return leaf->is_heap &&
		!bms_overlap(columns, compat_columns_of_indexes(rel));
}

/* As the planner estimates them; at least one. */
static double
rows_of_pages(Relation rel)
{
	BlockNumber pages;
	double		rows;
	double		all_visible;

	estimate_rel_size(rel, NULL, &pages, &rows, &all_visible);
	return Max(rows / Max(pages, 1), 1);
}

/* Two rows of a page at a time. */
static int
shares_of_rows(double page_rows)
{
	int			shares = 1;

	while (shares < MAX_SHARES && page_rows >= shares * 4)
		shares *= 2;
	return shares;
}

/*
 * See backfill_internal.h.
 */
void
forget_backfill_plans(BackfillLeaf *leaf)
{
	free_plan(&leaf->update);
	free_plan(&leaf->update_share);
	free_plan(&leaf->search);
	leaf->name = NULL;
}

static void
free_plan(SPIPlanPtr *plan)
{
	if (*plan != NULL)
		(void) SPI_freeplan(*plan);
	*plan = NULL;
}
