/*-------------------------------------------------------------------------
 *
 * point_state.c
 *	  What a restore point knows besides the catalog: the manifest, and the
 *	  states of the sequences.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "drift/catalog_state.h"
#include "drift/manifest.h"
#include "drift/saved_manifest.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "preserve/point_state.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* What is found out on the way. */
typedef struct PointState
{
	int64		point;
	const char *before;			/* state of the catalog */
	char	   *manifest_sum;	/* NULL: could not be read */
	bool		is_complete;
	StringInfoData problem;
} PointState;

/* The sequences, side by side. */
typedef struct SequenceStates
{
	int			count;
	Datum	   *relids;
	Datum	   *last_values;
	Datum	   *is_called;
	int			locked;			/* that somebody holds, and are missing */
} SequenceStates;

static void save_manifest(PointState *state);
static void copy_saved_manifest(PointState *state);
static bool read_current_manifest(void *arg);
static void save_rows(int64 point, List *rows);
static void save_sequences(PointState *state);
static List *list_sequences(void);
static void add_sequence(Oid relid, SequenceStates *states);
static void insert_sequences(int64 point, const SequenceStates *states);
static void add_array(OwnArguments *arguments, Oid array_type, Oid type,
					  const Datum *values, int count);
static void add_problem(PointState *state, const char *problem);
static void update_point(const PointState *state);

/*
 * See point_state.h.
 */
void
save_point_state(int64 point, const char *before)
{
	PointState	state = {0};

	state.point = point;
	state.before = before;
	state.is_complete = true;
	initStringInfo(&state.problem);
	save_manifest(&state);
	save_sequences(&state);
	if (state.manifest_sum != NULL && strcmp(catalog_state(), before) != 0)
	{
		state.manifest_sum = NULL;
		add_problem(&state, "the schema was changed while the point was made: after a rollback it cannot be compared");
	}
	update_point(&state);
}

/*
 * Mostly, nothing has changed since the last migration, whose manifest is
 * there.  Otherwise every definition is shown, which takes longer.
 */
static void
save_manifest(PointState *state)
{
	SavedFingerprint *saved = read_saved_fingerprint();
	ErrorData  *error;

	if (saved->catalog_state != NULL &&
		strcmp(saved->catalog_state, state->before) == 0)
	{
		copy_saved_manifest(state);
		state->manifest_sum = sum_in_words(&saved->sum);
		return;
	}
	error = run_in_subtransaction(read_current_manifest, state);
	if (error == NULL)
		return;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	state->manifest_sum = NULL;
	add_problem(state,
				psprintf("after a rollback the schema cannot be compared: %s",
						 error->message));
}

static void
copy_saved_manifest(PointState *state)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(state->point), false);
	run_own_query("INSERT INTO migrate.restore_manifest "
				  "(point, kind, identity, hash) "
				  "SELECT $1, m.kind, m.identity, m.hash "
				  "FROM migrate.last_manifest m",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

static bool
read_current_manifest(void *arg)
{
	PointState *state = arg;
	List	   *rows = read_manifest(InvalidOid, NIL);
	ManifestSum sum = {0};
	ListCell   *cell;

	foreach(cell, rows)
		add_to_sum(&sum, lfirst(cell));
	save_rows(state->point, rows);
	state->manifest_sum = sum_in_words(&sum);
	return true;
}

static void
save_rows(int64 point, List *rows)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *kinds = NIL;
	List	   *identities = NIL;
	List	   *hashes = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		ManifestRow *row = lfirst(cell);

		kinds = lappend(kinds, row->kind);
		identities = lappend(identities, row->identity);
		hashes = lappend(hashes, hash_in_words(row));
	}
	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	add_own_text_list(&arguments, kinds);
	add_own_text_list(&arguments, identities);
	add_own_text_list(&arguments, hashes);
	run_own_query("INSERT INTO migrate.restore_manifest "
				  "(point, kind, identity, hash) "
				  "SELECT $1, m.kind, m.identity, m.hash "
				  "FROM ROWS FROM (pg_catalog.unnest($2), "
				  "pg_catalog.unnest($3), pg_catalog.unnest($4)) "
				  "m (kind, identity, hash)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

static void
save_sequences(PointState *state)
{
	SequenceStates states = {0};
	List	   *relids = list_sequences();
	int			room = list_length(relids);
	ListCell   *cell;

	if (relids == NIL)
		return;
	states.relids = palloc(room * sizeof(Datum));
	states.last_values = palloc(room * sizeof(Datum));
	states.is_called = palloc(room * sizeof(Datum));
	foreach(cell, relids)
		add_sequence(lfirst_oid(cell), &states);
	insert_sequences(state->point, &states);
	if (states.locked == 0)
		return;
	state->is_complete = false;
	add_problem(state,
				psprintf(states.locked == 1 ?
						 "the state of %d sequence was not read, because somebody had locked it" :
						 "the states of %d sequences were not read, because somebody had locked them",
						 states.locked));
}

/* Without ours. */
static List *
list_sequences(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *relids;

	begin_own_access(&access);
	run_own_query("SELECT c.oid FROM pg_catalog.pg_class c "
				  "WHERE c.relkind OPERATOR(pg_catalog.=) 'S' "
				  "AND c.relpersistence OPERATOR(pg_catalog.<>) 't' "
				  "AND c.relnamespace OPERATOR(pg_catalog.<>) "
				  "'migrate'::pg_catalog.regnamespace "
				  "ORDER BY c.oid",
				  &arguments, SPI_OK_SELECT);
	relids = own_oid_column(&access, 1);
	end_own_access(&access);
	return relids;
}

static void
add_sequence(Oid relid, SequenceStates *states)
{
	int64		last_value;
	bool		is_called;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		states->locked++;
		return;
	}
	if (read_sequence(relid, &last_value, &is_called))
	{
		states->relids[states->count] = ObjectIdGetDatum(relid);
		states->last_values[states->count] = Int64GetDatum(last_value);
		states->is_called[states->count] = BoolGetDatum(is_called);
		states->count++;
	}
	UnlockRelationOid(relid, AccessShareLock);
}

/*
 * See point_state.h.  The one row of a sequence is changed where it is, for all
 * at once: no snapshot would help.
 */
bool
read_sequence(Oid relid, int64 *last_value, bool *is_called)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	Buffer		buffer;
	Page		page;
	HeapTupleHeader row;
	Form_pg_sequence_data data;

	if (rel == NULL)
		return false;
	buffer = ReadBuffer(rel, 0);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	row = (HeapTupleHeader) PageGetItem(page,
										PageGetItemId(page, FirstOffsetNumber));
	data = (Form_pg_sequence_data) ((char *) row + row->t_hoff);
	*last_value = data->last_value;
	*is_called = data->is_called;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, AccessShareLock);
	return true;
}

static void
insert_sequences(int64 point, const SequenceStates *states)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	add_array(&arguments, OIDARRAYOID, OIDOID, states->relids, states->count);
	add_array(&arguments, INT8ARRAYOID, INT8OID, states->last_values,
			  states->count);
	add_array(&arguments, BOOLARRAYOID, BOOLOID, states->is_called,
			  states->count);
	run_own_query("INSERT INTO migrate.restore_sequence "
				  "(point, relid, last_value, is_called) "
				  "SELECT $1, s.relid, s.last_value, s.is_called "
				  "FROM ROWS FROM (pg_catalog.unnest($2), "
				  "pg_catalog.unnest($3), pg_catalog.unnest($4)) "
				  "s (relid, last_value, is_called)",
				  &arguments, SPI_OK_INSERT);
	end_own_access(&access);
}

static void
add_array(OwnArguments *arguments, Oid array_type, Oid type,
		  const Datum *values, int count)
{
	int16		length;
	bool		by_value;
	char		align;
	ArrayType  *array;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	array = construct_array(unconstify(Datum *, values), count, type, length,
							by_value, align);
	add_own_argument(arguments, array_type, PointerGetDatum(array), false);
}

static void
add_problem(PointState *state, const char *problem)
{
	appendStringInfo(&state->problem, "%s%s",
					 state->problem.len > 0 ? "; " : "", problem);
}

static void
update_point(const PointState *state)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	begin_own_access(&access);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(state->point), false);
	add_own_text(&arguments, state->manifest_sum);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(state->is_complete),
					 false);
	add_own_text(&arguments,
				 state->problem.len > 0 ? state->problem.data : NULL);
	run_own_query("UPDATE migrate.restore_point_data SET manifest_sum = $2, "
				  "is_complete = $3, problem = $4 "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_UPDATE);
	end_own_access(&access);
}
