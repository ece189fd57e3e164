/*-------------------------------------------------------------------------
 *
 * plan_text.c
 *	  Steps made of the user's own text.
 *
 * A step is made by the tokens of the server's scanner and the locations that
 * its parser tells: a word put in, a clause cut out.  PostgreSQL cannot print
 * a parse tree of DDL as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "plan/plan_text.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"

#define PIECE_PREFIX "ALTER TABLE t "

static int	first_subcommand(const SqlTokens *tokens);
static int	token_behind_name(const SqlTokens *tokens, int i);

/*
 * See plan_text.h.
 */
char *
statement_text(const char *source_text, int start, int end)
{
	int			length = (end < 0 ? (int) strlen(source_text) : end) - start;
	SqlTokens  *tokens = scan_sql(pnstrdup(source_text + start, length));
	int			first = 0;
	int			last = tokens->count - 1;

	/*
	 * By tokens, because what is put behind a comment at the end would be
	 * part of it.
	 */
	while (last >= 0 && tokens->tokens[last].code == ';')
		last--;
	while (first < last && tokens->tokens[first].code == ';')
		first++;
	if (last < 0)
		return pstrdup("");
	start = tokens->tokens[first].location;
	return pnstrdup(tokens->text + start, tokens->tokens[last].location +
					tokens->tokens[last].length - start);
}

/*
 * See plan_text.h.
 */
Node *
parse_again(Node *statement, const char *source_text)
{
	List	   *statements = pg_parse_query(source_text);
	Node	   *parsed;

	if (list_length(statements) != 1)
		return NULL;
	parsed = linitial_node(RawStmt, statements)->stmt;
	return nodeTag(parsed) == nodeTag(statement) ? parsed : NULL;
}

/*
 * See plan_text.h.  In the grammar they are separated by the commas outside of
 * parentheses and brackets, and by nothing else.
 */
List *
split_subcommands(const char *source_text)
{
	SqlTokens  *tokens = scan_sql(source_text);
	int			token = first_subcommand(tokens);
	int			depth = 0;
	int			start;
	List	   *pieces = NIL;

	if (token >= tokens->count)
		return NIL;
	start = tokens->tokens[token].location;
	for (; token < tokens->count; token++)
	{
		int			code = tokens->tokens[token].code;

		if (code == '(' || code == '[')
			depth++;
		else if (code == ')' || code == ']')
			depth--;
		else if (code == ',' && depth == 0)
		{
			pieces = lappend(pieces,
							 statement_text(source_text, start,
											tokens->tokens[token].location));
			start = tokens->tokens[token].location + 1;
		}
	}
	return lappend(pieces, statement_text(source_text, start, -1));
}

/*
 * ALTER TABLE [IF EXISTS] [ONLY] name [*] action: index of the action.  "if"
 * may also be the name.
 */
static int
first_subcommand(const SqlTokens *tokens)
{
	int			i = 2;

	if (token_is(tokens, i, "if") && token_is(tokens, i + 1, "exists"))
		i += 2;
	if (token_is(tokens, i, "only"))
		i++;
	if (i < tokens->count && tokens->tokens[i].code == '(')
		i++;
	return token_behind_name(tokens, i);
}

/* Behind name [*], or behind the name and the parenthesis of ONLY (name). */
static int
token_behind_name(const SqlTokens *tokens, int i)
{
	i++;
	while (i < tokens->count && tokens->tokens[i].code == '.')
		i += 2;
	while (i < tokens->count && (tokens->tokens[i].code == '*' ||
								 tokens->tokens[i].code == ')'))
		i++;
	return i;
}

/*
 * See plan_text.h.
 */
AlterTableCmd *
parse_piece(const char *piece, int *offset)
{
	List	   *statements = pg_parse_query(psprintf(PIECE_PREFIX "%s", piece));
	AlterTableStmt *stmt;

	*offset = strlen(PIECE_PREFIX);
	stmt = castNode(AlterTableStmt, linitial_node(RawStmt, statements)->stmt);
	return linitial_node(AlterTableCmd, stmt->cmds);
}

/*
 * See plan_text.h.
 */
char *
text_behind_name(const char *source_text, int location)
{
	SqlTokens  *tokens = scan_sql(source_text);
	int			token = token_behind_name(tokens, token_at(tokens, location));

	if (token >= tokens->count)
		return pstrdup("");
	return statement_text(source_text, tokens->tokens[token].location, -1);
}

/*
 * See plan_text.h.
 */
char *
with_other_name(const char *text, int location, const char *name)
{
	SqlTokens  *tokens = scan_sql(text);
	int			last = token_at(tokens, location);

	while (last + 2 < tokens->count && tokens->tokens[last + 1].code == '.')
		last += 2;
	if (last >= tokens->count)
		return pstrdup(text);
	return psprintf("%s%s%s", pnstrdup(text, location), name,
					text + tokens->tokens[last].location +
					tokens->tokens[last].length);
}

/*
 * See plan_text.h.
 */
int
token_at(const SqlTokens *tokens, int location)
{
	int			i = 0;

	while (i < tokens->count && tokens->tokens[i].location < location)
		i++;
	return i;
}

/*
 * See plan_text.h.
 */
char *
column_list(List *columns)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, columns)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(strVal(lfirst(cell))));
	return list.data;
}

/*
 * See plan_text.h.
 */
void
add_step(SafePlan *plan, char *undo, const char *format,...)
{
	StringInfoData step;
	va_list		args;
	int			needed;

	initStringInfo(&step);
	for (;;)
	{
		va_start(args, format);
		needed = appendStringInfoVA(&step, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&step, needed);
	}
	add_plan_step(plan, step.data, undo);
}
