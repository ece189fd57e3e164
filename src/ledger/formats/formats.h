/*-------------------------------------------------------------------------
 *
 * formats.h
 *	  The layouts of directories of migrations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_FORMATS_H
#define SAFE_MIGRATE_FORMATS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct DirectoryEntry
{
	char	   *name;			/* in the server's encoding */
	char	   *path;
	bool		is_directory;
} DirectoryEntry;

/* A directory, without what begins with a period, sorted by name. */
typedef struct Directory
{
	const char *path;
	List	   *entries;		/* of DirectoryEntry */
} Directory;

/* Where a migration is to be read from. */
typedef struct MigrationFile
{
	char	   *version;
	char	   *name;
	char	   *path;
	char	   *down_path;		/* NULL if there is none */
	bool		in_transaction;
} MigrationFile;

typedef struct MigrationFormat
{
	const char *name;
	const char *looks_for;		/* what a directory of it has, for messages */
	bool		(*detect) (const Directory *directory);
	/* the migrations, of MigrationFile; throws if something is odd */
	List	   *(*list) (const Directory *directory);
	/* throws if a text is of another tool after all; may be NULL */
	void		(*check_text) (const char *path, const char *text);
} MigrationFormat;

extern const MigrationFormat plain_format;
extern const MigrationFormat prisma_format;
extern const MigrationFormat diesel_format;

/* formats.c */
extern Directory *read_directory(const char *path);
extern const MigrationFormat *find_format(const char *name,
										  const Directory *directory);

/* migration_file.c */
extern char *read_migration_file(const char *path);
extern bool file_exists(const char *path);

/* given_files.c */

/* Stands for the directory whose files a client has sent. */
#define GIVEN_ROOT "."

extern void give_file(const char *path, const char *text);
extern void forget_given_files(void);
extern const char *given_text(const char *path);
extern List *given_entries(void);

/* helpers of the formats, in formats.c */
extern char *path_below(const DirectoryEntry *entry, const char *name);
extern bool any_directory_has(const Directory *directory, const char *name);
extern void refuse_migration_without(const DirectoryEntry *entry,
									 const char *name);
extern void split_version(const char *text, char **version, char **name);

#endif							/* SAFE_MIGRATE_FORMATS_H */
