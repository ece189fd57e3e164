/*-------------------------------------------------------------------------
 *
 * node_pg_migrate.c
 *	  Format node-pg-migrate: <timestamp>_<name>.sql with the sections "-- Up
 *	  Migration" and "-- Down Migration".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

/* Digits of milliseconds since 1970, and of a date and time in UTC. */
#define EPOCH_DIGITS 13
#define UTC_DIGITS 17

typedef enum NodeSection
{
	SECTION_NONE,
	SECTION_UP,
	SECTION_DOWN
} NodeSection;

static int	find_node_mark(const char *text);
static NodeSection section_of_line(const TextLine *line);
static List *list_node(const Directory *directory);
static List *read_node(const MigrationFile *file, const char *text,
					   const char *down_text);

const MigrationFormat node_pg_migrate_format = {
	.name = "node-pg-migrate",
	.looks_for = "<timestamp>_<name>.sql with lines \"-- Up Migration\"",
	.find_mark = find_node_mark,
	.mark_is_weak = true,
	.list = list_node,
	.read = read_node
};

static int
find_node_mark(const char *text)
{
	TextLine	line = {.next = text};

	while (next_line(&line))
		if (section_of_line(&line) != SECTION_NONE)
			return line.number;
	return 0;
}

/* Dashes, up or down, and a word that begins with migration, in any case. */
static NodeSection
section_of_line(const TextLine *line)
{
	char	   *comment = comment_of_line(line, true);
	char	   *direction;
	char	   *noun;

	if (comment == NULL)
		return SECTION_NONE;
	comment += strspn(comment, "- \t");
	direction = next_word(&comment);
	noun = next_word(&comment);
	if (noun == NULL ||
		pg_strncasecmp(noun, "migration", strlen("migration")) != 0)
		return SECTION_NONE;
	if (pg_strcasecmp(direction, "up") == 0)
		return SECTION_UP;
	return pg_strcasecmp(direction, "down") == 0 ? SECTION_DOWN : SECTION_NONE;
}

/*
 * By value, the two kinds of timestamps cannot be compared.
 */
static List *
list_node(const Directory *directory)
{
	List	   *files = list_numbered_files(directory);
	MigrationFile *epoch = NULL;
	MigrationFile *utc = NULL;
	ListCell   *cell;

	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);

		if (strlen(file->version) == EPOCH_DIGITS)
			epoch = file;
		else if (strlen(file->version) == UTC_DIGITS)
			utc = file;
	}
	if (epoch != NULL && utc != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("files \"%s\" and \"%s\" have timestamps of two kinds, of which the order is not known: rename those of one kind",
						epoch->path, utc->path)));
	return files;
}

/*
 * Each section begins with the first line of its kind; either may come first.
 * A file without them is the way up.  The lines themselves stay, so that a
 * file that has only the first one is what it is to format plain.
 */
static List *
read_node(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	TextLine	line = {.next = text};
	int			lines[] = {0, 0, 0};
	NodeSection section = SECTION_NONE;
	Section		sections[3];

	for (int i = 0; i < lengthof(sections); i++)
		begin_section(&sections[i]);
	while (next_line(&line))
	{
		NodeSection next = section_of_line(&line);

		if (next != SECTION_NONE && lines[next] == 0)
		{
			section = next;
			lines[next] = line.number;
		}
		if (section == SECTION_NONE && !line_has_no_sql(&line) &&
			lines[SECTION_NONE] == 0)
			lines[SECTION_NONE] = line.number;
		append_line(&sections[section], &line);
	}
	if (section != SECTION_NONE && lines[SECTION_NONE] > 0)
		bad_line(file->path, lines[SECTION_NONE],
				 "there is SQL before the first section: put it behind \"-- Up Migration\"");
	if (lines[SECTION_DOWN] > 0 && lines[SECTION_UP] == 0)
		bad_line(file->path, lines[SECTION_DOWN],
				 "there is a section to go down, but none to go up: add the line \"-- Up Migration\"");
	if (lines[SECTION_DOWN] == 0)
		result->body = pstrdup(text);
	else
	{
		end_section(&sections[SECTION_UP], &result->body, &result->body_line);
		end_section(&sections[SECTION_DOWN], &result->down_body,
					&result->down_line);
	}
	return list_make1(result);
}
