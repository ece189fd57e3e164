/*-------------------------------------------------------------------------
 *
 * design.c
 *	  Judging how a schema is designed and named.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "policy/design.h"
#include "policy/opt_in.h"
#include "policy/policy.h"

static int	rule_about(TraitKind kind);
static Effect *effect_of_trait(const Trait *trait);

/*
 * See design.h.
 */
List *
judge_design(Node *statement, const TraitSource *source)
{
	return judge_traits(describe_traits(statement, source, wanted_traits()));
}

/*
 * See design.h.
 */
List *
judge_traits(List *traits)
{
	List	   *findings = NIL;
	ListCell   *cell;

	foreach(cell, traits)
	{
		const Trait *trait = lfirst(cell);
		int			rule = rule_about(trait->kind);
		RuleAction	action = action_for_name(rule, trait->nspname,
											 trait->relname);
		Finding    *finding;

		if (action == ACTION_ALLOW)
			continue;
		finding = palloc0(sizeof(Finding));
		finding->rule = &rule_registry[rule];
		finding->effect = effect_of_trait(trait);
		finding->action = action;
		finding->message = compose_message(finding->rule, finding->effect);
		findings = lappend(findings, finding);
	}
	return findings;
}

static int
rule_about(TraitKind kind)
{
	for (int i = 0; i < rule_count; i++)
		if (rule_registry[i].trait == kind)
			return i;
	elog(ERROR, "no rule about trait %d", (int) kind);
}

/* So that findings of all rules are carried out and shown in one way. */
static Effect *
effect_of_trait(const Trait *trait)
{
	Effect	   *effect = palloc0(sizeof(Effect));

	effect->cause = CAUSE_DESIGN;
	effect->relation = trait->relation;
	effect->object = trait->object;
	effect->reason = trait->detail;
	effect->lockmode = NoLock;
	effect->subcommand = -1;
	effect->location = trait->location;
	return effect;
}
