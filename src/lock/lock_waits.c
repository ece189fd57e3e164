/*-------------------------------------------------------------------------
 *
 * lock_waits.c
 *	  migrate.lock_waits: who polls for a lock in this database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define POLLER_COLUMNS		11

PG_FUNCTION_INFO_V1(migrate_lock_wait_list);

static void put_poller(ReturnSetInfo *rsinfo, const Poller *poller);
static Datum text_or_null(const char *value, bool *is_null);
static Datum pids_as_array(const Poller *poller);
static Datum blockers_as_array(const Poller *poller);

/*
 * migrate.lock_wait_list() RETURNS TABLE, see lock.sql.
 */
Datum
migrate_lock_wait_list(PG_FUNCTION_ARGS)
{
	Poller	   *pollers;
	int			count;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	pollers = copy_pollers(&count);
	for (int i = 0; i < count; i++)
	{
		if (pollers[i].database == MyDatabaseId)
			put_poller((ReturnSetInfo *) fcinfo->resultinfo, &pollers[i]);
	}
	return (Datum) 0;
}

static void
put_poller(ReturnSetInfo *rsinfo, const Poller *poller)
{
	List	   *sessions = blockers_with_pids(list_make1_int(poller->pid));
	const Blocker *session = linitial(sessions);
	Datum		values[POLLER_COLUMNS];
	bool		nulls[POLLER_COLUMNS] = {false};

	values[0] = Int32GetDatum(poller->pid);
	values[1] = text_or_null(GetUserNameFromId(poller->roleid, true), &nulls[1]);
	values[2] = text_or_null(session->application, &nulls[2]);
	values[3] = text_or_null(GetCommandTagName(poller->command), &nulls[3]);
	values[4] = text_or_null(may_see_query(session) ? session->query : NULL,
							 &nulls[4]);
	values[5] = text_or_null(relation_display_name(poller->target.relid),
							 &nulls[5]);
	values[6] = text_or_null(GetLockmodeName(DEFAULT_LOCKMETHOD,
											 poller->target.lockmode),
							 &nulls[6]);
	values[7] = TimestampTzGetDatum(poller->since);
	values[8] = TimestampTzGetDatum(poller->gives_up_at);
	values[9] = pids_as_array(poller);
	values[10] = blockers_as_array(poller);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Datum
text_or_null(const char *value, bool *is_null)
{
	*is_null = value == NULL;
	return value ? CStringGetTextDatum(value) : (Datum) 0;
}

static Datum
pids_as_array(const Poller *poller)
{
	Datum		pids[MAX_PUBLISHED_BLOCKERS];

	for (int i = 0; i < poller->blocker_count; i++)
		pids[i] = Int32GetDatum(poller->blockers[i]);
	return PointerGetDatum(construct_array(pids, poller->blocker_count, INT4OID,
										   sizeof(int32), true, TYPALIGN_INT));
}

static Datum
blockers_as_array(const Poller *poller)
{
	Datum		words[MAX_PUBLISHED_BLOCKERS];
	List	   *pids = NIL;
	ListCell   *cell;

	for (int i = 0; i < poller->blocker_count; i++)
		pids = lappend_int(pids, poller->blockers[i]);
	foreach(cell, blockers_with_pids(pids))
		words[foreach_current_index(cell)] =
		CStringGetTextDatum(blocker_in_words(lfirst(cell)));
	return PointerGetDatum(construct_array(words, poller->blocker_count,
										   TEXTOID, -1, false, TYPALIGN_INT));
}
