/*-------------------------------------------------------------------------
 *
 * manifest.h
 *	  The objects of a schema and the hashes of their definitions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MANIFEST_H
#define SAFE_MIGRATE_MANIFEST_H

#include "postgres.h"

#include "drift/manifest_row.h"

/*
 * Read the rows of all objects, of those of a class (objids is NULL), or of
 * some of a class.  Returns a list of ManifestRow in the current memory
 * context.  Runs SQL with the rights of the extension's owner; needs a
 * transaction.  Waits for nobody who holds a lock for longer than 100 ms:
 * then it throws, as for a definition that cannot be shown.  Of all objects
 * they are read in parts, whose locks are released with each.
 */
extern List *read_manifest(Oid classid, const List *objids);

#endif							/* SAFE_MIGRATE_MANIFEST_H */
