/*-------------------------------------------------------------------------
 *
 * tool_checksum.h
 *	  Checksums of migrations as other tools compute them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TOOL_CHECKSUM_H
#define SAFE_MIGRATE_TOOL_CHECKSUM_H

#include "postgres.h"

/*
 * The checksum that the tool of a format would have stored for a migration,
 * as text in the current memory context; NULL if that tool stores none.
 * file_text is the file as it came, with its line ends and its byte order
 * mark, in the encoding of the database; section is the migration's own part
 * of it (Liquibase: the SQL of the changeset), or NULL if that is all of it.
 * Takes no lock; throws only if a text cannot be converted to UTF-8.
 */
extern char *tool_checksum(const char *format, const char *file_text,
						   const char *section);

/*
 * Can a checksum that a tool has stored be compared at all?  Older ones of
 * Liquibase cannot.
 */
extern bool tool_checksum_is_known(const char *format, const char *stored);

/*
 * Is a stored checksum that of a text, whatever the line ends of the file and
 * whether or not it had a byte order mark?  Arguments as above.
 */
extern bool tool_checksum_fits(const char *format, const char *stored,
							   const char *file_text, const char *section);

#endif							/* SAFE_MIGRATE_TOOL_CHECKSUM_H */
