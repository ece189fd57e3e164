/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Lines of a text: what of script.h needs no parser.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/script.h"

/*
 * See script.h.
 */
int
line_of_offset(const char *text, int offset)
{
	int			line = 1;

	for (int i = 0; i < offset && text[i]; i++)
		if (text[i] == '\n')
			line++;
	return line;
}

/*
 * See script.h.
 */
char *
normalize_newlines(const char *text)
{
	char	   *result = palloc(strlen(text) + 1);
	char	   *to = result;

	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	for (; *text; text++)
	{
		if (*text == '\r')
		{
			*to++ = '\n';
			if (text[1] == '\n')
				text++;
		}
		else
			*to++ = *text;
	}
	*to = '\0';
	return result;
}
