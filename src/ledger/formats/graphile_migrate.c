/*-------------------------------------------------------------------------
 *
 * graphile_migrate.c
 *	  Format graphile-migrate: committed/<number>-<name>.sql, each with a
 *	  header of lines "--! <Key>: <value>".
 *
 * Either the directory of the committed files is given, or the one above it;
 * what is there (current.sql, fixtures) has not been committed yet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/sql_text.h"
#include "ledger/formats/text_lines.h"

#define COMMITTED_DIRECTORY "committed"
#define HEADER_MARK "--! "
#define PREVIOUS_LINE HEADER_MARK "Previous:"
#define TOOL_NAME "graphile-migrate"

static const char *detect_graphile(const Directory *directory);
static const DirectoryEntry *committed_directory(const Directory *directory);
static int	find_graphile_mark(const char *text);
static bool begins_with(const TextLine *line, const char *text);
static List *list_graphile(const Directory *directory);
static MigrationFile *file_of_entry(const DirectoryEntry *entry);
static List *read_graphile(const MigrationFile *file, const char *text,
						   const char *down_text);

const MigrationFormat graphile_migrate_format = {
	.name = "graphile-migrate",
	.looks_for = COMMITTED_DIRECTORY "/<number>.sql with lines \"" PREVIOUS_LINE "\"",
	.detect = detect_graphile,
	.find_mark = find_graphile_mark,
	.list = list_graphile,
	.read = read_graphile
};

static const char *
detect_graphile(const Directory *directory)
{
	const DirectoryEntry *committed = committed_directory(directory);

	return committed ? committed->path : NULL;
}

/* That directory, if there are files in it. */
static const DirectoryEntry *
committed_directory(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (entry->is_directory &&
			strcmp(entry->name, COMMITTED_DIRECTORY) == 0 &&
			sql_files_below(read_directory(entry->path)) != NIL)
			return entry;
	}
	return NULL;
}

/* The header is at the top. */
static int
find_graphile_mark(const char *text)
{
	TextLine	line = {.next = text};

	while (next_line(&line) && begins_with(&line, HEADER_MARK))
		if (begins_with(&line, PREVIOUS_LINE))
			return line.number;
	return 0;
}

static bool
begins_with(const TextLine *line, const char *text)
{
	return line->length >= strlen(text) &&
		strncmp(line->start, text, strlen(text)) == 0;
}

static List *
list_graphile(const Directory *directory)
{
	const DirectoryEntry *committed = committed_directory(directory);
	List	   *files = NIL;
	ListCell   *cell;

	if (committed != NULL)
		directory = read_directory(committed->path);
	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (is_sql_file(entry))
			files = lappend(files, file_of_entry(entry));
	}
	return files;
}

/* <digits>.sql or <digits>-<name>.sql */
static MigrationFile *
file_of_entry(const DirectoryEntry *entry)
{
	MigrationFile *file = new_migration_file(entry->path);
	int			digits = leading_digits(entry->name);
	const char *name = entry->name + digits;

	if (digits == 0 || (name[0] != '-' && strcmp(name, SQL_SUFFIX) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" is not named as " TOOL_NAME " names what it commits, <number>.sql or <number>-<name>.sql: commit it, or move it to another directory",
						entry->path)));
	file->version = pnstrdup(entry->name, digits);
	if (name[0] == '-')
		name++;
	file->name = pnstrdup(name, strlen(name) - strlen(SQL_SUFFIX));
	return file;
}

/*
 * The header ends with the first line that is none.  What was included is in
 * the text, between comments.
 */
static List *
read_graphile(const MigrationFile *file, const char *text,
			  const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	TextLine	line = {.next = text};
	bool		in_header = true;
	Section		body;

	if (find_graphile_mark(text) == 0)
		bad_line(file->path, 1,
				 "there is no line \"" PREVIOUS_LINE "\" at its top: commit the file with " TOOL_NAME);
	refuse_placeholder(file->path, text, ":DATABASE_NAME", TOOL_NAME);
	refuse_placeholder(file->path, text, ":DATABASE_OWNER", TOOL_NAME);
	begin_section(&body);
	while (next_line(&line))
	{
		char	   *comment;

		if (in_header && begins_with(&line, HEADER_MARK) &&
			!begins_with(&line, HEADER_MARK "no-transaction"))
			continue;
		in_header = in_header && line_is_blank(&line);
		comment = comment_of_line(&line, false);
		if (comment != NULL && strcmp(comment, "! no-transaction") == 0)
			result->in_transaction = false;
		else if (comment != NULL && strncmp(comment, "!include ", 9) == 0)
			bad_line(file->path, line.number,
					 "an include of " TOOL_NAME " is not followed: commit the file, which puts it in");
		else
			append_line(&body, &line);
	}
	end_section(&body, &result->body, &result->body_line);
	return list_make1(result);
}
