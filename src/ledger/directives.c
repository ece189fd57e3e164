/*-------------------------------------------------------------------------
 *
 * directives.c
 *	  What comments in the text of a migration ask for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/errors.h"
#include "common/script.h"
#include "ledger/directives.h"
#include "lib/stringinfo.h"

/* What is wrong with a directive, in words, or NULL. */
typedef char *(*DirectiveReader) (MigrationDirectives *result,
								  const char *value);

typedef struct DirectiveKind
{
	const char *word;
	bool		of_file;		/* before the first statement, else before any */
	DirectiveReader read;
} DirectiveKind;

static char *read_override(MigrationDirectives *result, const char *value);
static char *read_no_transaction(MigrationDirectives *result,
								 const char *value);
static char *read_out_of_order(MigrationDirectives *result, const char *value);
static char *read_requires(MigrationDirectives *result, const char *value);
static const DirectiveKind *find_kind(const ScriptDirective *directive,
									  const char *origin);
static char *known_words(void);
static void check_place(const ScriptDirective *directive,
						const DirectiveKind *kind, const char *origin);
static void bad_directive(const ScriptDirective *directive, const char *origin,
						  const char *complaint);

static const DirectiveKind kinds[] = {
	{"override", false, read_override},
	{"no-transaction", true, read_no_transaction},
	{"requires", true, read_requires},
	{"out-of-order", true, read_out_of_order}
};

/*
 * See directives.h.
 */
MigrationDirectives
read_directives(const char *body, int first_line, const char *origin)
{
	MigrationDirectives result = {0};
	ListCell   *cell;

	foreach(cell, list_directives(body, origin, first_line))
	{
		const ScriptDirective *directive = lfirst(cell);
		const DirectiveKind *kind = find_kind(directive, origin);
		char	   *complaint;

		check_place(directive, kind, origin);
		complaint = kind->read(&result, directive->value);
		if (complaint != NULL)
			bad_directive(directive, origin, complaint);
	}
	return result;
}

static const DirectiveKind *
find_kind(const ScriptDirective *directive, const char *origin)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].word, directive->word) == 0)
			return &kinds[i];
	}
	bad_directive(directive, origin,
				  psprintf("there is no directive \"%s\", but %s: write one of these, or begin the comment with another word",
						   directive->word, known_words()));
	return NULL;
}

static char *
known_words(void)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = 0; i < lengthof(kinds); i++)
		appendStringInfo(&words, "%s%s", i > 0 ? ", " : "", kinds[i].word);
	return words.data;
}

static void
check_place(const ScriptDirective *directive, const DirectiveKind *kind,
			const char *origin)
{
	if (kind->of_file && !directive->first)
		bad_directive(directive, origin,
					  psprintf("\"%s\" is about the whole migration: write it before the first statement",
							   kind->word));
	if (!kind->of_file &&
		(directive->behind_statement || !directive->has_statement))
		bad_directive(directive, origin,
					  psprintf("\"%s\" is about the statement that follows it: write it on a line of its own before that statement",
							   kind->word));
}

/* Its value counts when its statement is run. */
static char *
read_override(MigrationDirectives *result, const char *value)
{
	return value[0] == '\0' ?
		"an override needs a reason: write safe_migrate: override <reason>" :
		NULL;
}

static char *
read_no_transaction(MigrationDirectives *result, const char *value)
{
	result->no_transaction = true;
	return value[0] == '\0' ? NULL :
		"nothing may follow \"no-transaction\" on its line";
}

static char *
read_out_of_order(MigrationDirectives *result, const char *value)
{
	result->out_of_order = true;
	return value[0] == '\0' ? NULL :
		"nothing may follow \"out-of-order\" on its line";
}

/* A list, separated by commas. */
static char *
read_requires(MigrationDirectives *result, const char *value)
{
	const char *at = value;

	for (;;)
	{
		size_t		length;
		const char *end;

		at += strspn(at, " \t");
		length = strcspn(at, ",");
		end = at + length;
		while (length > 0 && strchr(" \t", at[length - 1]) != NULL)
			length--;
		if (length == 0)
			return "\"requires\" needs versions: write safe_migrate: requires <version>[, ...]";
		result->requires = lappend(result->requires, pnstrdup(at, length));
		if (*end == '\0')
			return NULL;
		at = end + 1;
	}
}

static void
bad_directive(const ScriptDirective *directive, const char *origin,
			  const char *complaint)
{
	ereport(ERROR,
			(errcode(ERRCODE_SM_BAD_MIGRATION),
			 errmsg("%s, line %d: %s", origin, directive->line, complaint)));
}
