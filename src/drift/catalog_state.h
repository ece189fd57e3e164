/*-------------------------------------------------------------------------
 *
 * catalog_state.h
 *	  Has anything changed in the catalog?
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CATALOG_STATE_H
#define SAFE_MIGRATE_CATALOG_STATE_H

#include "postgres.h"

/*
 * A text, palloc'd, that stays the same as long as nothing has changed that
 * the manifest could depend on; it may change when nothing of that has.  It
 * counts in this database alone.  Reads the catalogs from end to end, as the
 * transaction's snapshot has them: some milliseconds where there are many
 * tables.
 */
extern char *catalog_state(void);

#endif							/* SAFE_MIGRATE_CATALOG_STATE_H */
