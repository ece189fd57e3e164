/*-------------------------------------------------------------------------
 *
 * manifest_row.h
 *	  Rows of the manifest in memory, and their sum.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_MANIFEST_ROW_H
#define SAFE_MIGRATE_MANIFEST_ROW_H

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
	uint8		hash[PG_SHA256_DIGEST_LENGTH];	/* of kind, identity and
												 * definition */
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

/* Deep copies of a row, in the current memory context, and of a list. */
extern ManifestRow *copy_row(const ManifestRow *row);
extern List *copy_rows(MemoryContext context, List *rows);

/*
 * True if one of the rows describes the same object, with the same number, in the
 * same way.
 */
extern bool has_row(List *rows, const ManifestRow *row);

/* True if one has a name before that none has after: something was renamed. */
extern bool name_is_lost(List *before, List *after);

/*
 * Where two manifests differ: lists of the rows themselves.  What is gone or
 * added may differ in the number of its object alone, as after a restore; of
 * the three others, each is there under that kind and name in one of the two
 * only, or is another one there (of these it has the new row).
 */
typedef struct RowDifferences
{
	List	   *gone;
	List	   *added;
	List	   *new_objects;
	List	   *changed_objects;
	List	   *lost_objects;
} RowDifferences;

extern void compare_manifests(List *before, List *after,
							  RowDifferences *differences);

extern void add_to_sum(ManifestSum *sum, const ManifestRow *row);
extern void take_from_sum(ManifestSum *sum, const ManifestRow *row);

/*
 * A hash and a sum in words, palloc'd, and back: false if that is no such
 * thing.
 */
extern char *hash_in_words(const ManifestRow *row);
extern char *sum_in_words(const ManifestSum *sum);
extern bool hash_from_words(ManifestRow *row, const char *words);
extern bool sum_from_words(ManifestSum *sum, const char *words);

#endif							/* SAFE_MIGRATE_MANIFEST_ROW_H */
