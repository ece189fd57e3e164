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

#include "common/sha2.h"
#include "nodes/pg_list.h"

/* One object, or the privileges of one, which count by themselves. */
typedef struct ManifestRow
{
	Oid			classid;		/* what to read again when it has changed: of */
	Oid			objid;			/* what belongs to a table, the table */
	char	   *kind;
	char	   *identity;
	char	   *unit;			/* identity of the object classid, objid */
	bool		is_privileges;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];	/* of all of that */
	int			name_count;
	uint64	   *names;			/* hashes of the names that definitions of
								 * other objects may have for it */
} ManifestRow;

/*
 * The sum of the hashes of a set of rows, modulo 2^256: rows are added and
 * taken away in any order.
 */
typedef struct ManifestSum
{
	uint32		digits[PG_SHA256_DIGEST_LENGTH / sizeof(uint32)];
} ManifestSum;

/*
 * Read the rows of all objects, of those of a class (objids is NULL), or of
 * some of a class.  Returns a list of ManifestRow in the current memory
 * context.  Runs SQL with the rights of the extension's owner; needs a
 * transaction.  Waits for nobody who holds a lock for longer than 100 ms:
 * then it throws, as for a definition that cannot be shown.  Of all objects
 * they are read in parts, whose locks are released with each.
 */
extern List *read_manifest(Oid classid, const List *objids);

extern void add_to_sum(ManifestSum *sum, const ManifestRow *row);
extern void take_from_sum(ManifestSum *sum, const ManifestRow *row);

/* A hash and a sum in words, palloc'd. */
extern char *hash_in_words(const ManifestRow *row);
extern char *sum_in_words(const ManifestSum *sum);

/*
 * Read and write what was so after the last migration: rows with kind,
 * identity, unit and the hash in words.
 */
typedef struct SavedRow
{
	char	   *kind;
	char	   *identity;
	char	   *unit;
	char	   *hash;
} SavedRow;

extern List *read_saved_manifest(void);
extern void change_saved_manifest(const List *gone, const List *added);

#endif							/* SAFE_MIGRATE_MANIFEST_H */
