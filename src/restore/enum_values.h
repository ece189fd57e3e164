/*-------------------------------------------------------------------------
 *
 * enum_values.h
 *	  Values of enum types that were added since a restore point.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ENUM_VALUES_H
#define SAFE_MIGRATE_ENUM_VALUES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/catalog_diff.h"

/* True for a row that restore_catalogs() leaves to the next function. */
extern bool is_added_enum_value(const CatalogDifference *difference,
								HeapTuple row);

/*
 * Remove them, when rows are what they are to be: only then it is known that
 * none is in use.  Indexes that may have pages with one are built anew.  Throws
 * SM007 if a row has one.  Ends with a new command.
 */
extern void remove_enum_values(List *differences);

#endif							/* SAFE_MIGRATE_ENUM_VALUES_H */
