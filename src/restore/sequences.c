/*-------------------------------------------------------------------------
 *
 * sequences.c
 *	  The sequences after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "restore/sequences.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A sequence of the label that is there. */
typedef struct LabelSequence
{
	Oid			relid;
	int64		last_value;		/* at the restore point */
	bool		is_called;
	bool		descends;
	int64		min_value;
	int64		max_value;
	char	   *table;			/* that owns it, as SQL, or NULL */
	char	   *column;
} LabelSequence;

static List *read_label_sequences(const RestoreTarget *target);
static void restore_sequence(const LabelSequence *sequence);
static bool is_farther(const LabelSequence *sequence, int64 a, int64 b);
static bool read_farthest_row(const LabelSequence *sequence, int64 *value);

/*
 * See sequences.h.
 */
void
restore_sequences(const RestoreTarget *target)
{
	ListCell   *cell;

	foreach(cell, read_label_sequences(target))
		restore_sequence(lfirst(cell));
}

static List *
read_label_sequences(const RestoreTarget *target)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *sequences = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT r.relid::bigint, r.last_value, r.is_called, "
				  "s.seqincrement OPERATOR(pg_catalog.<) 0, "
				  "d.refobjid::pg_catalog.regclass::text, "
				  "pg_catalog.quote_ident(a.attname), s.seqmin, s.seqmax "
				  "FROM migrate.restore_sequence r "
				  "JOIN pg_catalog.pg_sequence s "
				  "ON s.seqrelid OPERATOR(pg_catalog.=) r.relid "
				  "LEFT JOIN (pg_catalog.pg_depend d "
				  "JOIN pg_catalog.pg_attribute a "
				  "ON a.attrelid OPERATOR(pg_catalog.=) d.refobjid "
				  "AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid "
				  "AND NOT a.attisdropped AND a.atttypid "
				  "OPERATOR(pg_catalog.=) ANY (ARRAY["
				  "'pg_catalog.int2'::pg_catalog.regtype, "
				  "'pg_catalog.int4'::pg_catalog.regtype, "
				  "'pg_catalog.int8'::pg_catalog.regtype])) "
				  "ON d.classid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_class'::pg_catalog.regclass "
				  "AND d.objid OPERATOR(pg_catalog.=) r.relid "
				  "AND d.refclassid OPERATOR(pg_catalog.=) "
				  "'pg_catalog.pg_class'::pg_catalog.regclass "
				  "AND d.refobjsubid OPERATOR(pg_catalog.>) 0 "
				  "AND d.deptype OPERATOR(pg_catalog.=) ANY "
				  "(ARRAY['a', 'i']::\"char\"[]) "
				  "WHERE r.point OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		LabelSequence *sequence = palloc0(sizeof(LabelSequence));

		sequence->relid = own_bigint_column(i, 1);
		sequence->last_value = own_bigint_column(i, 2);
		sequence->is_called = own_bool_column(i, 3);
		sequence->descends = own_bool_column(i, 4);
		sequence->table = own_text_column(&access, i, 5);
		sequence->column = own_text_column(&access, i, 6);
		sequence->min_value = own_bigint_column(i, 7);
		sequence->max_value = own_bigint_column(i, 8);
		sequences = lappend(sequences, sequence);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return sequences;
}

/*
 * Forward only, and not at all where there is no need: the tables of most
 * sequences are not locked, and clients go on with them.  So the rows, which
 * take a while, are looked at before the sequence is.
 */
static void
restore_sequence(const LabelSequence *sequence)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		wanted = sequence->last_value;
	bool		is_called = sequence->is_called;
	int64		row_value = 0;
	int64		value;
	bool		value_is_called;

	if (read_farthest_row(sequence, &row_value) &&
		(is_farther(sequence, row_value, wanted) ||
		 (row_value == wanted && !is_called)))
	{
		wanted = row_value;
		is_called = true;
	}

	/* it gives no number behind its bounds, whatever the rows have */
	wanted = Min(Max(wanted, sequence->min_value), sequence->max_value);

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(sequence->relid),
					 false);
	begin_own_access(&access);
	run_own_query("SELECT COALESCE(pg_catalog.pg_sequence_last_value($1), "
				  "(SELECT seqstart FROM pg_catalog.pg_sequence "
				  "WHERE seqrelid OPERATOR(pg_catalog.=) $1)), "
				  "pg_catalog.pg_sequence_last_value($1) IS NOT NULL",
				  &arguments, SPI_OK_SELECT);
	value = own_bigint_column(0, 1);
	value_is_called = own_bool_column(0, 2);
	if (is_farther(sequence, wanted, value) ||
		(wanted == value && is_called && !value_is_called))
	{
		add_own_argument(&arguments, INT8OID, Int64GetDatum(wanted), false);
		add_own_argument(&arguments, BOOLOID, BoolGetDatum(is_called), false);
		run_own_query("SELECT pg_catalog.setval($1, $2, $3)", &arguments,
					  SPI_OK_SELECT);
	}
	end_own_access(&access);
}

static bool
is_farther(const LabelSequence *sequence, int64 a, int64 b)
{
	return sequence->descends ? a < b : a > b;
}

/* False if the table has no rows. */
static bool
read_farthest_row(const LabelSequence *sequence, int64 *value)
{
	OwnAccess	access;
	bool		isnull = true;

	if (sequence->table == NULL)
		return false;
	begin_own_access(&access);
	if (SPI_execute(psprintf("SELECT pg_catalog.%s(%s)::bigint FROM %s",
							 sequence->descends ? "min" : "max",
							 sequence->column, sequence->table),
					false, 0) == SPI_OK_SELECT && SPI_processed == 1)
	{
		Datum		datum = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			*value = DatumGetInt64(datum);
	}
	end_own_access(&access);
	return !isnull;
}
