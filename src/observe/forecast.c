/*-------------------------------------------------------------------------
 *
 * forecast.c
 *	  Predicted effects, spread over the single relations they concern.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "observe/forecast.h"
#include "utils/lsyscache.h"

static void add_to_forecast(const Effect *effect, Oid relid,
							LOCKMODE lockmode, void *arg);
static Forecast *find_forecast(HTAB *forecasts, Oid relid);
static void add_work(Forecast *forecast, const Effect *effect);

/*
 * See forecast.h.
 */
HTAB *
make_forecast(List *effects)
{
	HASHCTL		control = {0};
	HTAB	   *forecasts;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Forecast);
	control.hcxt = CurrentMemoryContext;
	forecasts = hash_create("safe_migrate forecast", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	spread_effects(effects, add_to_forecast, forecasts);
	return forecasts;
}

/*
 * See forecast.h.
 */
bool
effects_have_work(List *effects, EffectWork work)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		if (((const Effect *) lfirst(cell))->work == work)
			return true;
	}
	return false;
}

static void
add_to_forecast(const Effect *effect, Oid relid, LOCKMODE lockmode, void *arg)
{
	HTAB	   *forecasts = arg;
	Forecast   *forecast = find_forecast(forecasts, relid);
	char		relkind;

	if (effect->momentary)
	{
		forecast->momentary = Max(forecast->momentary, lockmode);
		return;
	}
	forecast->lockmode = Max(forecast->lockmode, lockmode);
	if (list_member_oid(effect->spared, relid))
		return;
	relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_INDEX && effect->work != WORK_NONE)
	{
		/* an index that is written anew counts for its table */
		forecast = find_forecast(forecasts, IndexGetRelation(relid, false));
		forecast->is_indexed = true;
	}
	else if (RELKIND_HAS_STORAGE(relkind))
		add_work(forecast, effect);
}

static Forecast *
find_forecast(HTAB *forecasts, Oid relid)
{
	Forecast   *forecast;
	bool		found;

	forecast = hash_search(forecasts, &relid, HASH_ENTER, &found);
	if (!found)
	{
		MemSet(forecast, 0, sizeof(Forecast));
		forecast->relid = relid;
	}
	return forecast;
}

static void
add_work(Forecast *forecast, const Effect *effect)
{
	switch (effect->work)
	{
		case WORK_NONE:
		case WORK_UNKNOWN:
			break;
		case WORK_SCAN:
			forecast->is_scanned = true;
			break;
		case WORK_FK_SCAN:
			/* a join, which reads nothing where the partition is empty */
			if (effect->cause != CAUSE_DETACH_PARTITION)
				forecast->is_looked_up = true;
			break;
		case WORK_INDEX_BUILD:
		case WORK_INDEX_REBUILD:
			forecast->is_indexed = true;
			break;
		case WORK_REWRITE:
			forecast->is_rewritten = true;
			break;
	}
	if (effect->truncates)
		forecast->is_truncated = true;
}
