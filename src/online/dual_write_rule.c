/*-------------------------------------------------------------------------
 *
 * dual_write_rule.c
 *	  What the arguments of a trigger with migrate.dual_write() ask for.
 *
 * Expressions are analysed once a session, until something changes that they
 * may depend on: a statement that writes one row should not have to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "nodes/bitmapset.h"
#include "online/column_default.h"
#include "online/dual_write_rule.h"
#include "online/row_expression.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A session that writes into more tables forgets all of them at times. */
#define MAX_CACHED_RULES	1024

/* The arguments of the trigger. */
typedef enum RuleArgument
{
	ARGUMENT_KIND,
	ARGUMENT_POLICY,
	ARGUMENT_OLD_COLUMNS,
	ARGUMENT_NEW_COLUMNS,
	ARGUMENT_UPS,
	ARGUMENT_DOWNS,
	ARGUMENT_COUNT
} RuleArgument;

typedef struct CachedRule
{
	Oid			trigger;		/* the key */
	Oid			relid;
	bool		is_valid;
	MemoryContext context;		/* of the rule */
	DualWriteRule *rule;
} CachedRule;

static HTAB *rules = NULL;

/* How often something changed that a rule may depend on. */
static uint64 changes = 0;

static DualWriteRule *read_into_cache(Relation rel, Trigger *trigger);
static void create_cache(void);
static void forget_relation(Datum arg, Oid relid);
static void forget_all(Datum arg, int cacheid, uint32 hashvalue);
static void empty_cache(void);
static DualWriteRule *copy_rule(const DualWriteRule *rule);
static DualWriteRule *read_rule(Relation rel, Trigger *trigger);
static void read_kind(DualWriteRule *rule, Relation rel, Trigger *trigger);
static List *list_argument(Relation rel, Trigger *trigger,
						   RuleArgument argument);
static void report_arguments(Relation rel, Trigger *trigger);
static void read_columns(RuleColumns *columns, List *names, Relation rel,
						 Trigger *trigger);
static void set_column(RuleColumn *column, Form_pg_attribute attribute);
static List *read_expressions(const RuleColumns *columns, List *texts,
							  const char *direction, Relation rel);
static void find_inputs(DualWriteRule *rule, Relation rel);

/*
 * See dual_write_rule.h.
 */
DualWriteRule *
find_dual_write_rule(Relation rel, Trigger *trigger)
{
	CachedRule *cached;

	if (rules == NULL)
		create_cache();
	cached = hash_search(rules, &trigger->tgoid, HASH_FIND, NULL);
	if (cached != NULL && cached->is_valid &&
		cached->relid == RelationGetRelid(rel))
		return cached->rule;
	return read_into_cache(rel, trigger);
}

/* A rule during whose reading something changed is good for this once. */
static DualWriteRule *
read_into_cache(Relation rel, Trigger *trigger)
{
	uint64		changes_before = changes;
	DualWriteRule *rule = read_rule(rel, trigger);
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext,
												  "safe_migrate dual write",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	CachedRule *cached;
	bool		found;

	rule = copy_rule(rule);
	MemoryContextSwitchTo(caller);
	if (hash_get_num_entries(rules) >= MAX_CACHED_RULES)
		empty_cache();
	cached = hash_search(rules, &trigger->tgoid, HASH_ENTER, &found);
	if (found)
		MemoryContextDelete(cached->context);
	cached->relid = RelationGetRelid(rel);
	cached->is_valid = changes == changes_before;
	cached->context = context;
	cached->rule = rule;
	return rule;
}

static void
create_cache(void)
{
	static const int caches[] = {
		PROCOID, OPEROID, CASTSOURCETARGET, TYPEOID, NAMESPACEOID, COLLOID
	};
	static bool callbacks_registered = false;
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(CachedRule),
		.hcxt = CacheMemoryContext
	};

	if (!callbacks_registered)
	{
		callbacks_registered = true;
		CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
		for (int i = 0; i < lengthof(caches); i++)
			CacheRegisterSyscacheCallback(caches[i], forget_all, (Datum) 0);
	}
	rules = hash_create("safe_migrate dual writes", 16, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* relcache callback: no catalog access here */
static void
forget_relation(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CachedRule *cached;

	changes++;
	if (rules == NULL)
		return;
	hash_seq_init(&status, rules);
	while ((cached = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || relid == cached->relid ||
			list_member_oid(cached->rule->ancestors, relid))
			cached->is_valid = false;
}

/* syscache callback: no catalog access here */
static void
forget_all(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_relation(arg, InvalidOid);
}

static void
empty_cache(void)
{
	HASH_SEQ_STATUS status;
	CachedRule *cached;

	hash_seq_init(&status, rules);
	while ((cached = hash_seq_search(&status)) != NULL)
	{
		MemoryContextDelete(cached->context);
		hash_search(rules, &cached->trigger, HASH_REMOVE, NULL);
	}
}

/* Without the garbage that reading makes. */
static DualWriteRule *
copy_rule(const DualWriteRule *rule)
{
	DualWriteRule *copy = palloc(sizeof(DualWriteRule));

	*copy = *rule;
	copy_rule_columns(&copy->old_side, &rule->old_side);
	copy_rule_columns(&copy->new_side, &rule->new_side);
	copy_rule_columns(&copy->inputs, &rule->inputs);
	copy->ups = copyObject(rule->ups);
	copy->downs = copyObject(rule->downs);
	copy->defaults = copyObject(rule->defaults);
	copy->ancestors = list_copy(rule->ancestors);
	return copy;
}

/*
 * See dual_write_rule.h.
 */
void
copy_rule_columns(RuleColumns *to, const RuleColumns *from)
{
	Size		size = from->count * sizeof(RuleColumn);

	to->count = from->count;
	to->columns = palloc(size);
	memcpy(to->columns, from->columns, size);
}

static DualWriteRule *
read_rule(Relation rel, Trigger *trigger)
{
	DualWriteRule *rule = palloc0(sizeof(DualWriteRule));
	List	   *ups;
	List	   *downs;

	read_kind(rule, rel, trigger);
	read_columns(&rule->old_side,
				 list_argument(rel, trigger, ARGUMENT_OLD_COLUMNS), rel,
				 trigger);
	read_columns(&rule->new_side,
				 list_argument(rel, trigger, ARGUMENT_NEW_COLUMNS), rel,
				 trigger);
	ups = list_argument(rel, trigger, ARGUMENT_UPS);
	downs = list_argument(rel, trigger, ARGUMENT_DOWNS);

	/* 'fill' names its columns first */
	if (rule->fills)
	{
		if (rule->new_side.count > 0)
			report_arguments(rel, trigger);
		rule->new_side = rule->old_side;
		rule->old_side.count = 0;
	}
	if (rule->new_side.count == 0 ||
		rule->new_side.count != list_length(ups) ||
		(rule->fills ? downs != NIL : rule->old_side.count == 0) ||
		(downs != NIL && rule->old_side.count != list_length(downs)))
		report_arguments(rel, trigger);

	rule->ups = read_expressions(&rule->new_side, ups, "up", rel);
	rule->downs = read_expressions(&rule->old_side, downs, "down", rel);
	find_inputs(rule, rel);
	if (rel->rd_rel->relispartition)
		rule->ancestors = get_partition_ancestors(RelationGetRelid(rel));
	for (int i = 0; i < rule->old_side.count; i++)
		rule->defaults = lappend(rule->defaults,
								 possible_defaults(rel,
												   rule->old_side.columns[i].attnum,
												   rule->ancestors));
	return rule;
}

static void
read_kind(DualWriteRule *rule, Relation rel, Trigger *trigger)
{
	const char *policy;

	if (trigger->tgnargs != ARGUMENT_COUNT)
		report_arguments(rel, trigger);
	policy = trigger->tgargs[ARGUMENT_POLICY];
	if (strcmp(trigger->tgargs[ARGUMENT_KIND], "fill") == 0)
	{
		rule->fills = true;
		if (*policy != '\0')
			report_arguments(rel, trigger);
		return;
	}
	if (strcmp(trigger->tgargs[ARGUMENT_KIND], "sync") != 0)
		report_arguments(rel, trigger);
	if (strcmp(policy, "error") == 0)
		rule->policy = CONFLICT_ERROR;
	else if (strcmp(policy, "old") == 0)
		rule->policy = CONFLICT_OLD_WINS;
	else if (strcmp(policy, "new") == 0)
		rule->policy = CONFLICT_NEW_WINS;
	else
		report_arguments(rel, trigger);
}

/* Strings, of an array literal. */
static List *
list_argument(Relation rel, Trigger *trigger, RuleArgument argument)
{
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *strings = NIL;

	array = DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN,
													trigger->tgargs[argument],
													TEXTOID, -1));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			report_arguments(rel, trigger);
		strings = lappend(strings, TextDatumGetCString(elements[i]));
	}
	return strings;
}

static void
report_arguments(Relation rel, Trigger *trigger)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("trigger \"%s\" on table %s has arguments that migrate.dual_write() cannot use; drop it, and make it with six that it can",
					trigger->tgname,
					relation_display_name(RelationGetRelid(rel))),
			 errhint("'sync', policy ('error', 'old' or 'new'), old columns, new columns, one expression for each new column, one for each old column or '{}'; or 'fill', '', columns, '{}', one expression for each, '{}'.")));
}

static void
read_columns(RuleColumns *columns, List *names, Relation rel, Trigger *trigger)
{
	ListCell   *cell;

	columns->columns = palloc(list_length(names) * sizeof(RuleColumn));
	foreach(cell, names)
	{
		const char *name = lfirst(cell);
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
		Form_pg_attribute attribute;

		if (!AttributeNumberIsValid(attnum))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table %s, which trigger \"%s\" writes, does not exist; give it its name back, or drop the trigger",
							name,
							relation_display_name(RelationGetRelid(rel)),
							trigger->tgname)));
		attribute = AttrNumberIsForUserDefinedAttr(attnum) ?
			TupleDescAttr(RelationGetDescr(rel), attnum - 1) : NULL;
		if (attribute == NULL || attribute->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("column \"%s\" of table %s cannot be written by trigger \"%s\", since it is a generated or a system column; drop the trigger",
							name,
							relation_display_name(RelationGetRelid(rel)),
							trigger->tgname)));
		set_column(&columns->columns[columns->count++], attribute);
	}
}

static void
set_column(RuleColumn *column, Form_pg_attribute attribute)
{
	column->attnum = attribute->attnum;
	column->length = attribute->attlen;
	column->by_value = attribute->attbyval;
}

static List *
read_expressions(const RuleColumns *columns, List *texts,
				 const char *direction, Relation rel)
{
	List	   *expressions = NIL;
	ListCell   *cell;

	foreach(cell, texts)
	{
		AttrNumber	attnum = columns->columns[foreach_current_index(cell)].attnum;
		char	   *what = psprintf("%s expression of column \"%s\" of table %s",
									direction,
									get_attname(RelationGetRelid(rel), attnum,
												false),
									relation_display_name(RelationGetRelid(rel)));

		expressions = lappend(expressions,
							  parse_row_expression(rel, lfirst(cell), attnum,
												   what, true));
	}
	return expressions;
}

/* A change of any column that an up expression uses may change its value. */
static void
find_inputs(DualWriteRule *rule, Relation rel)
{
	Bitmapset  *used = NULL;
	int			attnum = -1;

	pull_varattnos((Node *) rule->ups, 1, &used);
	for (int i = 0; i < rule->old_side.count; i++)
		used = bms_add_member(used, rule->old_side.columns[i].attnum -
							  FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < rule->new_side.count; i++)
		used = bms_del_member(used, rule->new_side.columns[i].attnum -
							  FirstLowInvalidHeapAttributeNumber);
	rule->inputs.columns = palloc(bms_num_members(used) * sizeof(RuleColumn));
	while ((attnum = bms_next_member(used, attnum)) >= 0)
		set_column(&rule->inputs.columns[rule->inputs.count++],
				   TupleDescAttr(RelationGetDescr(rel),
								 attnum + FirstLowInvalidHeapAttributeNumber - 1));
}
