/*-------------------------------------------------------------------------
 *
 * kept_size.h
 *	  How much room restore points take, and which of them needs what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_KEPT_SIZE_H
#define SAFE_MIGRATE_KEPT_SIZE_H

#include "postgres.h"

/*
 * Throws SM007 if restore points keep more than safe_migrate.restore_point_limit
 * in this database, what this transaction has added included.  Needs a
 * transaction; runs SQL with the rights of the extension's owner.
 */
extern void check_kept_size(void);

/*
 * Bytes of files and row images that restore points keep in this database, as
 * this transaction sees it; without the images of the catalog.
 */
extern int64 kept_bytes(void);

#endif							/* SAFE_MIGRATE_KEPT_SIZE_H */
