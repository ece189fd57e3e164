/*-------------------------------------------------------------------------
 *
 * change.c
 *	  Starting an online change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/migration_flag.h"
#include "common/script.h"
#include "common/settings.h"
#include "common/table_owner.h"
#include "drift/ddl_record.h"
#include "effects/effects.h"
#include "miscadmin.h"
#include "online/change.h"
#include "online/change_arguments.h"
#include "online/star_queries.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "run/host.h"
#include "run/made.h"
#include "run/run.h"
#include "run/run_task.h"
#include "task/task.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static Change *begin_change(FunctionCallInfo fcinfo, const ChangeKind *kind);
static Oid	table_of_change(const char *name);
static ChangeAdvance parse_advance(const char *text);
static void build_change(Change *change, FunctionCallInfo fcinfo,
						 const ChangeKind *kind);
static DdlRecord *begin_record(const Change *change);
static char *format_statement(const char *format, va_list arguments)
			pg_attribute_printf(1, 0);
static SafePlan *plan_of(const char *statement);
static void refuse_long_work(List *effects);
static void find_worker(Change *change);
static Task *make_task(Change *change);
static void tell_change(const Change *change, bool is_left);

/*
 * See change.h.
 */
Datum
start_change(FunctionCallInfo fcinfo, const ChangeKind *kind)
{
	Change	   *change = begin_change(fcinfo, kind);
	Task	   *task;
	bool		is_left = false;

	build_change(change, fcinfo, kind);
	find_worker(change);
	task = make_task(change);
	task->witness = take_witness(task);
	task_insert(task);
	change_insert(change);
	if (task->state == TASK_WAITING)
	{
		if (task->deferred)
			task_after_commit();
		if (change->advance == ADVANCE_BACKGROUND &&
			(change->no_worker == NULL || OidIsValid(role_that_waits())))
			is_left = note_deferred_task(task->id);
	}
	tell_change(change, is_left);
	PG_RETURN_INT64(change->id);
}

static Change *
begin_change(FunctionCallInfo fcinfo, const ChangeKind *kind)
{
	Change	   *change = palloc0(sizeof(Change));
	const char *function = psprintf("migrate.%s()", kind->name);

	require_preloaded();
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	require_read_committed(function);
	change->kind = kind->name;
	change->statement = call_as_text(fcinfo, kind->name);
	change->advance = parse_advance(needed_text(fcinfo, kind->advance,
												"advance"));
	change->uses = -1;
	change->relid = table_of_change(needed_text(fcinfo, 0, "table"));
	require_owner_himself(change->relid, function);
	change->relation = relation_display_name(change->relid);

	/* it may take a while, which nobody has to wait for */
	if (kind->reshapes)
		warn_of_star_queries(change->relid);
	lock_for_change(function, change->relid,
					kind->locking == NULL ? NIL : kind->locking(change, fcinfo),
					true);
	require_owner_himself(change->relid, function);
	refuse_beside_other_changes(change->relid, kind->name);
	change->relation = relation_display_name(change->relid);
	change->id = task_reserve_id();
	return change;
}

/* Others may rename or drop it until it is locked: then its lock tells. */
static Oid
table_of_change(const char *name)
{
	Oid			relid = RangeVarGetRelid(range_var_of_name(name), NoLock,
										 false);
	char		relkind = get_rel_relkind(relid);

	if (!compat_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), name);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table: an online change is for tables and partitioned tables",
						relation_display_name(relid))));
	if (IsCatalogNamespace(get_rel_namespace(relid)) ||
		extension_owns_relation(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s belongs to the system or to safe_migrate, and cannot be changed",
						relation_display_name(relid))));
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a temporary table, which nobody else uses: change it by ALTER TABLE",
						relation_display_name(relid))));
	return relid;
}

static ChangeAdvance
parse_advance(const char *text)
{
	static const char *const names[] = {
		[ADVANCE_BACKGROUND] = "background",
		[ADVANCE_DETACHED] = "detached",
		[ADVANCE_MANUAL] = "manual"
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(text, names[i]) == 0)
			return (ChangeAdvance) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("advance => '%s': give 'background', 'detached' (a deploy does not wait for it) or 'manual' (CALL migrate.advance() does it)",
					text)));
}

/* What the start makes is the task's; it is recorded as one schema change. */
static void
build_change(Change *change, FunctionCallInfo fcinfo, const ChangeKind *kind)
{
	Task	   *watched = palloc0(sizeof(Task));
	DdlRecord  *record = begin_record(change);

	watch_made(watched, false);
	PG_TRY();
	{
		kind->build(change, fcinfo);
	}
	PG_CATCH();
	{
		watch_made(NULL, false);
		if (record != NULL)
			abandon_ddl_record(record);
		PG_RE_THROW();
	}
	PG_END_TRY();
	watch_made(NULL, false);
	change->made = watched->made;
	if (record != NULL)
		end_ddl_record(record, NULL);
}

/* NULL where schema changes are not recorded by themselves. */
static DdlRecord *
begin_record(const Change *change)
{
	AlterTableStmt *statement;

	if (!setting_record_ddl || migration_is_running() || !hook_is_active())
		return NULL;
	statement = makeNode(AlterTableStmt);
	statement->relation = range_var_of_name(change->relation);
	statement->objtype = OBJECT_TABLE;
	return begin_ddl_record((Node *) statement, change->statement);
}

/*
 * See change.h.
 */
void
start_with(Change *change, const char *format,...)
{
	va_list		arguments;
	char	   *statement;

	va_start(arguments, format);
	statement = format_statement(format, arguments);
	va_end(arguments);
	run_change_statements(list_make1(statement), false);
	change->start = lappend(change->start, statement);
}

/*
 * See change.h.
 */
void
first_remove(Change *change, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	change->removal = lcons(format_statement(format, arguments),
							change->removal);
	va_end(arguments);
}

/*
 * See change.h.
 */
void
then_contract(Change *change, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	change->contract = lappend(change->contract,
							   format_statement(format, arguments));
	va_end(arguments);
}

static char *
format_statement(const char *format, va_list arguments)
{
	StringInfoData text;
	va_list		copy;
	int			needed;

	initStringInfo(&text);
	do
	{
		va_copy(copy, arguments);
		needed = appendStringInfoVA(&text, format, copy);
		va_end(copy);
		if (needed > 0)
			enlargeStringInfo(&text, needed);
	} while (needed > 0);
	return text.data;
}

/*
 * See change.h.
 */
void
add_change_step(Change *change, char *text, char *undo)
{
	PlanStep   *step = palloc(sizeof(PlanStep));

	step->text = text;
	step->undo = undo;
	change->steps = lappend(change->steps, step);
}

/*
 * See change.h.
 */
int
add_planned_steps(Change *change, const char *statement)
{
	SafePlan   *plan = plan_of(statement);

	if (plan == NULL)
	{
		add_change_step(change, pstrdup(statement), NULL);
		return 0;
	}
	change->steps = list_concat(change->steps, plan->steps);
	return Max(plan->quick_steps, 0);
}

/*
 * See change.h.
 */
void
start_planned(Change *change, const char *statement)
{
	SafePlan   *plan = plan_of(statement);

	if (plan == NULL)
	{
		add_change_step(change, pstrdup(statement), NULL);
		return;
	}
	for (int i = 0; i < list_length(plan->steps); i++)
	{
		PlanStep   *step = list_nth(plan->steps, i);

		if (i >= plan->quick_steps)
		{
			add_change_step(change, step->text, step->undo);
			continue;
		}
		run_change_statements(list_make1(step->text), true);
		change->start = lappend(change->start, step->text);
		if (step->undo != NULL)
			first_remove(change, "%s", step->undo);
	}
}

/* NULL if there is none. */
static SafePlan *
plan_of(const char *statement)
{
	List	   *statements = parse_script(statement, "statement", 1);
	Node	   *node = ((ScriptStatement *) linitial(statements))->raw->stmt;
	EffectContext context = {0};
	List	   *effects;
	SafePlan   *plan;

	context.source_text = statement;
	effects = describe_effects(node, &context);
	plan = plan_statement(node, effects, statement);
	if (plan == NULL)
		refuse_long_work(effects);
	return plan;
}

/* As a step it would fail, for that must not do such work either. */
static void
refuse_long_work(List *effects)
{
	ListCell   *cell;

	foreach(cell, judge_effects(effects))
	{
		const Finding *finding = lfirst(cell);

		if (finding->rule->rule_class == RULE_WORK &&
			finding->action > ACTION_WARN)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("there is no way to do this online: %s",
							finding->message)));
	}
}

/* What no worker could do is for the deploy, or whoever calls for it. */
static void
find_worker(Change *change)
{
	char	   *reason;

	if (change->advance == ADVANCE_MANUAL || change->steps == NIL ||
		task_role_can_be_served(&reason))
		return;
	change->no_worker = reason;
	if (change->advance == ADVANCE_BACKGROUND &&
		OidIsValid(role_that_waits()) && role_that_waits() != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the change of %s would not be advanced by itself: %s; SET ROLE %s before CALL migrate.deploy(), which advances it then, or start it with advance => 'manual'",
						change->relation, reason,
						quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	ereport(NOTICE,
			(errmsg("change " INT64_FORMAT " is not advanced by itself: %s",
					change->id, reason)));
}

/* Its first step is the start, which is done when the others begin. */
static Task *
make_task(Change *change)
{
	Task	   *task = palloc0(sizeof(Task));
	PlanStep   *start = palloc(sizeof(PlanStep));
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, change->start)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ";\n" : "",
						 (char *) lfirst(cell));
	start->text = text.len > 0 ? text.data : pstrdup("-- nothing");
	start->undo = psprintf("CALL migrate.remove_change(" INT64_FORMAT ")",
						   change->id);

	task->id = change->id;
	task->statement = change->statement;
	task->command = "SELECT";
	task->rule = RULE_OF_CHANGES;
	task->relation = change->relation;
	task->relid = change->relid;
	task->steps = lcons(start, change->steps);
	task->made = change->made;
	task->done = 1;
	task->deferred = change->advance != ADVANCE_MANUAL &&
		change->no_worker == NULL;
	task->state = change->steps == NIL ? TASK_DONE : TASK_WAITING;
	return task;
}

/* is_left: a deploy is to go on with it when it has committed the migration. */
static void
tell_change(const Change *change, bool is_left)
{
	if (change->steps == NIL)
		return;
	if (change->no_worker != NULL && is_left)
		ereport(NOTICE,
				(errmsg("change " INT64_FORMAT " has started; CALL migrate.deploy() goes on with it after the commit",
						change->id)));
	else if (change->no_worker != NULL || change->advance == ADVANCE_MANUAL)
		ereport(NOTICE,
				(errmsg("change " INT64_FORMAT " has started; CALL migrate.advance(" INT64_FORMAT ") goes on with it",
						change->id, change->id)));
	else
		ereport(NOTICE,
				(errmsg("change " INT64_FORMAT " has started; a background worker goes on with it after the commit",
						change->id),
				 errhint("CALL migrate.wait(" INT64_FORMAT ") waits for it; migrate.changes shows it.",
						 change->id)));
}
