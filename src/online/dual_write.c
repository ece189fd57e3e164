/*-------------------------------------------------------------------------
 *
 * dual_write.c
 *	  The trigger that keeps two shapes of a table's columns equal.
 *
 * It sits on tables of users, and has to work whatever has become of the rest
 * of the extension: it uses nothing of it but its own arguments.
 *
 * The old side is the truth as long as the table is being changed: a row is
 * consistent if each new column has the very image of what its up expression
 * makes of the row.  Every way out of here leaves a row that was written
 * consistent, or raises.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "commands/trigger.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "online/dual_write.h"
#include "online/dual_write_rule.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Of a trigger, for the time of a statement. */
typedef struct DualWrite
{
	bool		fills;
	ConflictPolicy policy;
	bool		has_downs;
	RuleColumns old_side;
	RuleColumns new_side;
	RuleColumns inputs;
	MemoryContext context;		/* of all this */
	ExprContext *econtext;

	/* made when they are first needed */
	List	   *ups;			/* of ExprState * */
	List	   *downs;
	List	  **defaults;		/* of ExprState *, those that it may have */
	bool	   *default_is_volatile;
	TupleTableSlot *changed_row;

	/* what was computed last, of each column of a side */
	int		   *attnums;
	Datum	   *values;
	bool	   *nulls;

	/* of the call */
	TriggerData *trigger;
	TupleTableSlot *row;		/* as it is to be written */
	HeapTuple	tuple;			/* the same */
} DualWrite;

static void add_context(void *arg);
static void check_call(FunctionCallInfo fcinfo);
static DualWrite *begin_statement(FmgrInfo *flinfo, TriggerData *trigger);
static void begin_row(DualWrite *work, TriggerData *trigger);
static void fill(DualWrite *work);
static void sync_update(DualWrite *work, TupleTableSlot *before);
static bool side_changed(const RuleColumns *side, TupleTableSlot *before,
						 TupleTableSlot *row);
static void sync_insert(DualWrite *work);
static bool side_is_null(const RuleColumns *side, TupleTableSlot *row);
static bool old_side_is_default(DualWrite *work);
static bool is_default(DualWrite *work, int column);
static void resolve_conflict(DualWrite *work);
static void write_old_side(DualWrite *work);
static bool complete_new_side(DualWrite *work, TupleTableSlot *before);
static void compute_ups(DualWrite *work);
static void compute_downs(DualWrite *work);
static void compute(DualWrite *work, List *states);
static DualWriteRule *find_rule(DualWrite *work);
static List *compiled(DualWrite *work, List *expressions);
static void compile_defaults(DualWrite *work);
static bool computed_equals(DualWrite *work, const RuleColumns *side);
static bool is_same_image(const RuleColumn *column, Datum a, bool a_is_null,
						  Datum b, bool b_is_null);
static void set_computed(DualWrite *work, const RuleColumns *side);
static void set_columns(DualWrite *work, int count);
static void reread_row(DualWrite *work);
static void report_conflict(DualWrite *work);
static void report_no_way_back(DualWrite *work);
static void report_loss(DualWrite *work);
static char *table_name(DualWrite *work);
static char *columns_in_words(DualWrite *work, const RuleColumns *side);

PG_FUNCTION_INFO_V1(migrate_dual_write);

/*
 * migrate.dual_write(): see docs/online.md for what it does with which row.
 */
Datum
migrate_dual_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ErrorContextCallback context;
	DualWrite  *work;

	check_call(fcinfo);
	context.callback = add_context;
	context.arg = trigger;
	context.previous = error_context_stack;
	error_context_stack = &context;
	work = fcinfo->flinfo->fn_extra;
	if (work == NULL)
		work = begin_statement(fcinfo->flinfo, trigger);
	begin_row(work, trigger);
	if (work->fills)
		fill(work);
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		sync_update(work, trigger->tg_trigslot);
	else
		sync_insert(work);
	error_context_stack = context.previous;
	return PointerGetDatum(work->tuple);
}

/*
 * Error context callback: who writes one column would not know why a message
 * is about another.  No catalog access here.
 */
static void
add_context(void *arg)
{
	TriggerData *trigger = arg;

	errcontext("trigger \"%s\" on table \"%s\", which is being changed online",
			   trigger->tg_trigger->tgname,
			   RelationGetRelationName(trigger->tg_relation));
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.dual_write() can only be called as a trigger")));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event) ||
		TRIGGER_FIRED_BY_DELETE(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.dual_write() can only be called before each row of INSERT or UPDATE")));
}

/*
 * Nothing is compiled yet: most statements write neither side.  What is taken
 * from the cache is copied, since code of users, which runs wherever expressions
 * are compiled or evaluated, may have it renewed.
 */
static DualWrite *
begin_statement(FmgrInfo *flinfo, TriggerData *trigger)
{
	DualWriteRule *rule = find_dual_write_rule(trigger->tg_relation,
											   trigger->tg_trigger);
	int			width = Max(rule->old_side.count, rule->new_side.count);
	MemoryContext caller = MemoryContextSwitchTo(flinfo->fn_mcxt);
	DualWrite  *work = palloc0(sizeof(DualWrite));

	work->fills = rule->fills;
	work->policy = rule->policy;
	work->has_downs = rule->downs != NIL;
	copy_rule_columns(&work->old_side, &rule->old_side);
	copy_rule_columns(&work->new_side, &rule->new_side);
	copy_rule_columns(&work->inputs, &rule->inputs);
	work->context = flinfo->fn_mcxt;
	work->econtext = makeNode(ExprContext);
	work->econtext->ecxt_per_query_memory = flinfo->fn_mcxt;
	work->attnums = palloc(width * sizeof(int));
	work->values = palloc(width * sizeof(Datum));
	work->nulls = palloc(width * sizeof(bool));
	flinfo->fn_extra = work;
	MemoryContextSwitchTo(caller);
	return work;
}

/* The caller resets the memory after each row, and the tuple lives as long. */
static void
begin_row(DualWrite *work, TriggerData *trigger)
{
	work->trigger = trigger;
	work->econtext->ecxt_per_tuple_memory = CurrentMemoryContext;
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		work->row = trigger->tg_newslot;
		work->tuple = trigger->tg_newtuple;
	}
	else
	{
		work->row = trigger->tg_trigslot;
		work->tuple = trigger->tg_trigtuple;
	}
}

/* Kind 'fill': where a column is null, it becomes what its expression gives. */
static void
fill(DualWrite *work)
{
	int			count = 0;

	for (int i = 0; i < work->new_side.count; i++)
	{
		AttrNumber	attnum = work->new_side.columns[i].attnum;

		if (!slot_attisnull(work->row, attnum))
			continue;
		if (work->ups == NIL)
			work->ups = compiled(work, find_rule(work)->ups);
		work->econtext->ecxt_scantuple = work->row;
		work->attnums[count] = attnum;
		work->values[count] = ExecEvalExpr((ExprState *) list_nth(work->ups, i),
										   work->econtext, &work->nulls[count]);
		count++;
	}
	if (count > 0)
		set_columns(work, count);
}

static void
sync_update(DualWrite *work, TupleTableSlot *before)
{
	bool		old_changed = side_changed(&work->inputs, before, work->row);
	bool		new_changed = side_changed(&work->new_side, before, work->row);

	if (!old_changed && !new_changed)
		return;
	compute_ups(work);
	if (computed_equals(work, &work->new_side))
		return;
	if (!new_changed)
	{
		set_computed(work, &work->new_side);
		return;
	}
	if (complete_new_side(work, before))
	{
		compute_ups(work);
		if (computed_equals(work, &work->new_side))
			return;
	}
	if (!old_changed)
		write_old_side(work);
	else
		resolve_conflict(work);
}

static bool
side_changed(const RuleColumns *side, TupleTableSlot *before,
			 TupleTableSlot *row)
{
	for (int i = 0; i < side->count; i++)
	{
		const RuleColumn *column = &side->columns[i];
		bool		old_is_null;
		bool		new_is_null;
		Datum		old_value = slot_getattr(before, column->attnum,
											 &old_is_null);
		Datum		new_value = slot_getattr(row, column->attnum,
											 &new_is_null);

		if (!is_same_image(column, old_value, old_is_null, new_value,
						   new_is_null))
			return true;
	}
	return false;
}

/*
 * A client that knows only one side leaves the other to the defaults.  Where
 * the old side is null, its up expressions need not be able to do anything with
 * that.
 */
static void
sync_insert(DualWrite *work)
{
	if (side_is_null(&work->new_side, work->row))
	{
		compute_ups(work);
		set_computed(work, &work->new_side);
		return;
	}
	if (work->has_downs && side_is_null(&work->old_side, work->row))
	{
		write_old_side(work);
		return;
	}
	compute_ups(work);
	if (computed_equals(work, &work->new_side))
		return;
	if (old_side_is_default(work))
		write_old_side(work);
	else
		resolve_conflict(work);
}

static bool
side_is_null(const RuleColumns *side, TupleTableSlot *row)
{
	for (int i = 0; i < side->count; i++)
		if (!slot_attisnull(row, side->columns[i].attnum))
			return false;
	return true;
}

static bool
old_side_is_default(DualWrite *work)
{
	if (work->defaults == NULL)
		compile_defaults(work);
	for (int i = 0; i < work->old_side.count; i++)
		if (!is_default(work, i))
			return false;
	return true;
}

/* An explicit value cannot be told from a default that gives another each time. */
static bool
is_default(DualWrite *work, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(work->row,
									 work->old_side.columns[column].attnum,
									 &isnull);
	ListCell   *cell;

	if (isnull || work->default_is_volatile[column])
		return true;
	foreach(cell, work->defaults[column])
	{
		bool		default_is_null;
		Datum		default_value = ExecEvalExpr((ExprState *) lfirst(cell),
												 work->econtext,
												 &default_is_null);

		if (is_same_image(&work->old_side.columns[column], value, isnull,
						  default_value, default_is_null))
			return true;
	}
	return false;
}

/*
 * Both sides were written.  If the old side is what the new one gives, it is
 * the way up that loses something, which is not for the policy 'error' alone to
 * tell.
 */
static void
resolve_conflict(DualWrite *work)
{
	switch (work->policy)
	{
		case CONFLICT_ERROR:
			if (work->has_downs)
			{
				compute_downs(work);
				if (computed_equals(work, &work->old_side))
					report_loss(work);
			}
			report_conflict(work);
			break;
		case CONFLICT_OLD_WINS:
			compute_ups(work);
			set_computed(work, &work->new_side);
			break;
		case CONFLICT_NEW_WINS:
			write_old_side(work);
			break;
	}
}

/* The new side was written: the old one follows, if that can be undone. */
static void
write_old_side(DualWrite *work)
{
	if (work->has_downs)
	{
		compute_downs(work);
		set_computed(work, &work->old_side);
		reread_row(work);
	}
	else if (work->policy != CONFLICT_OLD_WINS)
		report_no_way_back(work);
	compute_ups(work);
	if (computed_equals(work, &work->new_side))
		return;
	if (work->policy != CONFLICT_OLD_WINS)
		report_loss(work);
	set_computed(work, &work->new_side);
}

/*
 * Of a row that the backfill has not reached, the new columns that the client
 * did not write are not null but unknown: they come from the old side, before
 * the two are compared, or that is written from all of them.  What was computed
 * is the ups.  False if there was nothing to do.
 */
static bool
complete_new_side(DualWrite *work, TupleTableSlot *before)
{
	int			count = 0;

	if (work->new_side.count == 1 || !side_is_null(&work->new_side, before))
		return false;
	for (int i = 0; i < work->new_side.count; i++)
	{
		AttrNumber	attnum = work->new_side.columns[i].attnum;

		if (!slot_attisnull(work->row, attnum))
			continue;
		work->attnums[count] = attnum;
		work->values[count] = work->values[i];
		work->nulls[count] = work->nulls[i];
		count++;
	}
	if (count == 0)
		return false;
	set_columns(work, count);
	reread_row(work);
	return true;
}

static void
compute_ups(DualWrite *work)
{
	if (work->ups == NIL)
		work->ups = compiled(work, find_rule(work)->ups);
	compute(work, work->ups);
}

static void
compute_downs(DualWrite *work)
{
	if (work->downs == NIL)
		work->downs = compiled(work, find_rule(work)->downs);
	compute(work, work->downs);
}

/* From the row, into values and nulls. */
static void
compute(DualWrite *work, List *states)
{
	ListCell   *cell;

	work->econtext->ecxt_scantuple = work->row;
	foreach(cell, states)
	{
		int			i = foreach_current_index(cell);

		work->values[i] = ExecEvalExpr((ExprState *) lfirst(cell),
									   work->econtext, &work->nulls[i]);
	}
}

static DualWriteRule *
find_rule(DualWrite *work)
{
	return find_dual_write_rule(work->trigger->tg_relation,
								work->trigger->tg_trigger);
}

/*
 * For the rest of the statement, with the rights that the current user has, as
 * a CHECK constraint is.  Of expressions of the cache all are copied first.
 */
static List *
compiled(DualWrite *work, List *expressions)
{
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	List	   *copies = copyObject(expressions);
	List	   *states = NIL;
	ListCell   *cell;

	foreach(cell, copies)
		states = lappend(states,
						 ExecInitExpr(expression_planner(lfirst(cell)), NULL));
	MemoryContextSwitchTo(caller);
	return states;
}

static void
compile_defaults(DualWrite *work)
{
	List	   *expressions = copyObject(find_rule(work)->defaults);
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	ListCell   *cell;

	work->default_is_volatile = palloc(work->old_side.count * sizeof(bool));
	work->defaults = palloc0(work->old_side.count * sizeof(List *));
	foreach(cell, expressions)
	{
		int			column = foreach_current_index(cell);

		work->default_is_volatile[column] =
			contain_volatile_functions(lfirst(cell));
		if (!work->default_is_volatile[column])
			work->defaults[column] = compiled(work, lfirst(cell));
	}
	MemoryContextSwitchTo(caller);
}

/* Has the row what was computed for the columns of a side? */
static bool
computed_equals(DualWrite *work, const RuleColumns *side)
{
	for (int i = 0; i < side->count; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(work->row, side->columns[i].attnum,
										 &isnull);

		if (!is_same_image(&side->columns[i], value, isnull, work->values[i],
						   work->nulls[i]))
			return false;
	}
	return true;
}

/*
 * A value out of line that was not touched has the same pointer: it need not be
 * fetched.
 */
static bool
is_same_image(const RuleColumn *column, Datum a, bool a_is_null,
			  Datum b, bool b_is_null)
{
	if (a_is_null || b_is_null)
		return a_is_null == b_is_null;
	if (column->by_value || a == b)
		return a == b;
	if (column->length == -1)
	{
		Size		size = VARSIZE_ANY(DatumGetPointer(a));

		if (size == VARSIZE_ANY(DatumGetPointer(b)) &&
			memcmp(DatumGetPointer(a), DatumGetPointer(b), size) == 0)
			return true;
	}
	return datum_image_eq(a, b, column->by_value, column->length);
}

/* Put what was computed into the columns of a side. */
static void
set_computed(DualWrite *work, const RuleColumns *side)
{
	for (int i = 0; i < side->count; i++)
		work->attnums[i] = side->columns[i].attnum;
	set_columns(work, side->count);
}

/*
 * The tuple gets what was computed, the row not yet.  The slot of the row has
 * most columns at hand, which heap_modify_tuple() would take apart again.
 */
static void
set_columns(DualWrite *work, int count)
{
	TupleDesc	tupdesc = RelationGetDescr(work->trigger->tg_relation);
	Datum	   *values = palloc(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = palloc(tupdesc->natts * sizeof(bool));
	HeapTuple	tuple;

	slot_getallattrs(work->row);
	memcpy(values, work->row->tts_values, tupdesc->natts * sizeof(Datum));
	memcpy(nulls, work->row->tts_isnull, tupdesc->natts * sizeof(bool));
	for (int i = 0; i < count; i++)
	{
		values[work->attnums[i] - 1] = work->values[i];
		nulls[work->attnums[i] - 1] = work->nulls[i];
	}
	tuple = heap_form_tuple(tupdesc, values, nulls);
	tuple->t_data->t_ctid = work->tuple->t_data->t_ctid;
	tuple->t_self = work->tuple->t_self;
	tuple->t_tableOid = work->tuple->t_tableOid;
	work->tuple = tuple;
}

/*
 * The row becomes the tuple, for more to be computed from it.  The descriptor
 * of its slot is a copy, which need not be released when the statement ends.
 */
static void
reread_row(DualWrite *work)
{
	if (work->changed_row == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(work->context);
		TupleDesc	tupdesc = RelationGetDescr(work->trigger->tg_relation);

		work->changed_row =
			MakeSingleTupleTableSlot(CreateTupleDescCopy(tupdesc),
									 &TTSOpsHeapTuple);
		MemoryContextSwitchTo(caller);
	}
	ExecStoreHeapTuple(work->tuple, work->changed_row, false);
	work->row = work->changed_row;
}

static void
report_conflict(DualWrite *work)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("%s and %s of table %s were given values that contradict each other; write one side only, or both such that they agree",
					columns_in_words(work, &work->old_side),
					columns_in_words(work, &work->new_side),
					table_name(work)),
			 errdetail("Trigger \"%s\" keeps them equal while the table is being changed online.",
					   work->trigger->tg_trigger->tgname),
			 errtable(work->trigger->tg_relation)));
}

static void
report_no_way_back(DualWrite *work)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("%s of table %s cannot be written yet, since no expression gives the way back; write %s instead",
					columns_in_words(work, &work->new_side),
					table_name(work),
					columns_in_words(work, &work->old_side)),
			 errdetail("Trigger \"%s\" keeps them equal while the table is being changed online.",
					   work->trigger->tg_trigger->tgname),
			 errtable(work->trigger->tg_relation)));
}

static void
report_loss(DualWrite *work)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("%s of table %s cannot take a value that does not survive the way to %s and back; write one that does, or write %s instead",
					columns_in_words(work, &work->new_side),
					table_name(work),
					columns_in_words(work, &work->old_side),
					columns_in_words(work, &work->old_side)),
			 errdetail("Trigger \"%s\" keeps them equal while the table is being changed online.",
					   work->trigger->tg_trigger->tgname),
			 errtable(work->trigger->tg_relation)));
}

static char *
table_name(DualWrite *work)
{
	return relation_display_name(RelationGetRelid(work->trigger->tg_relation));
}

/* column "a"; columns "a", "b" */
static char *
columns_in_words(DualWrite *work, const RuleColumns *side)
{
	StringInfoData words;

	initStringInfo(&words);
	appendStringInfoString(&words, side->count == 1 ? "column" : "columns");
	for (int i = 0; i < side->count; i++)
		appendStringInfo(&words, "%s \"%s\"", i == 0 ? "" : ",",
						 get_attname(RelationGetRelid(work->trigger->tg_relation),
									 side->columns[i].attnum, false));
	return words.data;
}
