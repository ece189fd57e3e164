/*-------------------------------------------------------------------------
 *
 * touched.h
 *	  Which objects may have changed since one has last asked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TOUCHED_H
#define SAFE_MIGRATE_TOUCHED_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* In the memory context of the caller of take_touched(). */
typedef struct Touched
{
	bool		all;			/* nobody knows: look at everything */
	List	   *classes;		/* OIDs: look at all objects of these */
	List	   *objects;		/* of TouchedObject */
} Touched;

typedef struct TouchedObject
{
	Oid			classid;
	Oid			objid;
} TouchedObject;

/*
 * Begin, in a transaction, and end to remember.  What is remembered are the objects that this
 * session makes, alters or drops, and those of which the server says that
 * they have changed, in other sessions as well.  The end must be reached on
 * every path; it throws nothing.
 */
extern void begin_touched(void);
extern void end_touched(void);

/*
 * What was touched since the last call.  An object is one that has rows in the
 * manifest, or may have: a part of a table stands for the table.  known() is
 * to call visit() for the objects of a class that are known at hand, or for
 * all.  Needs a transaction.
 */
typedef void (*KnownObjects) (Oid classid, bool all,
							  void (*visit) (Oid objid, void *arg), void *arg);

extern Touched *take_touched(KnownObjects known);

#endif							/* SAFE_MIGRATE_TOUCHED_H */
