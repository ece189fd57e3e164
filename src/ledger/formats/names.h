/*-------------------------------------------------------------------------
 *
 * names.h
 *	  What the formats have in common in looking at names of files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_NAMES_H
#define SAFE_MIGRATE_NAMES_H

#include "postgres.h"

#include "ledger/formats/formats.h"

#define SQL_SUFFIX ".sql"

extern bool ends_with(const char *text, const char *suffix);
extern bool is_sql_file(const DirectoryEntry *entry);

/* A name of a file that only a tool can run? */
extern bool is_code_file(const char *name);

/* Number of digits that a text begins with. */
extern int	leading_digits(const char *text);

/* The path of a file in a directory that is an entry of another. */
extern char *path_below(const DirectoryEntry *entry, const char *name);

/* The path of a file in the directory if it exists, or NULL. */
extern char *path_if_exists(const Directory *directory, const char *name);

/* The path of that file in the first entry that has one, or NULL. */
extern char *any_directory_has(const Directory *directory, const char *name);

/*
 * For a file beside the directories that are migrations: one of SQL must not be
 * passed over.  Throws SM008.
 */
extern void refuse_stray_file(const DirectoryEntry *entry);

/*
 * For a directory in which a file is missing.  If its name begins with a
 * digit it is a migration, which must not be passed over.
 */
extern void refuse_migration_without(const DirectoryEntry *entry,
									 const char *name);

/* Split "version_name" at the first underscore. */
extern void split_version(const char *text, char **version, char **name);

/* A migration of a file that runs in a transaction; the name is split later. */
extern MigrationFile *new_migration_file(char *path);
extern MigrationFile *copy_migration_file(const MigrationFile *file);

/*
 * The migrations of all files <digits><name>.sql, the digits being the
 * version.  Throws if a file has none, or is code.
 */
extern List *list_numbered_files(const Directory *directory);

/*
 * Throws if there is a migration that is code, such as 3_add.js: only its
 * tool can tell what it does.  An optional letter may precede its number.
 */
extern void refuse_code_files(const Directory *directory, const char *letters);

/*
 * All .sql files of a directory and those below it, of DirectoryEntry, sorted
 * by path.
 */
extern List *sql_files_below(const Directory *directory);

/* Sort migrations by version, having set their sort_key. */
extern void list_by_version(List *files);

/*
 * Give each migration the path of the file of the same version that reverts
 * it.  Throws if a file reverts nothing, or two revert the same.  Sorts both
 * lists.
 */
extern void attach_downs(List *files, List *downs);

#endif							/* SAFE_MIGRATE_NAMES_H */
