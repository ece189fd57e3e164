/*-------------------------------------------------------------------------
 *
 * park.c
 *	  Keeping the files that a DROP, TRUNCATE or rewrite would remove.
 *
 * Whatever statement it was, PostgreSQL unlinks files at commit, from a list:
 * what is taken from that list and given to another relation stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "catalog/storage.h"
#include "common/catalog.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "preserve/carry.h"
#include "preserve/catalog_image.h"
#include "preserve/changed_rows.h"
#include "preserve/hidden_relation.h"
#include "preserve/holder.h"
#include "preserve/park.h"
#include "preserve/preserve.h"
#include "preserve/replaced_files.h"
#include "preserve/parked_size.h"
#include "preserve/point.h"
#include "preserve/transaction_start.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

/* A table, materialized view or sequence whose file is about to go. */
typedef struct LosingRelation
{
	Oid			relid;			/* key */
	HeapTuple	class_row;		/* as it was */
	const char *cause;
	uint64		parked_by;		/* last transaction that has parked a file of
								 * it, or 0 */
	bool		is_known;		/* by a restore point */
} LosingRelation;

/* What is done at the end of a transaction. */
typedef struct Parking
{
	HolderMaker maker;
	HTAB	   *files;			/* of CompatFile: those about to be unlinked */
	HTAB	   *relations;		/* of LosingRelation */
	List	   *held;			/* of HeldFile */
	bool		by_migration;
	int64		bytes;
} Parking;

static FullTransactionId wants_all_files;	/* the transaction that does */

static void collect_files(Parking *parking, CompatFile *files, int count);
static HTAB *make_table(const char *name, Size keysize, Size entrysize);
static void add_relation(Parking *parking, CompatFile file);
static HeapTuple row_of_file(Parking *parking, CompatFile file);
static bool may_be_parked(Parking *parking, Form_pg_class form);
static const char *cause_of_loss(Form_pg_class form);
static void park_needed(Parking *parking);
static void find_known(Parking *parking);
static void find_parked_before(Parking *parking);
static bool all_are_known(Parking *parking);
static bool creator_of_point(int64 point, uint64 *creator);
static void mark_known(Parking *parking, int64 point);
static bool is_needed(Parking *parking, LosingRelation *relation);
static bool is_same_data(Parking *parking, LosingRelation *relation);
static bool attribute_is_same(HeapTuple before, HeapTuple now);
static void park_relation(Parking *parking, LosingRelation *relation);
static bool indexes_match(Parking *parking, LosingRelation *relation);
static Oid	park_toast(Parking *parking, LosingRelation *relation, Oid heap);
static bool park_indexes(Parking *parking, LosingRelation *relation,
						 Oid relid, Oid heap);
static bool is_about_to_go(Parking *parking, HeapTuple class_row);
static void park_file(Parking *parking, LosingRelation *relation,
					  const HeldFile *held);
static void record_file(Parking *parking, LosingRelation *relation,
						HeldFile *held, int64 bytes);
static void record_replacements(Parking *parking);
static ParkedFile *read_parked_file(HeapTuple row, TupleDesc tupdesc);
static Datum parked_column(HeapTuple row, TupleDesc tupdesc, int column);
static void forget_file(Oid holder);
static bool is_holder(Oid relid);
static void drop_holder(Oid holder);

/*
 * See park.h.
 */
void
want_all_files(void)
{
	wants_all_files = GetTopFullTransactionId();
}

/*
 * See park.h.
 */
bool
all_files_are_wanted(void)
{
	return FullTransactionIdIsValid(wants_all_files) &&
		FullTransactionIdEquals(wants_all_files,
								GetTopFullTransactionIdIfAny());
}

/*
 * See park.h.
 */
int64
park_storage(bool by_migration)
{
	Parking		parking = {0};
	OwnAccess	access;
	CompatFile *files;
	int			count = smgrGetPendingDeletes(true, &files);
	Snapshot	before;
	ListCell   *cell;

	if (count == 0)
		return 0;
	begin_own_access(&access);
	before = register_snapshot_before();
	begin_holders(&parking.maker, before);
	parking.by_migration = by_migration;
	collect_files(&parking, files, count);
	if (hash_get_num_entries(parking.relations) > 0)
	{
		park_needed(&parking);
		record_replacements(&parking);
	}
	CommandCounterIncrement();
	foreach(cell, parking.held)
		record_holder(&parking.maker, lfirst(cell));
	end_holders(&parking.maker);
	UnregisterSnapshot(before);
	CommandCounterIncrement();
	end_own_access(&access);
	return parking.bytes;
}

static void
collect_files(Parking *parking, CompatFile *files, int count)
{
	parking->files = make_table("safe_migrate files to be unlinked",
								sizeof(CompatFile), sizeof(CompatFile));
	parking->relations = make_table("safe_migrate relations losing files",
									sizeof(Oid), sizeof(LosingRelation));
	for (int i = 0; i < count; i++)
		(void) hash_search(parking->files, &files[i], HASH_ENTER, NULL);
	for (int i = 0; i < count; i++)
	{
		if (compat_file_database(files[i]) == MyDatabaseId)
			add_relation(parking, files[i]);
	}
}

static HTAB *
make_table(const char *name, Size keysize, Size entrysize)
{
	HASHCTL		control = {0};

	control.keysize = keysize;
	control.entrysize = entrysize;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
add_relation(Parking *parking, CompatFile file)
{
	HeapTuple	row = row_of_file(parking, file);
	Form_pg_class form;
	LosingRelation *relation;

	if (row == NULL)
		return;
	form = (Form_pg_class) GETSTRUCT(row);
	if (!may_be_parked(parking, form))
		return;
	relation = hash_search(parking->relations, &form->oid, HASH_ENTER, NULL);
	relation->class_row = row;
	relation->cause = cause_of_loss(form);
	relation->parked_by = 0;
	relation->is_known = false;
}

/* Whose file it was when the transaction began; NULL for a newer one. */
static HeapTuple
row_of_file(Parking *parking, CompatFile file)
{
	Oid			tablespace = compat_file_tablespace(file);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;

	if (tablespace == MyDatabaseTableSpace)
		tablespace = InvalidOid;
	ScanKeyInit(&keys[0], Anum_pg_class_reltablespace, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(tablespace));
	ScanKeyInit(&keys[1], Anum_pg_class_relfilenode, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(compat_file_number(file)));
	scan = systable_beginscan(parking->maker.pg_class,
							  ClassTblspcRelfilenodeIndexId, true,
							  parking->maker.before, 2, keys);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	return row;
}

/*
 * What is in our own schema is dropped by us, to be gone: holders above all.
 * The files of others come along with that of their table.
 */
static bool
may_be_parked(Parking *parking, Form_pg_class form)
{
	if (form->oid < FirstNormalObjectId ||
		form->relnamespace == parking->maker.namespace ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	if (form->relkind == RELKIND_SEQUENCE)
		return true;
	return (form->relkind == RELKIND_RELATION ||
			form->relkind == RELKIND_MATVIEW) &&
		SearchSysCacheExists1(AMOID, ObjectIdGetDatum(form->relam));
}

/*
 * The counters know of TRUNCATE, and of savepoints that were rolled back; those
 * of a materialized view say the same of REFRESH.  Without counters, it is for
 * the best to take a rewrite for the worst.
 */
static const char *
cause_of_loss(Form_pg_class form)
{
	PgStat_TableXactStatus *counts;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(form->oid)))
		return "dropped";
	if (form->relkind != RELKIND_RELATION)
		return "rewritten";
	if (transaction_rolls_back())
		return "rolled back";
	if (!pgstat_track_counts)
		return "truncated";
	counts = compat_transaction_counters(form->oid);
	return counts != NULL && counts->truncdropped ? "truncated" : "rewritten";
}

static void
park_needed(Parking *parking)
{
	bool		wants_all = all_files_are_wanted();
	HASH_SEQ_STATUS status;
	LosingRelation *relation;

	if (!wants_all)
		find_known(parking);
	hash_seq_init(&status, parking->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		if (wants_all || is_needed(parking, relation))
			park_relation(parking, relation);
	}
}

/* The newest points first: most often they know all there is. */
static void
find_known(Parking *parking)
{
	List	   *points = full_points();
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "safe_migrate point",
												  ALLOCSET_DEFAULT_SIZES);

	if (points == NIL)
		return;
	find_parked_before(parking);
	for (int i = list_length(points) - 1; i >= 0; i--)
	{
		MemoryContextSwitchTo(context);
		mark_known(parking, *(int64 *) list_nth(points, i));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (all_are_known(parking))
			break;
	}
	MemoryContextDelete(context);
}

static void
find_parked_before(Parking *parking)
{
	OwnArguments arguments = {0};
	List	   *relids = NIL;
	HASH_SEQ_STATUS status;
	LosingRelation *relation;

	hash_seq_init(&status, parking->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
		relids = lappend_oid(relids, relation->relid);
	add_own_oid_list(&arguments, relids);
	run_own_query("SELECT relid, pg_catalog.max(xid) "
				  "FROM migrate.parked_storage "
				  "WHERE relid OPERATOR(pg_catalog.=) ANY ($1) GROUP BY relid",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		Oid			relid = DatumGetObjectId(parked_column(row, tupdesc, 1));

		relation = hash_search(parking->relations, &relid, HASH_FIND, NULL);
		relation->parked_by =
			U64FromFullTransactionId(DatumGetFullTransactionId(parked_column(row, tupdesc, 2)));
	}
}

/*
 * A point knows the file that its image has, and also the one that took its
 * place unless something was parked in between: after VACUUM FULL, that is
 * where the rows are.  A point that the transaction's snapshot is too old to
 * see is taken to know all.
 */
static void
mark_known(Parking *parking, int64 point)
{
	uint64		creator;
	bool		is_visible = creator_of_point(point, &creator);
	List	   *rows = NIL;
	ListCell   *cell;
	HASH_SEQ_STATUS status;
	LosingRelation *relation;

	if (is_visible)
		rows = load_catalog_rows(point, RelationRelationId);
	foreach(cell, rows)
	{
		Form_pg_class image = (Form_pg_class) GETSTRUCT((HeapTuple) lfirst(cell));
		Form_pg_class form;

		relation = hash_search(parking->relations, &image->oid, HASH_FIND,
							   NULL);
		if (relation == NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(relation->class_row);
		if ((image->relfilenode == form->relfilenode &&
			 image->reltablespace == form->reltablespace) ||
			relation->parked_by < creator)
			relation->is_known = true;
	}
	if (is_visible)
		return;
	hash_seq_init(&status, parking->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
		relation->is_known = true;
}

static bool
all_are_known(Parking *parking)
{
	HASH_SEQ_STATUS status;
	LosingRelation *relation;

	hash_seq_init(&status, parking->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		if (relation->is_known)
			continue;
		hash_seq_term(&status);
		return false;
	}
	return true;
}

static bool
creator_of_point(int64 point, uint64 *creator)
{
	OwnArguments arguments = {0};

	add_own_argument(&arguments, INT8OID, Int64GetDatum(point), false);
	run_own_query("SELECT creator FROM migrate.restore_point_data "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	if (SPI_processed == 0)
		return false;
	*creator =
		U64FromFullTransactionId(DatumGetFullTransactionId(parked_column(SPI_tuptable->vals[0],
																		 SPI_tuptable->tupdesc, 1)));
	return true;
}

/*
 * Outside of migrations, a new file with the same data does for the old one: the
 * point has no use for VACUUM FULL, nor has it for a REFRESH.  The values of
 * dropped columns are not in the new one.
 */
static bool
is_needed(Parking *parking, LosingRelation *relation)
{
	if (strcmp(relation->cause, "rewritten") == 0 &&
		relation_is_carried(relation->relid, parking->maker.before))
		return true;
	if (!relation->is_known)
		return false;
	return parking->by_migration ||
		strcmp(relation->cause, "rewritten") != 0 ||
		!is_same_data(parking, relation);
}

/* A statement that rewrites a table to change its data changes columns. */
static bool
is_same_data(Parking *parking, LosingRelation *relation)
{
	HolderMaker *maker = &parking->maker;
	List	   *before = fetch_catalog_rows(maker->pg_attribute,
											AttributeRelidNumIndexId,
											Anum_pg_attribute_attrelid,
											relation->relid, maker->before);
	List	   *now = fetch_catalog_rows(maker->pg_attribute,
										 AttributeRelidNumIndexId,
										 Anum_pg_attribute_attrelid,
										 relation->relid, NULL);
	ListCell   *cell_before;
	ListCell   *cell_now;

	if (list_length(before) != list_length(now))
		return false;
	forboth(cell_before, before, cell_now, now)
	{
		if (!attribute_is_same(lfirst(cell_before), lfirst(cell_now)))
			return false;
	}
	return true;
}

/* A rewrite fills in what rows lack, which is all that it does to a column. */
static bool
attribute_is_same(HeapTuple before, HeapTuple now)
{
	Form_pg_attribute old = (Form_pg_attribute) GETSTRUCT(before);
	Form_pg_attribute new = (Form_pg_attribute) GETSTRUCT(now);

	if (ItemPointerEquals(&before->t_self, &now->t_self))
		return true;
	return old->atthasmissing && !new->atthasmissing &&
		old->atttypid == new->atttypid &&
		old->atttypmod == new->atttypmod &&
		old->attisdropped == new->attisdropped;
}

static void
park_relation(Parking *parking, LosingRelation *relation)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(relation->class_row);
	HeldFile	held = {0};

	held.class_row = relation->class_row;
	held.holder = new_holder_oid(&parking->maker, held.class_row, false);
	if (OidIsValid(form->reltoastrelid))
		held.toast = park_toast(parking, relation, held.holder);
	if (form->relhasindex && indexes_match(parking, relation))
		held.has_index = park_indexes(parking, relation, form->oid,
									  held.holder);
	park_file(parking, relation, &held);
}

/*
 * False if rows may have come into the file after an index of it was dropped or
 * rebuilt in this transaction: nothing tells in which order that was.
 */
static bool
indexes_match(Parking *parking, LosingRelation *relation)
{
	PgStat_TableXactStatus *counts = compat_transaction_counters(relation->relid);

	if (!pgstat_track_counts)
		return false;
	if (counts == NULL)
		return true;
	if (!counts->truncdropped)
		return counts->tuples_inserted == 0 && counts->tuples_updated == 0;

	/* what was counted before a TRUNCATE is forgotten by a DROP after it */
	return counts->inserted_pre_truncdrop == 0 &&
		counts->updated_pre_truncdrop == 0 &&
		!(strcmp(relation->cause, "dropped") == 0 &&
		  had_other_file(&parking->maker, relation->class_row));
}

/* Returns its holder, or InvalidOid. */
static Oid
park_toast(Parking *parking, LosingRelation *relation, Oid heap)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(relation->class_row);
	HeldFile	held = {0};

	held.class_row = fetch_catalog_row(parking->maker.pg_class,
									   ClassOidIndexId, Anum_pg_class_oid,
									   form->reltoastrelid,
									   parking->maker.before);
	if (!is_about_to_go(parking, held.class_row))
		return InvalidOid;
	held.holder = new_holder_oid(&parking->maker, held.class_row,
								 writers_lock_is_held(relation->relid));
	held.heap = heap;
	held.has_index = park_indexes(parking, relation, form->reltoastrelid,
								  held.holder);
	park_file(parking, relation, &held);
	return held.holder;
}

/* Those of a table or its TOAST table; false if there are none. */
static bool
park_indexes(Parking *parking, LosingRelation *relation, Oid relid, Oid heap)
{
	HolderMaker *maker = &parking->maker;
	List	   *rows = fetch_catalog_rows(maker->pg_index,
										  IndexIndrelidIndexId,
										  Anum_pg_index_indrelid, relid,
										  maker->before);
	ListCell   *cell;
	bool		found = false;

	foreach(cell, rows)
	{
		HeldFile	held = {0};

		held.index_row = lfirst(cell);
		held.class_row = fetch_catalog_row(maker->pg_class, ClassOidIndexId,
										   Anum_pg_class_oid,
										   ((Form_pg_index) GETSTRUCT(held.index_row))->indexrelid,
										   maker->before);
		if (!is_about_to_go(parking, held.class_row) ||
			!index_can_be_held(maker, held.class_row, held.index_row))
			continue;
		held.holder = new_holder_oid(maker, held.class_row, false);
		held.heap = heap;
		park_file(parking, relation, &held);
		found = true;
	}
	return found;
}

static bool
is_about_to_go(Parking *parking, HeapTuple class_row)
{
	CompatFile	file;

	if (class_row == NULL)
		return false;
	file = compat_relation_file((Form_pg_class) GETSTRUCT(class_row));
	return hash_search(parking->files, &file, HASH_FIND, NULL) != NULL;
}

static void
park_file(Parking *parking, LosingRelation *relation, const HeldFile *description)
{
	HeldFile   *held = palloc(sizeof(HeldFile));
	CompatFile	file = compat_relation_file((Form_pg_class) GETSTRUCT(description->class_row));

	*held = *description;
	parking->held = lappend(parking->held, held);
	make_holder(&parking->maker, held);
	RelationPreserveStorage(file, true);
	record_file(parking, relation, held, file_bytes(file));
}

static void
record_file(Parking *parking, LosingRelation *relation, HeldFile *held,
			int64 bytes)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(held->class_row);
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(held->holder), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(form->oid), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(relation->relid),
					 false);
	add_own_argument(&arguments, CHAROID, CharGetDatum(form->relkind), false);
	add_own_argument(&arguments, OIDOID,
					 ObjectIdGetDatum(form->reltablespace), false);
	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(form->relfilenode),
					 false);
	add_own_text(&arguments, relation->cause);
	add_own_argument(&arguments, BOOLOID, BoolGetDatum(parking->by_migration),
					 false);
	add_own_subtransactions(&arguments);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(rows_were_deleted(form->oid)), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(columns_were_computed()), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(types_were_changed()), false);
	add_own_argument(&arguments, BOOLOID,
					 BoolGetDatum(rows_were_changed(form->oid)), false);
	add_own_argument(&arguments, INT8OID, Int64GetDatum(bytes), false);
	run_own_query("INSERT INTO migrate.parked_storage (holder, relid, "
				  "main_relid, kind, tablespace, filenode, cause, "
				  "by_migration, subxids, rows_deleted, columns_computed, "
				  "types_changed, rows_changed, bytes) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
				  "$13, $14)",
				  &arguments, SPI_OK_INSERT);
	parking->bytes += bytes;
}

/* Of tables that are still there, whether a point needs the file or not. */
static void
record_replacements(Parking *parking)
{
	HASH_SEQ_STATUS status;
	LosingRelation *relation;

	hash_seq_init(&status, parking->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		if (((Form_pg_class) GETSTRUCT(relation->class_row))->relkind ==
			RELKIND_RELATION && strcmp(relation->cause, "dropped") != 0)
			record_replaced_file(relation->relid, parking->by_migration,
								 strcmp(relation->cause, "truncated") == 0);
	}
}

/*
 * See park.h.
 */
List *
parked_files(void)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *files = NIL;

	begin_own_access(&access);
	run_own_query("SELECT p.holder, p.relid, p.main_relid, p.kind, "
				  "p.tablespace, p.filenode, p.cause, p.xid, p.by_migration, "
				  "p.rows_deleted, p.columns_computed, "
				  "p.types_changed, p.rows_changed, p.bytes "
				  "FROM migrate.parked_storage p "
				  "JOIN pg_catalog.pg_class c "
				  "ON c.oid OPERATOR(pg_catalog.=) p.holder "
				  "ORDER BY p.xid, p.holder",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);

		files = lappend(files, read_parked_file(SPI_tuptable->vals[i],
												SPI_tuptable->tupdesc));
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	return files;
}

static ParkedFile *
read_parked_file(HeapTuple row, TupleDesc tupdesc)
{
	ParkedFile *file = palloc(sizeof(ParkedFile));

	file->holder = DatumGetObjectId(parked_column(row, tupdesc, 1));
	file->relid = DatumGetObjectId(parked_column(row, tupdesc, 2));
	file->main_relid = DatumGetObjectId(parked_column(row, tupdesc, 3));
	file->kind = DatumGetChar(parked_column(row, tupdesc, 4));
	file->tablespace = DatumGetObjectId(parked_column(row, tupdesc, 5));
	file->filenode = DatumGetObjectId(parked_column(row, tupdesc, 6));
	file->cause = TextDatumGetCString(parked_column(row, tupdesc, 7));
	file->xid = DatumGetFullTransactionId(parked_column(row, tupdesc, 8));
	file->by_migration = DatumGetBool(parked_column(row, tupdesc, 9));
	file->emptied = strcmp(file->cause, "truncated") == 0;
	file->rows_deleted = DatumGetBool(parked_column(row, tupdesc, 10));
	file->columns_computed = DatumGetBool(parked_column(row, tupdesc, 11));
	file->types_changed = DatumGetBool(parked_column(row, tupdesc, 12));
	file->rows_changed = DatumGetBool(parked_column(row, tupdesc, 13));
	file->changed_behind = false;
	file->bytes = DatumGetInt64(parked_column(row, tupdesc, 14));
	return file;
}

/* None of them is ever NULL. */
static Datum
parked_column(HeapTuple row, TupleDesc tupdesc, int column)
{
	bool		isnull;

	return SPI_getbinval(row, tupdesc, column, &isnull);
}

/*
 * See park.h.
 */
HeapTuple
take_parked_file(Oid holder)
{
	HeapTuple	row = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(holder));

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for relation %u", holder);
	remove_hidden_relation(holder, false);
	forget_file(holder);
	CommandCounterIncrement();
	return row;
}

static void
forget_file(Oid holder)
{
	OwnAccess	access;
	OwnArguments arguments = {0};

	add_own_argument(&arguments, OIDOID, ObjectIdGetDatum(holder), false);
	begin_own_access(&access);
	run_own_query("DELETE FROM migrate.parked_storage "
				  "WHERE holder OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_DELETE);
	end_own_access(&access);
}

/*
 * See park.h.
 */
void
drop_parked_file(Oid holder)
{
	HeapTuple	row = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(holder));
	Form_pg_class form;

	if (!HeapTupleIsValid(row))
	{
		forget_file(holder);
		return;
	}
	form = (Form_pg_class) GETSTRUCT(row);
	if (is_holder(form->reltoastrelid))
		drop_holder(form->reltoastrelid);
	drop_holder(holder);
	CommandCounterIncrement();
}

/* That of TOAST may have been taken, and be a TOAST table again. */
static bool
is_holder(Oid relid)
{
	return OidIsValid(relid) &&
		get_rel_namespace(relid) == get_namespace_oid(MIGRATE_SCHEMA, false);
}

static void
drop_holder(Oid holder)
{
	List	   *indexes = hidden_indexes(holder);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		remove_hidden_relation(lfirst_oid(cell), true);
		forget_file(lfirst_oid(cell));
	}
	remove_hidden_relation(holder, true);
	forget_file(holder);
}
