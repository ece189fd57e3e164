/*-------------------------------------------------------------------------
 *
 * tool_checksum.c
 *	  Checksums of migrations as other tools compute them.
 *
 * All of them are over bytes in UTF-8.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/cryptohash.h"
#include "common/md5.h"
#include "common/script.h"
#include "common/sha1.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "ledger/tool_checksum.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/pg_crc.h"

#define UTF8_BOM "\xEF\xBB\xBF"
#define WHITE_SPACE " \t\r\n"

/* Liquibase writes the version of its algorithm before the checksum. */
#define LIQUIBASE_PREFIX "9:"

#define GRAPHILE_PREFIX "sha1:"
#define GRAPHILE_HEADER "--! "
#define GRAPHILE_PREVIOUS "--! Previous:"

typedef char *(*ChecksumFunction) (const char *file_text, const char *section);

typedef struct ToolChecksum
{
	const char *format;
	ChecksumFunction compute;
} ToolChecksum;

static char *flyway_checksum(const char *file_text, const char *section);
static char *liquibase_checksum(const char *file_text, const char *section);
static char *graphile_checksum(const char *file_text, const char *section);
static char *md5_checksum(const char *file_text, const char *section);
static char *sha1_checksum(const char *file_text, const char *section);
static char *sha256_checksum(const char *file_text, const char *section);
static char *sha384_checksum(const char *file_text, const char *section);
static ChecksumFunction checksum_function(const char *format);
static bool fits(ChecksumFunction compute, const char *stored,
				 const char *file_text, const char *section);
static char *with_crlf(const char *text);
static char *unpadded_hex(const char *checksum);
static const char *skip_byte_order_mark(const char *text);
static char *trimmed(const char *text);
static char *to_utf8(const char *text);
static char *hash_in_hex(pg_cryptohash_type type, int digest_length,
						 const char *text);

static const ToolChecksum tool_checksums[] = {
	{"flyway", flyway_checksum},
	{"liquibase", liquibase_checksum},
	{"prisma", sha256_checksum},
	{"drizzle", sha256_checksum},
	{"graphile-migrate", graphile_checksum},
	{"sqitch", sha1_checksum},
	{"postgrator", md5_checksum},
	/* of the name of the file and its text, one after the other */
	{"postgres-migrations", sha1_checksum},
	{"sqlx", sha384_checksum}
};

PG_FUNCTION_INFO_V1(migrate_tool_checksum);

/*
 * migrate.tool_checksum(format text, file text, section text) returns text
 */
Datum
migrate_tool_checksum(PG_FUNCTION_ARGS)
{
	char	   *checksum;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	checksum = tool_checksum(text_to_cstring(PG_GETARG_TEXT_PP(0)),
							 text_to_cstring(PG_GETARG_TEXT_PP(1)),
							 PG_ARGISNULL(2) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (checksum == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(checksum));
}

/*
 * See tool_checksum.h.
 */
char *
tool_checksum(const char *format, const char *file_text, const char *section)
{
	ChecksumFunction compute = checksum_function(format);

	if (compute == NULL)
		return NULL;
	return compute(to_utf8(file_text), section ? to_utf8(section) : NULL);
}

static ChecksumFunction
checksum_function(const char *format)
{
	for (int i = 0; i < lengthof(tool_checksums); i++)
		if (strcmp(tool_checksums[i].format, format) == 0)
			return tool_checksums[i].compute;
	return NULL;
}

/*
 * See tool_checksum.h.
 */
bool
tool_checksum_is_known(const char *format, const char *stored)
{
	if (checksum_function(format) == NULL)
		return false;
	return strcmp(format, "liquibase") != 0 ||
		strncmp(stored, LIQUIBASE_PREFIX, strlen(LIQUIBASE_PREFIX)) == 0;
}

/*
 * See tool_checksum.h.
 */
bool
tool_checksum_fits(const char *format, const char *stored,
				   const char *file_text, const char *section)
{
	ChecksumFunction compute = checksum_function(format);
	char	   *text = to_utf8(file_text);
	char	   *lf;
	char	   *crlf;

	if (compute == NULL)
		return false;
	if (section != NULL)
		section = to_utf8(section);
	lf = normalize_newlines(skip_byte_order_mark(text));
	crlf = with_crlf(lf);
	return fits(compute, stored, text, section) ||
		fits(compute, stored, lf, section) ||
		fits(compute, stored, crlf, section) ||
		fits(compute, stored, psprintf(UTF8_BOM "%s", lf), section) ||
		fits(compute, stored, psprintf(UTF8_BOM "%s", crlf), section);
}

/*
 * Prisma once wrote each byte without a leading zero.
 */
static bool
fits(ChecksumFunction compute, const char *stored, const char *file_text,
	 const char *section)
{
	char	   *checksum = compute(file_text, section);

	if (strcmp(checksum, stored) == 0)
		return true;
	return compute == sha256_checksum &&
		strcmp(unpadded_hex(checksum), stored) == 0;
}

static char *
with_crlf(const char *text)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const char *at = text; *at; at++)
	{
		if (*at == '\n')
			appendStringInfoChar(&result, '\r');
		appendStringInfoChar(&result, *at);
	}
	return result.data;
}

static char *
unpadded_hex(const char *checksum)
{
	StringInfoData result;

	initStringInfo(&result);
	for (const char *at = checksum; at[0] && at[1]; at += 2)
		appendStringInfoString(&result, psprintf("%.*s", at[0] == '0' ? 1 : 2,
												 at[0] == '0' ? at + 1 : at));
	return result.data;
}

/*
 * CRC-32 of the lines without what ends them, as a signed number.
 */
static char *
flyway_checksum(const char *file_text, const char *section)
{
	const char *line = skip_byte_order_mark(file_text);
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	while (*line)
	{
		size_t		length = strcspn(line, "\r\n");

		COMP_TRADITIONAL_CRC32(crc, line, length);
		line += length;
		line += strspn(line, "\r\n");
	}
	FIN_TRADITIONAL_CRC32(crc);
	return psprintf("%d", (int32) crc);
}

/*
 * MD5 of the text without white space, and of that checksum in turn, because
 * a changeset might have several changes.
 */
static char *
liquibase_checksum(const char *file_text, const char *section)
{
	StringInfoData squeezed;
	char	   *change;

	initStringInfo(&squeezed);
	for (const char *at = section ? section : file_text; *at; at++)
		if (strchr(WHITE_SPACE, *at) == NULL)
			appendStringInfoChar(&squeezed, *at);
	change = hash_in_hex(PG_MD5, MD5_DIGEST_LENGTH, squeezed.data);
	return psprintf(LIQUIBASE_PREFIX "%s",
					hash_in_hex(PG_MD5, MD5_DIGEST_LENGTH,
								psprintf(LIQUIBASE_PREFIX "%s:", change)));
}

/*
 * SHA-1 of the checksum of the migration before it, which stands in a header
 * of the file, and of what is below the headers.
 */
static char *
graphile_checksum(const char *file_text, const char *section)
{
	const char *at = skip_byte_order_mark(file_text);
	char	   *previous = "";
	char	   *hashed;

	while (strncmp(at, GRAPHILE_HEADER, strlen(GRAPHILE_HEADER)) == 0 &&
		   isupper((unsigned char) at[strlen(GRAPHILE_HEADER)]))
	{
		size_t		length = strcspn(at, "\n");

		if (strncmp(at, GRAPHILE_PREVIOUS, strlen(GRAPHILE_PREVIOUS)) == 0)
			previous = trimmed(pnstrdup(at + strlen(GRAPHILE_PREVIOUS),
										length - strlen(GRAPHILE_PREVIOUS)));
		at += length;
		if (*at == '\n')
			at++;
	}
	if (strcmp(previous, "-") == 0)
		previous = "";
	hashed = trimmed(psprintf("%s\n%s", previous, trimmed(at)));
	return psprintf(GRAPHILE_PREFIX "%s",
					hash_in_hex(PG_SHA1, SHA1_DIGEST_LENGTH,
								psprintf("%s\n", hashed)));
}

static char *
md5_checksum(const char *file_text, const char *section)
{
	return hash_in_hex(PG_MD5, MD5_DIGEST_LENGTH, file_text);
}

static char *
sha1_checksum(const char *file_text, const char *section)
{
	return hash_in_hex(PG_SHA1, SHA1_DIGEST_LENGTH, file_text);
}

static char *
sha256_checksum(const char *file_text, const char *section)
{
	return hash_in_hex(PG_SHA256, PG_SHA256_DIGEST_LENGTH, file_text);
}

static char *
sha384_checksum(const char *file_text, const char *section)
{
	return hash_in_hex(PG_SHA384, PG_SHA384_DIGEST_LENGTH, file_text);
}

static const char *
skip_byte_order_mark(const char *text)
{
	if (strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		return text + strlen(UTF8_BOM);
	return text;
}

/* Without the white space around it. */
static char *
trimmed(const char *text)
{
	size_t		length;

	text += strspn(text, WHITE_SPACE);
	length = strlen(text);
	while (length > 0 && strchr(WHITE_SPACE, text[length - 1]) != NULL)
		length--;
	return pnstrdup(text, length);
}

static char *
to_utf8(const char *text)
{
	return pg_server_to_any(text, strlen(text), PG_UTF8);
}

static char *
hash_in_hex(pg_cryptohash_type type, int digest_length, const char *text)
{
	uint8		digest[PG_SHA512_DIGEST_LENGTH];
	pg_cryptohash_ctx *context = pg_cryptohash_create(type);
	char	   *hex = palloc(2 * digest_length + 1);
	uint64		length;

	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(context, digest, digest_length) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a checksum: %s",
						pg_cryptohash_error(context))));
	pg_cryptohash_free(context);
	length = hex_encode((const void *) digest, digest_length, hex);
	hex[length] = '\0';
	return hex;
}
