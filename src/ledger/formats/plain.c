/*-------------------------------------------------------------------------
 *
 * plain.c
 *	  Format plain: <version>_<name>.sql, and <version>_<name>.down.sql for
 *	  the way back.
 *
 * So are the files of supabase and of wrangler, and what Django, Alembic and
 * others print of their migrations when somebody keeps it in such files.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define UP_SUFFIX ".up.sql"
#define DOWN_SUFFIX ".down.sql"

static const char *detect_plain(const Directory *directory);
static List *list_plain(const Directory *directory);
static bool has_version(const char *name);
static MigrationFile *file_of_entry(const Directory *directory,
									const DirectoryEntry *entry);

const MigrationFormat plain_format = {
	.name = "plain",
	.looks_for = "<version>_<name>.sql",
	.is_fallback = true,
	.detect = detect_plain,
	.list = list_plain
};

/* These are never found out: they are plain. */

const MigrationFormat supabase_format = {
	.name = "supabase",
	.looks_for = "<timestamp>_<name>.sql",
	.list = list_plain
};

const MigrationFormat wrangler_format = {
	.name = "wrangler",
	.looks_for = "<number>_<name>.sql",
	.list = list_plain
};

static const char *
detect_plain(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (is_sql_file(entry) && has_version(entry->name))
			return entry->path;
	}
	return NULL;
}

/* A number, with or without v before it. */
static bool
has_version(const char *name)
{
	if (name[0] == 'v' || name[0] == 'V')
		name++;
	return isdigit((unsigned char) name[0]);
}

static List *
list_plain(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	refuse_code_files(directory, "vV");
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!is_sql_file(entry) || ends_with(entry->name, DOWN_SUFFIX))
			continue;
		if (!has_version(entry->name))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" has no version: name it <version>_<name>.sql, or move it to another directory",
							entry->path)));
		files = lappend(files, file_of_entry(directory, entry));
	}
	return files;
}

static MigrationFile *
file_of_entry(const Directory *directory, const DirectoryEntry *entry)
{
	const char *suffix = ends_with(entry->name, UP_SUFFIX) ? UP_SUFFIX :
	SQL_SUFFIX;
	MigrationFile *file = new_migration_file(entry->path);
	char	   *stem = pnstrdup(entry->name,
								strlen(entry->name) - strlen(suffix));

	split_version(stem, &file->version, &file->name);
	file->down_path = path_if_exists(directory,
									 psprintf("%s" DOWN_SUFFIX, stem));
	return file;
}
