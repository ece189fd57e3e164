/*-------------------------------------------------------------------------
 *
 * sqitch.c
 *	  Format sqitch: sqitch.plan, deploy/<change>.sql and revert/<change>.sql.
 *
 * The scripts are for psql, but most of them are plain SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/errors.h"
#include "common/script.h"
#include "ledger/formats/names.h"
#include "ledger/formats/sql_text.h"
#include "ledger/formats/sqitch_plan.h"
#include "ledger/formats/text_lines.h"

static const char *detect_sqitch(const Directory *directory);
static List *list_sqitch(const Directory *directory);
static MigrationFile *file_of_change(const Directory *directory,
									 const char *plan_path,
									 const SqitchChange *change);
static char *path_of_script(const Directory *directory, const char *kind,
							const SqitchChange *change);
static List *read_sqitch(const MigrationFile *file, const char *text,
						 const char *down_text);
static void refuse_variables(const char *path, const char *text);

const MigrationFormat sqitch_format = {
	.name = "sqitch",
	.looks_for = SQITCH_PLAN " and deploy/<change>.sql",
	.detect = detect_sqitch,
	.list = list_sqitch,
	.read = read_sqitch
};

static const char *
detect_sqitch(const Directory *directory)
{
	return path_if_exists(directory, SQITCH_PLAN);
}

static List *
list_sqitch(const Directory *directory)
{
	char	   *path = psprintf("%s/" SQITCH_PLAN, directory->path);
	List	   *files = NIL;
	ListCell   *cell;

	foreach(cell, read_sqitch_plan(path, read_migration_file(path)))
	{
		files = lappend(files, file_of_change(directory, path, lfirst(cell)));
		((MigrationFile *) llast(files))->listed_at = list_length(files);
	}
	return files;
}

static MigrationFile *
file_of_change(const Directory *directory, const char *plan_path,
			   const SqitchChange *change)
{
	MigrationFile *file = new_migration_file(path_of_script(directory, "deploy",
															change));
	char	   *revert = path_of_script(directory, "revert", change);

	if (!file_exists(file->path))
		bad_line(plan_path, change->line,
				 psprintf("there is no file \"%s\": add it, or give the directory in which deploy is",
						  file->path));
	if (file_exists(revert))
		file->down_path = revert;
	file->version = change->version;
	file->name = pstrdup("");
	file->requires = change->requires;
	return file;
}

static char *
path_of_script(const Directory *directory, const char *kind,
			   const SqitchChange *change)
{
	return psprintf("%s/%s/%s" SQL_SUFFIX, directory->path, kind,
					change->script);
}

static List *
read_sqitch(const MigrationFile *file, const char *text, const char *down_text)
{
	MigrationFile *result = copy_migration_file(file);

	refuse_variables(file->path, text);
	result->body = pstrdup(text);
	if (down_text != NULL)
	{
		refuse_variables(file->down_path, down_text);
		result->down_body = pstrdup(down_text);
	}
	return list_make1(result);
}

/*
 * :name, :'name' and :"name" are variables of psql, unless they are part of
 * ::, := or the bounds of an array.
 */
static void
refuse_variables(const char *path, const char *text)
{
	const char *at = text;
	char		before = '\0';
	int			brackets = 0;

	for (;;)
	{
		SqlPiece	piece = first_sql_piece(at);

		if (piece.kind == SQL_PIECE_END)
			break;
		if (*at == '[')
			brackets++;
		if (*at == ']')
			brackets--;
		if (piece.kind == SQL_PIECE_OTHER && *at == ':' && before != ':' &&
			brackets <= 0 &&
			(isalpha((unsigned char) at[1]) || at[1] == '_' ||
			 at[1] == '\'' || at[1] == '"'))
			bad_line(path, line_of_offset(text, at - text),
					 "there is a variable of psql, whose value is not known here: write the value itself");
		before = *at;
		at += piece.length;
	}
}
