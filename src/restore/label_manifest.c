/*-------------------------------------------------------------------------
 *
 * label_manifest.c
 *	  The manifest of a restore point, and of now.
 *
 * It is made of definitions as PostgreSQL shows them, and so finds what a
 * comparison of the catalogs' rows with themselves could not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "common/errors.h"
#include "common/oid_set.h"
#include "common/own_tables.h"
#include "common/settings.h"
#include "common/subtransaction.h"
#include "drift/manifest.h"
#include "drift/saved_manifest.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "restore/catalog_diff.h"
#include "restore/label_manifest.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Between two attempts to read what somebody has locked. */
#define READ_AGAIN_US	(200 * 1000L)

/* Objects that an error names. */
#define MAX_NAMED	5

/* A row of either side. */
typedef struct Definition
{
	const char *kind;
	const char *identity;
	const char *hash;
} Definition;

/* Catalogs whose rows are shown with an object of another one. */
static const struct
{
	Oid			catalog;
	Oid			shown_with;
}			shown_with_others[] = {
	{AccessMethodOperatorRelationId, OperatorFamilyRelationId},
	{AccessMethodProcedureRelationId, OperatorFamilyRelationId},
	{PublicationNamespaceRelationId, PublicationRelationId},
	{PublicationRelRelationId, PublicationRelationId},
	{TSConfigMapRelationId, TSConfigRelationId},
	{UserMappingRelationId, ForeignServerRelationId},
};

/* The objects to read again; those of other classes are few. */
typedef struct ChangedObjects
{
	HTAB	   *tables;			/* sets of OIDs */
	HTAB	   *functions;
	HTAB	   *types;
	List	   *classes;		/* all objects of these */
} ChangedObjects;

static List *read_patiently(const RestoreTarget *target);
static bool read_current(void *arg);
static List *read_label_definitions(const RestoreTarget *target, bool *known);
static List *definitions_of(List *rows);
static int	compare_names(const ListCell *a, const ListCell *b);
static int	name_order(const Definition *left, const Definition *right);
static ManifestChange *make_change(const char *action,
								   const Definition *definition);
static void note_differing_objects(ChangedObjects *changed,
								   const LabelManifest *manifest);
static int	compare_definition(const void *key, const void *element);
static void note_rows(ChangedObjects *changed, Relation rel,
					  const Catalog *catalog, List *rows, HTAB *relations);
static void note_object(ChangedObjects *changed, Oid classid, Oid objid);
static Oid	owner_in_column(Relation rel, HeapTuple row, const char *column);
static List *read_again(const ChangedObjects *changed, List *before);
static List *read_set(Oid classid, HTAB *objects);
static bool is_read_again(const ChangedObjects *changed,
						  const ManifestRow *row);
static void refuse_changes(const RestoreTarget *target, List *changes);

/*
 * See label_manifest.h.
 */
LabelManifest *
read_label_manifest(const RestoreTarget *target)
{
	LabelManifest *manifest = palloc0(sizeof(LabelManifest));

	manifest->label = read_label_definitions(target, &manifest->known);
	if (manifest->known)
		manifest->before = read_patiently(target);
	return manifest;
}

/*
 * A view cannot be shown while somebody has a strong lock on one of its tables.
 * Nobody waits for us meanwhile.
 */
static List *
read_patiently(const RestoreTarget *target)
{
	TimestampTz started = GetCurrentTimestamp();
	List	   *rows;

	for (;;)
	{
		ErrorData  *error = run_in_subtransaction(read_current, &rows);

		if (error == NULL)
			return rows;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		if (setting_lock_deadline > 0 &&
			TimestampDifferenceExceeds(started, GetCurrentTimestamp(),
									   setting_lock_deadline))
			ereport(ERROR,
					(errcode(ERRCODE_SM_LOCK_DEADLINE),
					 errmsg("the definitions of the schema, with which those of restore point \"%s\" are compared, could not be read within safe_migrate.lock_deadline (%d ms): another session holds a strong lock on a table; see pg_locks",
							target->label, setting_lock_deadline)));
		FreeErrorData(error);
		CHECK_FOR_INTERRUPTS();
		pg_usleep(READ_AGAIN_US);
	}
}

static bool
read_current(void *arg)
{
	*(List **) arg = current_manifest();
	return true;
}

/*
 * See label_manifest.h.
 */
List *
manifest_changes(const LabelManifest *manifest)
{
	List	   *label = manifest->label;
	List	   *current = definitions_of(manifest->before);
	List	   *changes = NIL;
	int			i = 0;
	int			j = 0;

	if (!manifest->known)
		return NIL;
	while (i < list_length(label) || j < list_length(current))
	{
		Definition *was = i < list_length(label) ? list_nth(label, i) : NULL;
		Definition *is = j < list_length(current) ? list_nth(current, j) : NULL;
		int			order = was == NULL ? 1 : is == NULL ? -1 : name_order(was, is);

		if (order < 0)
			changes = lappend(changes, make_change("bring back", was));
		else if (order > 0)
			changes = lappend(changes, make_change("remove", is));
		else if (strcmp(was->hash, is->hash) != 0)
			changes = lappend(changes, make_change("change back", was));
		i += order <= 0 ? 1 : 0;
		j += order >= 0 ? 1 : 0;
	}
	return changes;
}

/* In the order of their names. */
static List *
read_label_definitions(const RestoreTarget *target, bool *known)
{
	OwnAccess	access;
	OwnArguments arguments = {0};
	List	   *definitions = NIL;

	add_own_argument(&arguments, INT8OID, Int64GetDatum(target->point), false);
	begin_own_access(&access);
	run_own_query("SELECT manifest_sum IS NOT NULL "
				  "FROM migrate.restore_point_data "
				  "WHERE id OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	*known = own_bool_column(0, 1);
	run_own_query("SELECT kind, identity, hash FROM migrate.restore_manifest "
				  "WHERE point OPERATOR(pg_catalog.=) $1",
				  &arguments, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(access.caller);
		Definition *definition = palloc(sizeof(Definition));

		definition->kind = own_text_column(&access, i, 1);
		definition->identity = own_text_column(&access, i, 2);
		definition->hash = own_text_column(&access, i, 3);
		definitions = lappend(definitions, definition);
		MemoryContextSwitchTo(spi);
	}
	end_own_access(&access);
	list_sort(definitions, compare_names);
	return definitions;
}

/* Sorted by name. */
static List *
definitions_of(List *rows)
{
	List	   *definitions = NIL;
	ListCell   *cell;

	foreach(cell, rows)
	{
		const ManifestRow *row = lfirst(cell);
		Definition *definition = palloc(sizeof(Definition));

		definition->kind = row->kind;
		definition->identity = row->identity;
		definition->hash = hash_in_words(row);
		definitions = lappend(definitions, definition);
	}
	list_sort(definitions, compare_names);
	return definitions;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return name_order(lfirst(a), lfirst(b));
}

static int
name_order(const Definition *left, const Definition *right)
{
	int			order = strcmp(left->kind, right->kind);

	return order != 0 ? order : strcmp(left->identity, right->identity);
}

static ManifestChange *
make_change(const char *action, const Definition *definition)
{
	ManifestChange *change = palloc(sizeof(ManifestChange));

	change->action = action;
	change->kind = definition->kind;
	change->identity = definition->identity;
	return change;
}

/*
 * See label_manifest.h.  What is neither among the changed objects nor was
 * another one before is what it was: its definition names nothing that has
 * changed.
 */
void
compare_manifest_with_label(const RestoreTarget *target,
							LabelManifest *manifest, List *differences,
							HTAB *relations)
{
	ChangedObjects changed = {0};
	LabelManifest after = *manifest;
	ListCell   *cell;

	if (!manifest->known)
	{
		/* else that was told, or there are none */
		if (target->is_whole && target->is_complete)
			ereport(WARNING,
					(errmsg("the definitions of restore point \"%s\" could not be read when it was made: that they are the same again was not compared",
							target->label)));
		return;
	}
	changed.tables = make_oid_set("safe_migrate changed tables");
	changed.functions = make_oid_set("safe_migrate changed functions");
	changed.types = make_oid_set("safe_migrate changed types");
	foreach(cell, differences)
	{
		const CatalogDifference *difference = lfirst(cell);
		Relation	rel = table_open(difference->catalog->relid,
									 AccessShareLock);

		note_rows(&changed, rel, difference->catalog, difference->gone,
				  relations);
		note_rows(&changed, rel, difference->catalog, difference->added,
				  relations);
		table_close(rel, AccessShareLock);
	}
	note_differing_objects(&changed, manifest);
	after.before = read_again(&changed, manifest->before);
	refuse_changes(target, manifest_changes(&after));
}

/* Whose definition is not that of the label, such as those that name others. */
static void
note_differing_objects(ChangedObjects *changed, const LabelManifest *manifest)
{
	int			count = list_length(manifest->label);
	Definition **label = palloc((count + 1) * sizeof(Definition *));
	ListCell   *cell;

	foreach(cell, manifest->label)
		label[foreach_current_index(cell)] = lfirst(cell);
	foreach(cell, manifest->before)
	{
		const ManifestRow *row = lfirst(cell);
		Definition	key = {row->kind, row->identity};
		Definition **found = bsearch(&key, label, count, sizeof(Definition *),
									 compare_definition);

		if (found == NULL || strcmp((*found)->hash, hash_in_words(row)) != 0)
			note_object(changed, row->classid, row->objid);
	}
}

static int
compare_definition(const void *key, const void *element)
{
	return name_order(key, *(Definition *const *) element);
}

static void
note_rows(ChangedObjects *changed, Relation rel, const Catalog *catalog,
		  List *rows, HTAB *relations)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		HeapTuple	row = lfirst(cell);
		Oid			relid = catalog_row_relation(catalog, rel, row);
		RestoredRelation *relation = find_restored_relation(relations, relid);

		if (relation != NULL)
			note_object(changed, RelationRelationId,
						main_relation(relations, relation)->relid);
		if (OidIsValid(relid) && catalog->relid != PublicationRelRelationId &&
			catalog->relid != StatisticExtRelationId)
			continue;
		note_object(changed, TypeRelationId,
					owner_in_column(rel, row, "enumtypid"));
		note_object(changed, TypeRelationId,
					owner_in_column(rel, row, "rngtypid"));
		note_object(changed, TypeRelationId,
					owner_in_column(rel, row, "contypid"));
		note_object(changed, ProcedureRelationId,
					owner_in_column(rel, row, "aggfnoid"));
		if (catalog->class_id != 0)
			note_object(changed, catalog_row_oid(rel, row, catalog->class_id),
						catalog_row_oid(rel, row, catalog->object_id));
		else
			note_object(changed, catalog->relid,
						catalog_row_oid(rel, row, catalog->oid));
		for (int i = 0; i < lengthof(shown_with_others); i++)
		{
			if (shown_with_others[i].catalog == catalog->relid)
				changed->classes = list_append_unique_oid(changed->classes,
														  shown_with_others[i].shown_with);
		}
	}
}

static void
note_object(ChangedObjects *changed, Oid classid, Oid objid)
{
	if (!OidIsValid(objid))
		return;
	if (classid == RelationRelationId)
		(void) add_to_oid_set(changed->tables, objid);
	else if (classid == ProcedureRelationId)
		(void) add_to_oid_set(changed->functions, objid);
	else if (classid == TypeRelationId)
		(void) add_to_oid_set(changed->types, objid);
	else
		changed->classes = list_append_unique_oid(changed->classes, classid);
}

/* InvalidOid if the catalog has no such column. */
static Oid
owner_in_column(Relation rel, HeapTuple row, const char *column)
{
	return catalog_row_oid(rel, row, get_attnum(RelationGetRelid(rel), column));
}

static List *
read_again(const ChangedObjects *changed, List *before)
{
	List	   *rows = NIL;
	ListCell   *cell;

	foreach(cell, before)
	{
		if (!is_read_again(changed, lfirst(cell)))
			rows = lappend(rows, lfirst(cell));
	}
	rows = list_concat(rows, read_set(RelationRelationId, changed->tables));
	rows = list_concat(rows, read_set(ProcedureRelationId,
									  changed->functions));
	rows = list_concat(rows, read_set(TypeRelationId, changed->types));
	foreach(cell, changed->classes)
		rows = list_concat(rows, read_manifest(lfirst_oid(cell), NIL));
	return rows;
}

static List *
read_set(Oid classid, HTAB *objects)
{
	return hash_get_num_entries(objects) == 0 ? NIL :
		read_manifest(classid, list_oid_set(objects));
}

static bool
is_read_again(const ChangedObjects *changed, const ManifestRow *row)
{
	if (row->classid == RelationRelationId)
		return is_in_oid_set(changed->tables, row->objid);
	if (row->classid == ProcedureRelationId)
		return is_in_oid_set(changed->functions, row->objid);
	if (row->classid == TypeRelationId)
		return is_in_oid_set(changed->types, row->objid);
	return list_member_oid(changed->classes, row->classid);
}

static void
refuse_changes(const RestoreTarget *target, List *changes)
{
	StringInfoData names;
	ListCell   *cell;

	if (changes == NIL)
		return;
	initStringInfo(&names);
	foreach(cell, changes)
	{
		const ManifestChange *change = lfirst(cell);

		if (foreach_current_index(cell) == MAX_NAMED)
			break;
		appendStringInfo(&names, "%s%s %s", names.len ? ", " : "",
						 change->kind, change->identity);
	}
	ereport(ERROR,
			(errcode(ERRCODE_SM_CANNOT_UNDO),
			 errmsg("cannot roll back to restore point \"%s\": %d definitions would not be the same again, such as %s; nothing was changed",
					target->label, list_length(changes), names.data)));
}
