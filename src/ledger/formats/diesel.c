/*-------------------------------------------------------------------------
 *
 * diesel.c
 *	  Format diesel: <version>_<name>/up.sql, down.sql and metadata.toml.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define UP_FILE "up.sql"
#define DOWN_FILE "down.sql"
#define METADATA_FILE "metadata.toml"
#define TRANSACTION_KEY "run_in_transaction"

static const char *detect_diesel(const Directory *directory);
static List *list_diesel(const Directory *directory);
static MigrationFile *file_of_entry(const DirectoryEntry *entry);
static bool runs_in_transaction(const char *path);
static bool value_of_line(const char *path, int number, const char *line,
						  bool *value);

const MigrationFormat diesel_format = {
	.name = "diesel",
	.looks_for = "<version>_<name>/" UP_FILE,
	.detect = detect_diesel,
	.list = list_diesel
};

static const char *
detect_diesel(const Directory *directory)
{
	return any_directory_has(directory, UP_FILE);
}

static List *
list_diesel(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!entry->is_directory)
		{
			refuse_stray_file(entry);
			continue;
		}
		if (file_exists(path_below(entry, UP_FILE)))
			files = lappend(files, file_of_entry(entry));
		else
			refuse_migration_without(entry, UP_FILE);
	}
	return files;
}

static MigrationFile *
file_of_entry(const DirectoryEntry *entry)
{
	MigrationFile *file = new_migration_file(path_below(entry, UP_FILE));
	char	   *metadata = path_below(entry, METADATA_FILE);
	char	   *version;
	char	   *to;

	/* Diesel itself leaves the dashes out */
	split_version(entry->name, &version, &file->name);
	file->version = to = palloc(strlen(version) + 1);
	for (const char *from = version; *from; from++)
		if (*from != '-')
			*to++ = *from;
	*to = '\0';

	if (file_exists(path_below(entry, DOWN_FILE)))
		file->down_path = path_below(entry, DOWN_FILE);
	file->in_transaction = !file_exists(metadata) ||
		runs_in_transaction(metadata);
	return file;
}

/*
 * Of the metadata only one key counts; the others are of no concern here.
 */
static bool
runs_in_transaction(const char *path)
{
	TextLine	line = {.next = read_migration_file(path)};
	bool		value = true;

	while (next_line(&line))
		(void) value_of_line(path, line.number,
							 pnstrdup(line.start, line.length), &value);
	return value;
}

/*
 * A line "run_in_transaction = true", with or without a comment behind.
 */
static bool
value_of_line(const char *path, int number, const char *line, bool *value)
{
	static const char *const space = " \t";
	size_t		length;

	line += strspn(line, space);
	if (strncmp(line, TRANSACTION_KEY, strlen(TRANSACTION_KEY)) != 0)
		return false;
	line += strlen(TRANSACTION_KEY);
	line += strspn(line, space);
	if (*line != '=')
		return false;
	line++;
	line += strspn(line, space);

	length = strcspn(line, " \t\r#");
	if (length == 4 && strncmp(line, "true", length) == 0)
		*value = true;
	else if (length == 5 && strncmp(line, "false", length) == 0)
		*value = false;
	else
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\", line %d: " TRANSACTION_KEY " must be true or false",
						path, number)));
	return true;
}
