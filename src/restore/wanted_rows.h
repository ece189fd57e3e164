/*-------------------------------------------------------------------------
 *
 * wanted_rows.h
 *	  The rows that the catalogs are to have after a rollback.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_WANTED_ROWS_H
#define SAFE_MIGRATE_WANTED_ROWS_H

#include "postgres.h"

#include "preserve/catalogs.h"
#include "restore/storage.h"

/*
 * Those of one catalog: what the label has, with what the chosen storage
 * demands.  Of HeapTuple, in the form of plain_row(), in the current memory
 * context.
 */
extern List *wanted_rows(const RestoreTarget *target, const Catalog *catalog,
						 HTAB *relations);

/*
 * True for a row of a column that was added since to a table which keeps its
 * file.  *instead is then the row of a dropped column in its place, or NULL if
 * it is one.
 */
extern bool replace_by_dropped(const Catalog *catalog, HTAB *relations,
							   HeapTuple row, HeapTuple *instead);

/*
 * The same for the row of pg_class of the TOAST table of a table which keeps
 * its file: of all that is about it, its options belong to the schema.
 */
extern bool replace_toast_options(const Catalog *catalog, HTAB *relations,
								  HeapTuple row, HeapTuple *instead);

#endif							/* SAFE_MIGRATE_WANTED_ROWS_H */
