/*-------------------------------------------------------------------------
 *
 * drizzle_journal.c
 *	  The list of migrations that drizzle-kit keeps.
 *
 * The server's JSON parser, which is also in libpgcommon, says whether the
 * text is JSON; its lexer then gives the few values that are needed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/compat.h"
#include "ledger/formats/drizzle_journal.h"
#include "ledger/formats/text_lines.h"
#include "mb/pg_wchar.h"

/* How deep the objects lie: the journal, and those in its list of entries. */
#define JOURNAL_DEPTH 1
#define ENTRY_DEPTH 3

static void check_json(const char *path, char *text);
static void read_value(Journal *journal, JournalEntry *entry, int depth,
					   const char *key, const JsonLexContext *lexer);

/*
 * See drizzle_journal.h.
 */
Journal *
read_journal(const char *path, char *text)
{
	Journal    *journal = palloc0(sizeof(Journal));
	JsonLexContext *lexer;
	JournalEntry *entry = NULL;
	char	   *text_before = NULL; /* the last string, a key if ":" follows */
	char	   *key = NULL;
	char	   *list_key = NULL;	/* of the journal's list that we are in */
	int			depth = 0;

	check_json(path, text);
	journal->dialect_line = 1;
	lexer = compat_json_lexer(text, strlen(text), GetDatabaseEncoding());
	while (json_lex(lexer) == JSON_SUCCESS &&
		   lexer->token_type != JSON_TOKEN_END)
	{
		switch (lexer->token_type)
		{
			case JSON_TOKEN_OBJECT_START:
			case JSON_TOKEN_ARRAY_START:
				if (depth == JOURNAL_DEPTH)
					list_key = key;
				if (++depth == ENTRY_DEPTH && list_key != NULL &&
					strcmp(list_key, "entries") == 0)
				{
					entry = palloc0(sizeof(JournalEntry));
					entry->line = lexer->line_number;
					journal->entries = lappend(journal->entries, entry);
				}
				key = NULL;
				break;
			case JSON_TOKEN_OBJECT_END:
			case JSON_TOKEN_ARRAY_END:
				if (depth-- == ENTRY_DEPTH)
					entry = NULL;
				key = NULL;
				break;
			case JSON_TOKEN_STRING:
				text_before = pstrdup(lexer->strval->data);
				if (key != NULL)
					read_value(journal, entry, depth, key, lexer);
				break;
			case JSON_TOKEN_COLON:
				key = text_before;
				break;
			case JSON_TOKEN_COMMA:
				key = NULL;
				break;
			case JSON_TOKEN_INVALID:
			case JSON_TOKEN_NUMBER:
			case JSON_TOKEN_TRUE:
			case JSON_TOKEN_FALSE:
			case JSON_TOKEN_NULL:
			case JSON_TOKEN_END:
				break;
		}
	}
	return journal;
}

static void
check_json(const char *path, char *text)
{
	JsonLexContext *lexer = compat_json_lexer(text, strlen(text), GetDatabaseEncoding());

	if (pg_parse_json(lexer, &nullSemAction) != JSON_SUCCESS)
		bad_line(path, lexer->line_number,
				 "this is not JSON: mend it, or have drizzle-kit write it");
}

static void
read_value(Journal *journal, JournalEntry *entry, int depth, const char *key,
		   const JsonLexContext *lexer)
{
	if (depth == JOURNAL_DEPTH && strcmp(key, "dialect") == 0)
	{
		journal->dialect = pstrdup(lexer->strval->data);
		journal->dialect_line = lexer->line_number;
	}
	else if (depth == ENTRY_DEPTH && entry != NULL && strcmp(key, "tag") == 0)
		entry->tag = pstrdup(lexer->strval->data);
}
