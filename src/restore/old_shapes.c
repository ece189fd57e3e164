/*-------------------------------------------------------------------------
 *
 * old_shapes.c
 *	  What clients have written after the contract of an online change that is
 *	  taken back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "online/backfill.h"
#include "online/dual_write_rule.h"
#include "online/row_expression.h"
#include "restore/catalog_diff.h"
#include "restore/old_shapes.h"
#include "restore/owner_sql.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* What to do with the rows of a table: SQL, palloc'd. */
typedef struct OldShape
{
	char	   *set;			/* NULL: the values are not known */
	char	   *where;			/* NULL: no row can lack any */
	char	   *columns;
	bool		is_exact;		/* then no row is left that fulfils "where" */
	char	   *new_set;		/* for those that do; NULL: they are refused */
} OldShape;

static bool comes_back_on_table(HTAB *relations, Form_pg_trigger trigger);
static int64 fill_old_shape(Oid relid, Oid trigger_oid);
static Trigger *trigger_of_relation(Relation rel, Oid trigger_oid);
static void describe_sync(OldShape *shape, Relation rel,
						  const DualWriteRule *rule);
static void describe_filling(OldShape *shape, Relation rel,
							 const DualWriteRule *rule);
static char *column_name(Relation rel, const RuleColumn *column);
static int64 write_old_shape(Oid relid, const OldShape *shape);
static void settle_lost_rows(Oid relid, const OldShape *shape);

/*
 * See old_shapes.h.
 */
List *
fill_old_shapes(List *differences, HTAB *relations, List *changed_tables)
{
	List	   *changed = list_copy(changed_tables);
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);

		if (difference->catalog->relid != TriggerRelationId)
			continue;
		foreach(row, difference->gone)
		{
			Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT((HeapTuple) lfirst(row));

			if (comes_back_on_table(relations, form) &&
				fill_old_shape(form->tgrelid, form->oid) > 0)
				changed = list_concat_unique_oid(changed,
												 find_all_inheritors(form->tgrelid,
																	 NoLock,
																	 NULL));
		}
	}
	return changed;
}

/* Those of partitions are clones of their parent's. */
static bool
comes_back_on_table(HTAB *relations, Form_pg_trigger trigger)
{
	RestoredRelation *relation = find_restored_relation(relations,
														trigger->tgrelid);

	return !trigger->tgisinternal && !OidIsValid(trigger->tgparentid) &&
		extension_owns_function(trigger->tgfoid) &&
		relation != NULL && relation->is != NULL;
}

/* Returns how many rows were written. */
static int64
fill_old_shape(Oid relid, Oid trigger_oid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	OldShape	shape = {0};
	const DualWriteRule *rule;
	Oid			user;
	int			security_context;

	/* reading an expression again runs the input functions of its literals */
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   security_context | SECURITY_RESTRICTED_OPERATION);
	rule = find_dual_write_rule(rel, trigger_of_relation(rel, trigger_oid));
	if (rule->fills)
		describe_filling(&shape, rel, rule);
	else
		describe_sync(&shape, rel, rule);
	SetUserIdAndSecContext(user, security_context);
	table_close(rel, NoLock);
	return shape.where == NULL ? 0 : write_old_shape(relid, &shape);
}

/* Of a copy, since that of the relation may be renewed. */
static Trigger *
trigger_of_relation(Relation rel, Oid trigger_oid)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (triggers->triggers[i].tgoid == trigger_oid)
			return &triggers->triggers[i];
	}
	elog(ERROR, "could not find trigger %u of relation %u", trigger_oid,
		 RelationGetRelid(rel));
	return NULL;				/* keep compiler quiet */
}

/*
 * A row whose new shape is what the old one says keeps that, even if the way
 * back from the new one is not exact.
 */
static void
describe_sync(OldShape *shape, Relation rel, const DualWriteRule *rule)
{
	StringInfoData set;
	StringInfoData where;
	StringInfoData columns;
	StringInfoData new_set;

	initStringInfo(&set);
	initStringInfo(&where);
	initStringInfo(&columns);
	initStringInfo(&new_set);
	for (int i = 0; i < rule->old_side.count; i++)
	{
		char	   *name = column_name(rel, &rule->old_side.columns[i]);

		appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", name);
		if (rule->downs != NIL)
			appendStringInfo(&set, "%s%s = %s", i > 0 ? ", " : "", name,
							 row_expression_text(rel, list_nth(rule->downs, i)));
	}
	for (int i = 0; i < rule->new_side.count; i++)
	{
		const RuleColumn *column = &rule->new_side.columns[i];

		char	   *name = column_name(rel, column);
		char	   *value = row_expression_text(rel, list_nth(rule->ups, i));

		appendStringInfo(&where, "%s%s", i > 0 ? " OR " : "",
						 values_differ(TupleDescAttr(RelationGetDescr(rel),
													 column->attnum - 1),
									   name, value));
		appendStringInfo(&new_set, "%s%s = %s", i > 0 ? ", " : "", name, value);
	}
	shape->is_exact = true;
	shape->new_set = rule->policy == CONFLICT_OLD_WINS ? new_set.data : NULL;
	shape->set = rule->downs != NIL ? set.data : NULL;
	shape->where = where.data;
	shape->columns = columns.data;
}

/*
 * Where null is a value like any other, nobody knows which rows had it before.
 * Of IS NULL, the planner knows by now that it is false.  A rule that fills has
 * one column, so the rows are those without it.
 */
static void
describe_filling(OldShape *shape, Relation rel, const DualWriteRule *rule)
{
	Assert(rule->new_side.count == 1);
	for (int i = 0; i < rule->new_side.count; i++)
	{
		const RuleColumn *column = &rule->new_side.columns[i];
		char	   *name = column_name(rel, column);
		char	   *value;

		if (!TupleDescAttr(RelationGetDescr(rel), column->attnum - 1)->attnotnull)
			continue;
		value = row_expression_text(rel, list_nth(rule->ups, i));
		shape->columns = shape->columns == NULL ? name :
			psprintf("%s, %s", shape->columns, name);
		shape->set = psprintf("%s%s = %s",
							  shape->set == NULL ? "" : psprintf("%s, ", shape->set),
							  name, value);
		shape->where = psprintf("%s%s",
								shape->where == NULL ? "" : psprintf("%s OR ", shape->where),
								psprintf("pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0", name));
	}
}

static char *
column_name(Relation rel, const RuleColumn *column)
{
	return pstrdup(quote_identifier(get_attname(RelationGetRelid(rel),
												column->attnum, false)));
}

static int64
write_old_shape(Oid relid, const OldShape *shape)
{
	char	   *table = relation_display_name(relid);
	int			level = begin_fixed_settings();
	int64		count;

	if (shape->set == NULL)
		count = count_as_owner(relid,
							   psprintf("SELECT pg_catalog.count(*) FROM %s WHERE %s",
										table, shape->where));
	else
		count = run_as_owner(relid,
							 psprintf("UPDATE %s SET %s WHERE %s", table,
									  shape->set, shape->where),
							 SPI_OK_UPDATE);
	if (shape->set != NULL && shape->is_exact && count > 0)
		settle_lost_rows(relid, shape);
	AtEOXact_GUC(false, level);
	if (count > 0 && shape->set != NULL)
		ereport(NOTICE,
				(errmsg(INT64_FORMAT " rows of %s that were written since the contract have got their values of %s",
						count, table, shape->columns)));
	else if (count > 0)
		ereport(WARNING,
				(errmsg(INT64_FORMAT " rows of %s that were written since the contract do not have their values of %s: the online change has no expression for that; set them by hand",
						count, table, shape->columns)));
	return shape->set == NULL ? 0 : count;
}

/*
 * Rows whose new shape the old one cannot tell: the trigger would not have let
 * them in, or would have changed them.
 */
static void
settle_lost_rows(Oid relid, const OldShape *shape)
{
	char	   *table = relation_display_name(relid);
	int64		count = count_as_owner(relid,
									   psprintf("SELECT pg_catalog.count(*) FROM %s WHERE %s",
												table, shape->where));

	if (count == 0)
		return;
	if (shape->new_set == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg(INT64_FORMAT " rows of %s that were written since the contract have values that %s could not tell: computed from there they would be others",
						count, table, shape->columns),
				 errhint("Change the values of those rows first, or keep the contract.")));
	(void) run_as_owner(relid,
						psprintf("UPDATE %s SET %s WHERE %s", table,
								 shape->new_set, shape->where),
						SPI_OK_UPDATE);
}
