/*-------------------------------------------------------------------------
 *
 * manifest_row.c
 *	  Rows of the manifest in memory, and their sum.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "drift/manifest_row.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

/* A row by the hash of its kind and identity. */
typedef struct NamedRow
{
	uint64		name;
	ManifestRow *row;
} NamedRow;

#define DIGITS lengthof(((ManifestSum *) 0)->digits)

static bool rows_are_equal(const ManifestRow *one, const ManifestRow *other);
static HTAB *rows_by_name(List *rows);
static uint64 name_of_row(const ManifestRow *row);
static bool has_name(List *rows, uint64 name);
static uint32 digit_from_words(const char *words);

/*
 * See manifest_row.h.
 */
List *
copy_rows(MemoryContext context, List *rows)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *copies = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		copies = lappend(copies, copy_row(lfirst(cell)));
	}
	MemoryContextSwitchTo(old);
	return copies;
}

/*
 * See manifest_row.h.
 */
ManifestRow *
copy_row(const ManifestRow *row)
{
	ManifestRow *copy = palloc(sizeof(ManifestRow));

	*copy = *row;
	copy->kind = pstrdup(row->kind);
	copy->identity = pstrdup(row->identity);
	copy->unit = pstrdup(row->unit);
	copy->names = palloc(Max(row->name_count, 1) * sizeof(uint64));
	if (row->name_count > 0)
		memcpy(copy->names, row->names, row->name_count * sizeof(uint64));
	return copy;
}

static bool
rows_are_equal(const ManifestRow *one, const ManifestRow *other)
{
	return one->objid == other->objid && one->classid == other->classid &&
		memcmp(one->hash, other->hash, sizeof(one->hash)) == 0;
}

/*
 * See manifest_row.h.
 */
bool
has_row(List *rows, const ManifestRow *row)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		if (rows_are_equal(lfirst(cell), row))
			return true;
	}
	return false;
}

/*
 * See manifest_row.h.
 */
bool
name_is_lost(List *before, List *after)
{
	ListCell   *cell;

	foreach(cell, before)
	{
		const ManifestRow *row = lfirst(cell);

		for (int i = 0; i < row->name_count; i++)
			if (!has_name(after, row->names[i]))
				return true;
	}
	return false;
}

static bool
has_name(List *rows, uint64 name)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		const ManifestRow *row = lfirst(cell);

		for (int i = 0; i < row->name_count; i++)
			if (row->names[i] == name)
				return true;
	}
	return false;
}

/*
 * See manifest_row.h.
 */
void
compare_manifests(List *before, List *after, RowDifferences *differences)
{
	HTAB	   *by_name = rows_by_name(before);
	HASH_SEQ_STATUS status;
	NamedRow   *named;
	ListCell   *cell;

	foreach(cell, after)
	{
		ManifestRow *row = lfirst(cell);
		uint64		name = name_of_row(row);
		ManifestRow *old;

		named = hash_search(by_name, &name, HASH_FIND, NULL);
		old = named != NULL ? named->row : NULL;
		if (old != NULL && rows_are_equal(old, row))
		{
			(void) hash_search(by_name, &name, HASH_REMOVE, NULL);
			continue;
		}
		differences->added = lappend(differences->added, row);
		if (old == NULL)
		{
			differences->new_objects = lappend(differences->new_objects, row);
			continue;
		}
		differences->gone = lappend(differences->gone, old);
		if (memcmp(old->hash, row->hash, sizeof(row->hash)) != 0)
			differences->changed_objects =
				lappend(differences->changed_objects, row);
		(void) hash_search(by_name, &name, HASH_REMOVE, NULL);
	}
	hash_seq_init(&status, by_name);
	while ((named = hash_seq_search(&status)) != NULL)
	{
		differences->gone = lappend(differences->gone, named->row);
		differences->lost_objects = lappend(differences->lost_objects,
											named->row);
	}
	hash_destroy(by_name);
}

static HTAB *
rows_by_name(List *rows)
{
	HASHCTL		control = {0};
	HTAB	   *result;
	ListCell   *cell;

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(NamedRow);
	result = hash_create("safe_migrate rows by name",
						 Max(list_length(rows), 16), &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, rows)
	{
		uint64		name = name_of_row(lfirst(cell));
		NamedRow   *named = hash_search(result, &name, HASH_ENTER, NULL);

		named->row = lfirst(cell);
	}
	return result;
}

static uint64
name_of_row(const ManifestRow *row)
{
	uint64		kind = hash_bytes_extended((unsigned char *) row->kind,
										   strlen(row->kind), 0);

	return hash_bytes_extended((unsigned char *) row->identity,
							   strlen(row->identity), kind);
}

/*
 * See manifest_row.h.
 */
void
add_to_sum(ManifestSum *sum, const ManifestRow *row)
{
	uint64		carry = 0;

	for (int i = 0; i < DIGITS; i++)
	{
		uint32		digit;

		memcpy(&digit, row->hash + i * sizeof(digit), sizeof(digit));
		carry += (uint64) sum->digits[i] + pg_ntoh32(digit);
		sum->digits[i] = (uint32) carry;
		carry >>= 32;
	}
}

/*
 * See manifest_row.h.  To take a number away is to add its complement and 1.
 */
void
take_from_sum(ManifestSum *sum, const ManifestRow *row)
{
	uint64		carry = 1;

	for (int i = 0; i < DIGITS; i++)
	{
		uint32		digit;

		memcpy(&digit, row->hash + i * sizeof(digit), sizeof(digit));
		carry += (uint64) sum->digits[i] + ~pg_ntoh32(digit);
		sum->digits[i] = (uint32) carry;
		carry >>= 32;
	}
}

/*
 * See manifest_row.h.
 */
char *
hash_in_words(const ManifestRow *row)
{
	char	   *words = palloc(2 * sizeof(row->hash) + 1);

	words[hex_encode((const char *) row->hash, sizeof(row->hash), words)] = '\0';
	return words;
}

/*
 * See manifest_row.h.
 */
char *
sum_in_words(const ManifestSum *sum)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = DIGITS - 1; i >= 0; i--)
		appendStringInfo(&words, "%08x", sum->digits[i]);
	return words.data;
}

/*
 * See manifest_row.h.
 */
bool
hash_from_words(ManifestRow *row, const char *words)
{
	if (strlen(words) != 2 * sizeof(row->hash))
		return false;
	for (int i = 0; i < sizeof(row->hash) / sizeof(uint32); i++)
	{
		uint32		digit = pg_hton32(digit_from_words(words + 8 * i));

		memcpy(row->hash + i * sizeof(digit), &digit, sizeof(digit));
	}
	return true;
}

/*
 * See manifest_row.h.
 */
bool
sum_from_words(ManifestSum *sum, const char *words)
{
	if (strlen(words) != 8 * DIGITS)
		return false;
	for (int i = 0; i < DIGITS; i++)
		sum->digits[DIGITS - 1 - i] = digit_from_words(words + 8 * i);
	return true;
}

/* Eight hexadecimal digits. */
static uint32
digit_from_words(const char *words)
{
	char		digits[9];

	strlcpy(digits, words, sizeof(digits));
	return (uint32) strtoul(digits, NULL, 16);
}
