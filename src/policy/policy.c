/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  Judging effects by the rules, and the action that is in force.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/settings.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "policy/opt_in.h"
#include "policy/policy.h"
#include "rates/rates.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* Columns of migrate.policy. */
enum
{
	POLICY_RULE = 1,
	POLICY_SCHEMA,
	POLICY_TABLE,
	POLICY_ROLE,
	POLICY_ACTION
};

static const char *const action_names[] = {
	[ACTION_ALLOW] = "allow",
	[ACTION_NOTE] = "note",
	[ACTION_WARN] = "warn",
	[ACTION_REWRITE] = "rewrite",
	[ACTION_DEFER] = "defer",
	[ACTION_ONLINE] = "online",
	[ACTION_REJECT] = "reject",
};

static const char *const class_names[] = {
	[RULE_WORK] = "work",
	[RULE_LOCK] = "lock",
	[RULE_DATA] = "data",
	[RULE_CLIENTS] = "clients",
	[RULE_DML] = "dml",
	[RULE_DESIGN] = "design",
	[RULE_STATISTICS] = "statistics",
	[RULE_UNDO] = "undo",
};

/* What an effect does to its relation, for messages. */
static const char *const work_verbs[] = {
	[WORK_NONE] = "locks",
	[WORK_SCAN] = "reads the whole of",
	[WORK_FK_SCAN] = "looks up every row of",
	[WORK_INDEX_BUILD] = "builds an index on",
	[WORK_INDEX_REBUILD] = "rebuilds indexes of",
	[WORK_REWRITE] = "rewrites",
	[WORK_UNKNOWN] = "does an unknown amount of work on",
};

/*
 * The parsed value of safe_migrate.rules: an action + 1 for each rule of the
 * registry, 0 where it says nothing.
 */
static const unsigned char *rules_setting = NULL;

PG_FUNCTION_INFO_V1(migrate_rule_list);
PG_FUNCTION_INFO_V1(migrate_is_rule);

static void append_work(StringInfo message, const Effect *effect);
static void append_what_to_analyze(StringInfo message, const Effect *effect);
static const char *column_of(const Effect *effect);
static char *cost_in_words(const Effect *effect);
static const char *who_waits(const Effect *effect);
static bool parse_rule_setting(char *item, unsigned char *actions);
static char *trim(char *text);
static bool action_in_policy(const char *rule_name, const char *nspname,
							 const char *relname, RuleAction *action);
static Oid	policy_relation(void);
static bool policy_row_action(Relation rel, HeapTuple tuple,
							  RuleAction *action);
static int	policy_row_weight(Relation rel, HeapTuple tuple,
							  const char *rule_name, const char *nspname,
							  const char *relname);
static bool column_matches(Relation rel, HeapTuple tuple, int column,
						   const char *value, bool *given);
static bool role_matches(Relation rel, HeapTuple tuple, bool *given);

/*
 * See policy.h.
 */
List *
judge_effects(List *effects)
{
	List	   *findings = NIL;
	ListCell   *cell;

	foreach(cell, effects)
	{
		Effect	   *effect = lfirst(cell);

		for (int i = 0; i < rule_count; i++)
		{
			const Rule *rule = &rule_registry[i];
			Finding    *finding;

			if ((rule->cause != effect->cause && !rule->any_cause) ||
				!rule->applies(effect))
				continue;
			finding = palloc0(sizeof(Finding));
			finding->rule = rule;
			finding->effect = effect;
			finding->action = action_in_force(i, effect->relation ?
											  effect->relation->relid :
											  InvalidOid);
			finding->message = compose_message(rule, effect);
			findings = lappend(findings, finding);
		}
	}
	return findings;
}

/*
 * See policy.h.  Most clients show nothing but the primary message, so it says
 * all: rule, object, cost and remedy.
 */
char *
compose_message(const Rule *rule, const Effect *effect)
{
	StringInfoData message;
	const RelationFacts *relation = effect->relation;
	const char *remedy = rule->remedy;

	if (relation != NULL && rule->remedy_partitioned != NULL &&
		relation->relkind == RELKIND_PARTITIONED_TABLE)
		remedy = rule->remedy_partitioned;

	initStringInfo(&message);
	appendStringInfo(&message, "%s: %s", rule->name, rule->subject);
	if (rule->rule_class == RULE_STATISTICS)
		appendStringInfo(&message, " %s", column_of(effect));
	else if (effect->object != NULL)
		appendStringInfo(&message, " %s", effect->object);
	switch (rule->rule_class)
	{
		case RULE_WORK:
		case RULE_LOCK:
			append_work(&message, effect);
			break;
		case RULE_DATA:
			if (relation != NULL)
				appendStringInfo(&message, " loses data of %s (%s)",
								 relation->name,
								 size_in_words(relation->table_bytes));
			else
				appendStringInfoString(&message, " loses its data");
			break;
		case RULE_CLIENTS:
			appendStringInfo(&message, " breaks clients of %s (%s)",
							 relation->name,
							 size_in_words(relation->table_bytes));
			break;
		case RULE_DML:
			appendStringInfo(&message, " %s %s (%s)", effect->reason,
							 relation->name,
							 size_in_words(effect_table_bytes(effect)));
			break;
		case RULE_DESIGN:
			if (relation != NULL)
				appendStringInfo(&message, "%s %s",
								 effect->object ? " of" : "", relation->name);
			appendStringInfo(&message, " %s", effect->reason);
			break;
		case RULE_STATISTICS:
			appendStringInfo(&message, " loses the planner's statistics of %s (%s)",
							 relation->name,
							 size_in_words(relation->table_bytes));
			break;
		case RULE_UNDO:
			appendStringInfo(&message, " %s", effect->reason);
			break;
	}
	appendStringInfo(&message, "; %s", remedy);
	if (rule->rule_class == RULE_STATISTICS)
		append_what_to_analyze(&message, effect);
	return message.data;
}

/* What is done to which table, who waits, and why. */
static void
append_work(StringInfo message, const Effect *effect)
{
	const RelationFacts *relation = effect->relation;

	appendStringInfo(message, " %s ", work_verbs[effect->work]);
	if (relation != NULL)
		appendStringInfo(message, "%s (%s)", relation->name,
						 cost_in_words(effect));
	else
		appendStringInfoString(message, "many tables");
	appendStringInfo(message, " while %s", who_waits(effect));
	if (effect->reason != NULL)
		appendStringInfo(message, ", because %s", effect->reason);
}

/* The statement that brings lost statistics back, without its first word. */
static void
append_what_to_analyze(StringInfo message, const Effect *effect)
{
	appendStringInfo(message, " %s", effect->relation->name);
	if (!effect->analyze_all)
		appendStringInfo(message, " (%s)", column_of(effect));
	if (setting_renew_statistics)
		appendStringInfoString(message, ", which is queued");
}

/* A column may have another name in the script that is checked. */
static const char *
column_of(const Effect *effect)
{
	if (effect->object != NULL)
		return effect->object;
	return quote_identifier(get_attname(effect->relation->relid,
										effect->attnum, false));
}

/* The size of an effect's relation, and how long the work takes, if known. */
static char *
cost_in_words(const Effect *effect)
{
	char	   *size = size_in_words(effect->relation->table_bytes);
	char	   *duration = work_time_in_words(effect);

	return duration ? psprintf("%s, %s", size, duration) : size;
}

static const char *
who_waits(const Effect *effect)
{
	LOCKMODE	lockmode = effect->lockmode;

	if (effect->relation != NULL)
		lockmode = Max(lockmode, effect->relation->held_lockmode);
	return lockmode == AccessExclusiveLock ? "reads and writes wait" :
		"writes wait";
}

/*
 * See policy.h.
 */
Finding *
heaviest_finding(List *findings)
{
	Finding    *heaviest = NULL;
	ListCell   *cell;

	foreach(cell, findings)
	{
		Finding    *finding = lfirst(cell);

		if (heaviest == NULL || finding->action > heaviest->action)
			heaviest = finding;
	}
	return heaviest;
}

const char *
action_name(RuleAction action)
{
	return action_names[action];
}

int
rule_index(const char *name)
{
	for (int i = 0; i < rule_count; i++)
		if (strcmp(rule_registry[i].name, name) == 0)
			return i;
	return -1;
}

bool
parse_action(const char *name, RuleAction *action)
{
	for (int i = 0; i < lengthof(action_names); i++)
	{
		if (strcmp(action_names[i], name) == 0)
		{
			*action = (RuleAction) i;
			return true;
		}
	}
	return false;
}

/*
 * See policy.h.
 */
RuleAction
action_in_force(int rule, Oid relid)
{
	RuleAction	action;

	if (table_action(rule_registry[rule].name, relid, &action))
		return action;
	return action_by_setting(rule);
}

/*
 * See policy.h.
 */
RuleAction
action_for_name(int rule, const char *nspname, const char *relname)
{
	RuleAction	action;

	if (action_in_policy(rule_registry[rule].name, nspname, relname, &action))
		return action;
	return action_by_setting(rule);
}

/*
 * See policy.h.
 */
RuleAction
action_by_setting(int rule)
{
	if (rules_setting != NULL && rules_setting[rule] != 0)
		return (RuleAction) (rules_setting[rule] - 1);
	return rule_registry[rule].default_action;
}

/*
 * See policy.h.
 */
bool
table_action(const char *rule_name, Oid relid, RuleAction *action)
{
	char	   *nspname = NULL;
	char	   *relname = NULL;

	if (OidIsValid(relid))
	{
		nspname = get_namespace_name(get_rel_namespace(relid));
		relname = get_rel_name(relid);
	}
	return action_in_policy(rule_name, nspname, relname, action);
}

/*
 * The row that says most about the case wins: a table beats a schema, a schema
 * beats a role, and of equals the stricter action.  Reads the table directly,
 * so that it works whoever runs the statement.
 */
static bool
action_in_policy(const char *rule_name, const char *nspname,
				 const char *relname, RuleAction *action)
{
	Oid			policy_oid = policy_relation();
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			best = -1;

	if (!OidIsValid(policy_oid))
		return false;
	rel = table_open(policy_oid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		int			weight = policy_row_weight(rel, tuple, rule_name, nspname,
											   relname);
		RuleAction	row_action;

		if (weight < 0 || weight < best)
			continue;
		if (!policy_row_action(rel, tuple, &row_action))
			continue;
		if (heap_attisnull(tuple, POLICY_RULE, RelationGetDescr(rel)) &&
			row_action > ACTION_ALLOW && rule_is_opt_in(rule_index(rule_name)))
			continue;
		if (weight > best || row_action > *action)
			*action = row_action;
		best = weight;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return best >= 0;
}

/* migrate.policy, or InvalidOid where the extension is not created. */
static Oid
policy_relation(void)
{
	if (!extension_is_created())
		return InvalidOid;
	return get_relname_relid("policy",
							 get_namespace_oid(MIGRATE_SCHEMA, false));
}

/*
 * See policy.h.
 */
Oid
rules_named_in_policy(bool *named)
{
	Oid			policy_oid = policy_relation();
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(policy_oid))
		return InvalidOid;
	rel = table_open(policy_oid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, POLICY_RULE,
										RelationGetDescr(rel), &isnull);
		RuleAction	action;
		int			rule = isnull ? -1 : rule_index(TextDatumGetCString(name));

		if (rule >= 0 && policy_row_action(rel, tuple, &action) &&
			action > ACTION_ALLOW)
			named[rule] = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return policy_oid;
}

static bool
policy_row_action(Relation rel, HeapTuple tuple, RuleAction *action)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, POLICY_ACTION,
									 RelationGetDescr(rel), &isnull);

	return !isnull && parse_action(TextDatumGetCString(datum), action);
}

/* How much a row of migrate.policy says about a case; -1: it is about another. */
static int
policy_row_weight(Relation rel, HeapTuple tuple, const char *rule_name,
				  const char *nspname, const char *relname)
{
	bool		by_rule;
	bool		by_schema;
	bool		by_table;
	bool		by_role;

	if (!column_matches(rel, tuple, POLICY_RULE, rule_name, &by_rule) ||
		!column_matches(rel, tuple, POLICY_SCHEMA, nspname, &by_schema) ||
		!column_matches(rel, tuple, POLICY_TABLE, relname, &by_table) ||
		!role_matches(rel, tuple, &by_role))
		return -1;
	return (by_table ? 8 : 0) + (by_schema ? 4 : 0) + (by_role ? 2 : 0) +
		(by_rule ? 1 : 0);
}

/* A NULL column matches everything; *given tells that it is not NULL. */
static bool
column_matches(Relation rel, HeapTuple tuple, int column, const char *value,
			   bool *given)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, RelationGetDescr(rel),
									 &isnull);

	*given = !isnull;
	return isnull ||
		(value != NULL && strcmp(TextDatumGetCString(datum), value) == 0);
}

/* A role matches its members as well; superusers are not members by nature. */
static bool
role_matches(Relation rel, HeapTuple tuple, bool *given)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, POLICY_ROLE, RelationGetDescr(rel),
									 &isnull);
	Oid			role;

	*given = !isnull;
	if (isnull)
		return true;
	role = get_role_oid(TextDatumGetCString(datum), true);
	return OidIsValid(role) && is_member_of_role_nosuper(GetUserId(), role);
}

/*
 * Check hook of safe_migrate.rules: only parses, because it also runs in the
 * postmaster and in parallel workers.
 */
bool
check_rules_setting(char **newval, void **extra, GucSource source)
{
	unsigned char *actions = compat_guc_malloc(rule_count);
	char	   *copy;
	char	   *rest;
	bool		valid = true;

	if (actions == NULL)
		return false;
	memset(actions, 0, rule_count);
	copy = strdup(*newval ? *newval : "");
	if (copy == NULL)
	{
		compat_guc_free(actions);
		return false;
	}
	for (char *item = strtok_r(copy, ",", &rest); valid && item != NULL;
		 item = strtok_r(NULL, ",", &rest))
		valid = parse_rule_setting(trim(item), actions);
	free(copy);
	if (valid)
		*extra = actions;
	else
		compat_guc_free(actions);
	return valid;
}

/* One "rule:action" of the list. */
static bool
parse_rule_setting(char *item, unsigned char *actions)
{
	char	   *colon = strchr(item, ':');
	char	   *name;
	char	   *value;
	int			rule;
	RuleAction	action;

	if (*item == '\0')
		return true;
	if (colon == NULL)
	{
		GUC_check_errdetail("\"%s\" is not of the form rule:action.", item);
		return false;
	}
	*colon = '\0';
	name = trim(item);
	value = trim(colon + 1);
	rule = rule_index(name);
	if (rule < 0)
	{
		GUC_check_errdetail("There is no rule \"%s\".", name);
		GUC_check_errhint("The view migrate.rules lists the rules.");
		return false;
	}
	if (!parse_action(value, &action))
	{
		GUC_check_errdetail("\"%s\" is not an action.", value);
		GUC_check_errhint("Actions are allow, note, warn, rewrite, defer, online and reject.");
		return false;
	}
	actions[rule] = (unsigned char) action + 1;
	return true;
}

/* Cut white space off both ends, in place. */
static char *
trim(char *text)
{
	char	   *end = text + strlen(text);

	while (isspace((unsigned char) *text))
		text++;
	while (end > text && isspace((unsigned char) end[-1]))
		end--;
	*end = '\0';
	return text;
}

void
assign_rules_setting(const char *newval, void *extra)
{
	rules_setting = extra;
	opt_in_rules_changed();
}

void
assign_row_limit_setting(int newval, void *extra)
{
	opt_in_rules_changed();
}

/*
 * See policy.h.
 */
void
settle_actions(List *findings, bool may_rewrite, bool may_defer)
{
	ListCell   *cell;

	foreach(cell, findings)
	{
		Finding    *finding = lfirst(cell);
		bool		is_defer = finding->action == ACTION_DEFER;

		if (!is_defer && finding->action != ACTION_REWRITE)
			continue;
		if (is_defer && may_defer)
			continue;
		if (may_rewrite)
			finding->action = ACTION_REWRITE;
		else if (may_defer && setting_in_transaction == IN_TRANSACTION_DEFER)
			finding->action = ACTION_DEFER;
		else if (finding->rule->rule_class == RULE_LOCK)
			finding->action = ACTION_WARN;
		else
			finding->action = ACTION_REJECT;
	}
}

/*
 * See policy.h.
 */
void
settle_online(List *findings, bool may_online)
{
	ListCell   *cell;

	foreach(cell, findings)
	{
		Finding    *finding = lfirst(cell);
		const Rule *rule = finding->rule;

		if (finding->action != ACTION_ONLINE ||
			(may_online && rule_may_go_online(rule)))
			continue;
		finding->action = rule->default_action == ACTION_ALLOW ?
			ACTION_REJECT : rule->default_action;
	}
}

/*
 * See policy.h.
 */
bool
rule_may_go_online(const Rule *rule)
{
	switch (rule->rule_class)
	{
		case RULE_WORK:
		case RULE_LOCK:
		case RULE_DATA:
		case RULE_CLIENTS:
			return true;
		case RULE_DML:
		case RULE_DESIGN:
		case RULE_STATISTICS:
		case RULE_UNDO:
			break;
	}
	return false;
}

/*
 * migrate.rule_list(): the registry with the actions in force for the current
 * role where no table matters.
 */
Datum
migrate_rule_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < rule_count; i++)
	{
		const Rule *rule = &rule_registry[i];
		Datum		values[6];
		bool		nulls[6] = {0};

		values[0] = CStringGetTextDatum(rule->name);
		values[1] = CStringGetTextDatum(class_names[rule->rule_class]);
		values[2] = CStringGetTextDatum(action_name(rule->default_action));
		values[3] = CStringGetTextDatum(action_name(action_in_force(i,
																	InvalidOid)));
		values[4] = CStringGetTextDatum(rule->description);
		values[5] = CStringGetTextDatum(rule->remedy);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* migrate.is_rule(text): for the CHECK constraint of migrate.policy. */
Datum
migrate_is_rule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(rule_index(text_to_cstring(PG_GETARG_TEXT_PP(0))) >= 0);
}
