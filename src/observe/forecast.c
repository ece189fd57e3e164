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
#include "catalog/pg_inherits.h"
#include "observe/forecast.h"
#include "utils/lsyscache.h"

static List *tables_below(const Effect *effect);
static void add_to_forecast(HTAB *forecasts, const Effect *effect, Oid relid,
							LOCKMODE lockmode);
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
	ListCell   *cell;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Forecast);
	control.hcxt = CurrentMemoryContext;
	forecasts = hash_create("safe_migrate forecast", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);
		ListCell   *inner;

		if (effect->relation == NULL || !OidIsValid(effect->relation->relid))
			continue;
		if (effect->momentary)
		{
			Forecast   *forecast = find_forecast(forecasts,
												 effect->relation->relid);

			forecast->momentary = Max(forecast->momentary, effect->lockmode);
			continue;
		}
		add_to_forecast(forecasts, effect, effect->relation->relid,
						effect->lockmode);
		foreach(inner, tables_below(effect))
			add_to_forecast(forecasts, effect, lfirst_oid(inner),
							effect->lockmode_below);
	}
	return forecasts;
}

static List *
tables_below(const Effect *effect)
{
	if (effect->lockmode_below == NoLock)
		return NIL;
	if (effect->members != NIL)
		return effect->members;
	return list_delete_first(find_all_inheritors(effect->relation->relid,
												 NoLock, NULL));
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
add_to_forecast(HTAB *forecasts, const Effect *effect, Oid relid,
				LOCKMODE lockmode)
{
	Forecast   *forecast = find_forecast(forecasts, relid);
	char		relkind;

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
