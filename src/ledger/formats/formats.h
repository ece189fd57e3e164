/*-------------------------------------------------------------------------
 *
 * formats.h
 *	  The layouts of directories of migrations, one file each.
 *
 * The formats know nothing of the ledger, and of files only what the few
 * functions of directory.c, migration_file.c and given_files.c tell them, so
 * that test/fuzz_formats.sh can build them outside the server.
 *
 * Memory is allocated in the current memory context.  Whatever is wrong with a
 * file is thrown as SM008, with the file and, where there is one, the line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FORMATS_H
#define SAFE_MIGRATE_FORMATS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct MigrationFormat MigrationFormat;

typedef struct DirectoryEntry
{
	char	   *name;			/* in the server's encoding */
	char	   *path;
	bool		is_directory;
	const MigrationFormat *marked;	/* see read_marks() */
	int			marked_line;
} DirectoryEntry;

/* A directory, without what begins with a period, sorted by name. */
typedef struct Directory
{
	const char *path;
	List	   *entries;		/* of DirectoryEntry */
} Directory;

/*
 * A migration: first as the names of the files tell of it, then with its
 * texts.  A text that is a section of a file begins with some line of that;
 * what is left out of it has empty lines in its place.
 */
typedef struct MigrationFile
{
	char	   *version;		/* NULL if only the text tells */
	char	   *name;
	char	   *path;
	char	   *down_path;		/* a file of its own, or NULL */
	bool		in_transaction;
	bool		repeatable;
	int			listed_at;		/* place in a list, 0 if there is none */
	List	   *requires;		/* of char *, versions */

	/* by list_by_version() */
	char	   *sort_key;

	/* by read_migrations() */
	const char *section;		/* names it in messages, NULL: the file does */
	int			line;			/* at which it begins */
	char	   *body;
	int			body_line;		/* with which it begins */
	char	   *down_body;		/* or NULL */
	int			down_line;
} MigrationFile;

struct MigrationFormat
{
	const char *name;
	const char *looks_for;		/* what a directory of it has, for messages */

	/*
	 * A path that shows that the directory is of this format, or NULL.  Not
	 * set if the texts tell, by find_mark.
	 */
	const char *(*detect) (const Directory *directory);

	/*
	 * The line, from 1, of a text that only files of this format have, or 0.
	 * May be NULL.  A weak mark is one that may also be an ordinary comment:
	 * it only counts where nothing else does.  One that is optional need not
	 * be in all files of a directory.
	 */
	int			(*find_mark) (const char *text);
	bool		mark_is_weak;
	bool		mark_is_optional;

	/* only looked for when the directory is of no other format */
	bool		is_fallback;

	/* the migrations, of MigrationFile; throws if something is odd */
	List	   *(*list) (const Directory *directory);

	/*
	 * The migrations of a file, of MigrationFile, from its text and from that
	 * of its down_path, if it has one.  NULL: the texts are the migration.
	 */
	List	   *(*read) (const MigrationFile *file, const char *text,
						 const char *down_text);
};

extern const MigrationFormat plain_format;
extern const MigrationFormat supabase_format;
extern const MigrationFormat wrangler_format;
extern const MigrationFormat golang_migrate_format;
extern const MigrationFormat dbmate_format;
extern const MigrationFormat goose_format;
extern const MigrationFormat sql_migrate_format;
extern const MigrationFormat flyway_format;
extern const MigrationFormat liquibase_format;
extern const MigrationFormat prisma_format;
extern const MigrationFormat drizzle_format;
extern const MigrationFormat diesel_format;
extern const MigrationFormat graphile_migrate_format;
extern const MigrationFormat sqitch_format;
extern const MigrationFormat tern_format;
extern const MigrationFormat node_pg_migrate_format;
extern const MigrationFormat postgrator_format;
extern const MigrationFormat atlas_format;

/* formats.c */

extern int	format_count(void);
extern const MigrationFormat *format_at(int index);

/* Names of files, with wildcards, that a client has to send; ends with NULL. */
extern const char *const format_file_patterns[];

/*
 * The format of that name, or the one that the directory has if the name is
 * "auto".  Throws if there is none, or more than one.
 */
extern const MigrationFormat *find_format(const char *name,
										  Directory *directory);

/*
 * The migrations of a file whose texts were read, down_text being NULL without
 * a down_path.  Line ends are LF.
 */
extern List *read_migrations(const MigrationFormat *format,
							 const MigrationFile *file, const char *text,
							 const char *down_text);

/* directory.c: a directory of the server, or of files that a client has sent */
extern Directory *read_directory(const char *path);

/* migration_file.c; the raw text has its line ends and byte order mark */
extern char *read_raw_file(const char *path);
extern char *read_migration_file(const char *path);
extern bool file_exists(const char *path);

/* given_files.c */

extern bool path_is_given(const char *path);
extern bool files_are_given(void);
extern void give_files(const char *root, const char *const *paths,
					   const Datum *texts, int count);
extern void forget_given_files(void);
extern bool given_file_exists(const char *path);
extern char *given_text(const char *path);
extern List *given_entries(const char *directory);

#endif							/* SAFE_MIGRATE_FORMATS_H */
