/*-------------------------------------------------------------------------
 *
 * version.c
 *	  The order of versions.
 *
 * Versions are ordered by value, whatever their width and punctuation: 2 is
 * before 10, 1.2 before 1.10, and 2024-01-02 between 20240101 and 20240103.
 * The key that says so is a text to be compared byte by byte.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#define DIGITS "0123456789"

/* Every number in a key has that many digits. */
#define KEY_DIGITS	32

/* Of a timestamp, yyyymmdd and hhmmss. */
#define DATE_DIGITS 8
#define TIME_DIGITS 6
#define TIMESTAMP_DIGITS (DATE_DIGITS + TIME_DIGITS)

/* Far below what an index entry holds. */
#define KEY_MAX_BYTES	2000

static bool is_timestamp(const char *digits);
static void append_timestamp(StringInfo key, const char *digits,
							 const char *version);
static void append_number(StringInfo key, const char *digits, int length,
						  const char *version);

PG_FUNCTION_INFO_V1(migrate_version_key);

/*
 * migrate.version_key(version text) returns text
 */
Datum
migrate_version_key(PG_FUNCTION_ARGS)
{
	char	   *version = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(version_sort_key(version)));
}

/*
 * See ledger.h.
 *
 * Real histories have versions with and without dashes side by side
 * (20170728002039, 2017-08-31-230457, 2026-05-27-120000-0000), so dashes do
 * not count in what looks like a timestamp.  There the date, the time and
 * what follows are numbers of their own: a bare date is before the times of
 * that day.
 */
char *
version_sort_key(const char *version)
{
	StringInfoData key;
	const char *at = version;
	char	   *digits;
	int			count = 0;

	if (version[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("a migration needs a version: give it a number or a timestamp")));

	if ((at[0] == 'v' || at[0] == 'V') && isdigit((unsigned char) at[1]))
		at++;

	digits = palloc(strlen(at) + 1);
	for (size_t i = 0; i < strspn(at, DIGITS "-"); i++)
		if (at[i] != '-')
			digits[count++] = at[i];
	digits[count] = '\0';

	initStringInfo(&key);
	if (is_timestamp(digits))
	{
		append_timestamp(&key, digits, version);
		at += strspn(at, DIGITS "-");
	}
	while (*at)
	{
		int			length = (int) strspn(at, DIGITS);

		if (length > 0)
			append_number(&key, at, length, version);
		else
			appendStringInfoChar(&key, *at);
		at += Max(length, 1);
	}

	if (key.len > KEY_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("version \"%s\" is too long: use a number or a timestamp",
						version)));
	return key.data;
}

/*
 * Do digits start with a day that a migration may be from?  The time of day
 * is not looked at: there are migrations of second 63.  Some tools give the
 * first migration of all a timestamp of zeros.
 */
static bool
is_timestamp(const char *digits)
{
	int			year;
	int			month;
	int			day;

	/* other lengths are numbers, such as the seconds of an epoch */
	if (strlen(digits) != DATE_DIGITS && strlen(digits) != 12 &&
		strlen(digits) < TIMESTAMP_DIGITS)
		return false;
	if (strspn(digits, "0") >= TIMESTAMP_DIGITS)
		return true;
	if (sscanf(digits, "%4d%2d%2d", &year, &month, &day) != 3)
		return false;
	return year >= 1970 && year <= 2099 && month >= 1 && month <= 12 &&
		day >= 1 && day <= 31;
}

static void
append_timestamp(StringInfo key, const char *digits, const char *version)
{
	int			length = (int) strlen(digits);

	append_number(key, digits, DATE_DIGITS, version);
	if (length > DATE_DIGITS)
		append_number(key, digits + DATE_DIGITS,
					  Min(length - DATE_DIGITS, TIME_DIGITS), version);
	if (length > TIMESTAMP_DIGITS)
		append_number(key, digits + TIMESTAMP_DIGITS,
					  length - TIMESTAMP_DIGITS, version);
}

static void
append_number(StringInfo key, const char *digits, int length,
			  const char *version)
{
	while (length > 1 && digits[0] == '0')
	{
		digits++;
		length--;
	}
	if (length > KEY_DIGITS)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("version \"%s\" has a number of more than %d digits: use a number or a timestamp",
						version, KEY_DIGITS)));
	for (int i = length; i < KEY_DIGITS; i++)
		appendStringInfoChar(key, '0');
	appendBinaryStringInfo(key, digits, length);
}
