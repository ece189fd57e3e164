/*-------------------------------------------------------------------------
 *
 * design.h
 *	  Judging how a schema is designed and named.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DESIGN_H
#define SAFE_MIGRATE_DESIGN_H

#include "effects/traits.h"

/*
 * Judge the traits of a utility statement by the design rules that are on.
 * Its effects have been described in source->effects.  Returns a list of
 * Finding in the current memory context, without those that are allowed; the
 * effect of each has the cause CAUSE_DESIGN and stands for its trait.
 */
extern List *judge_design(Node *statement, const TraitSource *source);

/* The same for traits that are known. */
extern List *judge_traits(List *traits);

#endif							/* SAFE_MIGRATE_DESIGN_H */
