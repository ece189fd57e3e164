/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  The rules, one row each: first those that are on, then those that are
 *	  not until somebody names them; each sorted by name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/catalog.h"
#include "common/settings.h"
#include "policy/policy.h"
#include "storage/lockdefs.h"

static bool works_under_lock(const Effect *effect);
static bool stops_everybody(const Effect *effect);
static bool loses_rows(const Effect *effect);
static bool breaks_clients(const Effect *effect);
static bool loses_statistics(const Effect *effect);
static bool is_out_of_reach(const Effect *effect);
static bool concerns_others(const Effect *effect);
static bool is_small(const Effect *effect);

/* The rows of rules about traits, which are found by their kind. */
#define DESIGN_RULE(name, trait, subject, remedy, description) \
	{ \
		name, RULE_DESIGN, ACTION_ALLOW, CAUSE_DESIGN, NULL, \
		subject, remedy, NULL, description, trait \
	}

const Rule	rule_registry[] =
{
	{
		"add_check", RULE_WORK, ACTION_REWRITE,
		CAUSE_ADD_CHECK, works_under_lock,
		"ADD CHECK",
		"add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own", NULL,
		"A CHECK constraint is checked against every row under a lock."
	},
	{
		"add_column_constraint", RULE_WORK, ACTION_REWRITE,
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
		"add_foreign_key", RULE_WORK, ACTION_REWRITE,
		CAUSE_ADD_FOREIGN_KEY, works_under_lock,
		"ADD FOREIGN KEY",
		"add it NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own",
		"before PostgreSQL 18 add it to each partition NOT VALID, VALIDATE there, then to the parent",
		"A foreign key looks up every row while both tables cannot be written."
	},
	{
		"add_primary_key", RULE_WORK, ACTION_REWRITE,
		CAUSE_ADD_PRIMARY_KEY, works_under_lock,
		"ADD PRIMARY KEY",
		"SET NOT NULL first, CREATE UNIQUE INDEX CONCURRENTLY, then ADD PRIMARY KEY USING INDEX",
		"build a unique index CONCURRENTLY on each partition and ATTACH it to one made ON ONLY the parent",
		"A primary key builds its index, and checks for NULL, under a lock."
	},
	{
		"add_unique", RULE_WORK, ACTION_REWRITE,
		CAUSE_ADD_UNIQUE, works_under_lock,
		"ADD UNIQUE",
		"CREATE UNIQUE INDEX CONCURRENTLY, then ADD UNIQUE USING INDEX",
		"build a unique index CONCURRENTLY on each partition and ATTACH it to one made ON ONLY the parent",
		"A unique constraint builds its index under a lock."
	},
	{
		"alter_column_type", RULE_WORK, ACTION_REWRITE,
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
		"ALTER TYPE CASCADE of",
		"make a new type, and move the typed tables to it one by one", NULL,
		"A change of a composite type rewrites the tables made OF it."
	},
	{
		"attach_partition", RULE_WORK, ACTION_REWRITE,
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
		"cluster", RULE_WORK, ACTION_REWRITE,
		CAUSE_CLUSTER, works_under_lock,
		"CLUSTER or REPACK",
		"use REPACK (CONCURRENTLY) on PostgreSQL 19, or pg_repack", NULL,
		"CLUSTER and plain REPACK rewrite the table while nobody can read it."
	},
	{
		"create_index", RULE_WORK, ACTION_REWRITE,
		CAUSE_CREATE_INDEX, works_under_lock,
		"CREATE INDEX",
		"use CREATE INDEX CONCURRENTLY, outside a transaction block",
		"CREATE INDEX ON ONLY the parent, CONCURRENTLY on each partition, then ATTACH them",
		"A plain CREATE INDEX stops all writes until it is built."
	},
	{
		"create_partition", RULE_WORK, ACTION_REWRITE,
		CAUSE_CREATE_PARTITION, works_under_lock,
		"CREATE TABLE ... PARTITION OF",
		"first add a CHECK to the default partition that excludes the new bound, NOT VALID, and VALIDATE it", NULL,
		"A new partition reads the whole default partition."
	},
	{
		"detach_partition", RULE_LOCK, ACTION_REWRITE,
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
		"drop_index", RULE_LOCK, ACTION_REWRITE,
		CAUSE_DROP_INDEX, stops_everybody,
		"DROP INDEX",
		"use DROP INDEX CONCURRENTLY, outside a transaction block",
		"PostgreSQL has no other way for an index of a partitioned table",
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
		"irreversible", RULE_UNDO, ACTION_NOTE,
		CAUSE_IRREVERSIBLE, is_out_of_reach,
		"a restore point does not bring back",
		"make sure that nobody will want it back, or that there is a backup", NULL,
		"A migration does what the restore point before it does not undo."
	},
	{
		"lost_statistics", RULE_STATISTICS, ACTION_NOTE,
		CAUSE_ALTER_COLUMN_TYPE, loses_statistics,
		"a change of column",
		"right after the commit run ANALYZE", NULL,
		"A change of a column's type or expression deletes its statistics, so that plans go bad.",
		.any_cause = true
	},
	{
		"refresh_materialized_view", RULE_WORK, ACTION_REWRITE,
		CAUSE_REFRESH, works_under_lock,
		"REFRESH MATERIALIZED VIEW",
		"use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index", NULL,
		"A plain REFRESH stops readers until the query has run."
	},
	{
		"reindex", RULE_WORK, ACTION_REWRITE,
		CAUSE_REINDEX, works_under_lock,
		"REINDEX",
		"use REINDEX CONCURRENTLY, outside a transaction block", NULL,
		"A plain REINDEX stops writes, and every query that is planned meanwhile."
	},
	{
		"rename_column", RULE_CLIENTS, ACTION_REJECT,
		CAUSE_RENAME_COLUMN, breaks_clients,
		"RENAME COLUMN",
		"keep both names in step until no client uses the old one", NULL,
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
		"rename_table", RULE_CLIENTS, ACTION_REWRITE,
		CAUSE_RENAME_TABLE, breaks_clients,
		"RENAME",
		"set safe_migrate.rename_with_view, or rename it and CREATE VIEW under the old name in one transaction, with a reason in safe_migrate.override", NULL,
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
		"set_not_null", RULE_WORK, ACTION_REWRITE,
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
		"vacuum_full", RULE_WORK, ACTION_REWRITE,
		CAUSE_VACUUM_FULL, works_under_lock,
		"VACUUM FULL",
		"use plain VACUUM, or pg_repack, or REPACK (CONCURRENTLY) on PostgreSQL 19", NULL,
		"VACUUM FULL rewrites the table while nobody can read it."
	},
	{
		"validate_constraint", RULE_WORK, ACTION_REWRITE,
		CAUSE_VALIDATE_CONSTRAINT, works_under_lock,
		"VALIDATE CONSTRAINT",
		"run it in a transaction of its own, where it blocks nobody", NULL,
		"VALIDATE after stronger locks in the same transaction reads the table under those."
	},

	/* off until named */
	{
		"delete_without_where", RULE_DML, ACTION_ALLOW,
		CAUSE_DELETE_ALL, concerns_others,
		"DELETE",
		"say which rows in its WHERE, or give a reason in safe_migrate.override", NULL,
		"A DELETE that no condition keeps from any row of the table."
	},
	{
		"row_limit", RULE_DML, ACTION_REJECT,
		CAUSE_ROW_LIMIT, concerns_others,
		"the",
		"change them in batches, or give a reason in safe_migrate.override", NULL,
		"An UPDATE, DELETE or MERGE that changes more rows than safe_migrate.row_limit, if that is set."
	},
	{
		"update_without_where", RULE_DML, ACTION_ALLOW,
		CAUSE_UPDATE_ALL, concerns_others,
		"UPDATE",
		"say which rows in its WHERE, or give a reason in safe_migrate.override", NULL,
		"An UPDATE that no condition keeps from any row of the table."
	},
	DESIGN_RULE("char_type", TRAIT_CHAR, "column",
				"use text, with a CHECK of its length where there is one",
				"char(n) pads with blanks and is no faster than text."),
	DESIGN_RULE("column_padding", TRAIT_PADDING, "table",
				"put columns of 8 bytes first, then those of 4, 2 and 1, and those of variable length last",
				"The order of the columns makes each row longer than need be."),
	DESIGN_RULE("comment_required", TRAIT_NO_COMMENT, "table",
				"COMMENT ON TABLE in the same transaction",
				"A new table says what it is for; judged when its transaction commits."),
	DESIGN_RULE("duplicate_index", TRAIT_DUPLICATE_INDEX, "index",
				"use the index that is there, or drop it first",
				"An index that another one makes needless costs every write."),
	DESIGN_RULE("enum_value_position", TRAIT_ENUM_POSITION, "value",
				"say BEFORE or AFTER which value it is to be",
				"The order of the values of an enum is meant, not left to chance."),
	DESIGN_RULE("float_type", TRAIT_FLOAT, "column",
				"use numeric where the value has to be exact",
				"real and double precision round what they store."),
	DESIGN_RULE("forbidden_type", TRAIT_FORBIDDEN_TYPE, "column",
				"use a type that safe_migrate.forbidden_types does not list",
				"A type that safe_migrate.forbidden_types lists."),
	DESIGN_RULE("foreign_key_cascade", TRAIT_CASCADING_FOREIGN_KEY, "foreign key",
				"leave ON DELETE CASCADE out, and delete the rows by name",
				"ON DELETE CASCADE deletes rows that no statement names."),
	DESIGN_RULE("foreign_key_forbidden", TRAIT_FOREIGN_KEY, "foreign key",
				"leave it out, and check in the application",
				"For those who do without foreign keys."),
	DESIGN_RULE("foreign_key_type_mismatch", TRAIT_FOREIGN_KEY_TYPE, "foreign key",
				"make both columns of the same type",
				"A reference of another type than what it refers to."),
	DESIGN_RULE("foreign_key_without_index", TRAIT_UNINDEXED_FOREIGN_KEY, "foreign key",
				"make that index before it",
				"Each DELETE in the referenced table reads the whole table; judged by the indexes that are there by then."),
	DESIGN_RULE("identifier_too_long", TRAIT_LONG_IDENTIFIER, "the name",
				"choose one of at most 63 bytes",
				"PostgreSQL cuts a name of more than 63 bytes, and goes on."),
	DESIGN_RULE("json_type", TRAIT_JSON, "column",
				"use jsonb",
				"json has neither equality nor indexes, and is parsed at every use."),
	DESIGN_RULE("lock_timeout_missing", TRAIT_NO_LOCK_TIMEOUT, "table",
				"SET lock_timeout = '2s' or so before it",
				"While a statement waits for its lock, everybody behind it waits too."),
	DESIGN_RULE("many_indexes", TRAIT_MANY_INDEXES, "table",
				"drop one that is not used, or raise safe_migrate.max_indexes",
				"Every index makes every write slower."),
	DESIGN_RULE("missing_if_exists", TRAIT_NO_IF_EXISTS, "object",
				"say IF EXISTS or IF NOT EXISTS, so that it can be sent twice",
				"A statement that fails when it is sent a second time."),
	DESIGN_RULE("money_type", TRAIT_MONEY, "column",
				"use numeric, and a column for the currency",
				"The currency of money depends on a setting."),
	DESIGN_RULE("naming_pattern", TRAIT_NAME_PATTERN, "the name",
				"choose one that matches",
				"Names match the patterns in safe_migrate.table_name_pattern, column_, index_ and constraint_name_pattern."),
	DESIGN_RULE("quoted_identifier", TRAIT_QUOTED_IDENTIFIER, "the name",
				"use lower case, digits and underscores, and no reserved word",
				"A name with capitals, blanks or of a reserved word has to be quoted for ever."),
	DESIGN_RULE("repeated_alter", TRAIT_REPEATED_ALTER, "table",
				"put the sub-commands into one ALTER TABLE",
				"Several ALTER TABLE of one table in a transaction, none with work to do."),
	DESIGN_RULE("require_migration", TRAIT_NO_MIGRATION, "the statement",
				"register it and CALL migrate.deploy(), or have the role exempted in migrate.policy",
				"Schema changes come through the ledger; migrations of other tools need a role that migrate.policy exempts."),
	DESIGN_RULE("serial_type", TRAIT_SERIAL, "column",
				"use GENERATED BY DEFAULT AS IDENTITY",
				"serial leaves a sequence with owner and privileges of its own."),
	DESIGN_RULE("several_foreign_keys", TRAIT_SEVERAL_FOREIGN_KEYS, "table",
				"add each in a transaction of its own",
				"Foreign keys lock two tables each, and sessions that want them in another order deadlock."),
	DESIGN_RULE("small_primary_key", TRAIT_SMALL_PRIMARY_KEY, "primary key",
				"use bigint",
				"A primary key of type integer or smallint runs out of values."),
	DESIGN_RULE("statement_timeout_missing", TRAIT_NO_STATEMENT_TIMEOUT, "table",
				"SET statement_timeout before it",
				"What takes longer than expected keeps everybody waiting until somebody notices."),
	DESIGN_RULE("table_without_primary_key", TRAIT_NO_PRIMARY_KEY, "table",
				"declare one where the table is made",
				"Rows without a key cannot be replicated, corrected or told apart; judged by the CREATE TABLE alone."),
	DESIGN_RULE("timestamp_without_time_zone", TRAIT_TIMESTAMP, "column",
				"use timestamptz",
				"A timestamp without time zone is no point in time."),
	DESIGN_RULE("timestamp_zero_precision", TRAIT_ZERO_PRECISION, "column",
				"use date_trunc() where the time is shown",
				"Precision 0 rounds up, into the future."),
	DESIGN_RULE("unique_instead_of_primary_key", TRAIT_UNIQUE_AS_PRIMARY_KEY, "column",
				"make it the PRIMARY KEY",
				"A UNIQUE NOT NULL in a table that has no primary key."),
	DESIGN_RULE("unlogged_table", TRAIT_UNLOGGED, "table",
				"leave UNLOGGED out",
				"An unlogged table is emptied by a crash, and is not replicated."),
	DESIGN_RULE("unqualified_table", TRAIT_UNQUALIFIED_TABLE, "relation",
				"write the schema before its name",
				"Without its schema, search_path decides which table is meant."),
	DESIGN_RULE("varchar_length", TRAIT_VARCHAR_LENGTH, "column",
				"use text, with a CHECK of its length where there is one",
				"The length of a varchar(n) is hard to change; that of a CHECK is not."),
	DESIGN_RULE("wide_index", TRAIT_WIDE_INDEX, "index",
				"index the columns that single out rows, or raise safe_migrate.max_index_columns",
				"An index of many columns serves few queries and costs every write."),
	DESIGN_RULE("wide_table", TRAIT_WIDE_TABLE, "table",
				"make a table of its own for those that belong together, or raise safe_migrate.max_columns",
				"A table with more columns than safe_migrate.max_columns."),
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
		effect->fails_on_rows || !concerns_others(effect))
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

/* Of what no restore point is made, nobody expects one to bring it back. */
static bool
is_out_of_reach(const Effect *effect)
{
	return setting_restore_points && extension_is_created();
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
