/*-------------------------------------------------------------------------
 *
 * plain.c
 *	  Format plain: <version>_<name>.sql, and <version>_<name>.down.sql for
 *	  the way back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/formats.h"

#define SUFFIX ".sql"
#define UP_SUFFIX ".up.sql"
#define DOWN_SUFFIX ".down.sql"

/* A line that parts a file of another tool into sections. */
typedef struct SectionLine
{
	const char *line;
	const char *tool;
} SectionLine;

static const SectionLine foreign_sections[] = {
	{"-- migrate:up", "dbmate"},
	{"-- migrate:down", "dbmate"},
	{"-- +goose Up", "goose"},
	{"-- +goose Down", "goose"},
	{"-- +migrate Up", "sql-migrate"},
	{"-- +migrate Down", "sql-migrate"},
	{"---- create above / drop below ----", "tern"},
	{"--liquibase formatted sql", "Liquibase"}
};

static bool detect_plain(const Directory *directory);
static List *list_plain(const Directory *directory);
static void check_plain_text(const char *path, const char *text);
static bool has_version(const char *name);
static bool ends_with(const char *text, const char *suffix);
static char *path_of_down(const Directory *directory, const char *stem);

const MigrationFormat plain_format = {
	"plain", "<version>_<name>.sql",
	detect_plain, list_plain, check_plain_text
};

static bool
detect_plain(const Directory *directory)
{
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);

		if (!entry->is_directory && ends_with(entry->name, SUFFIX) &&
			has_version(entry->name))
			return true;
	}
	return false;
}

/* A number, with or without v before it. */
static bool
has_version(const char *name)
{
	if (name[0] == 'v' || name[0] == 'V')
		name++;
	return isdigit((unsigned char) name[0]);
}

static bool
ends_with(const char *text, const char *suffix)
{
	size_t		length = strlen(text);

	return length > strlen(suffix) &&
		strcmp(text + length - strlen(suffix), suffix) == 0;
}

static List *
list_plain(const Directory *directory)
{
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, directory->entries)
	{
		DirectoryEntry *entry = lfirst(cell);
		const char *suffix = ends_with(entry->name, UP_SUFFIX) ? UP_SUFFIX : SUFFIX;
		MigrationFile *file;
		char	   *stem;

		if (entry->is_directory || !ends_with(entry->name, SUFFIX) ||
			ends_with(entry->name, DOWN_SUFFIX))
			continue;
		if (!has_version(entry->name))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" has no version: name it <version>_<name>.sql, or move it to another directory",
							entry->path)));

		file = palloc0(sizeof(MigrationFile));
		stem = pnstrdup(entry->name, strlen(entry->name) - strlen(suffix));
		split_version(stem, &file->version, &file->name);
		file->path = entry->path;
		file->down_path = path_of_down(directory, stem);
		file->in_transaction = true;
		files = lappend(files, file);
	}
	return files;
}

static char *
path_of_down(const Directory *directory, const char *stem)
{
	char	   *path = psprintf("%s/%s" DOWN_SUFFIX, directory->path, stem);

	return file_exists(path) ? path : NULL;
}

/*
 * A file that has both ways in it would run both, one after the other.
 */
static void
check_plain_text(const char *path, const char *text)
{
	for (int i = 0; i < lengthof(foreign_sections); i++)
	{
		const char *at = strstr(text, foreign_sections[i].line);

		if (at != NULL && (at == text || at[-1] == '\n'))
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\", line %d: this is a file of %s, which cannot be read yet: take the other sections out, or register the text with migrate.register()",
							path, line_of_offset(text, at - text),
							foreign_sections[i].tool)));
	}
}
