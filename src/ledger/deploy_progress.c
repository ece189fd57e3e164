/*-------------------------------------------------------------------------
 *
 * deploy_progress.c
 *	  How far a deploy is, in shared memory, for migrate.deploy_progress.
 *
 * Each backend has a place of its own, by the number of its PGPROC.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/deploy_progress.h"
#include "ledger/ledger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define PROGRESS_NAME		"safe_migrate_deploys"
#define PROGRESS_COLUMNS	13
#define MAX_WAIT_WORDS		256

typedef struct DeployProgress
{
	int			pid;			/* 0: the place is free */
	Oid			database;
	Oid			roleid;
	NameData	target_schema;	/* empty: the database as a whole */
	TimestampTz started_at;
	int			migration_number;	/* from 1; 0: none has begun */
	int			migrations;
	char		version[VERSION_MAX_BYTES + 1];
	char		name[VERSION_MAX_BYTES + 1];	/* cut off if it is longer */
	int			statement;		/* from 1; 0: none has begun */
	int			statements;
	CommandTag	command;
	TimestampTz statement_started_at;
	char		waiting_for[MAX_WAIT_WORDS];	/* empty: nothing */
} DeployProgress;

typedef struct Deploys
{
	LWLock	   *lock;			/* protects all that follows */
	int			count;			/* of places that are taken */
	DeployProgress places[FLEXIBLE_ARRAY_MEMBER];
} Deploys;

static Deploys *deploys = NULL;
static DeployProgress *own_place = NULL;	/* while a deploy runs */

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size deploys_size(void);
static void deploys_shmem_request(void);
static void deploys_shmem_startup(void);
static void end_at_exit(int code, Datum arg);
static void copy_cut(char *to, const char *from, int size);
static DeployProgress *copy_deploys(int *count);
static void put_deploy(ReturnSetInfo *rsinfo, const DeployProgress *deploy);

PG_FUNCTION_INFO_V1(migrate_deploy_list);

/*
 * See deploy_progress.h.
 */
void
progress_request_shared_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = deploys_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = deploys_shmem_startup;
}

static Size
deploys_size(void)
{
	return add_size(offsetof(Deploys, places),
					mul_size(MaxBackends, sizeof(DeployProgress)));
}

static void
deploys_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(MAXALIGN(deploys_size()));
	RequestNamedLWLockTranche(PROGRESS_NAME, 1);
}

/*
 * Runs in the postmaster, again after a crash, with new memory then.
 */
static void
deploys_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	deploys = ShmemInitStruct(PROGRESS_NAME, deploys_size(), &found);
	if (!found)
	{
		memset(deploys, 0, deploys_size());
		deploys->lock = &(GetNamedLWLockTranche(PROGRESS_NAME))->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * See deploy_progress.h.
 */
void
begin_progress(void)
{
	static bool cleans_up = false;
	int			number = MyProc - ProcGlobal->allProcs;

	if (number < 0 || number >= MaxBackends)
		elog(ERROR, "no place among the deploys for process number %d", number);
	if (!cleans_up)
		before_shmem_exit(end_at_exit, (Datum) 0);
	cleans_up = true;

	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	own_place = &deploys->places[number];
	memset(own_place, 0, sizeof(DeployProgress));
	own_place->pid = MyProcPid;
	own_place->database = MyDatabaseId;
	own_place->roleid = GetUserId();
	namestrcpy(&own_place->target_schema, ledger_target_schema());
	own_place->started_at = GetCurrentTimestamp();
	deploys->count++;
	LWLockRelease(deploys->lock);
}

/*
 * See deploy_progress.h.
 */
void
end_progress(void)
{
	if (own_place == NULL)
		return;
	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	own_place->pid = 0;
	own_place = NULL;
	deploys->count--;
	LWLockRelease(deploys->lock);
}

/* FATAL does not come through PG_FINALLY. */
static void
end_at_exit(int code, Datum arg)
{
	end_progress();
}

/*
 * See deploy_progress.h.
 */
void
progress_migrations(int count)
{
	if (own_place == NULL)
		return;
	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	own_place->migrations = count;
	LWLockRelease(deploys->lock);
}

/*
 * See deploy_progress.h.
 */
void
progress_migration(const char *version, const char *name, int statements)
{
	if (own_place == NULL)
		return;
	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	own_place->migration_number++;
	copy_cut(own_place->version, version, sizeof(own_place->version));
	copy_cut(own_place->name, name, sizeof(own_place->name));
	own_place->statement = 0;
	own_place->statements = statements;
	own_place->command = CMDTAG_UNKNOWN;
	LWLockRelease(deploys->lock);
}

static void
copy_cut(char *to, const char *from, int size)
{
	strlcpy(to, from, pg_mbcliplen(from, strlen(from), size - 1) + 1);
}

/*
 * See deploy_progress.h.
 */
void
progress_statement(int number, CommandTag tag)
{
	if (own_place == NULL)
		return;
	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	own_place->statement = number;
	own_place->command = tag;
	own_place->statement_started_at = GetCurrentTimestamp();
	LWLockRelease(deploys->lock);
}

/*
 * See deploy_progress.h.
 */
void
progress_waits_for(const char *format,...)
{
	char		words[MAX_WAIT_WORDS] = "";
	va_list		args;

	if (own_place == NULL)
		return;
	if (format != NULL)
	{
		va_start(args, format);
		(void) vsnprintf(words, sizeof(words), format, args);
		va_end(args);
	}
	LWLockAcquire(deploys->lock, LW_EXCLUSIVE);
	copy_cut(own_place->waiting_for, words, sizeof(own_place->waiting_for));
	LWLockRelease(deploys->lock);
}

/*
 * migrate.deploy_list() RETURNS TABLE, see deploy.sql.
 */
Datum
migrate_deploy_list(PG_FUNCTION_ARGS)
{
	DeployProgress *copies;
	int			count;

	require_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	copies = copy_deploys(&count);
	for (int i = 0; i < count; i++)
	{
		if (copies[i].database == MyDatabaseId)
			put_deploy((ReturnSetInfo *) fcinfo->resultinfo, &copies[i]);
	}
	return (Datum) 0;
}

static DeployProgress *
copy_deploys(int *count)
{
	DeployProgress *copies;

	*count = 0;
	LWLockAcquire(deploys->lock, LW_SHARED);
	copies = palloc(Max(deploys->count, 1) * sizeof(DeployProgress));
	for (int i = 0; i < MaxBackends && *count < deploys->count; i++)
		if (deploys->places[i].pid != 0)
			copies[(*count)++] = deploys->places[i];
	LWLockRelease(deploys->lock);
	return copies;
}

static void
put_deploy(ReturnSetInfo *rsinfo, const DeployProgress *deploy)
{
	char	   *role = GetUserNameFromId(deploy->roleid, true);
	Datum		values[PROGRESS_COLUMNS];
	bool		nulls[PROGRESS_COLUMNS] = {false};

	values[0] = Int32GetDatum(deploy->pid);
	nulls[1] = role == NULL;
	values[1] = nulls[1] ? (Datum) 0 : CStringGetTextDatum(role);
	values[2] = CStringGetTextDatum(NameStr(deploy->target_schema));
	values[3] = TimestampTzGetDatum(deploy->started_at);
	values[4] = Int32GetDatum(deploy->migration_number);
	values[5] = Int32GetDatum(deploy->migrations);
	values[6] = CStringGetTextDatum(deploy->version);
	values[7] = CStringGetTextDatum(deploy->name);
	values[8] = Int32GetDatum(deploy->statement);
	values[9] = Int32GetDatum(deploy->statements);
	values[10] = CStringGetTextDatum(GetCommandTagName(deploy->command));
	values[11] = TimestampTzGetDatum(deploy->statement_started_at);
	values[12] = CStringGetTextDatum(deploy->waiting_for);
	nulls[6] = nulls[7] = nulls[9] = deploy->migration_number == 0;
	nulls[8] = nulls[10] = nulls[11] = deploy->statement == 0;
	nulls[12] = deploy->waiting_for[0] == '\0';
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
