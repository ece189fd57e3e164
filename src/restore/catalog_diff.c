/*-------------------------------------------------------------------------
 *
 * catalog_diff.c
 *	  In which rows the catalogs differ from what they are to be again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "common/hashfn.h"
#include "preserve/catalog_image.h"
#include "restore/catalog_diff.h"
#include "restore/wanted_rows.h"
#include "utils/datum.h"
#include "utils/snapmgr.h"

/* Rows of the label, by what they are; equal ones are counted by being there. */
typedef struct WantedRow
{
	uint64		hash;			/* key of the hash table */
	List	   *rows;			/* of HeapTuple */
} WantedRow;

/* How one catalog is compared. */
typedef struct Comparison
{
	const RestoreTarget *target;
	const Catalog *catalog;
	Relation	rel;
	HTAB	   *relations;
	HTAB	   *left_out;
	HTAB	   *wanted;
	Bitmapset  *key;			/* attributes that tell rows apart, if the
								 * label is not whole */
	HTAB	   *label_keys;		/* of WantedRow, by the values of those */
	CatalogDifference *difference;
} Comparison;

static CatalogDifference *compare_catalog(Comparison *comparison);
static HTAB *make_wanted(void);
static void enter_row(HTAB *table, uint64 hash, HeapTuple row);
static bool take_wanted(HTAB *wanted, HeapTuple row);
static uint64 hash_row(HeapTuple row);
static bool rows_are_equal(HeapTuple a, HeapTuple b);
static void compare_current_row(Comparison *comparison, HeapTuple row);
static void replace_row(Comparison *comparison, HeapTuple row,
						HeapTuple instead);
static bool is_replaced(Comparison *comparison, HeapTuple row);
static uint64 hash_key(Comparison *comparison, HeapTuple row);
static bool keys_are_equal(Comparison *comparison, HeapTuple a, HeapTuple b);
static void take_rest(Comparison *comparison);
static void mark_relations(Comparison *comparison, HeapTuple row);

/*
 * See catalog_diff.h.
 */
List *
compare_catalogs_with_label(const RestoreTarget *target, HTAB *relations)
{
	Comparison	comparison = {0};
	List	   *differences = NIL;
	ListCell   *cell;

	comparison.target = target;
	comparison.relations = relations;
	comparison.left_out = begin_left_out();
	foreach(cell, list_catalogs())
	{
		CatalogDifference *difference;

		comparison.catalog = lfirst(cell);
		comparison.difference = NULL;
		difference = compare_catalog(&comparison);
		if (difference->gone != NIL || difference->added != NIL)
			differences = lappend(differences, difference);
	}
	return differences;
}

static CatalogDifference *
compare_catalog(Comparison *comparison)
{
	const Catalog *catalog = comparison->catalog;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	HeapTuple	row;
	List	   *label_rows;
	ListCell   *cell;

	comparison->difference = palloc0(sizeof(CatalogDifference));
	comparison->difference->catalog = catalog;
	comparison->rel = table_open(catalog->relid, AccessShareLock);
	label_rows = wanted_rows(comparison->target, catalog,
							 comparison->relations);
	comparison->key = comparison->target->is_whole ? NULL :
		bms_copy(RelationGetIndexAttrBitmap(comparison->rel,
											INDEX_ATTR_BITMAP_PRIMARY_KEY));
	comparison->wanted = make_wanted();
	comparison->label_keys = comparison->key ? make_wanted() : NULL;
	foreach(cell, label_rows)
	{
		enter_row(comparison->wanted, hash_row(lfirst(cell)), lfirst(cell));
		if (comparison->key != NULL)
			enter_row(comparison->label_keys,
					  hash_key(comparison, lfirst(cell)), lfirst(cell));
	}

	scan = systable_beginscan(comparison->rel, InvalidOid, false, snapshot, 0,
							  NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		if (!row_is_left_out(comparison->left_out, catalog, comparison->rel,
							 row))
			compare_current_row(comparison, row);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	take_rest(comparison);
	table_close(comparison->rel, AccessShareLock);
	return comparison->difference;
}

static HTAB *
make_wanted(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(WantedRow);
	control.hcxt = CurrentMemoryContext;
	return hash_create("safe_migrate wanted rows", 1024, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
enter_row(HTAB *table, uint64 hash, HeapTuple row)
{
	bool		found;
	WantedRow  *entry = hash_search(table, &hash, HASH_ENTER, &found);

	if (!found)
		entry->rows = NIL;
	entry->rows = lappend(entry->rows, row);
}

/* Returns false if there is no such row, or no more. */
static bool
take_wanted(HTAB *wanted, HeapTuple row)
{
	uint64		hash = hash_row(row);
	WantedRow  *entry = hash_search(wanted, &hash, HASH_FIND, NULL);
	ListCell   *cell;

	if (entry == NULL)
		return false;
	foreach(cell, entry->rows)
	{
		if (rows_are_equal(lfirst(cell), row))
		{
			entry->rows = foreach_delete_current(entry->rows, cell);
			return true;
		}
	}
	return false;
}

/* Of what a row says, without what its place says. */
static uint64
hash_row(HeapTuple row)
{
	return hash_bytes_extended((unsigned char *) row->t_data +
							   offsetof(HeapTupleHeaderData, t_bits),
							   row->t_len -
							   offsetof(HeapTupleHeaderData, t_bits), 0);
}

static bool
rows_are_equal(HeapTuple a, HeapTuple b)
{
	return a->t_len == b->t_len &&
		memcmp((char *) a->t_data + offsetof(HeapTupleHeaderData, t_bits),
			   (char *) b->t_data + offsetof(HeapTupleHeaderData, t_bits),
			   a->t_len - offsetof(HeapTupleHeaderData, t_bits)) == 0;
}

static void
compare_current_row(Comparison *comparison, HeapTuple row)
{
	Oid			relid = catalog_row_relation(comparison->catalog,
											 comparison->rel, row);
	const Catalog *catalog = comparison->catalog;
	HeapTuple	plain;
	HeapTuple	instead = NULL;

	plain = plain_row(comparison->rel, row);
	plain->t_self = row->t_self;
	if (rows_follow_storage(comparison->relations, relid))
	{
		if (replace_toast_options(catalog, comparison->relations, plain,
								  &instead))
			replace_row(comparison, plain, instead);
		return;
	}
	if (take_wanted(comparison->wanted, plain))
		return;
	if (!comparison->target->is_whole && !is_replaced(comparison, plain))
		return;

	/* a column of a file that stays keeps its place, but is no more */
	if (replace_by_dropped(catalog, comparison->relations, plain,
						   &instead))
	{
		if (instead != NULL)
			replace_row(comparison, plain, instead);
		return;
	}
	replace_row(comparison, plain, NULL);
}

/* instead may be NULL. */
static void
replace_row(Comparison *comparison, HeapTuple row, HeapTuple instead)
{
	CatalogDifference *difference = comparison->difference;

	mark_relations(comparison, row);
	difference->added = lappend(difference->added, row);
	if (instead != NULL)
		difference->gone = lappend(difference->gone, instead);
}

/* True if a row of the label has the same key. */
static bool
is_replaced(Comparison *comparison, HeapTuple row)
{
	uint64		hash;
	WantedRow  *entry;
	ListCell   *cell;

	if (comparison->key == NULL)
		return false;
	hash = hash_key(comparison, row);
	entry = hash_search(comparison->label_keys, &hash, HASH_FIND, NULL);
	if (entry == NULL)
		return false;
	foreach(cell, entry->rows)
	{
		if (keys_are_equal(comparison, lfirst(cell), row))
			return true;
	}
	return false;
}

static uint64
hash_key(Comparison *comparison, HeapTuple row)
{
	TupleDesc	tupdesc = RelationGetDescr(comparison->rel);
	uint64		hash = 0;
	int			member = -1;

	while ((member = bms_next_member(comparison->key, member)) >= 0)
	{
		AttrNumber	attribute = member + FirstLowInvalidHeapAttributeNumber;
		Form_pg_attribute form = TupleDescAttr(tupdesc, attribute - 1);
		bool		isnull;
		Datum		value = heap_getattr(row, attribute, tupdesc, &isnull);

		hash = hash_combine64(hash, isnull ? 0 :
							  datum_image_hash(value, form->attbyval,
											   form->attlen));
	}
	return hash;
}

static bool
keys_are_equal(Comparison *comparison, HeapTuple a, HeapTuple b)
{
	TupleDesc	tupdesc = RelationGetDescr(comparison->rel);
	int			member = -1;

	while ((member = bms_next_member(comparison->key, member)) >= 0)
	{
		AttrNumber	attribute = member + FirstLowInvalidHeapAttributeNumber;
		Form_pg_attribute form = TupleDescAttr(tupdesc, attribute - 1);
		bool		a_is_null;
		bool		b_is_null;
		Datum		a_value = heap_getattr(a, attribute, tupdesc, &a_is_null);
		Datum		b_value = heap_getattr(b, attribute, tupdesc, &b_is_null);

		if (a_is_null != b_is_null ||
			(!a_is_null && !datumIsEqual(a_value, b_value, form->attbyval,
										 form->attlen)))
			return false;
	}
	return true;
}

/* What nobody has found among the current rows. */
static void
take_rest(Comparison *comparison)
{
	HASH_SEQ_STATUS all;
	WantedRow  *entry;
	ListCell   *cell;

	hash_seq_init(&all, comparison->wanted);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		foreach(cell, entry->rows)
		{
			mark_relations(comparison, lfirst(cell));
			comparison->difference->gone = lappend(comparison->difference->gone,
												   lfirst(cell));
		}
	}
}

/* Both ends of what connects two relations have to be locked. */
static void
mark_relations(Comparison *comparison, HeapTuple row)
{
	const Catalog *catalog = comparison->catalog;
	Oid			relids[2];

	relids[0] = catalog_row_relation(catalog, comparison->rel, row);
	relids[1] = catalog_row_oid(comparison->rel, row, catalog->other_relation);
	for (int i = 0; i < lengthof(relids); i++)
	{
		RestoredRelation *relation = find_restored_relation(comparison->relations,
															relids[i]);

		if (relation != NULL)
			relation->changed = true;
	}
}
