/*-------------------------------------------------------------------------
 *
 * golang_migrate.c
 *	  Format golang-migrate: <version>_<name>.up.sql and .down.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"

#define UP_SUFFIX ".up.sql"
#define DOWN_SUFFIX ".down.sql"

static const char *detect_golang_migrate(const Directory *directory);
static List *list_golang_migrate(const Directory *directory);
static bool has_suffix(const DirectoryEntry *entry, const char *suffix);
static MigrationFile *file_of_entry(const DirectoryEntry *entry,
									const char *suffix);

const MigrationFormat golang_migrate_format = {
	.name = "golang-migrate",
	.looks_for = "<version>_<name>" UP_SUFFIX,
	.detect = detect_golang_migrate,
	.list = list_golang_migrate
};

/*
 * Format plain takes such names as well, so that one file with another name
 * makes it that.
 */
static const char *
detect_golang_migrate(const Directory *directory)
{
	const char *found = NULL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!is_sql_file(entry))
			continue;
		if (has_suffix(entry, UP_SUFFIX))
			found = entry->path;
		else if (!has_suffix(entry, DOWN_SUFFIX))
			return NULL;
	}
	return found;
}

static bool
has_suffix(const DirectoryEntry *entry, const char *suffix)
{
	int			digits = leading_digits(entry->name);

	return digits > 0 && entry->name[digits] == '_' &&
		ends_with(entry->name + digits, suffix);
}

static List *
list_golang_migrate(const Directory *directory)
{
	List	   *files = NIL;
	List	   *downs = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "");
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!is_sql_file(entry))
			continue;
		if (has_suffix(entry, UP_SUFFIX))
			files = lappend(files, file_of_entry(entry, UP_SUFFIX));
		else if (has_suffix(entry, DOWN_SUFFIX))
			downs = lappend(downs, file_of_entry(entry, DOWN_SUFFIX));
		else
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is not named as golang-migrate has it: name it <version>_<name>" UP_SUFFIX ", or move it to another directory",
							entry->path)));
	}
	attach_downs(files, downs);
	return files;
}

static MigrationFile *
file_of_entry(const DirectoryEntry *entry, const char *suffix)
{
	MigrationFile *file = new_migration_file(entry->path);
	int			digits = leading_digits(entry->name);

	file->version = pnstrdup(entry->name, digits);
	file->name = pnstrdup(entry->name + digits + 1,
						  strlen(entry->name) - digits - 1 - strlen(suffix));
	return file;
}
