/*-------------------------------------------------------------------------
 *
 * opt_in.h
 *	  Rules that are off until safe_migrate.rules or a row of migrate.policy
 *	  names them with another action than "allow".
 *
 * Those who turn none of them on pay for the test of a variable: the "may
 * count" flags, which are true while nothing is known and when a rule of the
 * family is on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OPT_IN_H
#define SAFE_MIGRATE_OPT_IN_H

#include "postgres.h"

#include "effects/traits.h"

extern bool dml_rules_may_count;
extern bool design_rules_may_count;

/*
 * True if a rule of the family is on for some table or role.  Read
 * migrate.policy when it may have changed since the last call, so they need a
 * transaction.
 */
extern bool dml_rules_count(void);
extern bool design_rules_count(void);

/*
 * The traits, indexed by TraitKind, of the design rules that are on.  Valid
 * until the next call of a function of this header.
 */
extern const bool *wanted_traits(void);

/* True if the rule of that index in the registry is off by default. */
extern bool rule_is_opt_in(int rule);

/* A setting or migrate.policy changed; no catalog access here. */
extern void opt_in_rules_changed(void);

#endif							/* SAFE_MIGRATE_OPT_IN_H */
