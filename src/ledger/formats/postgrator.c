/*-------------------------------------------------------------------------
 *
 * postgrator.c
 *	  Format postgrator: <version>.do.<name>.sql and <version>.undo.<name>.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"

#define DO_PART ".do."
#define UNDO_PART ".undo."

static const char *detect_postgrator(const Directory *directory);
static List *list_postgrator(const Directory *directory);
static bool has_part(const DirectoryEntry *entry, const char *part);
static MigrationFile *file_of_entry(const DirectoryEntry *entry,
									const char *part);

const MigrationFormat postgrator_format = {
	.name = "postgrator",
	.looks_for = "<version>" DO_PART "<name>.sql",
	.detect = detect_postgrator,
	.list = list_postgrator
};

static const char *
detect_postgrator(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (has_part(entry, DO_PART))
			return entry->path;
	}
	return NULL;
}

static bool
has_part(const DirectoryEntry *entry, const char *part)
{
	int			digits = leading_digits(entry->name);

	return is_sql_file(entry) && digits > 0 &&
		strncmp(entry->name + digits, part, strlen(part)) == 0;
}

static List *
list_postgrator(const Directory *directory)
{
	List	   *files = NIL;
	List	   *downs = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "");
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (has_part(entry, DO_PART))
			files = lappend(files, file_of_entry(entry, DO_PART));
		else if (has_part(entry, UNDO_PART))
			downs = lappend(downs, file_of_entry(entry, UNDO_PART));
		else if (is_sql_file(entry))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is not named as postgrator has it: name it <version>" DO_PART "<name>.sql, or move it to another directory",
							entry->path)));
	}
	attach_downs(files, downs);
	return files;
}

/* The name may be missing: <version>.do.sql. */
static MigrationFile *
file_of_entry(const DirectoryEntry *entry, const char *part)
{
	MigrationFile *file = new_migration_file(entry->path);
	int			digits = leading_digits(entry->name);
	const char *name = entry->name + digits + strlen(part);

	file->version = pnstrdup(entry->name, digits);
	file->name = ends_with(name, SQL_SUFFIX) ?
		pnstrdup(name, strlen(name) - strlen(SQL_SUFFIX)) : pstrdup("");
	return file;
}
