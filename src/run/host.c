/*-------------------------------------------------------------------------
 *
 * host.c
 *	  A script that runs statements in transactions of its own making.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "run/host.h"
#include "utils/memutils.h"

static const ScriptHost *next_host = NULL;

static int64 *deferred = NULL;
static int	deferred_count = 0;
static int	deferred_room = 0;
static bool noting_deferred = false;
static Oid	waiting_role = InvalidOid;

/*
 * See host.h.
 */
void
host_next_statement(const ScriptHost *host)
{
	next_host = host;
}

/*
 * See host.h.
 */
const ScriptHost *
take_script_host(void)
{
	const ScriptHost *host = next_host;

	next_host = NULL;
	return host;
}

/*
 * See host.h.
 */
void
note_deferred_tasks(bool on, Oid waits)
{
	noting_deferred = on;
	waiting_role = waits;
	deferred_count = 0;
}

/*
 * See host.h.
 */
Oid
role_that_waits(void)
{
	return noting_deferred ? waiting_role : InvalidOid;
}

/*
 * See host.h.
 */
bool
note_deferred_task(int64 id)
{
	if (!noting_deferred)
		return false;
	if (deferred_count == deferred_room)
	{
		int			room = Max(deferred_room * 2, 16);

		if (deferred == NULL)
			deferred = MemoryContextAlloc(TopMemoryContext,
										  room * sizeof(int64));
		else
			deferred = repalloc(deferred, room * sizeof(int64));
		deferred_room = room;
	}
	deferred[deferred_count++] = id;
	return true;
}

/*
 * See host.h.
 */
const int64 *
deferred_tasks(int *count)
{
	*count = deferred_count;
	return deferred;
}
