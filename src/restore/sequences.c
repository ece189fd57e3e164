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
#include "common/oid_set.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "preserve/point_state.h"
#include "restore/sequences.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Locks that are held at a time. */
#define SEQUENCES_AT_ONCE	100

/* A sequence of the label that is there. */
typedef struct LabelSequence
{
	Oid			relid;
	int64		last_value;		/* at the restore point */
	bool		is_called;
	bool		descends;
	int64		min_value;
	int64		max_value;
	Oid			table_relid;	/* that owns it, or InvalidOid */
	char	   *table;			/* as SQL, or NULL */
	char	   *column;
} LabelSequence;

/* An entry of a hash table. */
typedef struct OwnedData
{
	Oid			sequence;
	Oid			table;
	bool		has_rows;
	int64		farthest;		/* value of the column */
} OwnedData;

/* What reads it, part by part. */
typedef struct OwnedDataReader
{
	List	   *sequences;		/* of LabelSequence */
	int			next;
	HTAB	   *data;
} OwnedDataReader;

static bool read_part(void *arg);
static List *read_label_sequences(const RestoreTarget *target);
static void read_farthest_row(const LabelSequence *sequence,
							  OwnedData *data);
static void restore_sequence(const LabelSequence *sequence,
							 const OwnedData *data);
static bool is_farther(const LabelSequence *sequence, int64 a, int64 b);

/*
 * See sequences.h.
 */
HTAB *
read_owned_data(const RestoreTarget *target)
{
	HASHCTL		control = {0};
	OwnedDataReader reader = {0};
	ErrorData  *error;

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(OwnedData);
	reader.data = hash_create("safe_migrate owned data", 256, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	reader.sequences = read_label_sequences(target);
	while (reader.next < list_length(reader.sequences))
	{
		error = run_in_subtransaction(read_part, &reader);
		if (error != NULL)
			ReThrowError(error);
	}
	return reader.data;
}

/* That is rolled back, for the locks that it has taken. */
static bool
read_part(void *arg)
{
	OwnedDataReader *reader = arg;
	int			end = Min(reader->next + SEQUENCES_AT_ONCE,
						  list_length(reader->sequences));

	for (; reader->next < end; reader->next++)
	{
		const LabelSequence *sequence = list_nth(reader->sequences,
												 reader->next);

		if (OidIsValid(sequence->table_relid) &&
			ConditionalLockRelationOid(sequence->table_relid, AccessShareLock))
			read_farthest_row(sequence,
							  hash_search(reader->data, &sequence->relid,
										  HASH_ENTER, NULL));
	}
	return false;
}

/*
 * See sequences.h.
 */
void
restore_sequences(const RestoreTarget *target, HTAB *owned_data,
				  const List *changed_tables)
{
	HTAB	   *changed = make_oid_set("safe_migrate changed tables");
	ListCell   *cell;

	add_list_to_oid_set(changed, changed_tables);
	foreach(cell, read_label_sequences(target))
	{
		const LabelSequence *sequence = lfirst(cell);
		OwnedData  *data = hash_search(owned_data, &sequence->relid,
									   HASH_FIND, NULL);
		OwnedData	now = {0};

		if (data == NULL || data->table != sequence->table_relid ||
			is_in_oid_set(changed, sequence->table_relid))
		{
			data = &now;
			if (OidIsValid(sequence->table_relid))
				read_farthest_row(sequence, data);
		}
		restore_sequence(sequence, data);
	}
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
				  "d.refobjid::pg_catalog.regclass::pg_catalog.text, "
				  "pg_catalog.quote_ident(a.attname), s.seqmin, s.seqmax, "
				  "d.refobjid::bigint "
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
				  "(ARRAY['a', 'i']::pg_catalog.\"char\"[]) "
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
		sequence->table_relid = own_bigint_column(i, 9);
		sequences = lappend(sequences, sequence);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return sequences;
}

/* Waits for nobody who writes. */
static void
read_farthest_row(const LabelSequence *sequence, OwnedData *data)
{
	OwnAccess	access;
	bool		isnull = true;
	Datum		value = 0;

	begin_own_access(&access);
	if (SPI_execute(psprintf("SELECT pg_catalog.%s(%s)::bigint FROM %s",
							 sequence->descends ? "min" : "max",
							 sequence->column, sequence->table),
					false, 0) == SPI_OK_SELECT && SPI_processed == 1)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							  &isnull);
	data->sequence = sequence->relid;
	data->table = sequence->table_relid;
	data->has_rows = !isnull;
	data->farthest = isnull ? 0 : DatumGetInt64(value);
	end_own_access(&access);
}

/*
 * Forward only, and not at all where there is no need: the tables of most
 * sequences are not locked, and clients go on with them.
 */
static void
restore_sequence(const LabelSequence *sequence, const OwnedData *data)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	int64		wanted = sequence->last_value;
	bool		is_called = sequence->is_called;
	int64		current;
	bool		current_is_called;

	if (!read_sequence(sequence->relid, &current, &current_is_called))
		return;
	if (data->has_rows &&
		(is_farther(sequence, data->farthest, wanted) ||
		 (data->farthest == wanted && !is_called)))
	{
		wanted = data->farthest;
		is_called = true;
	}

	/* it gives no number behind its bounds, whatever the rows have */
	wanted = Min(Max(wanted, sequence->min_value), sequence->max_value);
	if (!is_farther(sequence, wanted, current) &&
		!(wanted == current && is_called && !current_is_called))
		return;

	/* clients may have taken numbers since it was looked at */
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(sequence->relid),
					 false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(wanted), false);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(is_called), false);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(sequence->descends),
					 false);
	begin_own_access(&access);
	run_own_query("SELECT pg_catalog.setval($1, $2, $3) "
				  "FROM (SELECT pg_catalog.pg_sequence_last_value($1)) v (value) "
				  "WHERE v.value IS NULL "
				  "OR CASE WHEN $4 THEN v.value OPERATOR(pg_catalog.>) $2 "
				  "ELSE v.value OPERATOR(pg_catalog.<) $2 END",
				  &arguments, SPI_OK_SELECT);
	end_own_access(&access);
}

static bool
is_farther(const LabelSequence *sequence, int64 a, int64 b)
{
	return sequence->descends ? a < b : a > b;
}
