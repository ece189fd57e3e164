/*-------------------------------------------------------------------------
 *
 * later_writes.c
 *	  Bringing what clients have written to a file over to the file of the
 *	  restore point that takes its place.
 *
 * Nothing is logged while clients write.  A rewrite stamps all rows with the
 * transaction that has done it, so that any other stamp is of a later write;
 * what is missing was deleted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "common/subtransaction.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "preserve/catalog_image.h"
#include "restore/later_writes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* A column of the label that is there now as well, be it renamed. */
typedef struct LaterColumn
{
	AttrNumber	attnum;
	char	   *label_name;		/* as SQL, as all that follows */
	char	   *label_type;
	Oid			label_typeid;
	int32		label_typmod;
	char	   *name;			/* now */
	char	   *type;
	char	   *equals;			/* operator of that type */
	char	   *label_equals;
	char	   *copied;			/* expression by which it is copied now */
	char	   *written;		/* and by which the copy, as l, is written */
} LaterColumn;

/* A row for which it is tried whether it can be written; below 0: all. */
typedef struct ConvertedRow
{
	const LaterWrites *later;
	int64		number;
} ConvertedRow;

static void find_columns(LaterWrites *later, const RestoreTarget *target);
static LaterColumn *make_column(Form_pg_attribute was, Form_pg_attribute is);
static char *equality_operator(Oid type);
static void find_key(LaterWrites *later, const RestoreTarget *target);
static LaterColumn *column_with_number(const LaterWrites *later,
									   AttrNumber attnum);
static void copy_changed(LaterWrites *later, const char *xids);
static void copy_gone(LaterWrites *later);
static void refuse_unknown_rows(const RestoreTarget *target,
								const LaterWrites *later, const char *xids);
static char *xid_array(List *xids);
static void finish_written(LaterColumn *column);
static bool convert_row(void *arg);
static void delete_gone(const LaterWrites *later);
static void refuse_conflicts(const LaterWrites *later);
static void update_changed(const LaterWrites *later);
static void insert_changed(const LaterWrites *later);
static char *key_condition(const LaterWrites *later);
static char *column_list(List *columns, Size member, const char *prefix);
static char *label_relation_name(const LaterWrites *later);
static int64 run(const char *query, int expected);
static int64 count_rows(const char *query);

/*
 * See later_writes.h.
 */
LaterWrites *
collect_later_writes(const RestoreTarget *target,
					 const RestoredRelation *relation, List *migration_xids)
{
	LaterWrites *later = palloc0(sizeof(LaterWrites));
	char	   *xids = xid_array(migration_xids);

	later->relid = relation->relid;
	later->relation = relation;
	later->was_truncated = strcmp(relation->parked->cause, "truncated") == 0;
	later->changed = psprintf("pg_temp.safe_migrate_changed_%u",
							  relation->relid);
	later->gone = psprintf("pg_temp.safe_migrate_gone_%u", relation->relid);
	find_columns(later, target);
	find_key(later, target);

	copy_changed(later, xids);
	if (later->key == NIL || later->was_truncated)
		later->gone = NULL;
	if (later->gone != NULL)
		copy_gone(later);
	else if (!later->was_truncated)
		refuse_unknown_rows(target, later, xids);
	return later->changed_rows + later->gone_rows > 0 ? later : NULL;
}

static void
find_columns(LaterWrites *later, const RestoreTarget *target)
{
	ListCell   *cell;

	foreach(cell, load_catalog_rows(target->point, AttributeRelationId))
	{
		Form_pg_attribute was = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));
		HeapTuple	row;

		if (was->attrelid != later->relid || was->attnum <= 0 ||
			was->attisdropped || was->attgenerated != '\0')
			continue;
		row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(later->relid),
							  Int16GetDatum(was->attnum));
		if (!HeapTupleIsValid(row))
			continue;
		if (!((Form_pg_attribute) GETSTRUCT(row))->attisdropped)
			later->columns = lappend(later->columns,
									 make_column(was, (Form_pg_attribute) GETSTRUCT(row)));
		ReleaseSysCache(row);
	}
}

/*
 * A type that is of the system is there before and after; of any other one
 * there is the text.
 */
static LaterColumn *
make_column(Form_pg_attribute was, Form_pg_attribute is)
{
	LaterColumn *column = palloc0(sizeof(LaterColumn));
	bool		has_type = is->atttypid < FirstNormalObjectId ||
	is->atttypid == was->atttypid;
	Oid			copied_type = has_type ? is->atttypid : TEXTOID;
	CoercionPathType path;
	Oid			function;

	column->attnum = was->attnum;
	column->label_typeid = was->atttypid;
	column->label_typmod = was->atttypmod;
	column->label_name = pstrdup(quote_identifier(NameStr(was->attname)));
	column->name = pstrdup(quote_identifier(NameStr(is->attname)));
	column->type = format_type_extended(is->atttypid, is->atttypmod,
										FORMAT_TYPE_TYPEMOD_GIVEN |
										FORMAT_TYPE_FORCE_QUALIFY);
	column->equals = equality_operator(is->atttypid);
	column->copied = psprintf("c.%s%s", column->name,
							  has_type ? "" : "::pg_catalog.text");

	/* the type of the label may be gone now; it is asked for by OID later */
	path = find_coercion_pathway(was->atttypid, copied_type,
								 COERCION_EXPLICIT, &function);
	column->written = psprintf(copied_type == was->atttypid &&
							   is->atttypmod == was->atttypmod ?
							   "l.c%d" : path == COERCION_PATH_NONE ?
							   "l.c%d::pg_catalog.text::" : "l.c%d::",
							   was->attnum);
	if (column->written[strlen(column->written) - 1] != ':')
		column->label_type = "";
	return column;
}

/* Of a type, as SQL; NULL if it has none. */
static char *
equality_operator(Oid type)
{
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	row;
	Form_pg_operator form;
	char	   *name;

	if (!OidIsValid(operator))
		return NULL;
	row = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(row);
	name = psprintf("OPERATOR(%s.%s)",
					quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(row);
	return name;
}

static void
find_key(LaterWrites *later, const RestoreTarget *target)
{
	ListCell   *cell;

	foreach(cell, load_catalog_rows(target->point, IndexRelationId))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT((HeapTuple) lfirst(cell));

		if (index->indrelid != later->relid || !index->indisprimary)
			continue;
		for (int i = 0; i < index->indnkeyatts; i++)
		{
			LaterColumn *column = column_with_number(later,
													 index->indkey.values[i]);

			if (column == NULL)
			{
				later->key = NIL;
				return;
			}
			later->key = lappend(later->key, column);
		}
	}
}

static LaterColumn *
column_with_number(const LaterWrites *later, AttrNumber attnum)
{
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		if (((LaterColumn *) lfirst(cell))->attnum == attnum)
			return lfirst(cell);
	}
	return NULL;
}

static void
copy_changed(LaterWrites *later, const char *xids)
{
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	appendStringInfo(&query, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT ",
					 strchr(later->changed, '.') + 1);
	foreach(cell, later->columns)
	{
		const LaterColumn *column = lfirst(cell);

		appendStringInfo(&query, "%s%s AS c%d",
						 foreach_current_index(cell) ? ", " : "",
						 column->copied, column->attnum);
	}
	appendStringInfo(&query, " FROM ONLY %s c WHERE NOT (c.xmin OPERATOR(pg_catalog.=) ANY (%s))",
					 relation_display_name(later->relid), xids);
	later->changed_rows = run(query.data, SPI_OK_UTILITY);
	later->changed_rows = count_rows(psprintf("SELECT pg_catalog.count(*) FROM %s",
											  later->changed));
}

static void
copy_gone(LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	appendStringInfo(&query, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT ",
					 strchr(later->gone, '.') + 1);
	foreach(cell, later->key)
		appendStringInfo(&query, "%sh.%s AS c%d",
						 foreach_current_index(cell) ? ", " : "",
						 ((LaterColumn *) lfirst(cell))->label_name,
						 ((LaterColumn *) lfirst(cell))->attnum);
	appendStringInfo(&query, " FROM %s h WHERE NOT EXISTS (SELECT FROM ONLY %s c WHERE ",
					 relation_display_name(later->relation->parked->holder),
					 relation_display_name(later->relid));
	foreach(cell, later->key)
		appendStringInfo(&query, "%sc.%s %s h.%s::%s",
						 foreach_current_index(cell) ? " AND " : "",
						 ((LaterColumn *) lfirst(cell))->name,
						 ((LaterColumn *) lfirst(cell))->equals,
						 ((LaterColumn *) lfirst(cell))->label_name,
						 ((LaterColumn *) lfirst(cell))->type);
	appendStringInfoChar(&query, ')');
	(void) run(query.data, SPI_OK_UTILITY);
	later->gone_rows = count_rows(psprintf("SELECT pg_catalog.count(*) FROM %s",
										   later->gone));
}

/* Without a key, rows can be added, but none can be found again. */
static void
refuse_unknown_rows(const RestoreTarget *target, const LaterWrites *later,
					const char *xids)
{
	char	   *name = relation_display_name(later->relid);
	int64		was = count_rows(psprintf("SELECT pg_catalog.count(*) FROM %s",
										  relation_display_name(later->relation->parked->holder)));
	int64		is = count_rows(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s c WHERE c.xmin OPERATOR(pg_catalog.=) ANY (%s)",
										 name, xids));

	if (is < was)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back to restore point \"%s\" and keep later writes: " INT64_FORMAT " rows of %s, which has no primary key, were changed or deleted since, and nobody knows which; use mode 'as_of'",
						target->label, was - is, name)));
}

/* As an expression in SQL. */
static char *
xid_array(List *xids)
{
	StringInfoData array;
	ListCell   *cell;

	initStringInfo(&array);
	appendStringInfoString(&array, "'{");
	foreach(cell, xids)
		appendStringInfo(&array, "%s%u",
						 foreach_current_index(cell) ? "," : "",
						 lfirst_oid(cell));
	appendStringInfoString(&array, "}'::pg_catalog.xid[]");
	return array.data;
}

/* Name the type of the label, which has to be there. */
static void
finish_written(LaterColumn *column)
{
	if (column->label_type != NULL)
		return;
	column->label_type = format_type_extended(column->label_typeid,
											  column->label_typmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY);
	column->written = psprintf("%s%s", column->written, column->label_type);
}

/*
 * See later_writes.h.
 */
int64
count_later_conflicts(const LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;

	if (!later->was_truncated || later->key == NIL)
		return 0;
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT pg_catalog.count(*) FROM %s h, %s l WHERE ",
					 relation_display_name(later->relation->parked->holder),
					 later->changed);
	foreach(cell, later->key)
	{
		const LaterColumn *column = lfirst(cell);

		appendStringInfo(&query, "%sl.c%d %s h.%s::%s",
						 foreach_current_index(cell) ? " AND " : "",
						 column->attnum, column->equals, column->label_name,
						 column->type);
	}
	return count_rows(query.data);
}

/* Row by row only if not all of them can be written. */
int64
count_unrepresentable(const LaterWrites *later)
{
	int64		count = 0;
	ListCell   *cell;
	ConvertedRow row = {later};

	foreach(cell, later->columns)
	{
		LaterColumn *column = lfirst(cell);

		if (!SearchSysCacheExists1(TYPEOID,
								   ObjectIdGetDatum(column->label_typeid)))
			return -1;
		finish_written(column);
	}
	row.number = -1;
	if (run_in_subtransaction(convert_row, &row) == NULL)
		return 0;
	for (row.number = 0; row.number < later->changed_rows; row.number++)
	{
		CHECK_FOR_INTERRUPTS();
		if (run_in_subtransaction(convert_row, &row) != NULL)
			count++;
	}
	return count;
}

/* One of the copied rows, or all; throws what PostgreSQL says of its values. */
static bool
convert_row(void *arg)
{
	const ConvertedRow *row = arg;
	const LaterWrites *later = row->later;
	char	   *place = row->number < 0 ? "" :
	psprintf(" ORDER BY l.ctid OFFSET " INT64_FORMAT " LIMIT 1", row->number);

	(void) run(psprintf("SELECT pg_catalog.count(ROW(%s)::pg_catalog.text) FROM (SELECT * FROM %s l%s) l",
						column_list(later->columns,
									offsetof(LaterColumn, written), ""),
						later->changed, place), SPI_OK_SELECT);
	return false;
}

/*
 * See later_writes.h.
 */
void
write_later_writes(const LaterWrites *later, RowConflict on_conflict)
{
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		LaterColumn *column = lfirst(cell);

		column->label_equals = equality_operator(column->label_typeid);
		finish_written(column);
	}
	if (later->gone != NULL)
		delete_gone(later);
	if (later->key != NIL && later->was_truncated)
	{
		if (on_conflict == ROW_CONFLICT_REFUSE)
			refuse_conflicts(later);
	}
	if (later->key != NIL &&
		!(later->was_truncated && on_conflict == ROW_CONFLICT_RESTORE))
		update_changed(later);
	insert_changed(later);
}

static void
delete_gone(const LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	appendStringInfo(&query, "DELETE FROM ONLY %s t USING %s l WHERE ",
					 label_relation_name(later), later->gone);
	foreach(cell, later->key)
		appendStringInfo(&query, "%st.%s %s l.c%d",
						 foreach_current_index(cell) ? " AND " : "",
						 ((LaterColumn *) lfirst(cell))->label_name,
						 ((LaterColumn *) lfirst(cell))->label_equals,
						 ((LaterColumn *) lfirst(cell))->attnum);
	(void) run(query.data, SPI_OK_DELETE);
}

static void
refuse_conflicts(const LaterWrites *later)
{
	int64		count = count_rows(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s t, %s l WHERE %s",
											label_relation_name(later),
											later->changed,
											key_condition(later)));

	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back: " INT64_FORMAT " rows that clients have written to %s since have keys of rows that come back; say on_conflict := 'keep' for theirs, or 'restore' for the old ones",
						count, label_relation_name(later))));
}

static void
update_changed(const LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;
	int			count = 0;

	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE ONLY %s t SET ",
					 label_relation_name(later));
	foreach(cell, later->columns)
	{
		const LaterColumn *column = lfirst(cell);

		if (!list_member_ptr(later->key, column))
			appendStringInfo(&query, "%s%s = %s", count++ ? ", " : "",
							 column->label_name, column->written);
	}
	if (count == 0)
		return;
	appendStringInfo(&query, " FROM %s l WHERE %s", later->changed,
					 key_condition(later));
	(void) run(query.data, SPI_OK_UPDATE);
}

static void
insert_changed(const LaterWrites *later)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s l",
					 label_relation_name(later),
					 column_list(later->columns,
								 offsetof(LaterColumn, label_name), ""),
					 column_list(later->columns,
								 offsetof(LaterColumn, written), ""),
					 later->changed);
	if (later->key != NIL)
		appendStringInfo(&query, " WHERE NOT EXISTS (SELECT FROM ONLY %s t WHERE %s)",
						 label_relation_name(later), key_condition(later));
	(void) run(query.data, SPI_OK_INSERT);
}

/* Between t, the table, and l, what is copied. */
static char *
key_condition(const LaterWrites *later)
{
	StringInfoData condition;
	ListCell   *cell;

	initStringInfo(&condition);
	foreach(cell, later->key)
		appendStringInfo(&condition, "%st.%s %s %s",
						 foreach_current_index(cell) ? " AND " : "",
						 ((LaterColumn *) lfirst(cell))->label_name,
						 ((LaterColumn *) lfirst(cell))->label_equals,
						 ((LaterColumn *) lfirst(cell))->written);
	return condition.data;
}

static char *
column_list(List *columns, Size member, const char *prefix)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, columns)
		appendStringInfo(&list, "%s%s%s",
						 foreach_current_index(cell) ? ", " : "", prefix,
						 *(char **) ((char *) lfirst(cell) + member));
	return list.data;
}

/* Its name may have changed with the rollback. */
static char *
label_relation_name(const LaterWrites *later)
{
	return relation_display_name(later->relid);
}

/* Returns the number of rows. */
static int64
run(const char *query, int expected)
{
	OwnAccess	access;
	int64		rows;
	int			result;

	begin_own_access(&access);
	result = SPI_execute(query, false, 0);
	if (result != expected)
		elog(ERROR, "unexpected result of a query of a rollback: %s",
			 SPI_result_code_string(result));
	rows = SPI_processed;
	end_own_access(&access);
	CommandCounterIncrement();
	return rows;
}

static int64
count_rows(const char *query)
{
	OwnAccess	access;
	int64		count;

	begin_own_access(&access);
	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count rows for a rollback");
	count = own_bigint_column(0, 1);
	end_own_access(&access);
	return count;
}
