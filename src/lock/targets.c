/*-------------------------------------------------------------------------
 *
 * targets.c
 *	  The locks that a statement will have to wait for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "common/compat.h"
#include "lock/lock_internal.h"
#include "miscadmin.h"

/* The weakest for which writers wait. */
#define WEAKEST_TARGET		ShareLock

static List *targets_of(List *effects);
static List *without_held(List *targets);
static void add_to_targets(List **targets, Oid relid, LOCKMODE lockmode);
static List *strongest_of_each(List *all);
static void add_target(const Effect *effect, Oid relid, LOCKMODE lockmode,
					   void *arg);
static int	compare_targets(const ListCell *a, const ListCell *b);
static bool holds_lock(const LockTarget *target);

/*
 * See lock_internal.h.  Of the locks on one relation the strongest counts:
 * that it is had from the beginning means that none is upgraded later.
 */
List *
find_lock_targets(List *effects)
{
	return without_held(strongest_of_each(targets_of(effects)));
}

/*
 * See lock_internal.h.
 */
List *
find_lock_targets_with(List *relids, List *effects)
{
	List	   *all = targets_of(effects);
	ListCell   *cell;

	foreach(cell, relids)
		add_to_targets(&all, lfirst_oid(cell), AccessExclusiveLock);
	return without_held(strongest_of_each(all));
}

static List *
without_held(List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		if (holds_lock(lfirst(cell)))
			targets = foreach_delete_current(targets, cell);
	}
	return targets;
}

/*
 * See lock_internal.h.
 */
List *
find_needless_targets(List *targets, List *effects)
{
	List	   *needed = targets_of(effects);
	List	   *needless = NIL;
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, targets)
	{
		const LockTarget *target = lfirst(cell);
		bool		found = false;

		foreach(inner, needed)
			found |= ((const LockTarget *) lfirst(inner))->relid == target->relid;
		if (!found)
			needless = lappend(needless, lfirst(cell));
	}
	return needless;
}

static List *
targets_of(List *effects)
{
	List	   *all = NIL;

	spread_effects(effects, add_target, &all);
	return all;
}

/* In the order of their OIDs, one for each relation. */
static List *
strongest_of_each(List *all)
{
	List	   *targets = NIL;
	ListCell   *cell;

	list_sort(all, compare_targets);
	foreach(cell, all)
	{
		LockTarget *target = lfirst(cell);
		LockTarget *last = targets == NIL ? NULL : llast(targets);

		if (last != NULL && last->relid == target->relid)
			last->lockmode = Max(last->lockmode, target->lockmode);
		else
			targets = lappend(targets, target);
	}
	return targets;
}

/*
 * Nobody else has a new or temporary relation.  A lock that PostgreSQL takes
 * for a moment at the end is not to be held all the time.
 */
static void
add_target(const Effect *effect, Oid relid, LOCKMODE lockmode, void *arg)
{
	if (lockmode < WEAKEST_TARGET || effect->momentary ||
		relid < FirstNormalObjectId ||
		(relid == effect->relation->relid &&
		 (effect->relation->is_new || effect->relation->is_temp)))
		return;
	add_to_targets(arg, relid, lockmode);
}

static void
add_to_targets(List **targets, Oid relid, LOCKMODE lockmode)
{
	LockTarget *target = palloc(sizeof(LockTarget));

	target->relid = relid;
	target->lockmode = lockmode;
	*targets = lappend(*targets, target);
}

static int
compare_targets(const ListCell *a, const ListCell *b)
{
	Oid			first = ((const LockTarget *) lfirst(a))->relid;
	Oid			second = ((const LockTarget *) lfirst(b))->relid;

	return first < second ? -1 : first > second;
}

/* Whether this transaction has a lock that is as strong. */
static bool
holds_lock(const LockTarget *target)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, MyDatabaseId, target);
	for (LOCKMODE mode = target->lockmode; mode <= MaxLockMode; mode++)
		if (compat_lock_held_by_me(&tag, mode))
			return true;
	return false;
}

void
set_lock_tag(LOCKTAG *tag, Oid database, const LockTarget *target)
{
	SET_LOCKTAG_RELATION(*tag, database, target->relid);
}

/*
 * See lock_internal.h.
 */
bool
conflicts_with_own_lock(const LOCKTAG *tag, LOCKMODE lockmode)
{
	for (LOCKMODE mode = AccessShareLock; mode <= MaxLockMode; mode++)
		if (DoLockModesConflict(mode, lockmode) &&
			compat_lock_held_by_me(tag, mode))
			return true;
	return false;
}
