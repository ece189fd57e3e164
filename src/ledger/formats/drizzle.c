/*-------------------------------------------------------------------------
 *
 * drizzle.c
 *	  Format drizzle: <tag>.sql in the order of meta/_journal.json, or, newer,
 *	  <timestamp>_<name>/migration.sql with a snapshot.json.
 *
 * The lines "--> statement-breakpoint" between statements are comments.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/drizzle_journal.h"
#include "ledger/formats/names.h"
#include "ledger/formats/prisma.h"
#include "ledger/formats/text_lines.h"

#define JOURNAL_FILE "meta/_journal.json"

static const char *detect_drizzle(const Directory *directory);
static List *list_drizzle(const Directory *directory);
static List *list_journal(const Directory *directory, const char *path);
static MigrationFile *file_of_tag(const Directory *directory,
								  const char *journal_path,
								  const JournalEntry *entry);
static void refuse_unlisted(const Directory *directory, List *files,
							const char *journal_path);
static int	compare_paths(const ListCell *a, const ListCell *b);

const MigrationFormat drizzle_format = {
	.name = "drizzle",
	.looks_for = JOURNAL_FILE ", or <timestamp>_<name>/" SNAPSHOT_FILE,
	.detect = detect_drizzle,
	.list = list_drizzle
};

static const char *
detect_drizzle(const Directory *directory)
{
	char	   *path = path_if_exists(directory, JOURNAL_FILE);

	return path ? path : any_directory_has(directory, SNAPSHOT_FILE);
}

static List *
list_drizzle(const Directory *directory)
{
	char	   *path = path_if_exists(directory, JOURNAL_FILE);

	return path ? list_journal(directory, path) :
		list_migration_directories(directory);
}

static List *
list_journal(const Directory *directory, const char *path)
{
	Journal    *journal = read_journal(path, read_migration_file(path));
	List	   *files = NIL;
	ListCell   *cell;

	if (journal->dialect == NULL ||
		(strcmp(journal->dialect, "postgresql") != 0 &&
		 strcmp(journal->dialect, "pg") != 0))
		bad_line(path, journal->dialect_line,
				 psprintf("the dialect is %s, not postgresql: have drizzle-kit generate the migrations for that",
						  journal->dialect ? journal->dialect : "not told"));
	foreach(cell, journal->entries)
	{
		MigrationFile *file = file_of_tag(directory, path, lfirst(cell));

		files = lappend(files, file);
		file->listed_at = list_length(files);
	}
	refuse_unlisted(directory, files, path);
	return files;
}

/* The tag names the file, and is the version: it may have no number. */
static MigrationFile *
file_of_tag(const Directory *directory, const char *journal_path,
			const JournalEntry *entry)
{
	MigrationFile *file;
	char	   *number;

	if (entry->tag == NULL || entry->tag[0] == '\0' || entry->tag[0] == '.' ||
		strchr(entry->tag, '/') != NULL)
		bad_line(journal_path, entry->line,
				 "an entry has no tag that is the name of a file: mend it");
	file = new_migration_file(psprintf("%s/%s" SQL_SUFFIX, directory->path,
									   entry->tag));
	if (!file_exists(file->path))
		bad_line(journal_path, entry->line,
				 psprintf("there is no file %s" SQL_SUFFIX ": add it, or remove the entry",
						  entry->tag));
	file->version = entry->tag;
	split_version(entry->tag, &number, &file->name);
	return file;
}

/* Drizzle would pass it over without a word. */
static void
refuse_unlisted(const Directory *directory, List *files,
				const char *journal_path)
{
	List	   *listed = list_copy(files);
	ListCell   *cell;
	int			at = 0;

	list_sort(listed, compare_paths);
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!is_sql_file(entry))
			continue;
		while (at < list_length(listed) &&
			   strcmp(((MigrationFile *) list_nth(listed, at))->path,
					  entry->path) < 0)
			at++;
		if (at >= list_length(listed) ||
			strcmp(((MigrationFile *) list_nth(listed, at))->path,
				   entry->path) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" is not in \"%s\": add it with drizzle-kit, or move it to another directory",
							entry->path, journal_path)));
	}
}

static int
compare_paths(const ListCell *a, const ListCell *b)
{
	return strcmp(((MigrationFile *) lfirst(a))->path,
				  ((MigrationFile *) lfirst(b))->path);
}
