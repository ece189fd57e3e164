/*-------------------------------------------------------------------------
 *
 * column_copy_table.c
 *	  Tables and columns that cannot have another column in the place of one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/extension.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "effects/describe.h"
#include "nodes/bitmapset.h"
#include "online/column_copy_internal.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void refuse_kind(ColumnCopier *copier, Relation rel);
static void refuse_partitions(ColumnCopier *copier);
static void refuse_column(ColumnCopier *copier, Relation rel);
static void refuse_row_type(ColumnCopier *copier, Relation rel);

/*
 * Sentences about the table and the column themselves.
 */
void
refuse_tables(ColumnCopier *copier)
{
	Relation	rel = relation_open(copier->root, AccessShareLock);

	copier->table = relation_display_name(copier->root);
	refuse_kind(copier, rel);
	refuse_partitions(copier);
	refuse_column(copier, rel);
	refuse_row_type(copier, rel);
	relation_close(rel, AccessShareLock);
}

static void
refuse_kind(ColumnCopier *copier, Relation rel)
{
	char		relkind = rel->rd_rel->relkind;
	char	   *inheritance = inheritance_in_words(copier->root);
	Oid			extension = getExtensionOfObject(RelationRelationId,
												 copier->root);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		refuse_copy(copier,
					psprintf("%s is no table: only a table can be changed online",
							 copier->table));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		refuse_copy(copier,
					psprintf("table %s is temporary: change it directly, no other session uses it",
							 copier->table));
	if (rel->rd_rel->relispartition)
		refuse_copy(copier,
					psprintf("table %s is a partition: change the partitioned table",
							 copier->table));
	else if (inheritance != NULL)
		refuse_copy(copier, inheritance);
	if (OidIsValid(rel->rd_rel->reloftype))
		refuse_copy(copier,
					psprintf("table %s is one of type %s: end that with ALTER TABLE NOT OF first",
							 copier->table,
							 format_type_be(rel->rd_rel->reloftype)));
	if (OidIsValid(extension))
		refuse_copy(copier,
					psprintf("table %s belongs to extension %s: change the extension",
							 copier->table,
							 quote_identifier(get_extension_name(extension))));
}

/*
 * See column_copy.h.  Partitions get their parent's triggers.
 */
char *
inheritance_in_words(Oid relid)
{
	if (get_rel_relispartition(relid) ||
		(!has_superclass(relid) &&
		 (get_rel_relkind(relid) != RELKIND_RELATION ||
		  find_inheritance_children(relid, NoLock) == NIL)))
		return NULL;
	return psprintf("table %s is inherited or inherits: end that with ALTER TABLE NO INHERIT first",
					relation_display_name(relid));
}

/* The table itself is among them. */
static void
refuse_partitions(ColumnCopier *copier)
{
	ListCell   *cell;

	foreach(cell, find_all_inheritors(copier->root, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(cell), AccessShareLock);
		AttrNumber	attnum = get_attnum(lfirst_oid(cell), copier->old_name);
		Bitmapset  *columns =
		bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);

		if (has_partition_attrs(rel, columns, NULL))
			refuse_copy(copier,
						psprintf("column %s of table %s is part of the partition key: only a new table can have another",
								 quote_identifier(copier->old_name),
								 relation_display_name(lfirst_oid(cell))));
		if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE &&
			lfirst_oid(cell) != copier->root)
			refuse_copy(copier,
						psprintf("partition %s is a foreign table, whose rows cannot be filled here: detach it first",
								 relation_display_name(lfirst_oid(cell))));
		relation_close(rel, AccessShareLock);
	}
}

static void
refuse_column(ColumnCopier *copier, Relation rel)
{
	Form_pg_attribute attribute =
	TupleDescAttr(RelationGetDescr(rel), copier->root_column - 1);
	const char *column = quote_identifier(copier->old_name);

	if (attribute->attgenerated != '\0')
		refuse_copy(copier,
					psprintf("column %s of table %s is generated: add the new column with the same expression, and drop this one when nobody uses it",
							 column, copier->table));
	if (compat_domain_has_constraints(copier->new_type))
		refuse_copy(copier,
					psprintf("domain %s has constraints, which a new column is checked for under a strong lock: use its base type and CHECK constraints",
							 format_type_be(copier->new_type)));
	if (!copier->at_contract &&
		get_attnum(copier->root, copier->new_name) != InvalidAttrNumber)
		refuse_copy(copier,
					psprintf("table %s has a column %s already: choose another name",
							 copier->table, quote_identifier(copier->new_name)));
}

/*
 * Rows of this type that other tables keep would have nothing in the new
 * column.
 */
static void
refuse_row_type(ColumnCopier *copier, Relation rel)
{
	ListCell   *cell;

	if (!OidIsValid(rel->rd_rel->reltype))
		return;
	foreach(cell, relations_with_type(rel->rd_rel->reltype))
	{
		ObjectAddress address;

		ObjectAddressSet(address, RelationRelationId, lfirst_oid(cell));
		refuse_copy(copier,
					psprintf("%s has a column of the row type of table %s: give that another type first",
							 getObjectDescription(&address, false),
							 copier->table));
	}
}
