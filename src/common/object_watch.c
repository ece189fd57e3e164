/*-------------------------------------------------------------------------
 *
 * object_watch.c
 *	  To be told of each object that is made, altered or dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "common/object_watch.h"

static object_access_hook_type next_object_access = NULL;
static bool is_hooked = false;
static ObjectWatch *watches = NULL;

static void tell_watchers(ObjectAccessType access, Oid classid, Oid objid,
						  int subid, void *arg);
static bool access_is_internal(ObjectAccessType access, void *arg);

/*
 * See object_watch.h.  The hook is there only meanwhile: PostgreSQL calls it
 * for every function and schema that any query uses.
 */
void
begin_object_watch(ObjectWatch *watch)
{
	watch->next = watches;
	watches = watch;
	if (!is_hooked)
	{
		next_object_access = object_access_hook;
		object_access_hook = tell_watchers;
		is_hooked = true;
	}
}

/*
 * See object_watch.h.
 */
void
end_object_watch(ObjectWatch *watch)
{
	for (ObjectWatch **link = &watches; *link != NULL; link = &(*link)->next)
	{
		if (*link != watch)
			continue;
		*link = watch->next;
		break;
	}
	if (watches == NULL && is_hooked && object_access_hook == tell_watchers)
	{
		object_access_hook = next_object_access;
		is_hooked = false;
	}
}

static void
tell_watchers(ObjectAccessType access, Oid classid, Oid objid, int subid,
			  void *arg)
{
	if (next_object_access)
		next_object_access(access, classid, objid, subid, arg);
	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER &&
		access != OAT_DROP)
		return;
	for (ObjectWatch *watch = watches; watch != NULL; watch = watch->next)
		watch->watcher(access, classid, objid, subid,
					   access_is_internal(access, arg), watch->arg);
}

static bool
access_is_internal(ObjectAccessType access, void *arg)
{
	if (arg == NULL)
		return false;
	if (access == OAT_POST_CREATE)
		return ((ObjectAccessPostCreate *) arg)->is_internal;
	if (access == OAT_POST_ALTER)
		return ((ObjectAccessPostAlter *) arg)->is_internal;
	return (((ObjectAccessDrop *) arg)->dropflags &
			PERFORM_DELETION_INTERNAL) != 0;
}
