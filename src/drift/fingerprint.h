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
 * Before the first of so many migrations: reads the whole schema, unless it is
 * as the last migration has left it.  Drift that was found by that is kept in
 * migrate.found_drift, and a NOTICE says that there is some, or was before:
 * once a session, until there is none.  What is there before the first migration
 * of all is acknowledged.
 * Needs a transaction, in which it holds no lock that others wait for, and the
 * lock of the ledger.  The state lasts, through commits, until
 * end_fingerprints(), which must be reached on every path and throws nothing.
 * What fails on the way, but for a cancel, is told as a WARNING, and there is
 * no fingerprint then.
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
 * In one call, where nothing in the schema as it is counts as drift that was
 * not found before: keep its fingerprint and its manifest.
 */
extern void keep_fingerprint(void);

/*
 * The same, and what has happened so far is acknowledged: for baseline and
 * adopt.
 */
extern void accept_schema(void);

/*
 * The same once more, but what was not found before is found first.  Returns
 * the number of statements and of objects that are acknowledged.
 */
extern int64 acknowledge_drift(void);

#endif							/* SAFE_MIGRATE_FINGERPRINT_H */
