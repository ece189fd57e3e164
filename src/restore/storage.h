/*-------------------------------------------------------------------------
 *
 * storage.h
 *	  Which file a relation is to have after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_STORAGE_H
#define SAFE_MIGRATE_STORAGE_H

#include "postgres.h"

#include "access/htup.h"
#include "preserve/park.h"
#include "utils/hsearch.h"

/* What becomes of what was written since. */
typedef enum RollbackMode
{
	ROLLBACK_KEEP,				/* it stays */
	ROLLBACK_AS_OF				/* it goes */
} RollbackMode;

typedef struct LabelRows LabelRows;

/* The restore point that one goes back to. */
typedef struct RestoreTarget
{
	int64		point;
	char	   *label;
	bool		is_whole;		/* false: has only what a statement changed */
	bool		is_complete;	/* false: something was not kept */
	char	   *problem;		/* what, or NULL */
	int64		ledger_position;	/* last attempt in the ledger */
	FullTransactionId creator;	/* transaction that has made the point */
	char	   *snapshot;		/* a pg_snapshot, as text */
	RollbackMode mode;
	LabelRows  *rows;			/* see label_rows.h */
} RestoreTarget;

typedef enum StorageChoice
{
	STORAGE_NONE,				/* has no file */
	STORAGE_KEPT,				/* has the file that it is to have */
	STORAGE_PARKED,				/* its file was parked, and comes back */
	STORAGE_BUILT,				/* an index that has to be built */
	STORAGE_REMOVED,			/* the relation is gone after the rollback */
	STORAGE_LOST				/* nobody has kept its file */
} StorageChoice;

/* What a relation was at the restore point, and what it is. */
typedef struct RestoredRelation
{
	Oid			relid;			/* key of the hash table */
	Oid			main_relid;		/* table of an index or of a TOAST table */
	bool		is_toast;		/* a TOAST table or its index */
	HeapTuple	was;			/* rows of pg_class, or NULL */
	HeapTuple	is;
	StorageChoice choice;
	const ParkedFile *parked;	/* for STORAGE_PARKED */
	const ParkedFile *left_aside;	/* for STORAGE_KEPT: what mode as_of takes */
	HeapTuple	holder;			/* row of pg_class of what had the file */
	bool		changed;		/* rows about it are not what they were */
	bool		is_lenient;		/* an index that does not enforce anything yet */
	bool		was_unique;		/* what it is to enforce */
	bool		was_exclusion;
	bool		is_concerned;	/* only what belongs to it is of the label */
} RestoredRelation;

/*
 * A hash table of RestoredRelation, by OID: all relations of the label and of
 * now, or those of the label if that is not whole.  Takes no lock on them.  In
 * the current memory context.
 */
extern HTAB *choose_storage(const RestoreTarget *target);

extern RestoredRelation *find_restored_relation(HTAB *relations, Oid relid);

/* The table of a relation; itself if it is one. */
extern RestoredRelation *main_relation(HTAB *relations,
									   RestoredRelation *relation);

/* True if an index is to be built where it is, in the place of its file. */
extern bool is_built_in_place(const RestoredRelation *relation);

/*
 * True if rows about a relation are to be left as they are: a TOAST table
 * belongs to the file of its table, not to the schema.
 */
extern bool rows_follow_storage(HTAB *relations, Oid relid);

#endif							/* SAFE_MIGRATE_STORAGE_H */
