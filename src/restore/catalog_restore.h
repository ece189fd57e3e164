/*-------------------------------------------------------------------------
 *
 * catalog_restore.h
 *	  Making the catalogs what they were.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOG_RESTORE_H
#define SAFE_MIGRATE_CATALOG_RESTORE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

/*
 * Tables that have to be locked altogether before, by OID: those that exist and
 * about which a row changes, or which get another file.
 */
extern List *tables_to_lock(HTAB *relations);

/*
 * Remove and put back what compare_catalogs_with_label() found, with the files
 * that were chosen; files that are not needed any more go at the end of the
 * transaction.  Then the indexes of which there is no file are built, but for
 * those that can be built later: they are marked as invalid, and returned.  The
 * caller holds AccessExclusiveLock on tables_to_lock(), and has seen that no
 * file is lost.  Ends with a new command.  Throws what PostgreSQL says about
 * rows that contradict each other.  Rows that contradict an index may be those of a
 * migration: it enforces nothing until enforce_indexes().
 */
extern List *restore_catalogs(List *differences, HTAB *relations);

/*
 * When all rows are back: let the indexes enforce again what the rows contradicted
 * before.  Throws what PostgreSQL throws if they still do.
 */
extern void enforce_indexes(HTAB *relations);

#endif							/* SAFE_MIGRATE_CATALOG_RESTORE_H */
