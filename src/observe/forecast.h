/*-------------------------------------------------------------------------
 *
 * forecast.h
 *	  Predicted effects, spread over the single relations they concern.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FORECAST_H
#define SAFE_MIGRATE_FORECAST_H

#include "effects/effects.h"
#include "utils/hsearch.h"

/* What the statement is expected to do to one relation. */
typedef struct Forecast
{
	Oid			relid;			/* hash key */
	LOCKMODE	lockmode;		/* the strongest */
	LOCKMODE	momentary;		/* the same of those that may be let go of */
	bool		is_scanned;		/* by PostgreSQL itself */
	bool		is_looked_up;	/* by the query that checks a foreign key */
	bool		is_indexed;		/* an index is built or rebuilt */
	bool		is_rewritten;
	bool		is_truncated;
} Forecast;

/*
 * Spread a list of Effect over the relations and what is below them, as the
 * catalog shows it before the statement runs.  Returns a hash table of
 * Forecast in the current memory context.
 */
extern HTAB *make_forecast(List *effects);

/* True if one of the effects does that work. */
extern bool effects_have_work(List *effects, EffectWork work);

#endif							/* SAFE_MIGRATE_FORECAST_H */
