/*-------------------------------------------------------------------------
 *
 * catalog_image.h
 *	  The rows of the system catalogs as they were at a restore point.
 *
 * They hold what a schema is, in the only form in which nothing of it is
 * missing.  Nothing but catalogs is read, so that no lock on a table is needed
 * and the size of the data does not matter.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOG_IMAGE_H
#define SAFE_MIGRATE_CATALOG_IMAGE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Write all rows, as of now, to migrate.restore_catalog.  Runs SQL with the
 * rights of the extension's owner; needs a transaction.
 */
extern void save_catalog_image(int64 point);

/*
 * The same for the rows that this transaction has changed or deleted, as they
 * were before it.  Returns false if there are none.
 */
extern bool save_catalog_changes(int64 point);

/*
 * The rows of one catalog at a restore point: of HeapTuple, in the form of
 * plain_row(), in the current memory context; their descriptor is that of the
 * catalog.
 */
extern List *load_catalog_rows(int64 point, Oid catalog);

#endif							/* SAFE_MIGRATE_CATALOG_IMAGE_H */
