/*-------------------------------------------------------------------------
 *
 * script.c
 *	  SQL text as tokens, comments and statements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/compat.h"
#include "common/errors.h"
#include "common/script.h"
#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* A script that is not longer, in bytes, is shown with its syntax error. */
#define SCRIPT_MAX_SHOWN	10000

/* Begins a directive in a comment. */
#define DIRECTIVE_MARK	"safe_migrate:"

static void rethrow_with_line(const char *text, const char *what,
							  int first_line, MemoryContext context);
static char *directive_in_gap(const char *gap, int length, const char *word);
static char *directive_value(const char *at);
static List *directives_in_gap(List *directives, const SqlTokens *tokens,
							   int next, int start, int end,
							   int first_line);
static bool begins_its_line(const char *text, int start, int at);

/*
 * See script.h.
 */
SqlTokens *
scan_sql(const char *text)
{
	SqlTokens  *result = palloc0(sizeof(SqlTokens));
	int			allocated = 64;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;

	result->text = text;
	result->tokens = palloc(allocated * sizeof(SqlToken));

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	/* the parser has warned already */
	compat_scan_without_warnings(&extra);
	for (;;)
	{
		int			code = core_yylex(&value, &location, scanner);

		if (code == 0)
			break;
		if (result->count == allocated)
		{
			allocated *= 2;
			result->tokens = repalloc(result->tokens,
									  allocated * sizeof(SqlToken));
		}
		result->tokens[result->count].code = code;
		result->tokens[result->count].location = location;

		/*
		 * flex puts a NUL behind the token it has just matched, which
		 * pg_stat_statements relies on as well (15-19).
		 */
		result->tokens[result->count].length =
			(int) strlen(extra.scanbuf + location);
		result->count++;
	}
	scanner_finish(scanner);
	return result;
}

/*
 * See script.h.
 */
bool
token_is(const SqlTokens *tokens, int index, const char *word)
{
	const SqlToken *token;

	if (index < 0 || index >= tokens->count)
		return false;
	token = &tokens->tokens[index];
	return token->length == (int) strlen(word) &&
		pg_strncasecmp(tokens->text + token->location, word,
					   token->length) == 0;
}

/*
 * See script.h.
 */
List *
parse_script(const char *text, const char *what, int first_line)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *volatile raws = NIL;
	List	   *result = NIL;
	ListCell   *cell;
	size_t		length = strlen(text);
	int			offset = 0;
	int			line = first_line;
	int			counted = 0;

	if (length > SCRIPT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("%s has %zu bytes, more than the %d MB that are read at once; split it",
						what, length, SCRIPT_MAX_BYTES / (1024 * 1024))));

	PG_TRY();
	{
		raws = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		rethrow_with_line(text, what, first_line, context);
	}
	PG_END_TRY();

	foreach(cell, raws)
	{
		RawStmt    *raw = lfirst_node(RawStmt, cell);
		ScriptStatement *statement = palloc0(sizeof(ScriptStatement));
		int			first;
		int			end;

		/*
		 * Location and length leave out leading comments on 18 and later, so
		 * take everything since the previous statement's semicolon.  A length
		 * of 0 means the rest of the text.
		 */
		end = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len
			: (int) length;
		statement->raw = raw;
		statement->offset = offset;
		statement->text = pnstrdup(text + offset, end - offset);
		statement->end = end < (int) length ? end + 1 : end;

		first = offset + first_token_offset(statement->text);
		for (; counted < first; counted++)
			if (text[counted] == '\n')
				line++;
		statement->line = line;
		offset = statement->end;
		result = lappend(result, statement);
	}
	return result;
}

/*
 * Throw the current error again with the line number in its message, because
 * most clients print nothing but the message.
 */
static void
rethrow_with_line(const char *text, const char *what, int first_line,
				  MemoryContext context)
{
	ErrorData  *error;
	int			position;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();

	/* inside a function, its context callback has moved the position */
	position = error->cursorpos > 0 ? error->cursorpos : error->internalpos;
	if (position > 0)
	{
		int			offset = 0;

		/* positions count characters */
		for (int i = 1; i < position && text[offset]; i++)
			offset += pg_mblen(text + offset);
		error->message = psprintf("%s, line %d: %s", what,
								  first_line - 1 + line_of_offset(text, offset),
								  error->message);
		error->cursorpos = 0;

		/* the text goes to the client and to the log: not if it is long */
		error->internalpos = strlen(text) <= SCRIPT_MAX_SHOWN ? position : 0;
		error->internalquery = strlen(text) <= SCRIPT_MAX_SHOWN ? pstrdup(text) : NULL;
	}
	else
		error->message = psprintf("%s: %s", what, error->message);
	ReThrowError(error);
}

/*
 * See script.h.
 */
int
first_token_offset(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	if (core_yylex(&value, &location, scanner) == 0)
		location = 0;
	scanner_finish(scanner);
	return location;
}

/*
 * See script.h.
 */
char *
find_directive(const char *text, const char *word)
{
	SqlTokens  *tokens;
	int			end = 0;

	/* the common case: nothing of ours in it, no need to scan */
	if (strstr(text, DIRECTIVE_MARK) == NULL)
		return NULL;

	/* comments are what lies between the tokens */
	tokens = scan_sql(text);
	for (int i = 0; i <= tokens->count; i++)
	{
		int			start = i < tokens->count ? tokens->tokens[i].location
		: (int) strlen(text);
		char	   *value = directive_in_gap(text + end, start - end, word);

		if (value != NULL)
			return value;
		if (i < tokens->count)
			end = start + tokens->tokens[i].length;
	}
	return NULL;
}

/*
 * Look for "safe_migrate: word value" in the white space and comments between
 * two tokens; the value ends with the line or the comment.
 */
static char *
directive_in_gap(const char *gap, int length, const char *word)
{
	char	   *comment = pnstrdup(gap, length);
	char	   *at = comment;

	while ((at = strstr(at, DIRECTIVE_MARK)) != NULL)
	{
		size_t		word_length = strlen(word);

		at += strlen(DIRECTIVE_MARK);
		at += strspn(at, " \t");
		if (strncmp(at, word, word_length) != 0 ||
			strchr(" \t\r\n*", at[word_length]) == NULL)
			continue;
		return directive_value(at + word_length);
	}
	return NULL;
}

/* What follows the word, up to the end of the line or of the comment. */
static char *
directive_value(const char *at)
{
	const char *value = at + strspn(at, " \t");
	const char *stop = value + strcspn(value, "\r\n");
	const char *comment_end = strstr(value, "*/");

	if (comment_end != NULL && comment_end < stop)
		stop = comment_end;
	while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	return pnstrdup(value, stop - value);
}

/*
 * See script.h.
 */
List *
list_directives(const char *text, const char *what, int first_line)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *directives = NIL;
	SqlTokens  *volatile tokens = NULL;
	int			end = 0;

	if (strstr(text, DIRECTIVE_MARK) == NULL)
		return NIL;
	PG_TRY();
	{
		tokens = scan_sql(text);
	}
	PG_CATCH();
	{
		rethrow_with_line(text, what, first_line, context);
	}
	PG_END_TRY();
	for (int i = 0; i <= tokens->count; i++)
	{
		int			start = i < tokens->count ? tokens->tokens[i].location
		: (int) strlen(text);

		directives = directives_in_gap(directives, tokens, i, end, start,
									   first_line);
		if (i < tokens->count)
			end = start + tokens->tokens[i].length;
	}
	return directives;
}

/* Those between two tokens, the second of which is "next". */
static List *
directives_in_gap(List *directives, const SqlTokens *tokens, int next,
				  int start, int end, int first_line)
{
	const char *text = tokens->text;
	bool		is_behind = next > 0 && tokens->tokens[next - 1].code == ';';
	const char *at = text + start;

	while ((at = strstr(at, DIRECTIVE_MARK)) != NULL && at < text + end)
	{
		int			offset = at - text;
		const char *word = at + strlen(DIRECTIVE_MARK);
		ScriptDirective *directive;

		word += strspn(word, " \t");
		at = word;
		if (!begins_its_line(text, start, offset))
			continue;
		directive = palloc0(sizeof(ScriptDirective));
		directive->word = pnstrdup(word, strcspn(word, " \t\r\n*"));
		directive->value = directive_value(word + strlen(directive->word));
		directive->line = first_line - 1 + line_of_offset(text, offset);
		directive->first = next == 0;
		directive->has_statement = next < tokens->count ||
			(next > 0 && !is_behind);
		directive->behind_statement = is_behind &&
			memchr(text + start, '\n', offset - start) == NULL &&
			strncmp(text + start + strspn(text + start, " \t"), "--", 2) == 0;
		directives = lappend(directives, directive);
	}
	return directives;
}

/* Is there nothing before it but what begins a comment, or a line of one? */
static bool
begins_its_line(const char *text, int start, int at)
{
	while (at > start && strchr(" \t-/*", text[at - 1]) != NULL)
		at--;
	return at == start || text[at - 1] == '\n' || text[at - 1] == '\r';
}
