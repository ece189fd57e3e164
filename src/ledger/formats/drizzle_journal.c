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

/* Where in the text the reader is. */
typedef struct JournalReader
{
	Journal    *journal;
	JournalEntry *entry;		/* that we are in, or NULL */
	char	   *string;			/* the last one, a key if a colon follows */
	char	   *key;			/* of the value that comes next, or NULL */
	char	   *list_key;		/* of the value of the journal that we are in */
	int			depth;
} JournalReader;

static void check_json(const char *path, char *text);
static void read_token(JournalReader *reader, const JsonLexContext *lexer);
static void begin_value(JournalReader *reader, int line);
static void read_string(JournalReader *reader, const JsonLexContext *lexer);

/*
 * See drizzle_journal.h.
 */
Journal *
read_journal(const char *path, char *text)
{
	JournalReader reader = {palloc0(sizeof(Journal))};
	JsonLexContext *lexer;

	check_json(path, text);
	reader.journal->dialect_line = 1;
	lexer = compat_json_lexer(text, strlen(text), GetDatabaseEncoding());
	while (json_lex(lexer) == JSON_SUCCESS &&
		   lexer->token_type != JSON_TOKEN_END)
		read_token(&reader, lexer);
	return reader.journal;
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
read_token(JournalReader *reader, const JsonLexContext *lexer)
{
	switch (lexer->token_type)
	{
		case JSON_TOKEN_OBJECT_START:
		case JSON_TOKEN_ARRAY_START:
			begin_value(reader, lexer->line_number);
			break;
		case JSON_TOKEN_OBJECT_END:
		case JSON_TOKEN_ARRAY_END:
			if (reader->depth-- == ENTRY_DEPTH)
				reader->entry = NULL;
			reader->key = NULL;
			break;
		case JSON_TOKEN_STRING:
			read_string(reader, lexer);
			break;
		case JSON_TOKEN_COLON:
			reader->key = reader->string;
			break;
		case JSON_TOKEN_COMMA:
			reader->key = NULL;
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

/* An object or an array begins; it may be an entry. */
static void
begin_value(JournalReader *reader, int line)
{
	if (reader->depth == JOURNAL_DEPTH)
		reader->list_key = reader->key;
	reader->key = NULL;
	reader->depth++;
	if (reader->depth != ENTRY_DEPTH || reader->list_key == NULL ||
		strcmp(reader->list_key, "entries") != 0)
		return;
	reader->entry = palloc0(sizeof(JournalEntry));
	reader->entry->line = line;
	reader->journal->entries = lappend(reader->journal->entries,
									   reader->entry);
}

/* A key, or one of the values that count. */
static void
read_string(JournalReader *reader, const JsonLexContext *lexer)
{
	reader->string = pstrdup(lexer->strval->data);
	if (reader->key == NULL)
		return;
	if (reader->depth == JOURNAL_DEPTH && strcmp(reader->key, "dialect") == 0)
	{
		reader->journal->dialect = reader->string;
		reader->journal->dialect_line = lexer->line_number;
	}
	else if (reader->depth == ENTRY_DEPTH && reader->entry != NULL &&
			 strcmp(reader->key, "tag") == 0)
		reader->entry->tag = reader->string;
}
