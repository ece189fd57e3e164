/*-------------------------------------------------------------------------
 *
 * lost_statistics.c
 *	  What a statement that may run means for ANALYZE in the background.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "analyze/analyze.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/settings.h"
#include "run/lost_statistics.h"
#include "utils/lsyscache.h"

static void renew_column(const Effect *effect, Oid relid);

/*
 * See lost_statistics.h.  ANALYZE of a partitioned table covers its
 * partitions, but that of a table with children does not cover these.
 */
void
renew_lost_statistics(List *effects)
{
	ListCell   *cell;
	ListCell   *inner;

	if (!setting_renew_statistics)
		return;
	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (!effect->loses_statistics)
			continue;
		if (effect->relation->relkind == RELKIND_PARTITIONED_TABLE)
			renew_column(effect, effect->relation->relid);
		else
		{
			foreach(inner, find_all_inheritors(effect->relation->relid,
											   NoLock, NULL))
				renew_column(effect, lfirst_oid(inner));
		}
	}
}

/* The same column may have another number in a table below. */
static void
renew_column(const Effect *effect, Oid relid)
{
	AttrNumber	attnum = effect->attnum;

	if (relid != effect->relation->relid)
	{
		char	   *name = get_attname(effect->relation->relid, attnum, true);

		/* the table is just being dropped */
		if (name == NULL)
			return;
		attnum = get_attnum(relid, name);
	}
	if (attnum != InvalidAttrNumber)
		analyze_after_commit(relid,
							 effect->analyze_all ? InvalidAttrNumber : attnum);
}

/*
 * See lost_statistics.h.  Where a weaker lock has to wait for us, such as that
 * of VACUUM, nobody has to wait behind it.
 */
void
stop_analyzing(List *effects)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);

		if (effect->relation != NULL &&
			effect->lockmode > ShareUpdateExclusiveLock)
			analyze_give_way(effect->relation->relid);
	}
}
