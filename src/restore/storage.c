/*-------------------------------------------------------------------------
 *
 * storage.c
 *	  Which file a relation is to have after a rollback.
 *
 * A table keeps its file where that has, or can be made to have, the columns
 * of the label; else the file of the label comes back, with its TOAST table
 * and its indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/compat.h"
#include "common/own_tables.h"
#include "executor/spi.h"
#include "preserve/catalog_image.h"
#include "preserve/catalogs.h"
#include "preserve/parked_size.h"
#include "restore/label_rows.h"
#include "restore/storage.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What is looked at to choose. */
typedef struct Chooser
{
	const RestoreTarget *target;
	HTAB	   *relations;
	HTAB	   *files;			/* of FoundFile */
	HTAB	   *first_files;	/* of FirstFile */
	HTAB	   *replacements;	/* of Replacement */
} Chooser;

/* A file that is parked, by what pg_class calls it. */
typedef struct FileKey
{
	Oid			tablespace;
	RelFileNumber filenode;
} FileKey;

typedef struct FoundFile
{
	FileKey		key;
	const ParkedFile *file;
} FoundFile;

/* The first one that a relation has lost since the restore point. */
typedef struct FirstFile
{
	Oid			relid;
	const ParkedFile *file;
} FirstFile;

/* What migrations have done to a relation since, when they gave it a file. */
typedef struct Replacement
{
	Oid			relid;
	bool		emptied;
	bool		changed_behind;
	bool		rows_deleted;
	bool		types_changed;
	bool		columns_computed;
} Replacement;

static void find_files(Chooser *chooser);
static void find_replacements(Chooser *chooser);
static const ParkedFile *with_replacements(Chooser *chooser,
										   const ParkedFile *file);
static bool was_reset(const ParkedFile *file);
static void add_label_relations(Chooser *chooser);
static void add_concerned_relations(Chooser *chooser, List *rows);
static void add_current_relations(Chooser *chooser);
static RestoredRelation *enter_relation(HTAB *relations, Oid relid);
static void find_tables_of_indexes(Chooser *chooser);
static void set_table_of_index(Chooser *chooser, HeapTuple row);
static void find_tables_of_toast(Chooser *chooser);
static void set_table_of_toast(Chooser *chooser, Oid relid, HeapTuple row);
static void choose_for_table(Chooser *chooser, RestoredRelation *relation);
static StorageChoice choose_for_other_file(Chooser *chooser,
										   RestoredRelation *relation);
static void choose_for_part(Chooser *chooser, RestoredRelation *relation);
static void choose_for_index(Chooser *chooser, RestoredRelation *relation,
							 const RestoredRelation *table);
static bool same_file(const RestoredRelation *relation);
static bool has_columns_of_label(Chooser *chooser, Oid relid);
static bool attribute_fits(Chooser *chooser, Form_pg_attribute was);
static bool has_expression_of_label(Chooser *chooser, Form_pg_attribute was);
static const ParkedFile *parked_file_of(Chooser *chooser,
										const RestoredRelation *relation);

#define CLASS_FORM(row)	((Form_pg_class) GETSTRUCT(row))

/*
 * See storage.h.
 */
HTAB *
choose_storage(const RestoreTarget *target)
{
	Chooser		chooser = {0};
	HASHCTL		control = {0};
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RestoredRelation);
	control.hcxt = CurrentMemoryContext;
	chooser.target = target;
	chooser.relations = hash_create("safe_migrate restored relations", 1024,
									&control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	find_files(&chooser);
	find_replacements(&chooser);
	add_label_relations(&chooser);
	add_current_relations(&chooser);
	find_tables_of_indexes(&chooser);
	find_tables_of_toast(&chooser);

	hash_seq_init(&all, chooser.relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->main_relid == relation->relid)
			choose_for_table(&chooser, relation);
	}
	hash_seq_init(&all, chooser.relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		if (relation->main_relid != relation->relid)
			choose_for_part(&chooser, relation);
		if (relation->choice == STORAGE_PARKED)
			relation->holder = SearchSysCacheCopy1(RELOID,
												   ObjectIdGetDatum(relation->parked->holder));
	}
	return chooser.relations;
}

/* Those that are parked and have data. */
static void
find_files(Chooser *chooser)
{
	HASHCTL		control = {0};
	ListCell   *cell;

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(FileKey);
	control.entrysize = sizeof(FoundFile);
	chooser->files = hash_create("safe_migrate parked files", 1024, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(FirstFile);
	chooser->first_files = hash_create("safe_migrate first files", 1024,
									   &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, parked_files())
	{
		const ParkedFile *file = lfirst(cell);
		FileKey		key = {file->tablespace, file->filenode};
		FirstFile  *first;
		bool		found;

		if (was_reset(file))
			continue;
		((FoundFile *) hash_search(chooser->files, &key, HASH_ENTER,
								   NULL))->file = file;
		if (FullTransactionIdPrecedes(file->xid, chooser->target->creator))
			continue;
		first = hash_search(chooser->first_files, &file->relid, HASH_ENTER,
							&found);
		if (!found || FullTransactionIdPrecedes(file->xid, first->file->xid))
			first->file = file;
	}
}

/* Without those that a rollback has undone: the table had another file again. */
static void
find_replacements(Chooser *chooser)
{
	HASHCTL		control = {0};
	OwnAccess	access;
	OwnArguments arguments = {0};

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Replacement);
	chooser->replacements = hash_create("safe_migrate replacements", 64,
										&control,
										HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	add_own_argument(&arguments, INT8OID,
					 Int64GetDatum(chooser->target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT f.relid::bigint, pg_catalog.bool_or(f.emptied), "
				  "pg_catalog.bool_or(f.changed_behind), "
				  "pg_catalog.bool_or(f.rows_deleted), "
				  "pg_catalog.bool_or(f.types_changed), "
				  "pg_catalog.bool_or(f.columns_computed) "
				  "FROM migrate.replaced_files f, migrate.restore_point_data p "
				  "WHERE p.id OPERATOR(pg_catalog.=) $1 AND NOT f.by_rollback "
				  "AND migrate.is_since(f.xid, p.creator, p.data_snapshot) "
				  "AND NOT EXISTS (SELECT FROM migrate.rollbacks_since($1) b "
				  "WHERE f.xid OPERATOR(pg_catalog.<) b.xid AND "
				  "migrate.is_since(f.xid, b.target_creator, "
				  "b.target_snapshot)) GROUP BY f.relid",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Oid			relid = (Oid) own_bigint_column(i, 1);
		Replacement *found = hash_search(chooser->replacements, &relid,
										 HASH_ENTER, NULL);

		found->emptied = own_bool_column(i, 2);
		found->changed_behind = own_bool_column(i, 3);
		found->rows_deleted = own_bool_column(i, 4);
		found->types_changed = own_bool_column(i, 5);
		found->columns_computed = own_bool_column(i, 6);
	}
	end_own_access(&access);
}

/* Who has parked it may not be the one who has done most to what came then. */
static const ParkedFile *
with_replacements(Chooser *chooser, const ParkedFile *file)
{
	Replacement *found = hash_search(chooser->replacements, &file->relid,
									 HASH_FIND, NULL);
	ParkedFile *all;

	if (found == NULL)
		return file;
	all = palloc(sizeof(ParkedFile));
	*all = *file;
	all->emptied |= found->emptied;
	all->changed_behind = found->changed_behind;
	all->rows_deleted |= found->rows_deleted;
	all->types_changed |= found->types_changed;
	all->columns_computed |= found->columns_computed;
	return all;
}

/* The server empties unlogged tables when it starts after a crash. */
static bool
was_reset(const ParkedFile *file)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(file->holder));
	bool		result;

	if (!HeapTupleIsValid(row))
		return true;
	result = CLASS_FORM(row)->relpersistence == RELPERSISTENCE_UNLOGGED &&
		file->bytes > 0 &&
		file_bytes(compat_relation_file(CLASS_FORM(row))) == 0;
	ReleaseSysCache(row);
	return result;
}

static void
add_label_relations(Chooser *chooser)
{
	ListCell   *cell;

	foreach(cell, load_catalog_rows(chooser->target->point,
									RelationRelationId))
	{
		HeapTuple	row = lfirst(cell);

		enter_relation(chooser->relations, CLASS_FORM(row)->oid)->was = row;
	}
	if (chooser->target->is_whole)
		return;
	add_concerned_relations(chooser,
							load_concerned_relations(chooser->target->point));
	add_concerned_relations(chooser,
							load_far_relations(chooser->target->point));
}

/* Those of a statement that has not changed themselves. */
static void
add_concerned_relations(Chooser *chooser, List *rows)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		HeapTuple	row = lfirst(cell);
		RestoredRelation *relation = enter_relation(chooser->relations,
													CLASS_FORM(row)->oid);

		if (relation->was != NULL)
			continue;
		relation->was = row;
		relation->is_concerned = true;
	}
}

static void
add_current_relations(Chooser *chooser)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Catalog		catalog = {0};
	HTAB	   *left_out = begin_left_out();
	SysScanDesc scan;
	HeapTuple	row;

	catalog.relid = RelationRelationId;
	catalog.oid = catalog.relation = Anum_pg_class_oid;
	catalog.namespace = Anum_pg_class_relnamespace;
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Oid			relid = CLASS_FORM(row)->oid;

		if (row_is_left_out(left_out, &catalog, rel, row))
			continue;
		if (!chooser->target->is_whole &&
			find_restored_relation(chooser->relations, relid) == NULL)
			continue;
		enter_relation(chooser->relations, relid)->is = heap_copytuple(row);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
}

static RestoredRelation *
enter_relation(HTAB *relations, Oid relid)
{
	bool		found;
	RestoredRelation *relation = hash_search(relations, &relid, HASH_ENTER,
											 &found);

	if (!found)
	{
		memset(relation, 0, sizeof(RestoredRelation));
		relation->relid = relation->main_relid = relid;
	}
	return relation;
}

/*
 * See storage.h.
 */
RestoredRelation *
find_restored_relation(HTAB *relations, Oid relid)
{
	return hash_search(relations, &relid, HASH_FIND, NULL);
}

/*
 * See storage.h.
 */
RestoredRelation *
main_relation(HTAB *relations, RestoredRelation *relation)
{
	RestoredRelation *table = find_restored_relation(relations,
													 relation->main_relid);

	/* the index of a TOAST table */
	if (table != NULL && table->main_relid != table->relid)
		table = find_restored_relation(relations, table->main_relid);
	return table == NULL ? relation : table;
}

/* An index that has changed may be in an image whose pg_index row has not. */
static void
find_tables_of_indexes(Chooser *chooser)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	HeapTuple	row;
	ListCell   *cell;

	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		set_table_of_index(chooser, row);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);

	foreach(cell, load_catalog_rows(chooser->target->point, IndexRelationId))
		set_table_of_index(chooser, lfirst(cell));
}

static void
set_table_of_index(Chooser *chooser, HeapTuple row)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(row);
	RestoredRelation *relation = find_restored_relation(chooser->relations,
														form->indexrelid);

	if (relation != NULL)
		relation->main_relid = form->indrelid;
}

static void
find_tables_of_toast(Chooser *chooser)
{
	HASH_SEQ_STATUS all;
	RestoredRelation *relation;

	hash_seq_init(&all, chooser->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		set_table_of_toast(chooser, relation->relid, relation->was);
		set_table_of_toast(chooser, relation->relid, relation->is);
	}

	/* indexes of TOAST tables */
	hash_seq_init(&all, chooser->relations);
	while ((relation = hash_seq_search(&all)) != NULL)
	{
		RestoredRelation *table = find_restored_relation(chooser->relations,
														 relation->main_relid);

		if (table != NULL && table->is_toast)
			relation->is_toast = true;
	}
}

static void
set_table_of_toast(Chooser *chooser, Oid relid, HeapTuple row)
{
	RestoredRelation *toast;

	if (row == NULL || !OidIsValid(CLASS_FORM(row)->reltoastrelid))
		return;
	toast = find_restored_relation(chooser->relations,
								   CLASS_FORM(row)->reltoastrelid);
	if (toast != NULL)
	{
		toast->main_relid = relid;
		toast->is_toast = true;
	}
}

static void
choose_for_table(Chooser *chooser, RestoredRelation *relation)
{
	HeapTuple	row = relation->was ? relation->was : relation->is;

	if (relation->was == NULL)
		relation->choice = STORAGE_REMOVED;
	else if (!RELKIND_HAS_STORAGE(CLASS_FORM(row)->relkind))
		relation->choice = STORAGE_NONE;
	else if (relation->is_concerned)
		relation->choice = relation->is != NULL && (same_file(relation) ||
													has_columns_of_label(chooser, relation->relid)) ?
			STORAGE_KEPT : STORAGE_LOST;
	else if (relation->is == NULL)
		relation->choice = parked_file_of(chooser, relation) != NULL ?
			STORAGE_PARKED : STORAGE_LOST;
	else if (same_file(relation) ||
			 CLASS_FORM(row)->relkind == RELKIND_SEQUENCE)
		relation->choice = STORAGE_KEPT;
	else
		relation->choice = choose_for_other_file(chooser, relation);
	if (relation->choice == STORAGE_PARKED)
		relation->parked = parked_file_of(chooser, relation);
	else if (relation->choice == STORAGE_KEPT && !same_file(relation))
		relation->left_aside = parked_file_of(chooser, relation);
}

/* The table has another file than it had. */
static StorageChoice
choose_for_other_file(Chooser *chooser, RestoredRelation *relation)
{
	const ParkedFile *parked = parked_file_of(chooser, relation);
	Form_pg_class was = CLASS_FORM(relation->was);
	Form_pg_class is = CLASS_FORM(relation->is);
	bool		fits = was->relpersistence == is->relpersistence &&
	was->relam == is->relam && was->reltablespace == is->reltablespace &&
	has_columns_of_label(chooser, relation->relid);

	if (parked == NULL)
		return fits ? STORAGE_KEPT : STORAGE_LOST;
	if (chooser->target->mode == ROLLBACK_AS_OF || !fits ||
		was->relkind == RELKIND_MATVIEW)
		return STORAGE_PARKED;

	/* what a migration did to values and rows of the new file is not undone */
	if (parked->by_migration &&
		(parked->rows_changed || parked->types_changed))
		return STORAGE_PARKED;

	/* the file of a rollback has what was there before */
	if (strcmp(parked->cause, "rolled back") == 0)
		return STORAGE_PARKED;

	/* what a client has emptied is a later write, like any other */
	if (strcmp(parked->cause, "truncated") == 0 &&
		(parked->by_migration || !chooser->target->is_whole))
		return STORAGE_PARKED;
	return STORAGE_KEPT;
}

static void
choose_for_part(Chooser *chooser, RestoredRelation *relation)
{
	const RestoredRelation *table = main_relation(chooser->relations, relation);

	if (table == relation || relation->is_concerned)
		return;
	if (!relation->is_toast)
	{
		choose_for_index(chooser, relation, table);
		return;
	}
	relation->choice = table->choice;
	if (table->choice == STORAGE_PARKED)
	{
		relation->parked = parked_file_of(chooser, relation);
		if (relation->was == NULL)
			relation->choice = STORAGE_REMOVED;
		else if (relation->parked == NULL)
			relation->choice = STORAGE_LOST;
	}
}

static void
choose_for_index(Chooser *chooser, RestoredRelation *relation,
				 const RestoredRelation *table)
{
	if (relation->was == NULL)
		relation->choice = STORAGE_REMOVED;
	else if (!RELKIND_HAS_STORAGE(CLASS_FORM(relation->was)->relkind))
		relation->choice = STORAGE_NONE;
	else if (table->choice == STORAGE_PARKED)
	{
		relation->parked = parked_file_of(chooser, relation);
		relation->choice = relation->parked ? STORAGE_PARKED : STORAGE_BUILT;
	}
	else if (relation->is == NULL ||
			 CLASS_FORM(relation->was)->reltablespace !=
			 CLASS_FORM(relation->is)->reltablespace)
		relation->choice = STORAGE_BUILT;
	else
		relation->choice = STORAGE_KEPT;
}

static bool
same_file(const RestoredRelation *relation)
{
	Form_pg_class was = CLASS_FORM(relation->was);
	Form_pg_class is = CLASS_FORM(relation->is);

	return was->relfilenode == is->relfilenode &&
		was->reltablespace == is->reltablespace;
}

/*
 * True if the current file, which is not that of the label, has a place for
 * every column of the label.  A column that was dropped before the file was
 * written has left nothing in it.
 */
static bool
has_columns_of_label(Chooser *chooser, Oid relid)
{
	ListCell   *cell;

	foreach(cell, label_attributes(chooser->target, relid))
	{
		Form_pg_attribute was = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(cell));

		if (was->attnum > 0 && !was->attisdropped &&
			!attribute_fits(chooser, was))
			return false;
	}
	return true;
}

static bool
attribute_fits(Chooser *chooser, Form_pg_attribute was)
{
	HeapTuple	row = SearchSysCache2(ATTNUM,
									  ObjectIdGetDatum(was->attrelid),
									  Int16GetDatum(was->attnum));
	bool		fits = false;

	if (HeapTupleIsValid(row))
	{
		Form_pg_attribute is = (Form_pg_attribute) GETSTRUCT(row);

		/* a rewrite may have rounded, or computed again */
		fits = !is->attisdropped && is->atttypid == was->atttypid &&
			is->atttypmod == was->atttypmod &&
			is->attlen == was->attlen && is->attalign == was->attalign &&
			(was->attgenerated != ATTRIBUTE_GENERATED_STORED ||
			 has_expression_of_label(chooser, was));
		ReleaseSysCache(row);
	}
	return fits;
}

/* Another expression for a generated column is another row. */
static bool
has_expression_of_label(Chooser *chooser, Form_pg_attribute was)
{
	Oid			current = GetAttrDefaultOid(was->attrelid, was->attnum);
	ListCell   *cell;

	foreach(cell, label_expressions(chooser->target, was->attrelid))
	{
		Form_pg_attrdef form = (Form_pg_attrdef) GETSTRUCT((HeapTuple) lfirst(cell));

		if (form->adnum == was->attnum)
			return form->oid == current;
	}
	return false;
}

/*
 * The file of the label; or, if a VACUUM FULL has written another one with the
 * same rows, the first one that the relation has lost since.
 */
static const ParkedFile *
parked_file_of(Chooser *chooser, const RestoredRelation *relation)
{
	Form_pg_class was = CLASS_FORM(relation->was ? relation->was : relation->is);
	FileKey		key = {was->reltablespace, was->relfilenode};
	FoundFile  *found = hash_search(chooser->files, &key, HASH_FIND, NULL);
	FirstFile  *first;

	if (found != NULL)
		return with_replacements(chooser, found->file);
	first = hash_search(chooser->first_files, &relation->relid, HASH_FIND,
						NULL);
	return first ? with_replacements(chooser, first->file) : NULL;
}

/*
 * See storage.h.
 */
bool
is_built_in_place(const RestoredRelation *relation)
{
	return relation->choice == STORAGE_BUILT && relation->is != NULL &&
		CLASS_FORM(relation->was)->reltablespace ==
		CLASS_FORM(relation->is)->reltablespace;
}

/*
 * See storage.h.
 */
bool
rows_follow_storage(HTAB *relations, Oid relid)
{
	RestoredRelation *relation = find_restored_relation(relations, relid);

	return relation != NULL && relation->is_toast &&
		relation->choice == STORAGE_KEPT;
}
