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
 * were before it; but for those that an earlier transaction has made, a list of
 * TransactionId as OIDs.  The rows of pg_class of relations that these are about
 * are put down with them, to be looked at: see load_concerned_relations().  May
 * be called again for the same point by a later transaction.  Returns false if
 * there are none.
 */
extern bool save_catalog_changes(int64 point, List *earlier_xids);

/*
 * The rows of one catalog at a restore point: of HeapTuple, in the form of
 * plain_row(), in the current memory context; their descriptor is that of the
 * catalog.
 */
extern List *load_catalog_rows(int64 point, Oid catalog);

/*
 * The same for the rows of pg_class that a point of a statement has of relations
 * which that has not changed themselves, but what belongs to them; and of others
 * at the far end of that, such as the table of a foreign key.
 */
extern List *load_concerned_relations(int64 point);
extern List *load_far_relations(int64 point);

#endif							/* SAFE_MIGRATE_CATALOG_IMAGE_H */
