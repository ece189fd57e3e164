/*-------------------------------------------------------------------------
 *
 * observe.c
 *	  What a statement did, compared with what was predicted of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/compat.h"
#include "common/fault.h"
#include "common/oid_set.h"
#include "common/settings.h"
#include "effects/effects.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "observe/forecast.h"
#include "observe/observe.h"
#include "observe/relation_states.h"
#include "pgstat.h"
#include "record/record.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Bytes of the statement that a line of the log shows. */
#define STATEMENT_SHOWN		400

/*
 * Locks that only let DDL and VACUUM wait, and stronger ones.  The weaker
 * ones are those of every query; what a default's function or a view's query
 * reads and writes is not of interest here.
 */
#define WEAKEST_COMPARED	ShareUpdateExclusiveLock

/* What of a statement is not compared. */
#define EXEMPT_LOCKS		0x01	/* it releases them before it ends */
#define EXEMPT_SCANS		0x02	/* it runs a query, which reads tables */
#define EXEMPT_ALL			0x04	/* it runs other statements */
#define NOTHING_TO_SEE		0x08	/* it concerns the session only */

typedef struct ExemptStatement
{
	NodeTag		tag;
	int			what;
} ExemptStatement;

struct Observation
{
	MemoryContext context;
	Observation *outer;
	const char *command;
	const char *statement;		/* on one line, cut */
	int			exempt;
	bool		ran_others;		/* a trigger or function ran utility commands */
	bool		looks_up_keys;	/* a query checks a foreign key */
	int			mismatches;
	HTAB	   *forecasts;
	HTAB	   *before;			/* of RelationState */
	HTAB	   *locks_before;
	HTAB	   *after;
	HTAB	   *locks_after;
};

static const ExemptStatement exempt_statements[] = {
	{T_CallStmt, EXEMPT_ALL},
	{T_DoStmt, EXEMPT_ALL},
	{T_CreateExtensionStmt, EXEMPT_ALL},
	{T_AlterExtensionStmt, EXEMPT_ALL},
	{T_ImportForeignSchemaStmt, EXEMPT_ALL},
	{T_VariableSetStmt, NOTHING_TO_SEE},
	{T_VariableShowStmt, NOTHING_TO_SEE},
	{T_PrepareStmt, NOTHING_TO_SEE},
	{T_DeallocateStmt, NOTHING_TO_SEE},
	{T_ClosePortalStmt, NOTHING_TO_SEE},
	{T_ListenStmt, NOTHING_TO_SEE},
	{T_UnlistenStmt, NOTHING_TO_SEE},
	{T_NotifyStmt, NOTHING_TO_SEE},
	{T_LoadStmt, NOTHING_TO_SEE},
	{T_ConstraintsSetStmt, NOTHING_TO_SEE},
	{T_DiscardStmt, NOTHING_TO_SEE},
	{T_ExecuteStmt, EXEMPT_SCANS},
	{T_ExplainStmt, EXEMPT_SCANS},
	{T_CopyStmt, EXEMPT_SCANS},
	{T_DeclareCursorStmt, EXEMPT_SCANS},
	{T_FetchStmt, EXEMPT_SCANS},
	{T_CreateTableAsStmt, EXEMPT_SCANS},
	{T_RefreshMatViewStmt, EXEMPT_SCANS},
	{T_VacuumStmt, EXEMPT_LOCKS | EXEMPT_SCANS},
	{COMPAT_CLUSTER_TAG, EXEMPT_LOCKS | EXEMPT_SCANS},
};

/* The statement that is being observed, the innermost of several. */
static Observation *current = NULL;

static int	exempt_parts(Node *statement);
static char *one_line(const char *text);
static void compare_locks(Observation *observation);
static void compare_lock(Observation *observation, Oid relid);
static bool is_behind_table_lock(Observation *observation,
								 const RelationState *state,
								 LOCKMODE lockmode);
static void compare_storage(Observation *observation);
static void find_built_indexes(Observation *observation, HTAB *indexed);
static bool is_done_here(Observation *observation,
						 const RelationState *after);
static HTAB *storages_of(HTAB *states);
static void compare_work(Observation *observation, HTAB *indexed,
						 const RelationState *state);
static void compare_scans(Observation *observation,
						  const RelationState *state,
						  const Forecast *forecast);
static bool index_was_scanned(Observation *observation, Oid table);
static void report(Observation *observation, const RelationState *state,
				   const char *format,...) pg_attribute_printf(3, 4);
static const char *lock_name(LOCKMODE lockmode);

/*
 * See observe.h.
 */
Observation *
begin_observation(Node *statement, const char *source_text,
				  const char *statement_text, bool releases_locks)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	EffectContext effects = {0};
	Observation *observation;
	int			exempt = exempt_parts(statement);

	if (exempt & NOTHING_TO_SEE)
		return NULL;
	if (current != NULL)
		current->ran_others = true;
	if (exempt & EXEMPT_ALL)
		return NULL;

	/* a command that commits inside frees everything of its transaction */
	context = AllocSetContextCreate(TopMemoryContext,
									"safe_migrate observation",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	observation = palloc0(sizeof(Observation));
	observation->context = context;
	observation->exempt = exempt | (releases_locks ? EXEMPT_LOCKS : 0);
	observation->command = GetCommandTagName(CreateCommandTag(statement));
	observation->statement = one_line(statement_text);
	PG_TRY();
	{
		effects.source_text = source_text;
		if (!fault_point_is_set("forecast"))
			(void) describe_effects(statement, &effects);
		observation->forecasts = make_forecast(effects.effects);
		if (effects_have_work(effects.effects, WORK_UNKNOWN))
			observation->exempt |= EXEMPT_ALL;
		observation->looks_up_keys =
			effects_have_work(effects.effects, WORK_FK_SCAN);
		observation->before = read_relation_states();
		observation->locks_before = read_held_locks();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	observation->outer = current;
	current = observation;
	MemoryContextSwitchTo(caller);
	return observation;
}

static int
exempt_parts(Node *statement)
{
	for (int i = 0; i < lengthof(exempt_statements); i++)
		if (exempt_statements[i].tag == nodeTag(statement))
			return exempt_statements[i].what;
	return 0;
}

static char *
one_line(const char *text)
{
	StringInfoData line;

	initStringInfo(&line);
	for (; *text != '\0' && line.len < STATEMENT_SHOWN; text++)
	{
		if (!isspace((unsigned char) *text))
			appendStringInfoChar(&line, *text);
		else if (line.len > 0 && line.data[line.len - 1] != ' ')
			appendStringInfoChar(&line, ' ');
	}
	/* not in the middle of a character */
	line.data[pg_mbcliplen(line.data, line.len, line.len)] = '\0';
	return line.data;
}

/*
 * See observe.h.
 */
void
compare_observation(Observation *observation)
{
	MemoryContext caller = CurrentMemoryContext;

	if (observation == NULL || (observation->exempt & EXEMPT_ALL) ||
		observation->ran_others || !IsTransactionState())
		return;
	MemoryContextSwitchTo(observation->context);
	observation->after = read_relation_states();
	observation->locks_after = read_held_locks();
	if ((observation->exempt & EXEMPT_LOCKS) == 0)
		compare_locks(observation);
	compare_storage(observation);
	record_observed_statement(observation->mismatches);
	MemoryContextSwitchTo(caller);
}

/*
 * See observe.h.
 */
void
end_observation(Observation *observation)
{
	if (observation == NULL)
		return;
	current = observation->outer;
	MemoryContextDelete(observation->context);
}

/* Relations that are locked now, or that were expected to be. */
static void
compare_locks(Observation *observation)
{
	HASH_SEQ_STATUS status;
	HeldLock   *lock;
	Forecast   *forecast;

	hash_seq_init(&status, observation->locks_after);
	while ((lock = hash_seq_search(&status)) != NULL)
		compare_lock(observation, lock->relid);

	hash_seq_init(&status, observation->forecasts);
	while ((forecast = hash_seq_search(&status)) != NULL)
		if (held_lockmode(observation->locks_after,
						  forecast->relid) == NoLock)
			compare_lock(observation, forecast->relid);
}

static void
compare_lock(Observation *observation, Oid relid)
{
	const RelationState *state = find_relation_state(observation->before,
													 relid);
	const Forecast *forecast = hash_search(observation->forecasts, &relid,
										   HASH_FIND, NULL);
	LOCKMODE	expected = held_lockmode(observation->locks_before, relid);
	LOCKMODE	observed = held_lockmode(observation->locks_after, relid);

	/* a system catalog, or made by the statement */
	if (state == NULL)
		return;
	if (forecast != NULL)
		expected = Max(expected, forecast->lockmode);
	if (forecast != NULL && observed > expected &&
		observed <= forecast->momentary)
		return;
	if (expected == observed || Max(expected, observed) < WEAKEST_COMPARED ||
		is_behind_table_lock(observation, state, Max(expected, observed)))
		return;
	report(observation, state, "lock predicted %s, observed %s",
		   lock_name(expected), lock_name(observed));
}

/*
 * Whoever uses an index or TOAST table locks the table before, as strongly.
 * So a lock on one adds nothing to an equal or stronger one on its table.
 */
static bool
is_behind_table_lock(Observation *observation, const RelationState *state,
					 LOCKMODE lockmode)
{
	if (!OidIsValid(state->owner))
		return false;
	if (state->relkind != RELKIND_TOASTVALUE)
	{
		const RelationState *owner = find_relation_state(observation->before,
														 state->owner);

		/* the index of a TOAST table */
		if (owner != NULL && owner->relkind == RELKIND_TOASTVALUE)
			return is_behind_table_lock(observation, owner, lockmode);
	}
	return held_lockmode(observation->locks_after, state->owner) >= lockmode;
}

/* Rewrites, builds and scans. */
static void
compare_storage(Observation *observation)
{
	HTAB	   *indexed = make_oid_set("safe_migrate indexed tables");
	HASH_SEQ_STATUS status;
	RelationState *state;

	find_built_indexes(observation, indexed);
	hash_seq_init(&status, observation->before);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->relkind == RELKIND_RELATION ||
			state->relkind == RELKIND_MATVIEW)
			compare_work(observation, indexed, state);
	}
}

/*
 * The tables that have an index with new storage.  An index that ALTER TABLE
 * makes again may take over the storage of the old one.
 */
static void
find_built_indexes(Observation *observation, HTAB *indexed)
{
	HTAB	   *storages = storages_of(observation->before);
	HASH_SEQ_STATUS status;
	RelationState *state;

	hash_seq_init(&status, observation->after);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->relkind == RELKIND_INDEX && OidIsValid(state->storage) &&
			is_done_here(observation, state) &&
			!is_in_oid_set(storages, state->storage))
			(void) add_to_oid_set(indexed, state->owner);
	}
}

/*
 * Other sessions work meanwhile.  What a command did in transactions that it
 * has committed cannot be told from that, so it is looked for only in the
 * relations that are expected to have it.
 */
static bool
is_done_here(Observation *observation, const RelationState *after)
{
	Oid			table = after->relkind == RELKIND_INDEX ? after->owner :
	after->relid;

	if (observation->exempt & EXEMPT_LOCKS)
		return hash_search(observation->forecasts, &table, HASH_FIND,
						   NULL) != NULL;
	return after->written_here;
}

static HTAB *
storages_of(HTAB *states)
{
	HTAB	   *storages = make_oid_set("safe_migrate storages");
	HASH_SEQ_STATUS status;
	RelationState *state;

	hash_seq_init(&status, states);
	while ((state = hash_seq_search(&status)) != NULL)
		if (OidIsValid(state->storage))
			(void) add_to_oid_set(storages, state->storage);
	return storages;
}

static void
compare_work(Observation *observation, HTAB *indexed,
			 const RelationState *state)
{
	static const Forecast nothing = {0};
	const Forecast *forecast = hash_search(observation->forecasts,
										   &state->relid, HASH_FIND, NULL);
	const RelationState *after = find_relation_state(observation->after,
													 state->relid);
	bool		is_replaced;
	bool		is_indexed;

	if (after == NULL)
		return;					/* dropped */
	if (forecast == NULL)
		forecast = &nothing;
	is_replaced = after->storage != state->storage &&
		is_done_here(observation, after);
	is_indexed = is_in_oid_set(indexed, state->relid);

	/* what is new in its transaction is truncated in place */
	if (forecast->is_truncated)
		return;
	if (is_replaced != forecast->is_rewritten)
		report(observation, state, "%s",
			   is_replaced ? "rewrite not predicted" :
			   "rewrite predicted, not observed");
	if (is_replaced || forecast->is_rewritten)
		return;
	if (is_indexed != forecast->is_indexed)
		report(observation, state, "%s",
			   is_indexed ? "index build not predicted" :
			   "index build predicted, not observed");
	if (!is_indexed && !forecast->is_indexed &&
		(observation->exempt & EXEMPT_SCANS) == 0 && pgstat_track_counts)
		compare_scans(observation, state, forecast);
}

/* The query that looks up a foreign key may read an index instead. */
static void
compare_scans(Observation *observation, const RelationState *state,
			  const Forecast *forecast)
{
	bool		is_scanned = relation_scans(state->relid) > state->scans;

	if (forecast->is_looked_up)
	{
		if (!is_scanned && !index_was_scanned(observation, state->relid))
			report(observation, state,
				   "foreign key look-up predicted, not observed");
	}
	else if (is_scanned && observation->looks_up_keys &&
			 forecast->lockmode != NoLock)
		return;					/* at the other end of a foreign key */
	else if (is_scanned && held_lockmode(observation->locks_after,
										 state->relid) < RowShareLock)
		return;					/* by a query in a function or event trigger */
	else if (is_scanned != forecast->is_scanned)
		report(observation, state, "%s",
			   is_scanned ? "scan not predicted" :
			   "scan predicted, not observed");
}

static bool
index_was_scanned(Observation *observation, Oid table)
{
	HASH_SEQ_STATUS status;
	RelationState *state;

	hash_seq_init(&status, observation->before);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->relkind != RELKIND_INDEX || state->owner != table ||
			relation_scans(state->relid) <= state->scans)
			continue;
		hash_seq_term(&status);
		return true;
	}
	return false;
}

/* One line for the server log, never for the client, and one decision. */
static void
report(Observation *observation, const RelationState *state,
	   const char *format,...)
{
	Decision	decision = {0};
	char		difference[256];
	va_list		args;
	char	   *relation;

	va_start(args, format);
	vsnprintf(difference, sizeof(difference), format, args);
	va_end(args);
	relation = quote_qualified_identifier(get_namespace_name_or_temp(state->relnamespace),
										  NameStr(state->relname));
	observation->mismatches++;
	ereport(LOG_SERVER_ONLY,
			(errmsg("safe_migrate mismatch: %s: %s: %s: %s",
					observation->command, relation, difference,
					observation->statement),
			 errhidestmt(true),
			 errhidecontext(true)));

	decision.outcome = DECISION_MISPREDICTED;
	decision.command = observation->command;
	decision.relation = relation;
	decision.statement = observation->statement;
	decision.message = difference;
	record_decision(&decision);
}

static const char *
lock_name(LOCKMODE lockmode)
{
	return lockmode == NoLock ? "none" :
		GetLockmodeName(DEFAULT_LOCKMETHOD, lockmode);
}
