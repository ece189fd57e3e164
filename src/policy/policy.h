/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  Rules, and what is to be done when one applies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_POLICY_H
#define SAFE_MIGRATE_POLICY_H

#include "effects/effects.h"
#include "effects/traits.h"
#include "utils/guc.h"

/* In order of weight. */
typedef enum RuleAction
{
	ACTION_ALLOW,
	ACTION_NOTE,
	ACTION_WARN,
	ACTION_REWRITE,
	ACTION_DEFER,
	ACTION_ONLINE,
	ACTION_REJECT
} RuleAction;

/* What makes a rule count. */
typedef enum RuleClass
{
	RULE_WORK,					/* long work under a lock that others need */
	RULE_LOCK,					/* a lock that stops everybody, without work */
	RULE_DATA,					/* data is lost */
	RULE_CLIENTS,				/* statements of running clients fail */
	RULE_DML,					/* a statement that changes many rows */
	RULE_DESIGN,				/* how a schema is designed and named */
	RULE_STATISTICS,			/* the planner forgets what it knew */
	RULE_UNDO					/* a restore point does not bring it back */
} RuleClass;

/*
 * One rule.  Its message is composed of its name, the subject with the object
 * concerned, the cost of the effect, and the remedy.
 *
 * A rule of the class RULE_DESIGN is about a trait instead of an effect; see
 * design.h.  A rule whose default action is "allow" is off until it is named.
 */
typedef struct Rule
{
	const char *name;
	RuleClass	rule_class;
	RuleAction	default_action;
	EffectCause cause;
	bool		(*applies) (const Effect *effect);
	const char *subject;
	const char *remedy;
	const char *remedy_partitioned; /* for a partitioned table, or NULL */
	const char *description;	/* what it is for: one line */
	TraitKind	trait;			/* RULE_DESIGN only */
	bool		any_cause;		/* "cause" does not matter */
} Rule;

typedef struct Finding
{
	const Rule *rule;
	const Effect *effect;		/* of a trait: CAUSE_DESIGN, no lock or work */
	RuleAction	action;			/* in force here */
	char	   *message;		/* rule, object, cost and remedy in one line */
} Finding;

extern const Rule rule_registry[];
extern const int rule_count;

/*
 * Judge effects.  Returns a list of Finding in the current memory context,
 * one for each effect that a rule applies to, whatever the action.  Reads
 * migrate.policy, if the extension is created, when there is a finding.
 */
extern List *judge_effects(List *effects);

/* The message of a rule about an effect that it applies to; palloc'd. */
extern char *compose_message(const Rule *rule, const Effect *effect);

/* The finding with the heaviest action, the first of equals; NULL for NIL. */
extern Finding *heaviest_finding(List *findings);

/*
 * Turn "rewrite" and "defer" into what can be done: each other, or, where
 * nothing safer can be run, "reject"; but "warn" where the statement itself
 * does no work.  "rewrite" becomes "defer" only where safe_migrate.in_transaction
 * says so.
 */
extern void settle_actions(List *findings, bool may_rewrite, bool may_defer);

/*
 * Before that: turn "online" into what the rule does by default, which is
 * "reject" for one that is off, where no online change can be started instead,
 * or where it would not be about what the rule is about.
 */
extern void settle_online(List *findings, bool may_online);

/* True if an online change avoids what such a rule is against. */
extern bool rule_may_go_online(const Rule *rule);

extern const char *action_name(RuleAction action);

/* Index of a rule in the registry, or -1. */
extern int	rule_index(const char *name);

/* False if the text is not an action. */
extern bool parse_action(const char *name, RuleAction *action);

/*
 * The action of a rule for a relation (InvalidOid: wherever no table matters)
 * and the current role: migrate.policy, else safe_migrate.rules, else the
 * default.  table_action() looks at migrate.policy alone.
 */
extern RuleAction action_in_force(int rule, Oid relid);
extern bool table_action(const char *rule_name, Oid relid,
						 RuleAction *action);

/*
 * The same by name, for a table that is being made; both may be NULL.  A row
 * of migrate.policy without a rule neither turns on nor hardens a rule whose
 * default is "allow"; with the action "allow" it silences those as well.
 */
extern RuleAction action_for_name(int rule, const char *nspname,
								  const char *relname);

/* What safe_migrate.rules says, else the default. */
extern RuleAction action_by_setting(int rule);

/*
 * Mark the rules, by their index in the registry, that a row of migrate.policy
 * names with another action than "allow".  Returns the OID of that table;
 * InvalidOid when the extension is not created.  Needs a transaction.
 */
extern Oid	rules_named_in_policy(bool *named);

/* GUC hooks of safe_migrate.rules and row_limit: they only parse. */
extern bool check_rules_setting(char **newval, void **extra, GucSource source);
extern void assign_rules_setting(const char *newval, void *extra);
extern void assign_row_limit_setting(int newval, void *extra);

#endif							/* SAFE_MIGRATE_POLICY_H */
