/*-------------------------------------------------------------------------
 *
 * unit.h
 *	  What is known of the objects of the schema while migrations run.
 *
 * A unit is an object that has rows in the manifest, and had some before the
 * last migration: a table with all that belongs to it, for example.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_UNIT_H
#define SAFE_MIGRATE_UNIT_H

#include "postgres.h"

#include "drift/manifest_row.h"
#include "drift/touched.h"
#include "utils/hsearch.h"

/*
 * From now on these rows are known, in memory below that context, until
 * forget_units(), which throws nothing.  is_all: there are no others; else
 * migrate.last_manifest is asked for the rows of an object when they are
 * needed for the first time, and then the functions below need a transaction.
 */
extern void know_units(MemoryContext parent, List *rows, bool is_all);
extern void forget_units(void);

/* What is known of an object; valid until it is set. */
extern List *rows_of_unit(const TouchedObject *object);
extern List *rows_of_unit_of(const ManifestRow *row);
extern void set_rows_of_unit(const TouchedObject *object, List *rows);

/*
 * In a pass each object is seen once.  Of these objects, or of the known ones
 * of a class (InvalidOid: of all) and those that rows are about, a list of
 * TouchedObject with those that this pass has not seen; now it has.
 */
extern void begin_pass(void);
extern List *not_seen_in_pass(List *objects);
extern List *not_seen_of_class(Oid classid, List *rows);

/* See touched.h. */
extern void visit_units(Oid classid, bool all,
						void (*visit) (Oid objid, void *arg), void *arg);

/* Rows by the object that they are about, in the current memory context. */
extern HTAB *rows_by_object(List *rows);
extern List *rows_of_object(HTAB *by_object, const TouchedObject *object);

#endif							/* SAFE_MIGRATE_UNIT_H */
