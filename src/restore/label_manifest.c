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

#include "catalog/pg_type.h"
#include "common/errors.h"
#include "common/own_tables.h"
#include "drift/manifest.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "restore/label_manifest.h"

/* Objects that an error names. */
#define MAX_NAMED	5

/* A row of either side. */
typedef struct Definition
{
	const char *kind;
	const char *identity;
	const char *hash;
} Definition;

static List *read_label_definitions(const RestoreTarget *target, bool *known);
static List *read_current_definitions(void);
static int	compare_names(const ListCell *a, const ListCell *b);
static int	name_order(const Definition *left, const Definition *right);
static ManifestChange *make_change(const char *action,
								   const Definition *definition);

/*
 * See label_manifest.h.
 */
List *
manifest_changes(const RestoreTarget *target, bool *known)
{
	List	   *label = read_label_definitions(target, known);
	List	   *current;
	List	   *changes = NIL;
	int			i = 0;
	int			j = 0;

	if (!*known)
		return NIL;
	current = read_current_definitions();
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

static List *
read_current_definitions(void)
{
	List	   *definitions = NIL;
	ListCell   *cell;

	foreach(cell, read_manifest(InvalidOid, NULL))
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
 * See label_manifest.h.
 */
void
compare_manifest_with_label(const RestoreTarget *target)
{
	bool		known;
	List	   *changes = manifest_changes(target, &known);
	StringInfoData names;
	ListCell   *cell;

	if (!known)
		ereport(WARNING,
				(errmsg("the definitions of restore point \"%s\" could not be read when it was made: that they are the same again was not compared",
						target->label)));
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
