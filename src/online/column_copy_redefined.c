/*-------------------------------------------------------------------------
 *
 * column_copy_redefined.c
 *	  What has become another, or is gone, since its copy was made.
 *
 * At the contract the copy takes the place of the original, so it has to say
 * the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "common/catalog.h"
#include "effects/describe.h"
#include "online/column_copy_internal.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static Form_pg_constraint constraint_row(Oid constraint);
static char *constraint_in_words(const FormData_pg_constraint *form);
static char *definition_but_valid(ColumnCopier *copier, Oid constraint);
static char *definition_of_index(ColumnCopier *copier, Relation index);
static char *of_new_column(ColumnCopier *copier, char *definition);
static void refuse_redefined(ColumnCopier *copier, const char *object,
							 const char *copy);
static void refuse_left_indexes(ColumnCopier *copier);
static void refuse_left_constraints(ColumnCopier *copier);
static bool is_left(ColumnCopier *copier, const char *name);
static void refuse_left(ColumnCopier *copier, const char *object);

/*
 * PostgreSQL may write an expression in another way once it has read what it
 * wrote, and does so with another type: a copy of a CHECK that is younger than
 * the original is one of it.  Those of foreign keys have no expressions, and can
 * be altered in place.
 */
void
refuse_redefined_constraint(ColumnCopier *copier, Oid constraint, Oid copy)
{
	Form_pg_constraint old = constraint_row(constraint);
	Form_pg_constraint new = constraint_row(copy);
	const char *name = quote_identifier(NameStr(new->conname));

	if ((constraint > copy || old->contype == CONSTRAINT_FOREIGN) &&
		strcmp(definition_but_valid(copier, constraint),
			   definition_but_valid(copier, copy)) != 0)
		refuse_redefined(copier, constraint_in_words(old), name);
	else if (old->convalidated && !new->convalidated)
		refuse_copy(copier,
					psprintf("%s was validated since the change began: ALTER TABLE %s VALIDATE CONSTRAINT %s first",
							 constraint_in_words(old),
							 relation_display_name(new->conrelid), name));
}

/* A copy. */
static Form_pg_constraint
constraint_row(Oid constraint)
{
	HeapTuple	tuple = SearchSysCacheCopy1(CONSTROID,
											ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	return (Form_pg_constraint) GETSTRUCT(tuple);
}

static char *
constraint_in_words(const FormData_pg_constraint *form)
{
	return psprintf("constraint %s of table %s",
					quote_identifier(NameStr(form->conname)),
					relation_display_name(form->conrelid));
}

static char *
definition_but_valid(ColumnCopier *copier, Oid constraint)
{
	char	   *definition = constraint_definition(constraint);
	int			kept = strlen(definition) - strlen(" NOT VALID");

	if (kept > 0 && strcmp(definition + kept, " NOT VALID") == 0)
		definition[kept] = '\0';
	return of_new_column(copier, definition);
}

/* The same: nothing of what is compared can be altered in place. */
void
refuse_redefined_index(ColumnCopier *copier, Relation index, Oid copy)
{
	Relation	rel = index_open(copy, AccessShareLock);

	if (RelationGetRelid(index) > copy &&
		strcmp(definition_of_index(copier, index),
			   definition_of_index(copier, rel)) != 0)
		refuse_redefined(copier,
						 psprintf("index %s",
								  relation_display_name(RelationGetRelid(index))),
						 quote_identifier(RelationGetRelationName(rel)));
	index_close(rel, AccessShareLock);
}

/* Wherever it is stored. */
static char *
definition_of_index(ColumnCopier *copier, Relation index)
{
	Datum		definition =
	DirectFunctionCall1(pg_get_indexdef,
						ObjectIdGetDatum(RelationGetRelid(index)));

	return of_new_column(copier,
						 index_statement(index, TextDatumGetCString(definition),
										 "x", ""));
}

static char *
of_new_column(ColumnCopier *copier, char *definition)
{
	Datum		replaced =
	DirectFunctionCall3Coll(replace_text, C_COLLATION_OID,
							CStringGetTextDatum(definition),
							CStringGetTextDatum(copier->hidden_name),
							CStringGetTextDatum(quote_identifier(copier->new_name)));

	return TextDatumGetCString(replaced);
}

static void
refuse_redefined(ColumnCopier *copier, const char *object, const char *copy)
{
	refuse_copy(copier,
				psprintf("%s was redefined since the change began, and differs from its copy %s: drop the copy, and make the same for column %s with that name",
						 object, copy, quote_identifier(copier->new_name)));
}

/* An original is there that has, or is to have, a copy of that name. */
void
note_copy(ColumnCopier *copier, const char *name)
{
	if (copier->copies == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = NAMEDATALEN;
		control.entrysize = NAMEDATALEN;
		control.hcxt = CurrentMemoryContext;
		copier->copies = hash_create("copies of a column", 64, &control,
									 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	(void) hash_search(copier->copies, name, HASH_ENTER, NULL);
}

/* Copies whose originals are gone, and whose own place would not be theirs. */
void
refuse_left_copies(ColumnCopier *copier)
{
	refuse_left_indexes(copier);
	refuse_left_constraints(copier);
}

static void
refuse_left_indexes(ColumnCopier *copier)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(copier->rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (!index->rd_rel->relispartition &&
			index_uses_column(index, copier->new_attnum) &&
			is_left(copier, RelationGetRelationName(index)))
			refuse_left(copier,
						psprintf("index %s",
								 relation_display_name(RelationGetRelid(index))));
		index_close(index, AccessShareLock);
	}
}

static void
refuse_left_constraints(ColumnCopier *copier)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(copier->rel)));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->coninhcount == 0 && !OidIsValid(form->conparentid) &&
			constraint_has_column(catalog, tuple, copier->new_attnum) &&
			is_left(copier, NameStr(form->conname)))
			refuse_left(copier, constraint_in_words(form));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* The same of the keys of other tables, once all have been looked at. */
void
refuse_left_references(ColumnCopier *copier)
{
	ListCell   *cell;

	foreach(cell, copier->references)
	{
		const ForeignKey *key = lfirst(cell);

		if (is_left(copier, key->name))
			refuse_left(copier, constraint_in_words(constraint_row(key->oid)));
	}
}

/* By its name it is one of this change. */
static bool
is_left(ColumnCopier *copier, const char *name)
{
	char	   *end = psprintf("_sm" INT64_FORMAT, copier->change_id);
	size_t		length = strlen(name);

	return length > strlen(end) &&
		strcmp(name + length - strlen(end), end) == 0 &&
		(copier->copies == NULL ||
		 hash_search(copier->copies, name, HASH_FIND, NULL) == NULL);
}

static void
refuse_left(ColumnCopier *copier, const char *object)
{
	refuse_copy(copier,
				psprintf("%s is the copy of one that was dropped since the change began: drop it as well",
						 object));
}
