/*-------------------------------------------------------------------------
 *
 * saved_manifest.h
 *	  What was so after the last migration: migrate.last_manifest and
 *	  migrate.last_fingerprint.
 *
 * All of it runs SQL with the rights of the extension's owner, needs a
 * transaction, and returns what it returns in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SAVED_MANIFEST_H
#define SAFE_MIGRATE_SAVED_MANIFEST_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "drift/manifest_row.h"

/* The sum, and what it comes from. */
typedef struct SavedFingerprint
{
	ManifestSum sum;
	int			server_version; /* major version; 0: there is none */
	char	   *catalog_state;	/* as catalog_state() had it, or NULL */
} SavedFingerprint;

extern SavedFingerprint *read_saved_fingerprint(void);

/* All rows, or those of objects with these numbers, whatever their class. */
extern List *read_saved_manifest(void);
extern List *read_saved_objects(List *objids);

/* True if they are those of now, for nothing has changed in the catalog. */
extern bool saved_manifest_is_current(void);

/* All rows of now: the saved ones, or else as read_manifest() reads them. */
extern List *current_manifest(void);

/* Delete and insert rows: lists of ManifestRow. */
extern void change_saved_manifest(List *gone, List *added);

/*
 * Since when it is so: now, and for sure with all that a snapshot of
 * current_snapshot() sees.
 */
extern char *current_snapshot(void);
extern void write_saved_fingerprint(const SavedFingerprint *saved,
									TimestampTz taken_at,
									const char *snapshot);

/*
 * Keep what was found to differ, units and descriptions side by side, unless
 * a record explains it.
 */
extern void keep_found_drift(TimestampTz found_at, List *units,
							 List *objects);

/* Keep that nobody knows what differs, unless that is known already. */
extern void keep_unknown_drift(void);

/* True if there is drift that nobody has acknowledged. */
extern bool drift_is_unacknowledged(void);

/* Acknowledge all that can be seen of it; returns the number of rows. */
extern int64 acknowledge_saved_drift(void);

/* Acknowledge what was done together with the rows of a tool's ledger. */
extern void acknowledge_runner(Oid ledger);

#endif							/* SAFE_MIGRATE_SAVED_MANIFEST_H */
