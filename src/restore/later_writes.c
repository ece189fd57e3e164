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
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
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
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "restore/label_rows.h"
#include "restore/gone_rows.h"
#include "restore/later_columns.h"
#include "restore/later_values.h"
#include "restore/later_writes.h"
#include "restore/owner_sql.h"
#include "restore/touched_keys.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static void name_tables(LaterWrites *later, int round);
static void copy_changed(LaterWrites *later, const char *condition);
static int64 count_unknown_rows(const LaterWrites *later);
static bool can_be_written_before(const LaterWrites *later,
								  const RestoreTarget *target,
								  HTAB *relations);
static bool brings_gone_back(const LaterWrites *later,
							 RowConflict on_conflict);
static void let_owner_read(const LaterWrites *later, const char *name);
static void open_to_owner(const LaterWrites *later);
static int64 make_touched(LaterWrites *last, const char *touched);
static void append_not_null(StringInfo condition, const LaterWrites *later);
static void append_checks(StringInfo condition, Oid relid);
static void delete_gone(const LaterWrites *later);
static void refuse_conflicts(const LaterWrites *later);
static void update_changed(const LaterWrites *later);
static void insert_changed(const LaterWrites *later);
static int64 run_at(const char *query, int expected, Snapshot snapshot);

/*
 * See later_writes.h.
 */
LaterWrites *
collect_later_writes(const RestoreTarget *target,
					 const RestoredRelation *relation, List *migration_xids)
{
	LaterWrites *later = palloc0(sizeof(LaterWrites));

	later->relid = relation->relid;
	later->relation = relation;
	later->destination = relation->relid;
	later->was_truncated = relation->parked->emptied;
	later->may_conflict = later->was_truncated ||
		relation->parked->changed_behind;

	/* what a rollback has written there comes from the file itself */
	if (strcmp(relation->parked->cause, "rolled back") == 0)
		migration_xids = lappend_oid(list_copy(migration_xids),
									 XidFromFullTransactionId(relation->parked->xid));
	later->condition = later_condition("c", target->snapshot, migration_xids);
	later->snapshot = RegisterSnapshot(GetLatestSnapshot());
	find_later_columns(later, target);

	name_tables(later, 1);
	copy_changed(later, "");
	if (later->key == NIL || later->was_truncated)
		later->gone = NULL;
	collect_pairs(later);
	if (later->gone != NULL)
		collect_gone_rows(later);
	else if (!later->was_truncated)
		later->unknown_rows = count_unknown_rows(later);
	return later;
}

/* The temporary tables. */
static void
name_tables(LaterWrites *later, int round)
{
	later->changed = psprintf("pg_temp.safe_migrate_changed_%u_%d",
							  later->relid, round);
	later->gone = psprintf("pg_temp.safe_migrate_gone_%u_%d", later->relid,
						   round);
}

/* Rows that others than migrations have written, and that fulfil more. */
static void
copy_changed(LaterWrites *later, const char *condition)
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
	appendStringInfo(&query, " FROM ONLY %s c WHERE %s%s",
					 relation_display_name(later->relid), later->condition,
					 condition);
	later->changed_rows = make_later_table(later, later->changed, query.data);
}

/* And the planner know. */
static void
let_owner_read(const LaterWrites *later, const char *name)
{
	char	   *owner = GetUserNameFromId(relation_owner(later->relid), false);

	(void) run_for_rollback(psprintf("ANALYZE %s", name), SPI_OK_UTILITY);
	(void) run_for_rollback(psprintf("GRANT SELECT ON %s TO %s", name,
									 quote_identifier(owner)),
							SPI_OK_UTILITY);
}

/*
 * See later_values.h.
 */
int64
make_later_table(const LaterWrites *later, const char *name,
				 const char *query)
{
	int64		rows = run_at(query, SPI_OK_UTILITY, later->snapshot);

	let_owner_read(later, name);
	return rows;
}

/* Without a key, rows can be added, but none can be found again. */
static int64
count_unknown_rows(const LaterWrites *later)
{
	int64		was = count_for_rollback(psprintf("SELECT pg_catalog.count(*) FROM %s",
												  relation_display_name(later->relation->parked->holder)));
	int64		is = count_for_rollback(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s c WHERE NOT (%s)",
												 relation_display_name(later->relid),
												 later->condition));

	return Max(was - is, 0);
}

/* Rows that a migration may have deleted come back. */
static bool
brings_gone_back(const LaterWrites *later, RowConflict on_conflict)
{
	return on_conflict == ROW_CONFLICT_RESTORE &&
		later->relation->parked->rows_deleted;
}

/*
 * See later_writes.h.
 */
bool
write_before_lock(LaterWrites *later, const RestoreTarget *target,
				  HTAB *relations, RowConflict on_conflict)
{
	if (!can_be_written_before(later, target, relations))
		return false;
	later->destination = later->relation->parked->holder;
	later->on_conflict = on_conflict;
	open_to_owner(later);
	write_later_writes(later, on_conflict);
	return true;
}

/*
 * The hidden relation has the columns and indexes of the label, but neither
 * defaults nor expressions, no exclusion constraints, and must have the TOAST
 * table of the label.  To catch up is to read pages of a heap.
 */
static bool
can_be_written_before(const LaterWrites *later, const RestoreTarget *target,
					  HTAB *relations)
{
	Oid			toast = ((Form_pg_class) GETSTRUCT(later->relation->was))->reltoastrelid;
	RestoredRelation *label_toast = find_restored_relation(relations, toast);
	ListCell   *cell;

	if (later->key == NIL || later->was_truncated ||
		((Form_pg_class) GETSTRUCT(later->relation->is))->relam !=
		HEAP_TABLE_AM_OID ||
		(OidIsValid(toast) &&
		 (label_toast == NULL || label_toast->parked == NULL ||
		  label_toast->parked->holder != toast)))
		return false;
	foreach(cell, later->key)
	{
		if (!((LaterColumn *) lfirst(cell))->is_native)
			return false;
	}
	foreach(cell, label_attributes(target, later->relid))
	{
		Form_pg_attribute was = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (was->attnum > 0 && !was->attisdropped &&
			(later_column(later, was->attnum) == NULL ||
			 later_column(later, was->attnum)->holder_name == NULL))
			return false;
	}
	foreach(cell, label_indexes(target, later->relid))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT((HeapTuple) lfirst(cell));

		if (index->indisexclusion)
			return false;
	}
	return true;
}

/*
 * See later_writes.h.
 */
void
drop_later_writes(const LaterWrites *later)
{
	ListCell   *cell;

	(void) run_for_rollback(psprintf("DROP TABLE %s", later->changed), SPI_OK_UTILITY);
	if (later->gone != NULL)
		(void) run_for_rollback(psprintf("DROP TABLE %s", later->gone), SPI_OK_UTILITY);
	foreach(cell, later->columns)
	{
		const LaterColumn *column = lfirst(cell);

		if (column->pairs != NULL)
			(void) run_for_rollback(psprintf("DROP TABLE %s", column->pairs),
									SPI_OK_UTILITY);
	}
	release_later_writes(later);
}

/*
 * See later_writes.h.
 */
void
release_later_writes(const LaterWrites *later)
{
	if (later->caught_up != NULL)
		release_later_writes(later->caught_up);
	UnregisterSnapshot(later->snapshot);
}

/*
 * Make the hidden relation one of the table's owner that SQL can write to.  Only
 * this transaction sees that.
 */
static void
open_to_owner(const LaterWrites *later)
{
	Relation	rel = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	row = SearchSysCacheCopy1(RELOID,
										  ObjectIdGetDatum(later->destination));
	Form_pg_class form;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for relation %u", later->destination);
	form = (Form_pg_class) GETSTRUCT(row);
	form->relkind = RELKIND_RELATION;
	form->relowner = relation_owner(later->relid);

	/* to logical decoding, which may publish all tables, it is a rewrite */
	form->relreplident = REPLICA_IDENTITY_FULL;
	form->relrewrite = later->relid;
	CatalogTupleUpdate(rel, &row->t_self, row);
	heap_freetuple(row);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * See later_writes.h.
 */
void
catch_up_later_writes(LaterWrites *later)
{
	LaterWrites *last = palloc(sizeof(LaterWrites));
	StringInfoData same_key;
	char	   *touched = psprintf("pg_temp.safe_migrate_touched_%u",
								   later->relid);
	ListCell   *cell;

	*last = *later;
	later->caught_up = last;
	name_tables(last, 2);
	if (make_touched(last, touched) == 0)
	{
		last->changed = NULL;
		return;
	}
	initStringInfo(&same_key);
	foreach(cell, later->key)
	{
		const LaterColumn *column = lfirst(cell);

		appendStringInfo(&same_key, "%sk.c%d %s c.%s",
						 foreach_current_index(cell) ? " AND " : "",
						 column->attnum, column->equals, column->name);
	}
	copy_changed(last, psprintf(" AND EXISTS (SELECT FROM %s k WHERE %s)",
								touched, same_key.data));
	last->gone_rows = make_later_table(last, last->gone,
									   psprintf("CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT k.* FROM %s k WHERE NOT EXISTS (SELECT FROM ONLY %s c WHERE %s)",
												strchr(last->gone, '.') + 1, touched,
												relation_display_name(later->relid),
												same_key.data));
	refuse_unknown_values(last);
	write_later_writes(last, later->on_conflict);
}

/* Keys of rows that were written since, in a temporary table; how many. */
static int64
make_touched(LaterWrites *last, const char *touched)
{
	StringInfoData query;
	AttrNumber	key[INDEX_MAX_KEYS];
	Snapshot	before = last->snapshot;
	ListCell   *cell;
	int64		count;

	initStringInfo(&query);
	appendStringInfo(&query, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT ",
					 strchr(touched, '.') + 1);
	foreach(cell, last->key)
	{
		const LaterColumn *column = lfirst(cell);

		key[foreach_current_index(cell)] = column->attnum;
		appendStringInfo(&query, "%sc.%s AS c%d",
						 foreach_current_index(cell) ? ", " : "",
						 column->name, column->attnum);
	}
	appendStringInfo(&query, " FROM ONLY %s c WHERE false",
					 relation_display_name(last->relid));
	(void) run_for_rollback(query.data, SPI_OK_UTILITY);
	last->snapshot = RegisterSnapshot(GetLatestSnapshot());
	count = collect_touched_keys(last->relid, before, last->snapshot, key,
								 list_length(last->key),
								 RangeVarGetRelid(makeRangeVar("pg_temp", pstrdup(strchr(touched, '.') + 1), -1),
												  NoLock, false));
	let_owner_read(last, touched);
	return count;
}

/*
 * See later_writes.h.
 */
void
check_later_writes(LaterWrites *later)
{
	StringInfoData condition;
	int64		count;

	initStringInfo(&condition);
	later->destination = later->relid;
	append_not_null(&condition, later);
	append_checks(&condition, later->relid);
	if (condition.len == 0 || later->changed == NULL)
		return;
	count = count_as_owner(later->relid, psprintf("SELECT pg_catalog.count(*) FROM (SELECT t.* FROM ONLY %s t WHERE EXISTS (SELECT FROM %s l WHERE %s)) t WHERE %s",
												  relation_display_name(later->relid),
												  later->changed, later_key_condition(later),
												  condition.data));
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_SM_CANNOT_UNDO),
				 errmsg("cannot roll back: " INT64_FORMAT " rows that clients have written to %s since fulfil %s; change them, or roll back with mode 'as_of'",
						count, relation_display_name(later->relid),
						condition.data)));
	if (later->caught_up != NULL)
		check_later_writes(later->caught_up);
}

/* Of IS NULL, the planner knows by now that it is false. */
static void
append_not_null(StringInfo condition, const LaterWrites *later)
{
	ListCell   *cell;

	foreach(cell, later->columns)
	{
		const LaterColumn *column = lfirst(cell);
		HeapTuple	row = SearchSysCache2(ATTNUM,
										  ObjectIdGetDatum(later->relid),
										  Int16GetDatum(column->attnum));

		if (!HeapTupleIsValid(row))
			continue;
		if (((Form_pg_attribute) GETSTRUCT(row))->attnotnull)
			appendStringInfo(condition,
							 "%spg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
							 condition->len ? " OR " : "",
							 column->label_name);
		ReleaseSysCache(row);
	}
}

static void
append_checks(StringInfo condition, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	List	   *context = deparse_context_for("t", relid);

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (constraints->check[i].ccvalid)
			appendStringInfo(condition, "%sNOT (%s)",
							 condition->len ? " OR " : "",
							 deparse_expression(stringToNode(constraints->check[i].ccbin),
												context, false, false));
	}
	table_close(rel, AccessShareLock);
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

		finish_later_column(later, column);
	}
	if (later->gone != NULL && !brings_gone_back(later, on_conflict))
		delete_gone(later);
	if (later->key != NIL && later->may_conflict &&
		on_conflict == ROW_CONFLICT_REFUSE)
		refuse_conflicts(later);
	if (later->key != NIL &&
		!(later->may_conflict && on_conflict == ROW_CONFLICT_RESTORE))
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
					 relation_display_name(later->destination), later->gone);
	foreach(cell, later->key)
		appendStringInfo(&query, "%st.%s %s l.c%d",
						 foreach_current_index(cell) ? " AND " : "",
						 later_target_name(later, lfirst(cell)),
						 ((LaterColumn *) lfirst(cell))->label_equals,
						 ((LaterColumn *) lfirst(cell))->attnum);
	(void) run_as_owner(later->destination, query.data, SPI_OK_DELETE);
}

static void
refuse_conflicts(const LaterWrites *later)
{
	int64		count = count_as_owner(later->destination,
									   psprintf("SELECT pg_catalog.count(*) FROM ONLY %s t, %s l WHERE %s",
												relation_display_name(later->destination),
												later->changed,
												later_key_condition(later)));

	if (count == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 later->was_truncated ?
			 errmsg("cannot roll back: " INT64_FORMAT " rows that clients have written to %s since have keys of rows that come back; say on_conflict := 'keep' for theirs, or 'restore' for the old ones",
					count, relation_display_name(later->relid)) :
			 errmsg("cannot roll back: " INT64_FORMAT " rows that clients have written to %s since may have been changed before by the migration that has rewritten it; say on_conflict := 'keep' for them as they are now, or 'restore' for the old ones",
					count, relation_display_name(later->relid))));
}

static void
update_changed(const LaterWrites *later)
{
	StringInfoData query;
	ListCell   *cell;
	int			count = 0;

	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE ONLY %s t SET ",
					 relation_display_name(later->destination));
	foreach(cell, later->columns)
	{
		const LaterColumn *column = lfirst(cell);

		if (!column->equal_is_same || !list_member_ptr(later->key, column))
			appendStringInfo(&query, "%s%s = %s", count++ ? ", " : "",
							 later_target_name(later, column),
							 column->updated ? column->updated :
							 column->written);
	}
	if (count == 0)
		return;
	appendStringInfo(&query, " FROM %s l WHERE %s", later->changed,
					 later_key_condition(later));
	(void) run_as_owner(later->destination, query.data, SPI_OK_UPDATE);
}

static void
insert_changed(const LaterWrites *later)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "INSERT INTO %s %s OVERRIDING SYSTEM VALUE SELECT %s FROM %s l",
					 relation_display_name(later->destination),
					 later->columns == NIL ? "" :
					 psprintf("(%s)", label_column_list(later)),
					 written_column_list(later),
					 later->changed);
	if (later->key != NIL)
		appendStringInfo(&query, " WHERE NOT EXISTS (SELECT FROM ONLY %s t WHERE %s)",
						 relation_display_name(later->destination), later_key_condition(later));
	(void) run_as_owner(later->destination, query.data, SPI_OK_INSERT);
}

/*
 * See later_values.h.
 */
int64
run_for_rollback(const char *query, int expected)
{
	return run_at(query, expected, InvalidSnapshot);
}

/* The same with a snapshot that was taken before. */
static int64
run_at(const char *query, int expected, Snapshot snapshot)
{
	OwnAccess	access;
	int64		rows;
	int			result;
	SPIPlanPtr	plan;

	begin_own_access(&access);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not plan a query of a rollback: %s",
			 SPI_result_code_string(SPI_result));
	result = SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot,
								  false, true, 0);
	if (result != expected)
		elog(ERROR, "unexpected result of a query of a rollback: %s",
			 SPI_result_code_string(result));
	rows = SPI_processed;
	end_own_access(&access);
	CommandCounterIncrement();
	return rows;
}

/*
 * See later_values.h.
 */
int64
count_for_rollback(const char *query)
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
