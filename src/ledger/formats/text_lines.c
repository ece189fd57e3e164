/*-------------------------------------------------------------------------
 *
 * text_lines.c
 *	  A text by its lines, and sections of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "ledger/formats/text_lines.h"

#define WHITE_SPACE " \t\f\v\n\r"

static int	skip_space(const char *text, int length);
static void append_text(Section *section, int number, const char *text,
						int length);

/*
 * See text_lines.h.
 */
bool
next_line(TextLine *line)
{
	const char *end;

	if (line->next == NULL || line->next[0] == '\0')
		return false;
	line->start = line->next;
	end = strchr(line->start, '\n');
	line->length = end ? (int) (end - line->start) : (int) strlen(line->start);
	line->next = end ? end + 1 : NULL;
	line->number++;
	return true;
}

/* Offset of what is no white space, or the length. */
static int
skip_space(const char *text, int length)
{
	int			at = 0;

	while (at < length && strchr(WHITE_SPACE, text[at]) != NULL)
		at++;
	return at;
}

bool
line_is_blank(const TextLine *line)
{
	return skip_space(line->start, line->length) == line->length;
}

/*
 * See text_lines.h.
 */
bool
line_has_no_sql(const TextLine *line)
{
	int			at = skip_space(line->start, line->length);

	return at == line->length || strncmp(line->start + at, "--", 2) == 0;
}

/*
 * See text_lines.h.
 */
char *
comment_of_line(const TextLine *line, bool indented)
{
	int			at = indented ? skip_space(line->start, line->length) : 0;

	if (line->length - at < 2 || strncmp(line->start + at, "--", 2) != 0)
		return NULL;
	at += 2;
	return trimmed(pnstrdup(line->start + at, line->length - at));
}

/*
 * See text_lines.h.
 */
char *
next_word(char **at)
{
	char	   *start = *at + strspn(*at, WHITE_SPACE);
	size_t		length = strcspn(start, WHITE_SPACE);

	*at = start + length;
	return length > 0 ? pnstrdup(start, length) : NULL;
}

/*
 * See text_lines.h.
 */
char *
trimmed(char *text)
{
	size_t		length;

	text += strspn(text, WHITE_SPACE);
	length = strlen(text);
	while (length > 0 && strchr(WHITE_SPACE, text[length - 1]) != NULL)
		length--;
	text[length] = '\0';
	return text;
}

void
begin_section(Section *section)
{
	initStringInfo(&section->text);
	section->first_line = 1;
	section->lines = 0;
}

void
append_line(Section *section, const TextLine *line)
{
	append_text(section, line->number, line->start, line->length);
}

/*
 * See text_lines.h.
 */
void
append_instead(Section *section, const TextLine *line, const char *text)
{
	append_text(section, line->number, text, (int) strlen(text));
}

/* Empty lines at the top are left out. */
static void
append_text(Section *section, int number, const char *text, int length)
{
	if (section->text.len == 0)
	{
		section->lines = number - 1;
		section->first_line = number;
	}
	while (section->lines < number - 1)
	{
		appendStringInfoChar(&section->text, '\n');
		section->lines++;
	}
	if (section->text.len > 0 || skip_space(text, length) < length)
	{
		appendBinaryStringInfo(&section->text, text, length);
		appendStringInfoChar(&section->text, '\n');
	}
	section->lines++;
}

/*
 * See text_lines.h.
 */
void
end_section(Section *section, char **result, int *first_line)
{
	StringInfo	text = &section->text;

	while (text->len > 0 &&
		   strchr(WHITE_SPACE, text->data[text->len - 1]) != NULL)
		text->len--;
	text->data[text->len] = '\0';
	if (text->len > 0)
		appendStringInfoChar(text, '\n');
	*result = text->data;
	*first_line = section->first_line;
}

/*
 * See text_lines.h.
 */
void
bad_line(const char *path, int line, const char *complaint)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("file \"%s\", line %d: %s", path, line, complaint)));
}
