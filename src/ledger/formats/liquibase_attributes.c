/*-------------------------------------------------------------------------
 *
 * liquibase_attributes.c
 *	  What a changeset says of itself behind its author and id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/formats/liquibase_attributes.h"
#include "ledger/formats/text_lines.h"

/* The attribute that is being read. */
typedef struct AttributeContext
{
	const char *path;
	int			line;
	const char *key;
	LiquibaseAttributes *attributes;
} AttributeContext;

typedef struct AttributeReader
{
	const char *key;
	void		(*read) (AttributeContext *context, const char *value);
} AttributeReader;

static void read_transaction(AttributeContext *context, const char *value);
static void read_on_change(AttributeContext *context, const char *value);
static void read_ignore(AttributeContext *context, const char *value);
static void read_dbms(AttributeContext *context, const char *value);
static void read_delimiter(AttributeContext *context, const char *value);
static void read_harmless(AttributeContext *context, const char *value);
static void refuse_always(AttributeContext *context, const char *value);
static void refuse_failure(AttributeContext *context, const char *value);
static void refuse_selection(AttributeContext *context, const char *value);
static char *next_value(char **at);
static bool is_true(AttributeContext *context, const char *value);

static const AttributeReader readers[] = {
	{"runInTransaction", read_transaction},
	{"runOnChange", read_on_change},
	{"runAlways", refuse_always},
	{"failOnError", refuse_failure},
	{"ignore", read_ignore},
	{"dbms", read_dbms},
	{"endDelimiter", read_delimiter},
	{"rollbackEndDelimiter", read_delimiter},
	{"context", refuse_selection},
	{"contextFilter", refuse_selection},
	{"contexts", refuse_selection},
	{"labels", refuse_selection},
	{"runWith", refuse_selection},
	{"runOrder", refuse_selection},
	{"splitStatements", read_harmless},
	{"stripComments", read_harmless},
	{"rollbackSplitStatements", read_harmless},
	{"logicalFilePath", read_harmless},
	{"objectQuotingStrategy", read_harmless},
	{"created", read_harmless}
};

/*
 * See liquibase_attributes.h.
 */
LiquibaseAttributes
read_liquibase_attributes(const char *path, int line, char *text)
{
	LiquibaseAttributes attributes = {.in_transaction = true};
	AttributeContext context = {path, line, NULL, &attributes};

	for (;;)
	{
		bool		known = false;
		size_t		length;
		char	   *key;
		char	   *value;

		text += strspn(text, " \t");
		length = strcspn(text, ": \t");
		if (text[0] == '\0')
			return attributes;
		key = pnstrdup(text, length);
		text += length;
		if (*text != ':')
			bad_line(path, line,
					 psprintf("\"%s\" is not understood: write <key>:<value>",
							  key));
		text++;
		value = next_value(&text);
		context.key = key;
		for (int i = 0; i < lengthof(readers) && !known; i++)
		{
			known = pg_strcasecmp(key, readers[i].key) == 0;
			if (known)
				readers[i].read(&context, value);
		}
		if (!known)
			bad_line(path, line,
					 psprintf("attribute \"%s\" is not known: take it out", key));
	}
}

/* In double quotes, or up to white space. */
static char *
next_value(char **at)
{
	char	   *start = *at;
	size_t		length;

	if (start[0] == '"' && strchr(start + 1, '"') != NULL)
	{
		length = strcspn(start + 1, "\"");
		*at = start + length + 2;
		return pnstrdup(start + 1, length);
	}
	length = strcspn(start, " \t");
	*at = start + length;
	return pnstrdup(start, length);
}

static bool
is_true(AttributeContext *context, const char *value)
{
	if (pg_strcasecmp(value, "true") != 0 && pg_strcasecmp(value, "false") != 0)
		bad_line(context->path, context->line,
				 psprintf("%s must be true or false", context->key));
	return pg_strcasecmp(value, "true") == 0;
}

static void
read_transaction(AttributeContext *context, const char *value)
{
	context->attributes->in_transaction = is_true(context, value);
}

static void
read_on_change(AttributeContext *context, const char *value)
{
	context->attributes->repeatable = is_true(context, value);
}

static void
read_ignore(AttributeContext *context, const char *value)
{
	if (is_true(context, value))
		context->attributes->skipped = true;
}

/* A list of names; !name is all but that. */
static void
read_dbms(AttributeContext *context, const char *value)
{
	bool		named = false;
	bool		excluded = false;
	bool		others_excluded = false;

	while (*value)
	{
		size_t		length = strcspn(value, ",");
		char	   *name = trimmed(pnstrdup(value, length));

		if (pg_strcasecmp(name, "postgresql") == 0 ||
			pg_strcasecmp(name, "all") == 0)
			named = true;
		else if (pg_strcasecmp(name, "!postgresql") == 0 ||
				 pg_strcasecmp(name, "none") == 0)
			excluded = true;
		else if (name[0] == '!')
			others_excluded = true;
		value += length;
		value += strspn(value, ",");
	}
	if (excluded || (!named && !others_excluded))
		context->attributes->skipped = true;
}

static void
read_delimiter(AttributeContext *context, const char *value)
{
	if (strcmp(value, ";") != 0)
		bad_line(context->path, context->line,
				 psprintf("%s is \"%s\", but statements end with a semicolon here: write them so, and take it out",
						  context->key, value));
}

/* The server parses the text by itself, and looks at no path. */
static void
read_harmless(AttributeContext *context, const char *value)
{
}

static void
refuse_always(AttributeContext *context, const char *value)
{
	if (is_true(context, value))
		bad_line(context->path, context->line,
				 "runAlways cannot be had: a migration runs once, or with runOnChange again when its text has changed");
}

static void
refuse_failure(AttributeContext *context, const char *value)
{
	if (!is_true(context, value))
		bad_line(context->path, context->line,
				 "failOnError:false cannot be had: a migration that fails is not applied; take it out");
}

static void
refuse_selection(AttributeContext *context, const char *value)
{
	bad_line(context->path, context->line,
			 psprintf("%s selects by what only Liquibase is told: take it out, and keep what is not for all databases in a directory of its own",
					  context->key));
}
