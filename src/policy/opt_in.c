/*-------------------------------------------------------------------------
 *
 * opt_in.c
 *	  Rules that are off until somebody turns them on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "common/settings.h"
#include "fmgr.h"
#include "policy/opt_in.h"
#include "policy/policy.h"
#include "utils/inval.h"

bool		dml_rules_may_count = true;
bool		design_rules_may_count = true;

/* What is on; filled in by find_rules(). */
static bool rules_are_known = false;
static uint64 changes = 0;
static bool traits[TRAIT_COUNT];
static Oid	policy_oid = InvalidOid;

PG_FUNCTION_INFO_V1(migrate_policy_changed);

static void find_rules(void);
static void forget_rules(Datum arg, Oid relid);

/*
 * See opt_in.h.
 */
bool
dml_rules_count(void)
{
	if (dml_rules_may_count)
		find_rules();
	return dml_rules_may_count;
}

/*
 * See opt_in.h.
 */
bool
design_rules_count(void)
{
	if (design_rules_may_count)
		find_rules();
	return design_rules_may_count;
}

/*
 * See opt_in.h.
 */
const bool *
wanted_traits(void)
{
	find_rules();
	return traits;
}

/*
 * See opt_in.h.
 */
bool
rule_is_opt_in(int rule)
{
	return rule_registry[rule].default_action == ACTION_ALLOW;
}

/*
 * Find out which of them are on: by the setting, or by a row of migrate.policy, whoever
 * it is about.
 */
static void
find_rules(void)
{
	static bool callback_registered = false;
	uint64		before = changes;
	bool		dml = setting_row_limit > 0;
	bool		design = false;
	bool	   *named;

	if (rules_are_known)
		return;
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(forget_rules, (Datum) 0);
		callback_registered = true;
	}

	memset(traits, 0, sizeof(traits));
	named = palloc0(rule_count * sizeof(bool));
	policy_oid = rules_named_in_policy(named);
	for (int i = 0; i < rule_count; i++)
	{
		const Rule *rule = &rule_registry[i];

		if (!rule_is_opt_in(i) ||
			(!named[i] && action_by_setting(i) == ACTION_ALLOW))
			continue;
		if (rule->rule_class == RULE_DML)
			dml = true;
		else
			design = traits[rule->trait] = true;
	}
	pfree(named);

	dml_rules_may_count = dml;
	design_rules_may_count = design;
	rules_are_known = true;
	/* what changed while we read is to be read again */
	if (changes != before)
		opt_in_rules_changed();
}

/*
 * relcache callback.  While the extension is not created any new relation may
 * be its policy.
 */
static void
forget_rules(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == policy_oid || !OidIsValid(policy_oid))
		opt_in_rules_changed();
}

/*
 * See opt_in.h.
 */
void
opt_in_rules_changed(void)
{
	changes++;
	rules_are_known = false;
	dml_rules_may_count = true;
	design_rules_may_count = true;
}

/*
 * migrate.policy_changed(): trigger that tells all sessions.  A relation is
 * invalidated when its definition changes, not its rows.
 */
Datum
migrate_policy_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.policy_changed() is a trigger function")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
