/*-------------------------------------------------------------------------
 *
 * object_watch.h
 *	  To be told of each object that is made, altered or dropped.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OBJECT_WATCH_H
#define SAFE_MIGRATE_OBJECT_WATCH_H

#include "postgres.h"

#include "catalog/objectaccess.h"

/*
 * What is to be called: access is OAT_POST_CREATE, OAT_POST_ALTER or OAT_DROP,
 * is_internal says that no user asked for that object.  What is made or
 * altered is not yet visible as it will be.
 */
typedef void (*ObjectWatcher) (ObjectAccessType access, Oid classid,
							   Oid objid, int32 subid, bool is_internal,
							   void *arg);

typedef struct ObjectWatch
{
	struct ObjectWatch *next;
	ObjectWatcher watcher;
	void	   *arg;
} ObjectWatch;

/*
 * From begin to end the watcher is called.  The memory is the caller's, and
 * the end must be reached on every path; for a watch that has not begun it does
 * nothing.
 */
extern void begin_object_watch(ObjectWatch *watch);
extern void end_object_watch(ObjectWatch *watch);

#endif							/* SAFE_MIGRATE_OBJECT_WATCH_H */
