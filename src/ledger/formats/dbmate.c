/*-------------------------------------------------------------------------
 *
 * dbmate.c
 *	  Format dbmate: <version>_<name>.sql with the sections "-- migrate:up"
 *	  and "-- migrate:down".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define UP_MARK "migrate:up"
#define DOWN_MARK "migrate:down"

typedef enum DbmateSection
{
	SECTION_NONE,
	SECTION_UP,
	SECTION_DOWN
} DbmateSection;

static int	find_dbmate_mark(const char *text);
static List *read_dbmate(const MigrationFile *file, const char *text,
						 const char *down_text);
static DbmateSection section_of_line(const TextLine *line, char **options);
static bool read_options(const MigrationFile *file, const TextLine *line,
						 char *options);

const MigrationFormat dbmate_format = {
	.name = "dbmate",
	.looks_for = "<version>_<name>.sql with lines \"-- " UP_MARK "\"",
	.find_mark = find_dbmate_mark,
	.list = list_numbered_files,
	.read = read_dbmate
};

static int
find_dbmate_mark(const char *text)
{
	TextLine	line = {.next = text};
	char	   *options;

	while (next_line(&line))
		if (section_of_line(&line, &options) != SECTION_NONE)
			return line.number;
	return 0;
}

/* The section that begins with a line. */
static DbmateSection
section_of_line(const TextLine *line, char **options)
{
	char	   *comment = comment_of_line(line, false);
	char	   *word;
	DbmateSection section = SECTION_NONE;

	if (comment == NULL)
		return SECTION_NONE;
	*options = comment;
	word = next_word(options);
	if (word != NULL && strcmp(word, UP_MARK) == 0)
		section = SECTION_UP;
	else if (word != NULL && strcmp(word, DOWN_MARK) == 0)
		section = SECTION_DOWN;
	return section;
}

static List *
read_dbmate(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	TextLine	line = {.next = text};
	DbmateSection section = SECTION_NONE;
	Section		up;
	Section		down;

	begin_section(&up);
	begin_section(&down);
	while (next_line(&line))
	{
		char	   *options;
		DbmateSection next = section_of_line(&line, &options);

		if (next != SECTION_NONE)
		{
			/* dbmate runs the second pair and then cannot record it */
			if (next <= section)
				bad_line(file->path, line.number,
						 "a section begins for the second time: put it into a file of its own");
			if (next == SECTION_DOWN && section == SECTION_NONE)
				bad_line(file->path, line.number,
						 "the section " DOWN_MARK " is before " UP_MARK ": put it behind that");
			section = next;
			if (read_options(file, &line, options))
				continue;
			if (section == SECTION_UP)
				result->in_transaction = false;
			else
				append_instead(&down, &line, NO_TRANSACTION_DIRECTIVE);
		}
		else if (section == SECTION_UP)
			append_line(&up, &line);
		else if (section == SECTION_DOWN)
			append_line(&down, &line);
		else if (!line_has_no_sql(&line))
			bad_line(file->path, line.number,
					 "there is SQL before the line \"-- " UP_MARK "\": put it behind that");
	}
	if (section == SECTION_NONE)
		bad_line(file->path, 1, "there is no line \"-- " UP_MARK "\", as other files here have: add it");
	end_section(&up, &result->body, &result->body_line);
	if (section == SECTION_DOWN)
		end_section(&down, &result->down_body, &result->down_line);
	return list_make1(result);
}

/* Returns whether the section is to run in a transaction. */
static bool
read_options(const MigrationFile *file, const TextLine *line, char *options)
{
	bool		in_transaction = true;
	char	   *word;

	while ((word = next_word(&options)) != NULL)
	{
		if (strcmp(word, "transaction:false") == 0)
			in_transaction = false;
		else if (strcmp(word, "transaction:true") != 0)
			bad_line(file->path, line->number,
					 psprintf("option \"%s\" is not known: leave it out", word));
	}
	return in_transaction;
}
