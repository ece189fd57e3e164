/*-------------------------------------------------------------------------
 *
 * relation_states.c
 *	  All relations of the database as this backend sees them at one moment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "observe/relation_states.h"
#include "pgstat.h"
#include "storage/lock.h"

static void read_classes(HTAB *states);
static void set_owner(HTAB *states, Oid relid, Oid owner);
static void read_indexes(HTAB *states);
static LOCKMODE strongest_lock(LOCKMASK mask);

/*
 * See relation_states.h.
 */
HTAB *
read_relation_states(void)
{
	HASHCTL		control = {0};
	HTAB	   *states;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RelationState);
	control.hcxt = CurrentMemoryContext;
	states = hash_create("safe_migrate relation states", 1024, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	read_classes(states);
	read_indexes(states);
	return states;
}

/*
 * See relation_states.h.
 */
RelationState *
find_relation_state(HTAB *states, Oid relid)
{
	return hash_search(states, &relid, HASH_FIND, NULL);
}

/* pg_class itself, not the syscache: all of it is wanted. */
static void
read_classes(HTAB *states)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		RelationState *state;
		bool		found;

		if (form->oid < FirstNormalObjectId)
			continue;
		state = hash_search(states, &form->oid, HASH_ENTER, &found);
		if (!found)
			state->owner = InvalidOid;
		state->relname = form->relname;
		state->relnamespace = form->relnamespace;
		state->storage = form->relfilenode;
		state->relkind = form->relkind;
		state->written_here =
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		state->scans = relation_scans(form->oid);
		if (OidIsValid(form->reltoastrelid))
			set_owner(states, form->reltoastrelid, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* The row of the owned relation may come before or after. */
static void
set_owner(HTAB *states, Oid relid, Oid owner)
{
	RelationState *state;
	bool		found;

	state = hash_search(states, &relid, HASH_ENTER, &found);
	if (!found)
	{
		MemSet(&state->relname, 0, sizeof(NameData));
		state->relnamespace = InvalidOid;
		state->storage = InvalidOid;
		state->relkind = RELKIND_TOASTVALUE;
		state->written_here = false;
		state->scans = 0;
	}
	state->owner = owner;
}

static void
read_indexes(HTAB *states)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		RelationState *state = find_relation_state(states, form->indexrelid);

		if (state != NULL)
			state->owner = form->indrelid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * See relation_states.h.  GetLockMethodLocalHash() exists only with
 * assertions, so the shared lock table is read, with the locks that were taken
 * by the fast path.
 */
HTAB *
read_held_locks(void)
{
	LockData   *data = GetLockStatusData();
	HASHCTL		control = {0};
	HTAB	   *locks;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(HeldLock);
	control.hcxt = CurrentMemoryContext;
	locks = hash_create("safe_migrate held locks", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *instance = &data->locks[i];
		Oid			relid = instance->locktag.locktag_field2;
		HeldLock   *lock;
		bool		found;

		if (instance->pid != MyProcPid || instance->holdMask == 0 ||
			instance->locktag.locktag_type != LOCKTAG_RELATION ||
			instance->locktag.locktag_field1 != MyDatabaseId)
			continue;
		lock = hash_search(locks, &relid, HASH_ENTER, &found);
		if (!found)
			lock->lockmode = NoLock;
		lock->lockmode = Max(lock->lockmode,
							 strongest_lock(instance->holdMask));
	}
	return locks;
}

/*
 * See relation_states.h.
 */
LOCKMODE
held_lockmode(HTAB *locks, Oid relid)
{
	HeldLock   *lock = hash_search(locks, &relid, HASH_FIND, NULL);

	return lock ? lock->lockmode : NoLock;
}

static LOCKMODE
strongest_lock(LOCKMASK mask)
{
	for (LOCKMODE mode = MaxLockMode; mode > NoLock; mode--)
		if (mask & LOCKBIT_ON(mode))
			return mode;
	return NoLock;
}

/*
 * See relation_states.h.
 */
int64
relation_scans(Oid relid)
{
	PgStat_TableStatus *status = find_tabstat_entry(relid);

	return status ? compat_counted_scans(status) : 0;
}
