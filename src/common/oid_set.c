/*-------------------------------------------------------------------------
 *
 * oid_set.c
 *	  A set of OIDs, for more of them than a list is good for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/oid_set.h"

/*
 * See oid_set.h.
 */
HTAB *
make_oid_set(const char *name)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Oid);
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * See oid_set.h.
 */
bool
add_to_oid_set(HTAB *set, Oid oid)
{
	bool		found;

	(void) hash_search(set, &oid, HASH_ENTER, &found);
	return !found;
}

/*
 * See oid_set.h.
 */
void
add_list_to_oid_set(HTAB *set, const List *oids)
{
	ListCell   *cell;

	foreach(cell, oids)
		(void) add_to_oid_set(set, lfirst_oid(cell));
}

/*
 * See oid_set.h.
 */
bool
is_in_oid_set(HTAB *set, Oid oid)
{
	return hash_get_num_entries(set) > 0 &&
		hash_search(set, &oid, HASH_FIND, NULL) != NULL;
}

/*
 * See oid_set.h.
 */
List *
list_oid_set(HTAB *set)
{
	HASH_SEQ_STATUS all;
	List	   *oids = NIL;
	Oid		   *oid;

	hash_seq_init(&all, set);
	while ((oid = hash_seq_search(&all)) != NULL)
		oids = lappend_oid(oids, *oid);
	list_sort(oids, list_oid_cmp);
	return oids;
}
