/*-------------------------------------------------------------------------
 *
 * atlas.c
 *	  Format atlas: <version>_<name>.sql beside an atlas.sum, with directives
 *	  "-- atlas:<word>".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define SUM_FILE "atlas.sum"
#define DIRECTIVE "atlas:"

static const char *detect_atlas(const Directory *directory);
static int	find_atlas_mark(const char *text);
static char *directive_of_line(const TextLine *line);
static List *list_atlas(const Directory *directory);
static List *read_atlas(const MigrationFile *file, const char *text,
						const char *down_text);
static void read_directive(MigrationFile *file, const TextLine *line,
						   char *directive);

const MigrationFormat atlas_format = {
	.name = "atlas",
	.looks_for = SUM_FILE " and <version>_<name>.sql",
	.is_fallback = true,
	.detect = detect_atlas,
	.find_mark = find_atlas_mark,
	.mark_is_weak = true,
	.list = list_atlas,
	.read = read_atlas
};

/* Atlas also keeps sums of directories of other formats: those come first. */
static const char *
detect_atlas(const Directory *directory)
{
	return path_if_exists(directory, SUM_FILE);
}

static int
find_atlas_mark(const char *text)
{
	TextLine	line = {.next = text};

	while (next_line(&line))
		if (directive_of_line(&line) != NULL)
			return line.number;
	return 0;
}

/* What follows DIRECTIVE, or NULL. */
static char *
directive_of_line(const TextLine *line)
{
	char	   *comment = comment_of_line(line, false);

	if (comment == NULL ||
		strncmp(comment, DIRECTIVE, strlen(DIRECTIVE)) != 0)
		return NULL;
	return comment + strlen(DIRECTIVE);
}

/* The version is any text up to an underscore, the name may be missing. */
static List *
list_atlas(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		MigrationFile *file;

		if (!is_sql_file(entry))
			continue;
		file = new_migration_file(entry->path);
		split_version(pnstrdup(entry->name,
							   strlen(entry->name) - strlen(SQL_SUFFIX)),
					  &file->version, &file->name);
		files = lappend(files, file);
	}
	return files;
}

/* Directives stay in the text: they are comments. */
static List *
read_atlas(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	TextLine	line = {.next = text};

	while (next_line(&line))
	{
		char	   *directive = directive_of_line(&line);

		if (directive != NULL)
			read_directive(result, &line, directive);
	}
	result->body = pstrdup(text);
	return list_make1(result);
}

static void
read_directive(MigrationFile *file, const TextLine *line, char *directive)
{
	char	   *word = next_word(&directive);
	char	   *value = trimmed(directive);

	if (word == NULL)
		word = pstrdup("");
	if (strcmp(word, "nolint") == 0 || strcmp(word, "sum") == 0)
		return;
	if (strcmp(word, "txmode") == 0)
	{
		if (strcmp(value, "none") == 0)
			file->in_transaction = false;
		else if (strcmp(value, "file") != 0)
			bad_line(file->path, line->number,
					 psprintf("txmode \"%s\" cannot be had: write file or none",
							  value));
		return;
	}
	if (strcmp(word, "delimiter") == 0)
		bad_line(file->path, line->number,
				 "statements end with a semicolon here: write them so, and take the delimiter out");
	if (strcmp(word, "checkpoint") == 0)
		bad_line(file->path, line->number,
				 "a checkpoint of Atlas stands for all migrations before it: move either it or those to another directory");
	bad_line(file->path, line->number,
			 psprintf("\"" DIRECTIVE "%s\" is not understood: write out what it stands for, and take it out",
					  word));
}
