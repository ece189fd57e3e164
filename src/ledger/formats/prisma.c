/*-------------------------------------------------------------------------
 *
 * prisma.c
 *	  Format prisma: <timestamp>_<name>/migration.sql.
 *
 * The version is the whole name of the directory, because Prisma orders by
 * it, and several directories of real projects share a timestamp.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/formats/formats.h"

#define MIGRATION_FILE "migration.sql"

static bool detect_prisma(const Directory *directory);
static List *list_prisma(const Directory *directory);

const MigrationFormat prisma_format = {
	"prisma", "<timestamp>_<name>/" MIGRATION_FILE,
	detect_prisma, list_prisma, NULL
};

static bool
detect_prisma(const Directory *directory)
{
	return any_directory_has(directory, MIGRATION_FILE);
}

static List *
list_prisma(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file;
		char	   *timestamp;

		if (!entry->is_directory)
			continue;
		if (!file_exists(path_below(entry, MIGRATION_FILE)))
		{
			refuse_migration_without(entry, MIGRATION_FILE);
			continue;
		}
		file = palloc0(sizeof(MigrationFile));
		file->version = entry->name;
		split_version(entry->name, &timestamp, &file->name);
		file->path = path_below(entry, MIGRATION_FILE);
		file->in_transaction = true;
		files = lappend(files, file);
	}
	return files;
}
