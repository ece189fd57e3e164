/*-------------------------------------------------------------------------
 *
 * spread.c
 *	  Effects, spread over the single relations they concern.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "effects/effects.h"

static List *tables_below(const Effect *effect);

/*
 * See effects.h.
 */
void
spread_effects(List *effects, EffectVisitor visit, void *arg)
{
	ListCell   *cell;

	foreach(cell, effects)
	{
		const Effect *effect = lfirst(cell);
		ListCell   *inner;

		if (effect->relation == NULL || !OidIsValid(effect->relation->relid))
			continue;
		visit(effect, effect->relation->relid, effect->lockmode, arg);
		if (effect->momentary)
			continue;
		foreach(inner, tables_below(effect))
			visit(effect, lfirst_oid(inner), effect->lockmode_below, arg);
	}
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
