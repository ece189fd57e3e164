/*-------------------------------------------------------------------------
 *
 * carry_trigger.c
 *	  What the trigger on tables with dropped columns does.
 *
 * It sits on tables of users, and has to work whatever has become of the rest
 * of the extension: it uses nothing of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "preserve/carry_trigger.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"

/* A dropped column. */
typedef struct CarriedColumn
{
	AttrNumber	attnum;
	bool		has_missing;
	Datum		missing;		/* of rows that are older than the column */
} CarriedColumn;

/* Of a table, for the time of a statement. */
typedef struct CarriedColumns
{
	int			count;
	CarriedColumn *columns;
	int		   *attnums;		/* work space of a call */
	Datum	   *values;
	bool	   *nulls;
} CarriedColumns;

static CarriedColumns *find_columns(FmgrInfo *flinfo, TriggerData *trigger);
static void find_missing(CarriedColumn *column, Form_pg_attribute attribute,
						 Trigger *trigger);
static int	nibble(char digit);
static Datum old_value(CarriedColumn *column, HeapTuple row,
					   TupleDesc tupdesc, bool *isnull);

PG_FUNCTION_INFO_V1(migrate_carry_dropped_columns);

/*
 * migrate.carry_dropped_columns(): a value out of line stays where it is, since
 * the new version has the same pointer.
 */
Datum
migrate_carry_dropped_columns(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	CarriedColumns *carried;
	TupleDesc	tupdesc;
	int			count = 0;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.carry_dropped_columns() can only be called as a trigger")));
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(trigger->tg_trigtuple);

	carried = fcinfo->flinfo->fn_extra;
	if (carried == NULL)
		carried = find_columns(fcinfo->flinfo, trigger);
	tupdesc = RelationGetDescr(trigger->tg_relation);
	for (int i = 0; i < carried->count; i++)
	{
		bool		isnull;
		Datum		value = old_value(&carried->columns[i],
									  trigger->tg_trigtuple, tupdesc, &isnull);

		if (isnull)
			continue;
		carried->attnums[count] = carried->columns[i].attnum;
		carried->values[count] = value;
		count++;
	}
	if (count == 0)
		return PointerGetDatum(trigger->tg_newtuple);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_newtuple,
													 tupdesc, count,
													 carried->attnums,
													 carried->values,
													 carried->nulls));
}

static CarriedColumns *
find_columns(FmgrInfo *flinfo, TriggerData *trigger)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	MemoryContext caller = MemoryContextSwitchTo(flinfo->fn_mcxt);
	CarriedColumns *carried = palloc0(sizeof(CarriedColumns));

	carried->columns = palloc(tupdesc->natts * sizeof(CarriedColumn));
	carried->attnums = palloc(tupdesc->natts * sizeof(int));
	carried->values = palloc(tupdesc->natts * sizeof(Datum));
	carried->nulls = palloc0(tupdesc->natts * sizeof(bool));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);

		if (attribute->attisdropped)
			find_missing(&carried->columns[carried->count++], attribute,
						 trigger->tg_trigger);
	}
	flinfo->fn_extra = carried;
	MemoryContextSwitchTo(caller);
	return carried;
}

/* Of arguments that cannot be read, nothing is made. */
static void
find_missing(CarriedColumn *column, Form_pg_attribute attribute,
			 Trigger *trigger)
{
	column->attnum = attribute->attnum;
	column->has_missing = false;
	for (int i = 0; i + 1 < trigger->tgnargs; i += 2)
	{
		const char *digits = trigger->tgargs[i + 1];
		int			length = strlen(digits) / 2;
		char	   *bytes;

		if (atoi(trigger->tgargs[i]) != attribute->attnum ||
			length < (attribute->attlen > 0 ? attribute->attlen : 1))
			continue;
		bytes = palloc(length);
		for (int byte = 0; byte < length; byte++)
			bytes[byte] = (char) (nibble(digits[2 * byte]) << 4 |
								  nibble(digits[2 * byte + 1]));
		column->missing = fetch_att(bytes, attribute->attbyval,
									attribute->attlen);
		column->has_missing = true;
	}
}

static int
nibble(char digit)
{
	return digit >= 'a' ? digit - 'a' + 10 : digit - '0';
}

static Datum
old_value(CarriedColumn *column, HeapTuple row, TupleDesc tupdesc,
		  bool *isnull)
{
	if (column->attnum > HeapTupleHeaderGetNatts(row->t_data))
	{
		*isnull = !column->has_missing;
		return column->missing;
	}
	return heap_getattr(row, column->attnum, tupdesc, isnull);
}

/*
 * See carry_trigger.h.
 */
List *
carry_arguments(Form_pg_attribute attribute, Datum missing)
{
	Size		size = datumGetSize(missing, attribute->attbyval,
									attribute->attlen);
	Datum		buffer = 0;
	char	   *bytes = DatumGetPointer(missing);
	char	   *digits = palloc(2 * size + 1);

	if (attribute->attbyval)
	{
		bytes = (char *) &buffer;
		store_att_byval(bytes, missing, attribute->attlen);
	}
	hex_encode(bytes, size, digits);
	digits[2 * size] = '\0';
	return list_make2(makeString(psprintf("%d", attribute->attnum)),
					  makeString(digits));
}
