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

/* The definitions of the restore point, and of the moment before. */
typedef struct LabelManifest
{
	bool		known;			/* false: could not be read for the point */
	List	   *label;			/* sorted */
	List	   *before;			/* of ManifestRow */
} LabelManifest;

/*
 * Read both, which takes a while and is done before anything is locked.  In the
 * current memory context.  Waits for nobody for longer than 100 ms, then it
 * throws.
 */
extern LabelManifest *read_label_manifest(const RestoreTarget *target);

/* Where they differ, of ManifestChange. */
extern List *manifest_changes(const LabelManifest *manifest);

/*
 * After the catalogs have been restored, by the differences: throws SM007, and
 * names some of them, if definitions are not what they were.  Reads again what
 * has changed, and what was another one before.
 */
extern void compare_manifest_with_label(const RestoreTarget *target,
										LabelManifest *manifest,
										List *differences, HTAB *relations);

#endif							/* SAFE_MIGRATE_LABEL_MANIFEST_H */
