/*-------------------------------------------------------------------------
 *
 * catalog_diff.h
 *	  In which rows the catalogs differ from what they are to be again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOG_DIFF_H
#define SAFE_MIGRATE_CATALOG_DIFF_H

#include "postgres.h"

#include "preserve/catalogs.h"
#include "restore/storage.h"

/* The difference in one catalog. */
typedef struct CatalogDifference
{
	const Catalog *catalog;
	List	   *gone;			/* of HeapTuple: rows to be put back */
	List	   *added;			/* of HeapTuple, with t_self: rows to be
								 * removed */
} CatalogDifference;

/*
 * The catalogs that differ, of CatalogDifference, in the order of
 * list_catalogs().  Rows about relations are such as the chosen storage needs
 * them; whatever relation they are about is marked as changed.  Takes no lock
 * on relations of users.  In the current memory context.
 */
extern List *compare_catalogs_with_label(const RestoreTarget *target,
										 HTAB *relations);

#endif							/* SAFE_MIGRATE_CATALOG_DIFF_H */
