/*-------------------------------------------------------------------------
 *
 * target_internal.h
 *	  Shared by the files of src/target.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TARGET_INTERNAL_H
#define SAFE_MIGRATE_TARGET_INTERNAL_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/dsm.h"
#include "utils/guc.h"

/* Where a history is to be applied: a schema of a database, or all of it. */
typedef struct Target
{
	Oid			database;
	const char *database_name;
	const char *schema;			/* empty: the database as a whole */
	int64		row;			/* its row in migrate.target_runs */
} Target;

/* target_list.c; all of it needs a transaction. */

/*
 * The schemas of this database, or the databases of the server, whose names
 * match one of the patterns (of char *, with * and ?), in order of their
 * names.  Throws if a pattern matches none, or a database that the current
 * user may not connect to.
 */
extern List *list_target_schemas(List *patterns);
extern List *list_known_schemas(void);	/* deployed to before, and still there */
extern List *list_target_databases(List *patterns);

/* What a worker says of its target. */
typedef enum TargetOutcome
{
	TARGET_STARTED,				/* it has not said anything yet */
	TARGET_DEPLOYED,
	TARGET_FAILED
} TargetOutcome;

#define TARGET_ERROR_BYTES	4096

/*
 * A place for one worker at a time.  The leader fills it in before it starts
 * the worker and reads it when that has ended, so nobody needs a lock.
 */
typedef struct TargetPlace
{
	char		schema[NAMEDATALEN];
	TargetOutcome outcome;
	int			applied;		/* migrations */
	int			sqlerrcode;
	int			encoding;		/* of error: that of the worker's database */
	char		error[TARGET_ERROR_BYTES];
} TargetPlace;

/* The shared memory of one CALL. */
typedef struct TargetArea
{
	Oid			role;			/* that the workers connect as */
	int			places;
	Size		message_offset; /* of what target_message.c has packed */
	Size		message_size;
	TargetPlace place[FLEXIBLE_ARRAY_MEMBER];
} TargetArea;

/* What is told to the worker when it is started. */
typedef struct TargetAssignment
{
	dsm_handle	area;
	Oid			role;
	int			place;
} TargetAssignment;

/* What the leader has SET. */
typedef struct TargetSetting
{
	const char *name;
	const char *value;
	GucContext	context;		/* to set it in */
} TargetSetting;

/* What all workers of a CALL are told. */
typedef struct TargetMessage
{
	const char *version;		/* to go up to, NULL: all */
	List	   *settings;		/* of TargetSetting */
	List	   *history;		/* of MigrationText, for other databases */
} TargetMessage;

/*
 * target_message.c.  Text in the encoding of this database is converted when
 * it is read in one of another encoding.
 */
extern void pack_message(StringInfo buffer, const TargetMessage *message);
extern TargetMessage *unpack_message(const char *data, Size size);

/* target_store.c: the rows of migrate.target_runs.  Needs a transaction. */
extern void record_targets(List *targets);
extern void record_target_started(const Target *target);
extern void record_target_ended(const Target *target, const char *state,
								int applied, const char *error,
								const char *sqlstate);

/*
 * target_pending.c: true if there is a migration that one of the schemas has
 * not got, up to a version or at all (NULL).  In a transaction of its own,
 * outside of any other; what it finds may be out of date at once.
 */
extern bool any_schema_is_behind(List *targets, const char *version);

#endif							/* SAFE_MIGRATE_TARGET_INTERNAL_H */
