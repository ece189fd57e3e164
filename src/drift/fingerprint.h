/*-------------------------------------------------------------------------
 *
 * fingerprint.h
 *	  What the schema is, in 64 hexadecimal digits, after each migration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FINGERPRINT_H
#define SAFE_MIGRATE_FINGERPRINT_H

#include "postgres.h"

/*
 * Before the first of so many migrations: reads the whole schema.  Needs a
 * transaction, in which it holds no lock that others wait for.  The state
 * lasts, through commits, until end_fingerprints(), which must be reached on
 * every path and throws nothing.  What fails on the way, but for a cancel, is
 * told as a WARNING, and there is no fingerprint then.
 */
extern void begin_fingerprints(int migrations);
extern void end_fingerprints(void);

/*
 * In the transaction of a migration, when all of it is done: the fingerprint,
 * in the current memory context; NULL if there is none, or if it is one of so
 * many that not each can have one.  Reads only what has
 * changed since the last call, and keeps the manifest in migrate.last_manifest
 * for migrate.drift().  The caller commits, or does not call it again.
 */
extern char *fingerprint_now(void);

/*
 * The same in one call, where the schema as it is counts as migrated: for
 * baseline, adopt and repair.
 */
extern char *take_fingerprint(void);

#endif							/* SAFE_MIGRATE_FINGERPRINT_H */
