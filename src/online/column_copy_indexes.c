/*-------------------------------------------------------------------------
 *
 * column_copy_indexes.c
 *	  Indexes of a column, and the keys that are made of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "commands/extension.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "common/settings.h"
#include "effects/describe.h"
#include "nodes/bitmapset.h"
#include "online/column_copy_internal.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static void copy_index(ColumnCopier *copier, Relation index);
static bool is_on_small_table(Relation index);
static void refuse_deferrable(ColumnCopier *copier, Oid constraint);
static void refuse_users_of_key(ColumnCopier *copier, Oid constraint);
static void restore_statistics(ColumnCopier *copier, Relation index);

/* All indexes that have the column, in whatever way. */
void
copy_indexes(ColumnCopier *copier)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(copier->rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index_uses_column(index, copier->attnum))
			copy_index(copier, index);
		index_close(index, AccessShareLock);
	}
}

/* In its keys, what it includes, its expressions or its condition. */
bool
index_uses_column(Relation index, AttrNumber attnum)
{
	Bitmapset  *used = NULL;

	for (int i = 0; i < index->rd_index->indnatts; i++)
		if (index->rd_index->indkey.values[i] == attnum)
			return true;
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &used);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &used);
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used);
}

/* Those of partitions that belong to one of the parent come with that. */
static void
copy_index(ColumnCopier *copier, Relation index)
{
	char	   *name = relation_display_name(RelationGetRelid(index));
	const char *copy;
	Oid			constraint = get_index_constraint(RelationGetRelid(index));

	if (index->rd_rel->relispartition)
		return;
	copy = name_of_copy(copier, RelationGetRelationName(index));
	if (index->rd_index->indisexclusion)
		refuse_copy(copier,
					psprintf("index %s of table %s excludes rows, and cannot be built beforehand: drop its constraint first, and add it again after the contract",
							 name, copier->table));
	else if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		copy_index_tree(copier, index);
	else if (!index->rd_index->indisvalid)
		ereport(NOTICE,
				(errmsg("index %s is invalid: column \"%s\" gets no index like it",
						name, copier->new_name)));
	else
	{
		build_index(copier, &copier->index_builds, index, copy);
		if (OidIsValid(constraint))
		{
			drop_key(copier, constraint);
			add_key_on_index(copier, &copier->keys, constraint, copy);
		}
		restore_index(copier, index, copy);
	}
}

/*
 * CREATE INDEX of the copy, without any data if the index is partitioned.  At the
 * contract it is there, or that of a partition that came too late for the steps:
 * if the partition is small, it is built then.
 */
void
build_index(ColumnCopier *copier, SafePlan *plan, Relation index,
			const char *copy)
{
	Oid			schema = RelationGetNamespace(index);
	Oid			oid = get_relname_relid(copy, schema);
	char	   *definition = pg_get_indexdef_string(RelationGetRelid(index));
	bool		is_parent = index->rd_rel->relkind ==
	RELKIND_PARTITIONED_INDEX;

	require_creation(copier, schema);
	if (copier->at_contract && !OidIsValid(oid) &&
		index->rd_rel->relispartition &&
		(is_parent || is_on_small_table(index)))
		add_sql(&copier->keys,
				index_statement(index, definition, copy, ""));
	else if (copier->at_contract)
	{
		/* that of a parent is valid when all its parts are attached */
		if (!OidIsValid(oid) || (!is_parent && !get_index_isvalid(oid)))
			refuse_newcomer(copier,
							psprintf("index %s",
									 relation_display_name(RelationGetRelid(index))),
							copy);
		else
			refuse_redefined_index(copier, index, oid);
	}
	else if (OidIsValid(oid))
		refuse_copy(copier,
					psprintf("relation %s has the name that the copy of an index gets: rename or drop it first",
							 qualified_name(schema, copy)));
	if (!copier->same_type &&
		index->rd_index->indrelid == RelationGetRelid(copier->rel))
		(void) try_index(copier, definition,
						 psprintf("index %s",
								  relation_display_name(RelationGetRelid(index))));
	add_step(plan,
			 psprintf("DROP INDEX %sIF EXISTS %s",
					  is_parent ? "" : "CONCURRENTLY ",
					  qualified_name(schema, copy)),
			 "%s", index_statement(index, definition, copy,
								   is_parent ? "" : "CONCURRENTLY "));
}

/* how is "CONCURRENTLY ", or nothing. */
char *
index_statement(Relation index, const char *definition, const char *copy,
				const char *how)
{
	IndexStmt  *stmt = castNode(IndexStmt,
								linitial_node(RawStmt,
											  pg_parse_query(definition))->stmt);

	return psprintf("CREATE %sINDEX %s%s ON %s%s %s",
					stmt->unique ? "UNIQUE " : "", how,
					quote_identifier(copy),
					index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX ? "ONLY " : "",
					relation_display_name(index->rd_index->indrelid),
					text_behind_name(definition, stmt->relation->location));
}

static bool
is_on_small_table(Relation index)
{
	Relation	rel = table_open(index->rd_index->indrelid, AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);

	table_close(rel, AccessShareLock);
	return blocks <= (uint64) setting_small_table * 1024 / BLCKSZ;
}

/* The old key gives way at the contract. */
void
drop_key(ColumnCopier *copier, Oid constraint)
{
	refuse_users_of_key(copier, constraint);
	refuse_deferrable(copier, constraint);
	add_sql(&copier->drops,
			psprintf("ALTER TABLE %s DROP CONSTRAINT %s", copier->table,
					 quote_identifier(get_constraint_name(constraint))));
}

/* The copy of its index, which is unique already, becomes a key like it. */
void
add_key_on_index(ColumnCopier *copier, List **list, Oid oid, const char *copy)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", oid);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	add_sql(list,
			psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s",
					 relation_display_name(form->conrelid),
					 quote_identifier(copy),
					 form->contype == CONSTRAINT_PRIMARY ? "PRIMARY KEY" :
					 "UNIQUE", quote_identifier(copy)));
	ReleaseSysCache(tuple);
}

/* The index of the copy could not wait for the end of a statement. */
static void
refuse_deferrable(ColumnCopier *copier, Oid constraint)
{
	Relation	index = index_open(get_constraint_index(constraint),
								   AccessShareLock);

	if (!index->rd_index->indimmediate)
		refuse_copy(copier,
					psprintf("constraint %s of table %s is deferrable, which an index of the new column is not before the contract: drop it first, and add it again after that",
							 quote_identifier(get_constraint_name(constraint)),
							 copier->table));
	index_close(index, AccessShareLock);
}

/*
 * A query that groups by the columns of a primary key, and shows others,
 * depends on the key itself.
 */
static void
refuse_users_of_key(ColumnCopier *copier, Oid constraint)
{
	ObjectAddress address;
	ListCell   *cell;

	ObjectAddressSet(address, ConstraintRelationId, constraint);
	foreach(cell, direct_dependents(&address))
	{
		const ObjectAddress *object = lfirst(cell);

		if (object->classId == RewriteRelationId ||
			object->classId == ProcedureRelationId)
			refuse_copy(copier,
						psprintf("%s depends on primary key %s of table %s: drop it first, and make it again after the contract",
								 describe_user(object),
								 quote_identifier(get_constraint_name(constraint)),
								 copier->table));
	}
}

/* What CREATE INDEX does not say, once the old index is gone. */
void
restore_index(ColumnCopier *copier, Relation index, const char *copy)
{
	Oid			oid = RelationGetRelid(index);
	Oid			constraint = get_index_constraint(oid);
	const char *name = quote_identifier(RelationGetRelationName(index));
	char	   *qualified = relation_display_name(oid);
	char	   *table = relation_display_name(index->rd_index->indrelid);
	ListCell   *cell;

	if (OidIsValid(constraint))
		restore_constraint(copier, constraint, table, copy);
	else
		add_sql(&copier->after,
				psprintf("ALTER INDEX %s RENAME TO %s",
						 qualified_name(RelationGetNamespace(index), copy),
						 name));
	add_comment(&copier->after, RelationRelationId, oid, 0,
				psprintf("INDEX %s", qualified));
	restore_statistics(copier, index);
	if (index->rd_index->indisclustered)
		add_sql(&copier->after, psprintf("ALTER TABLE %s CLUSTER ON %s",
										 table, name));
	if (index->rd_index->indisreplident)
		add_sql(&copier->after,
				psprintf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s",
						 table, name));
	foreach(cell, getAutoExtensionsOfObject(RelationRelationId, oid))
		add_sql(&copier->after,
				psprintf("ALTER INDEX %s DEPENDS ON EXTENSION %s", qualified,
						 quote_identifier(get_extension_name(lfirst_oid(cell)))));
}

/* ALTER INDEX ... ALTER COLUMN ... SET STATISTICS */
static void
restore_statistics(ColumnCopier *copier, Relation index)
{
	for (int i = 1; i <= RelationGetNumberOfAttributes(index); i++)
	{
		HeapTuple	tuple = SearchSysCacheAttNum(RelationGetRelid(index), i);
		int			target;

		if (!HeapTupleIsValid(tuple))
			continue;
		target = compat_statistics_target(tuple);
		if (target >= 0)
			add_sql(&copier->after,
					psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d",
							 relation_display_name(RelationGetRelid(index)), i,
							 target));
		ReleaseSysCache(tuple);
	}
}
