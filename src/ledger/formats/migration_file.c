/*-------------------------------------------------------------------------
 *
 * migration_file.c
 *	  Reading a file of the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/formats.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"

#define UTF8_BOM "\xEF\xBB\xBF"

static char *read_bytes(const char *path, size_t *length);
static char *convert_to_server(const char *path, const char *text);
static void name_file(void *path);
static void check_bytes(const char *path, const char *text, size_t length);

bool
file_exists(const char *path)
{
	struct stat st;

	/* what a client has sent is never looked for on the server */
	if (path_is_given(path))
		return given_file_exists(path);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/*
 * Read a text file in UTF-8, which is what all tools take migrations to be,
 * and give it the encoding of the database.  Line ends and a byte order mark
 * stay, because the checksums of some tools count them.  Throws PostgreSQL's
 * own errors if the file is no such text or cannot be read, and SM008 if it is
 * too long.
 */
char *
read_raw_file(const char *path)
{
	size_t		length;
	char	   *bytes;

	/* what a client has sent was checked and converted on its way */
	if (path_is_given(path))
		return given_text(path);

	bytes = read_bytes(path, &length);
	check_bytes(path, bytes, length);
	return convert_to_server(path, bytes);
}

/*
 * The same with LF line ends and without a byte order mark.
 */
char *
read_migration_file(const char *path)
{
	char	   *raw = read_raw_file(path);
	char	   *text = normalize_newlines(raw);

	pfree(raw);
	return text;
}

/*
 * Where the database has another encoding, a character may be missing there.
 */
static char *
convert_to_server(const char *path, const char *text)
{
	ErrorContextCallback callback;
	char	   *result;

	callback.callback = name_file;
	callback.arg = unconstify(char *, path);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	/* other encodings have no such mark */
	if (GetDatabaseEncoding() != PG_UTF8 &&
		strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		text += strlen(UTF8_BOM);
	result = pg_any_to_server(text, strlen(text), PG_UTF8);
	error_context_stack = callback.previous;
	return result;
}

static void
name_file(void *path)
{
	errcontext("file \"%s\"", (char *) path);
}

static char *
read_bytes(const char *path, size_t *length)
{
	FILE	   *file;
	struct stat st;
	char	   *bytes;

	/* opening a pipe would wait for a writer */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a regular file: rename or remove it",
						path)));
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL || fstat(fileno(file), &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path),
				 errhint("The file must be readable for the operating system user of the server.")));
	if (st.st_size > SCRIPT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_SM_BAD_MIGRATION),
				 errmsg("file \"%s\" has more than %d MB: split it", path,
						SCRIPT_MAX_BYTES / (1024 * 1024))));

	bytes = palloc(st.st_size + 1);
	*length = fread(bytes, 1, st.st_size, file);
	if (ferror(file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	bytes[*length] = '\0';
	FreeFile(file);
	return bytes;
}

static void
check_bytes(const char *path, const char *text, size_t length)
{
	size_t		valid;

	if (length >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 ||
						memcmp(text, "\xFE\xFF", 2) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("file \"%s\" is in UTF-16: save it as UTF-8", path)));
	if (strlen(text) != length)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("file \"%s\", line %d: there is a NUL byte in it: save it as text in UTF-8",
						path, line_of_offset(text, strlen(text)))));
	valid = pg_encoding_verifymbstr(PG_UTF8, text, length);
	if (valid != length)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("file \"%s\", line %d: invalid byte 0x%02x for encoding \"UTF8\": save the file as UTF-8",
						path, line_of_offset(text, valid),
						(unsigned char) text[valid])));
}
