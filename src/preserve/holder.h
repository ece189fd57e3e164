/*-------------------------------------------------------------------------
 *
 * holder.h
 *	  Hidden relations that own files which somebody has done away with.
 *
 * See hidden_relation.h for what hides them.  They are made of the rows that
 * described the file in the catalogs when the transaction began, since the
 * file has not got another layout by what was done to its relation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_HOLDER_H
#define SAFE_MIGRATE_HOLDER_H

#include "postgres.h"

#include "access/htup.h"
#include "catalog/indexing.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* What the making of several takes. */
typedef struct HolderMaker
{
	Snapshot	before;
	Relation	pg_class;
	Relation	pg_attribute;
	Relation	pg_index;
	CatalogIndexState class_indexes;
	CatalogIndexState attribute_indexes;
	CatalogIndexState index_indexes;
	Oid			namespace;
	Oid			owner;
	Oid			extension;
} HolderMaker;

/* A relation that held a file. */
typedef struct HeldFile
{
	HeapTuple	class_row;		/* as it was */
	HeapTuple	index_row;		/* of an index, else NULL */
	Oid			holder;			/* to be made, see new_holder_oid() */
	Oid			heap;			/* holder of the table: of TOAST and indexes */
	Oid			toast;			/* holder of its TOAST table, or InvalidOid */
	bool		has_index;		/* an index of it is held, too */
} HeldFile;

/* Begin and end; the snapshot is the caller's. */
extern void begin_holders(HolderMaker *maker, Snapshot before);
extern void end_holders(HolderMaker *maker);

/*
 * The OID that the holder of a relation's file gets: that of the relation if it
 * is a TOAST table and gone, for its values to be found.  Another one if they are
 * to be read by this transaction, and that OID cannot be opened in it.
 */
extern Oid	new_holder_oid(HolderMaker *maker, HeapTuple class_row,
						   bool to_be_read);

/* True if this transaction has given the relation of the row another file. */
extern bool had_other_file(HolderMaker *maker, HeapTuple class_row);

/*
 * Write the catalog rows of a holder.  A CommandCounterIncrement() makes it
 * visible.  Locks nothing: nobody else can see it before the commit.
 */
extern void make_holder(HolderMaker *maker, HeldFile *held);

/*
 * Record what a holder depends on; to be called when it and those that it
 * belongs to are visible.
 */
extern void record_holder(HolderMaker *maker, HeldFile *held);

/*
 * False if the index could not even be opened, or might fail in VACUUM, now or
 * when what it calls is dropped.
 */
extern bool index_can_be_held(HolderMaker *maker, HeapTuple class_row,
							  HeapTuple index_row);

#endif							/* SAFE_MIGRATE_HOLDER_H */
