/*-------------------------------------------------------------------------
 *
 * label_manifest.h
 *	  The manifest of a restore point, and of now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LABEL_MANIFEST_H
#define SAFE_MIGRATE_LABEL_MANIFEST_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "restore/storage.h"

/* An object that a rollback touches. */
typedef struct ManifestChange
{
	const char *action;			/* what the rollback does about it */
	const char *kind;
	const char *identity;
} ManifestChange;

/*
 * Objects whose definitions are not those of the restore point, of
 * ManifestChange, in the current memory context; *known is false if the
 * manifest could not be read when the point was made.  Waits for nobody for
 * longer than 100 ms, then it throws.
 */
extern List *manifest_changes(const RestoreTarget *target, bool *known);

/* Throws SM007, and names some of them, if there are any. */
extern void compare_manifest_with_label(const RestoreTarget *target);

#endif							/* SAFE_MIGRATE_LABEL_MANIFEST_H */
