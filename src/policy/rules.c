/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  The rules, one row each, sorted by name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/settings.h"
#include "policy/policy.h"
#include "storage/lockdefs.h"

static bool works_under_lock(const Effect *effect);
static bool stops_everybody(const Effect *effect);
static bool loses_rows(const Effect *effect);
static bool breaks_clients(const Effect *effect);
static bool loses_statistics(const Effect *effect);
static bool concerns_others(const Effect *effect);
static bool is_small(const Effect *effect);

const Rule	rule_registry[] =
{
	{
		"add_check", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_CHECK, works_under_lock,
		"ADD CHECK",
		"add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own", NULL,
		"A CHECK constraint is checked against every row under a lock."
	},
	{
		"add_column_constraint", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_COLUMN_CONSTRAINT, works_under_lock,
		"the constraint of new column",
		"add the column alone, then the constraint as NOT VALID or USING INDEX", NULL,
		"CHECK, UNIQUE or REFERENCES behind a new column reads the whole table."
	},
	{
		"add_column_rewrite", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_COLUMN, works_under_lock,
		"ADD COLUMN",
		"add it without a default (a sequence made apart), SET DEFAULT, and fill the old rows in batches", NULL,
		"A column whose value differs from row to row rewrites the table."
	},
	{
		"add_exclusion", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_EXCLUSION, works_under_lock,
		"ADD EXCLUDE",
		"there is no online way; do it on a new table, or in a maintenance window with safe_migrate.override", NULL,
		"An exclusion constraint builds its index under a lock, always."
	},
	{
		"add_foreign_key", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_FOREIGN_KEY, works_under_lock,
		"ADD FOREIGN KEY",
		"add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
		"before PostgreSQL 18 add it to each partition NOT VALID, VALIDATE there, then to the parent",
		"A foreign key looks up every row while both tables cannot be written."
	},
	{
		"add_primary_key", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_PRIMARY_KEY, works_under_lock,
		"ADD PRIMARY KEY",
		"SET NOT NULL first, CREATE UNIQUE INDEX CONCURRENTLY, then ADD PRIMARY KEY USING INDEX",
		"build a unique index CONCURRENTLY on each partition and ATTACH it to one made ON ONLY the parent",
		"A primary key builds its index, and checks for NULL, under a lock."
	},
	{
		"add_unique", RULE_WORK, ACTION_REJECT,
		CAUSE_ADD_UNIQUE, works_under_lock,
		"ADD UNIQUE",
		"CREATE UNIQUE INDEX CONCURRENTLY, then ADD UNIQUE USING INDEX",
		"build a unique index CONCURRENTLY on each partition and ATTACH it to one made ON ONLY the parent",
		"A unique constraint builds its index under a lock."
	},
	{
		"alter_column_type", RULE_WORK, ACTION_REJECT,
		CAUSE_ALTER_COLUMN_TYPE, works_under_lock,
		"ALTER COLUMN TYPE of",
		"add a column of the new type, fill it in batches, and swap the two", NULL,
		"A change of type rewrites the table, or rebuilds indexes and checks constraints."
	},
	{
		"alter_domain", RULE_WORK, ACTION_REJECT,
		CAUSE_ALTER_DOMAIN, works_under_lock,
		"ALTER DOMAIN",
		"add the constraint NOT VALID; new values are checked from then on", NULL,
		"A constraint of a domain is checked in every table that uses it."
	},
	{
		"alter_type", RULE_WORK, ACTION_REJECT,
		CAUSE_ALTER_TYPE, works_under_lock,
		"ALTER TYPE CASCADE",
		"make a new type, and move the typed tables to it one by one", NULL,
		"A change of a composite type rewrites the tables made OF it."
	},
	{
		"attach_partition", RULE_WORK, ACTION_REJECT,
		CAUSE_ATTACH_PARTITION, works_under_lock,
		"ATTACH PARTITION",
		"first add a CHECK that implies the bound NOT VALID and VALIDATE it, and build its missing indexes CONCURRENTLY", NULL,
		"ATTACH PARTITION reads the partition, and the default one, unless a CHECK proves the bound."
	},
	{
		"change_storage", RULE_WORK, ACTION_REJECT,
		CAUSE_SET_STORAGE_OF_TABLE, works_under_lock,
		"changing persistence, access method or tablespace",
		"copy to a new table in batches and swap the two, or use a maintenance window with safe_migrate.override", NULL,
		"LOGGED, UNLOGGED, ACCESS METHOD and TABLESPACE copy the whole table."
	},
	{
		"cluster", RULE_WORK, ACTION_REJECT,
		CAUSE_CLUSTER, works_under_lock,
		"CLUSTER or REPACK",
		"use REPACK (CONCURRENTLY) on PostgreSQL 19, or pg_repack", NULL,
		"CLUSTER and plain REPACK rewrite the table while nobody can read it."
	},
	{
		"create_index", RULE_WORK, ACTION_REJECT,
		CAUSE_CREATE_INDEX, works_under_lock,
		"CREATE INDEX",
		"use CREATE INDEX CONCURRENTLY, outside a transaction block",
		"CREATE INDEX ON ONLY the parent, CONCURRENTLY on each partition, then ATTACH them",
		"A plain CREATE INDEX stops all writes until it is built."
	},
	{
		"create_partition", RULE_WORK, ACTION_REJECT,
		CAUSE_CREATE_PARTITION, works_under_lock,
		"CREATE TABLE ... PARTITION OF",
		"first add a CHECK to the default partition that excludes the new bound, NOT VALID, and VALIDATE it", NULL,
		"A new partition reads the whole default partition."
	},
	{
		"detach_partition", RULE_LOCK, ACTION_WARN,
		CAUSE_DETACH_PARTITION, stops_everybody,
		"DETACH PARTITION",
		"use DETACH PARTITION ... CONCURRENTLY, outside a transaction block, if there is no default partition", NULL,
		"DETACH PARTITION stops every query on the partitioned table for a moment."
	},
	{
		"drop_cascade", RULE_DATA, ACTION_REJECT,
		CAUSE_DROP_CASCADE, loses_rows,
		"CASCADE",
		"drop what is meant by name, without CASCADE, or give a reason in safe_migrate.override", NULL,
		"CASCADE takes tables or columns along that hold data."
	},
	{
		"drop_column", RULE_DATA, ACTION_REJECT,
		CAUSE_DROP_COLUMN, loses_rows,
		"DROP COLUMN",
		"stop using it, deploy that, then drop it with a reason in safe_migrate.override", NULL,
		"The values of a dropped column cannot be had again."
	},
	{
		"drop_database", RULE_DATA, ACTION_WARN,
		CAUSE_DROP_DATABASE, loses_rows,
		"DROP DATABASE",
		"make sure that there is a backup", NULL,
		"A dropped database cannot be had again."
	},
	{
		"drop_index", RULE_LOCK, ACTION_WARN,
		CAUSE_DROP_INDEX, stops_everybody,
		"DROP INDEX",
		"use DROP INDEX CONCURRENTLY, outside a transaction block", NULL,
		"A plain DROP INDEX stops every query on the table for a moment."
	},
	{
		"drop_object", RULE_CLIENTS, ACTION_WARN,
		CAUSE_DROP_OBJECT, breaks_clients,
		"DROP",
		"make sure that nobody reads it any more", NULL,
		"A filled materialized view is dropped, and queries that read it fail."
	},
	{
		"drop_table", RULE_DATA, ACTION_REJECT,
		CAUSE_DROP_TABLE, loses_rows,
		"DROP TABLE",
		"make sure that nobody uses it any more, then give a reason in safe_migrate.override", NULL,
		"The rows of a dropped table cannot be had again."
	},
	{
		"lost_statistics", RULE_STATISTICS, ACTION_NOTE,
		CAUSE_ALTER_COLUMN_TYPE, loses_statistics,
		"a change of column",
		"right after the commit run ANALYZE", NULL,
		"A change of a column's type or expression deletes its statistics, so that plans go bad.",
		true
	},
	{
		"refresh_materialized_view", RULE_WORK, ACTION_REJECT,
		CAUSE_REFRESH, works_under_lock,
		"REFRESH MATERIALIZED VIEW",
		"use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index", NULL,
		"A plain REFRESH stops readers until the query has run."
	},
	{
		"reindex", RULE_WORK, ACTION_REJECT,
		CAUSE_REINDEX, works_under_lock,
		"REINDEX",
		"use REINDEX CONCURRENTLY, outside a transaction block", NULL,
		"A plain REINDEX stops writes, and every query that is planned meanwhile."
	},
	{
		"rename_column", RULE_CLIENTS, ACTION_REJECT,
		CAUSE_RENAME_COLUMN, breaks_clients,
		"RENAME COLUMN",
		"add a column, keep both in step until no client uses the old one, then drop it", NULL,
		"Running clients still use the old name of the column."
	},
	{
		"rename_object", RULE_CLIENTS, ACTION_WARN,
		CAUSE_RENAME_OBJECT, breaks_clients,
		"RENAME of",
		"make sure that no running client uses the old name", NULL,
		"Running clients still use the old name of a schema, type, value or function."
	},
	{
		"rename_table", RULE_CLIENTS, ACTION_REJECT,
		CAUSE_RENAME_TABLE, breaks_clients,
		"RENAME",
		"rename it and CREATE VIEW under the old name in one transaction, with a reason in safe_migrate.override", NULL,
		"Running clients still use the old name of the table."
	},
	{
		"set_expression", RULE_WORK, ACTION_REJECT,
		CAUSE_SET_EXPRESSION, works_under_lock,
		"SET EXPRESSION of",
		"add a new generated column or fill an ordinary one in batches, and swap the two", NULL,
		"A new expression of a stored generated column rewrites the table."
	},
	{
		"set_not_null", RULE_WORK, ACTION_REJECT,
		CAUSE_SET_NOT_NULL, works_under_lock,
		"SET NOT NULL of",
		"add CHECK (... IS NOT NULL) NOT VALID, VALIDATE it in a transaction of its own, then SET NOT NULL and drop the CHECK", NULL,
		"SET NOT NULL reads the whole table, unless a valid CHECK proves it."
	},
	{
		"set_schema", RULE_CLIENTS, ACTION_REJECT,
		CAUSE_SET_SCHEMA, breaks_clients,
		"SET SCHEMA",
		"move it and CREATE VIEW in the old schema in one transaction, with a reason in safe_migrate.override", NULL,
		"Running clients still look for the table in the old schema."
	},
	{
		"truncate", RULE_DATA, ACTION_REJECT,
		CAUSE_TRUNCATE, loses_rows,
		"TRUNCATE",
		"DELETE in batches, or give a reason in safe_migrate.override", NULL,
		"The rows of a truncated table cannot be had again."
	},
	{
		"vacuum_full", RULE_WORK, ACTION_REJECT,
		CAUSE_VACUUM_FULL, works_under_lock,
		"VACUUM FULL",
		"use plain VACUUM, or pg_repack, or REPACK (CONCURRENTLY) on PostgreSQL 19", NULL,
		"VACUUM FULL rewrites the table while nobody can read it."
	},
	{
		"validate_constraint", RULE_WORK, ACTION_REJECT,
		CAUSE_VALIDATE_CONSTRAINT, works_under_lock,
		"VALIDATE CONSTRAINT",
		"run it in a transaction of its own, where it blocks nobody", NULL,
		"VALIDATE after stronger locks in the same transaction reads the table under those."
	},
};

const int	rule_count = lengthof(rule_registry);

/*
 * Long work under a lock that at least writers wait for, be it the
 * statement's own or one that the transaction holds already.
 */
static bool
works_under_lock(const Effect *effect)
{
	LOCKMODE	lockmode = effect->lockmode;

	if (effect->work == WORK_NONE || effect->work == WORK_UNKNOWN ||
		!concerns_others(effect))
		return false;
	if (effect->relation != NULL)
	{
		lockmode = Max(lockmode, effect->relation->held_lockmode);
		if (is_small(effect))
			return false;
	}

	/* a materialized view has readers only */
	if (effect->relation != NULL &&
		effect->relation->relkind == RELKIND_MATVIEW)
		return lockmode == AccessExclusiveLock;
	return lockmode >= ShareLock;
}

/* Everybody waits, and those behind them, until the lock is granted. */
static bool
stops_everybody(const Effect *effect)
{
	return effect->lockmode == AccessExclusiveLock &&
		concerns_others(effect) && !is_small(effect);
}

static bool
loses_rows(const Effect *effect)
{
	return effect->risk == RISK_LOSES_DATA && concerns_others(effect);
}

static bool
breaks_clients(const Effect *effect)
{
	return effect->risk == RISK_BREAKS_CLIENTS && effect->relation != NULL &&
		concerns_others(effect);
}

static bool
loses_statistics(const Effect *effect)
{
	return effect->loses_statistics && concerns_others(effect);
}

/*
 * False for a relation that nobody else can see yet or that holds nothing: a
 * new, temporary or empty one, and for what is never judged.
 */
static bool
concerns_others(const Effect *effect)
{
	const RelationFacts *relation = effect->relation;

	if (relation == NULL)
		return true;
	return !relation->is_new && !relation->is_temp &&
		!relation->is_protected && effect_table_bytes(effect) > 0;
}

static bool
is_small(const Effect *effect)
{
	return effect_table_bytes(effect) <= (uint64) setting_small_table * 1024;
}
