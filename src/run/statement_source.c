/*-------------------------------------------------------------------------
 *
 * statement_source.c
 *	  The text of one statement among those that came with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/compat.h"
#include "common/script.h"
#include "parser/scansup.h"
#include "run/judge.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

static int	start_behind_semicolon(const char *query_string, int location);
static int	scan_to_location(const char *query_string, int location);

/*
 * See judge.h.
 */
char *
statement_source(PlannedStmt *pstmt, const char *query_string)
{
	int			start = statement_start(pstmt, query_string);
	int			end;

	if (pstmt->stmt_len > 0)
		end = pstmt->stmt_location + pstmt->stmt_len;
	else
		end = strlen(query_string);
	return pnstrdup(query_string + start, end - start);
}

/*
 * See judge.h.  The location has the comments in it on 15-17; on 18 and later it
 * is that of the first token, so go back to the end of the token before.
 */
int
statement_start(PlannedStmt *pstmt, const char *query_string)
{
	int			location = pstmt->stmt_location;
	int			start;

	if (location <= 0)
		return 0;
	if (COMPAT_LOCATION_HAS_COMMENTS)
		return location;
	start = start_behind_semicolon(query_string, location);
	return start >= 0 ? start : scan_to_location(query_string, location);
}

/*
 * The common case, where there is only white space between a statement and the
 * semicolon before it; else -1.  A semicolon may also end a line of comment,
 * which is for the scanner to tell.
 */
static int
start_behind_semicolon(const char *query_string, int location)
{
	int			start = location;
	bool		is_other_line = false;

	while (start > 0 && scanner_isspace(query_string[start - 1]))
	{
		start--;
		if (query_string[start] == '\n' || query_string[start] == '\r')
			is_other_line = true;
	}
	if (start == 0)
		return 0;
	if (query_string[start - 1] != ';')
		return -1;
	for (int i = start - 1; is_other_line && i > 0; i--)
	{
		if (query_string[i] == '\n' || query_string[i] == '\r')
			break;
		if (query_string[i] == '-' && query_string[i - 1] == '-')
			return -1;
	}
	return start;
}

/*
 * The end of the last token before a location.  What the client has sent is
 * scanned only once while its statements are run one after another, for it may
 * be long: each time from the location before, where a token begins.
 */
static int
scan_to_location(const char *query_string, int location)
{
	static const char *scanned_text = NULL;
	static TimestampTz scanned_at = 0;
	static int	scanned_location = 0;
	static int	scanned_start = 0;
	bool		is_sent = query_string == debug_query_string;
	int			from = 0;
	int			start = 0;
	SqlTokens  *tokens;

	/* another text may be at the same place, but not in the same message */
	if (is_sent && query_string == scanned_text &&
		scanned_at == GetCurrentStatementStartTimestamp())
	{
		if (location == scanned_location)
			return scanned_start;
		if (location > scanned_location)
			from = scanned_location;
	}
	tokens = scan_sql(pnstrdup(query_string + from, location - from));
	if (tokens->count > 0)
	{
		const SqlToken *last = &tokens->tokens[tokens->count - 1];

		start = from + last->location + last->length;
	}
	if (is_sent)
	{
		scanned_text = query_string;
		scanned_at = GetCurrentStatementStartTimestamp();
		scanned_location = location;
		scanned_start = start;
	}
	return start;
}
