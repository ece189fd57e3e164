/*-------------------------------------------------------------------------
 *
 * changed_table.c
 *	  What others have done to a table since a statement that is taken back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "restore/changed_table.h"
#include "restore/label_rows.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void refuse_other_table(const RestoreTarget *target,
							   const RestoredRelation *relation);
static void refuse_other_columns(const RestoreTarget *target,
								 const RestoredRelation *relation);
static bool is_same_type(Form_pg_attribute a, Form_pg_attribute b);
static void refuse_column(const RestoreTarget *target,
						  const RestoredRelation *relation,
						  Form_pg_attribute column);

/*
 * See changed_table.h.
 */
void
refuse_changed_table(const RestoreTarget *target,
					 const RestoredRelation *relation)
{
	if (relation->is_concerned)
		refuse_other_table(target, relation);
	else if (!target->is_whole && relation->choice == STORAGE_PARKED &&
			 relation->is != NULL && relation->parked->kind == RELKIND_RELATION)
		refuse_other_columns(target, relation);
}

/* What a statement has removed of a table can come back to that table alone. */
static void
refuse_other_table(const RestoreTarget *target,
				   const RestoredRelation *relation)
{
	Form_pg_class was = (Form_pg_class) GETSTRUCT(relation->was);
	const char *name = quote_qualified_identifier(get_namespace_name(was->relnamespace),
												  NameStr(was->relname));

	if (relation->is == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot bring back what \"%s\" has removed of table %s: it was dropped since; bring it back first",
						target->label, name)));
	if (relation->choice == STORAGE_LOST)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot bring back what \"%s\" has removed of table %s: it was written anew since, by VACUUM FULL, CLUSTER, TRUNCATE or ALTER TABLE, without those values; roll back to an earlier restore point, or restore them from a backup",
						target->label, relation_display_name(relation->relid))));
}

/*
 * The statement itself may have changed some: those become what they were.  Of
 * columns that were added since, old rows have what PostgreSQL has kept aside for
 * them, or none.
 */
static void
refuse_other_columns(const RestoreTarget *target,
					 const RestoredRelation *relation)
{
	ListCell   *cell;

	foreach(cell, label_attributes(target, relation->relid))
	{
		Form_pg_attribute column = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));
		HeapTuple	held;

		if (column->attnum <= 0 || column->attisdropped)
			continue;
		held = SearchSysCache2(ATTNUM,
							   ObjectIdGetDatum(relation->parked->holder),
							   Int16GetDatum(column->attnum));
		if (!HeapTupleIsValid(held))
			continue;
		if (!is_same_type(column, (Form_pg_attribute) GETSTRUCT(held)))
			refuse_column(target, relation, column);
		ReleaseSysCache(held);
	}
}

static bool
is_same_type(Form_pg_attribute a, Form_pg_attribute b)
{
	return a->atttypid == b->atttypid && a->atttypmod == b->atttypmod &&
		a->attlen == b->attlen && a->attalign == b->attalign;
}

static void
refuse_column(const RestoreTarget *target, const RestoredRelation *relation,
			  Form_pg_attribute column)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("cannot bring back what \"%s\" has removed of table %s: column %s has another type since; change it back first",
					target->label, relation_display_name(relation->relid),
					quote_identifier(NameStr(column->attname)))));
}

/*
 * See changed_table.h.  That of a row which was made very long ago looks later,
 * too: then more is checked than needs be.
 */
bool
row_is_later(const RestoredRelation *relation, HeapTuple row)
{
	TransactionId made_by = HeapTupleHeaderGetRawXmin(row->t_data);

	return relation != NULL && relation->choice == STORAGE_PARKED &&
		relation->is != NULL &&
		!TransactionIdIsCurrentTransactionId(made_by) &&
		TransactionIdFollows(made_by,
							 XidFromFullTransactionId(relation->parked->xid));
}
