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

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/prisma.h"
#include "ledger/formats/text_lines.h"

#define LOCK_FILE "migration_lock.toml"

static const char *detect_prisma(const Directory *directory);
static List *list_prisma(const Directory *directory);
static void check_provider(const char *path);

const MigrationFormat prisma_format = {
	.name = "prisma",
	.looks_for = "<timestamp>_<name>/" MIGRATION_FILE,
	.detect = detect_prisma,
	.list = list_prisma
};

/* Drizzle's directories have the same file, and a snapshot. */
static const char *
detect_prisma(const Directory *directory)
{
	char	   *path = any_directory_has(directory, MIGRATION_FILE);

	if (path != NULL && path_if_exists(directory, LOCK_FILE) == NULL &&
		any_directory_has(directory, SNAPSHOT_FILE) != NULL)
		return NULL;
	return path;
}

static List *
list_prisma(const Directory *directory)
{
	char	   *lock_file = path_if_exists(directory, LOCK_FILE);

	if (lock_file != NULL)
		check_provider(lock_file);
	return list_migration_directories(directory);
}

/*
 * See prisma.h.
 */
List *
list_migration_directories(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file;
		char	   *timestamp;

		if (!entry->is_directory)
		{
			refuse_stray_file(entry);
			continue;
		}
		if (!file_exists(path_below(entry, MIGRATION_FILE)))
		{
			refuse_migration_without(entry, MIGRATION_FILE);
			continue;
		}
		file = new_migration_file(path_below(entry, MIGRATION_FILE));
		file->version = entry->name;
		split_version(entry->name, &timestamp, &file->name);
		files = lappend(files, file);
	}
	return files;
}

/* A line: provider = "postgresql" */
static void
check_provider(const char *path)
{
	TextLine	line = {.next = read_migration_file(path)};

	while (next_line(&line))
	{
		char	   *text = trimmed(pnstrdup(line.start, line.length));
		char	   *value = strchr(text, '"');

		if (strncmp(text, "provider", strlen("provider")) != 0 || value == NULL)
			continue;
		value = pnstrdup(value + 1, strcspn(value + 1, "\""));
		if (strcmp(value, "postgresql") != 0 && strcmp(value, "postgres") != 0)
			bad_line(path, line.number,
					 psprintf("the migrations are for %s, not for PostgreSQL: have Prisma write them anew for postgresql",
							  value));
	}
}
