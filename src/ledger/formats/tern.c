/*-------------------------------------------------------------------------
 *
 * tern.c
 *	  Format tern: <number>_<name>.sql, the way back behind a line that parts
 *	  the file.  Templates are refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/names.h"
#include "ledger/formats/text_lines.h"

#define PARTING_LINE "---- create above / drop below ----"
#define NO_TRANSACTION_LINE "---- tern: disable-tx ----"
#define TEMPLATE_MARK "{{"

static int	find_tern_mark(const char *text);
static bool line_is(const TextLine *line, const char *text);
static List *list_tern(const Directory *directory);
static List *read_tern(const MigrationFile *file, const char *text,
					   const char *down_text);

const MigrationFormat tern_format = {
	.name = "tern",
	.looks_for = "<number>_<name>.sql with lines \"" PARTING_LINE "\"",
	.find_mark = find_tern_mark,
	.mark_is_optional = true,
	.list = list_tern,
	.read = read_tern
};

static int
find_tern_mark(const char *text)
{
	TextLine	line = {.next = text};

	while (next_line(&line))
		if (line_is(&line, PARTING_LINE) || line_is(&line, NO_TRANSACTION_LINE))
			return line.number;
	return 0;
}

static bool
line_is(const TextLine *line, const char *text)
{
	size_t		length = strlen(text);

	return line->length >= length && strncmp(line->start, text, length) == 0 &&
		strspn(line->start + length, " \t") == line->length - length;
}

/* The numbers begin with 1 and have no gaps; two of a kind are found later. */
static List *
list_tern(const Directory *directory)
{
	List	   *files = list_numbered_files(directory);
	ListCell   *cell;
	int64		expected = 1;

	list_by_version(files);
	foreach(cell, files)
	{
		MigrationFile *file = lfirst(cell);
		int64		number = strtoll(file->version, NULL, 10);

		if (number == expected)
			expected++;
		else if (number != expected - 1 || number == 0)
			ereport(ERROR,
					(errcode(ERRCODE_SM_BAD_MIGRATION),
					 errmsg("file \"%s\" has number %s, but tern counts from 1 without gaps: there is no file of number " INT64_FORMAT,
							file->path, file->version, expected)));
	}
	return files;
}

/* A file without the line cannot be reverted. */
static List *
read_tern(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);
	const char *template = strstr(text, TEMPLATE_MARK);
	TextLine	line = {.next = text};
	Section		up;
	Section		down;
	bool		in_down = false;

	if (template != NULL)
		bad_line(file->path, line_of_offset(text, template - text),
				 "\"" TEMPLATE_MARK "\" begins a template of tern, which is not filled in here: write what it stands for");
	begin_section(&up);
	begin_section(&down);
	while (next_line(&line))
	{
		if (!in_down && line_is(&line, PARTING_LINE))
			in_down = true;
		else if (!line_is(&line, NO_TRANSACTION_LINE))
			append_line(in_down ? &down : &up, &line);
		else if (in_down)
			append_instead(&down, &line, NO_TRANSACTION_DIRECTIVE);
		else
			result->in_transaction = false;
	}
	/* such a file is what it is to format plain */
	if (find_tern_mark(text) == 0)
		result->body = pstrdup(text);
	else
		end_section(&up, &result->body, &result->body_line);
	if (in_down)
		end_section(&down, &result->down_body, &result->down_line);
	return list_make1(result);
}
