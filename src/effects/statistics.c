/*-------------------------------------------------------------------------
 *
 * statistics.c
 *	  Statistics of the planner that a change of a column's type deletes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_statistic_ext.h"
#include "effects/describe.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A column, and whether more than its own statistics are concerned. */
typedef struct ColumnStatistics
{
	const char *column;
	bool		found;			/* in one of the tables so far */
	bool		more;
} ColumnStatistics;

static bool table_has_statistics(Oid relid, void *arg);
static bool has_statistics(Oid relid, AttrNumber attnum);
static bool indexes_have_statistics(Relation rel, AttrNumber attnum);
static bool index_has_statistics(Relation index, AttrNumber attnum);
static bool extended_statistics_cover(Relation rel, AttrNumber attnum);
static bool extended_statistics_use(HeapTuple tuple, AttrNumber attnum);
static bool expression_uses(Node *expression, AttrNumber attnum);

/*
 * Say that an effect deletes what the planner knows of a column, and of the
 * expressions of indexes and the extended statistics that depend on it, which
 * are made again: even when nothing is rewritten.  Nothing to be said where
 * there are none, or for a table that is new, temporary or empty.
 */
void
set_lost_statistics(Effect *effect, AttrNumber attnum)
{
	RelationFacts *relation = effect->relation;
	ColumnStatistics statistics = {0};

	if (attnum <= 0 || !OidIsValid(relation->relid) || relation->is_new ||
		relation->is_temp || relation->is_protected)
		return;
	statistics.column = get_attname(relation->relid, attnum, true);
	if (statistics.column == NULL ||
		tables_that(relation->relid, table_has_statistics, &statistics) == NIL)
		return;
	measure_relation(relation);
	if (effect_table_bytes(effect) == 0)
		return;
	effect->loses_statistics = true;
	effect->analyze_all = statistics.more;
	effect->attnum = attnum;
}

/* About one table of a tree; looks for no more than is not known yet. */
static bool
table_has_statistics(Oid relid, void *arg)
{
	ColumnStatistics *statistics = arg;
	AttrNumber	attnum = get_attnum(relid, statistics->column);
	Relation	rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		return false;
	if (!statistics->more)
		statistics->more = indexes_have_statistics(rel, attnum) ||
			extended_statistics_cover(rel, attnum);
	if (!statistics->found)
		statistics->found = statistics->more || has_statistics(relid, attnum);
	relation_close(rel, AccessShareLock);
	return statistics->found;
}

/* Of the table alone, or with all that inherits from it. */
static bool
has_statistics(Oid relid, AttrNumber attnum)
{
	return SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid),
								 Int16GetDatum(attnum), BoolGetDatum(false)) ||
		SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid),
							  Int16GetDatum(attnum), BoolGetDatum(true));
}

static bool
indexes_have_statistics(Relation rel, AttrNumber attnum)
{
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index;
		bool		has_expressions;

		(void) index_may_use(lfirst_oid(cell), attnum, &has_expressions);
		if (!has_expressions)
			continue;
		index = relation_open(lfirst_oid(cell), AccessShareLock);
		found |= index_has_statistics(index, attnum);
		relation_close(index, AccessShareLock);
	}
	return found;
}

/* Expressions have statistics; the index goes if any part of it has to. */
static bool
index_has_statistics(Relation index, AttrNumber attnum)
{
	List	   *expressions = RelationGetIndexExpressions(index);
	bool		uses_column;

	if (expressions == NIL)
		return false;
	uses_column = expression_uses((Node *) expressions, attnum) ||
		expression_uses((Node *) RelationGetIndexPredicate(index), attnum);
	for (int i = 0; i < index->rd_index->indnatts; i++)
		uses_column |= index->rd_index->indkey.values[i] == attnum;
	if (!uses_column)
		return false;
	for (int i = 1; i <= index->rd_index->indnkeyatts; i++)
	{
		if (has_statistics(RelationGetRelid(index), i))
			return true;
	}
	return false;
}

/* Whether extended statistics on the column are filled. */
static bool
extended_statistics_cover(Relation rel, AttrNumber attnum)
{
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetStatExtList(rel))
	{
		Datum		oid = ObjectIdGetDatum(lfirst_oid(cell));
		HeapTuple	tuple = SearchSysCache1(STATEXTOID, oid);

		if (!HeapTupleIsValid(tuple))
			continue;
		found |= extended_statistics_use(tuple, attnum) &&
			(SearchSysCacheExists2(STATEXTDATASTXOID, oid,
								   BoolGetDatum(false)) ||
			 SearchSysCacheExists2(STATEXTDATASTXOID, oid,
								   BoolGetDatum(true)));
		ReleaseSysCache(tuple);
	}
	return found;
}

static bool
extended_statistics_use(HeapTuple tuple, AttrNumber attnum)
{
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	Datum		expressions;
	bool		isnull;

	for (int i = 0; i < form->stxkeys.dim1; i++)
	{
		if (form->stxkeys.values[i] == attnum)
			return true;
	}
	expressions = SysCacheGetAttr(STATEXTOID, tuple,
								  Anum_pg_statistic_ext_stxexprs, &isnull);
	return !isnull &&
		expression_uses(stringToNode(TextDatumGetCString(expressions)),
						attnum);
}

/* An expression, or a list of them, on one table. */
static bool
expression_uses(Node *expression, AttrNumber attnum)
{
	Bitmapset  *columns = NULL;

	pull_varattnos(expression, 1, &columns);
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);
}
