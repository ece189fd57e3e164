/*-------------------------------------------------------------------------
 *
 * relation_states.h
 *	  All relations of the database as this backend sees them at one moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_RELATION_STATES_H
#define SAFE_MIGRATE_RELATION_STATES_H

#include "postgres.h"

#include "storage/lockdefs.h"
#include "utils/hsearch.h"

typedef struct RelationState
{
	Oid			relid;			/* hash key */
	NameData	relname;
	Oid			relnamespace;
	Oid			storage;		/* relfilenode, 0 for none or a mapped one */
	bool		written_here;	/* its row is of the current transaction */
	char		relkind;
	Oid			owner;			/* of an index or TOAST table: the table */
	int64		scans;			/* as relation_scans() tells */
} RelationState;

typedef struct HeldLock
{
	Oid			relid;			/* hash key */
	LOCKMODE	lockmode;		/* the strongest */
} HeldLock;

/*
 * Read pg_class and pg_index.  Returns a hash table of RelationState, keyed by
 * OID, in the current memory context; system catalogs are left out.  Takes
 * AccessShareLock on the two catalogs for a moment.  Needs a transaction.
 */
extern HTAB *read_relation_states(void);

/* NULL if there is no such relation. */
extern RelationState *find_relation_state(HTAB *states, Oid relid);

/*
 * The locks on relations that this backend holds: a hash table of HeldLock in
 * the current memory context, also with those of relations that are gone.
 */
extern HTAB *read_held_locks(void);

/* NoLock for a relation that is not in the table. */
extern LOCKMODE held_lockmode(HTAB *locks, Oid relid);

/*
 * Sequential scans of a table, or scans of an index, that this backend has
 * counted and not yet flushed to the statistics: compare two of them in one
 * transaction.
 */
extern int64 relation_scans(Oid relid);

#endif							/* SAFE_MIGRATE_RELATION_STATES_H */
