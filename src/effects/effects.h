/*-------------------------------------------------------------------------
 *
 * effects.h
 *	  What a statement will lock, scan, build, rewrite and break.
 *
 * Effects are predictions of what PostgreSQL will do.  They know nothing of
 * policy: whether a rewrite of a table of that size is acceptable is judged
 * in src/policy.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_EFFECTS_H
#define SAFE_MIGRATE_EFFECTS_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* The work done under the lock, in order of weight. */
typedef enum EffectWork
{
	WORK_NONE,
	WORK_SCAN,
	WORK_FK_SCAN,
	WORK_INDEX_BUILD,
	WORK_INDEX_REBUILD,
	WORK_REWRITE,
	WORK_UNKNOWN
} EffectWork;

typedef enum EffectRisk
{
	RISK_NONE,
	RISK_BREAKS_CLIENTS,
	RISK_LOSES_DATA
} EffectRisk;

/*
 * What in the statement has the effect.  A rule names the cause that it is
 * about, so that its message can say what to do instead.
 */
typedef enum EffectCause
{
	CAUSE_METADATA,				/* a lock and a catalog change, nothing else */
	CAUSE_ADD_COLUMN,
	CAUSE_ADD_COLUMN_CONSTRAINT,	/* CHECK, REFERENCES, UNIQUE in ADD COLUMN */
	CAUSE_ALTER_COLUMN_TYPE,
	CAUSE_SET_EXPRESSION,		/* 17+ */
	CAUSE_SET_NOT_NULL,
	CAUSE_ADD_CHECK,
	CAUSE_ADD_FOREIGN_KEY,
	CAUSE_ADD_UNIQUE,
	CAUSE_ADD_PRIMARY_KEY,
	CAUSE_ADD_EXCLUSION,
	CAUSE_VALIDATE_CONSTRAINT,
	CAUSE_DROP_CONSTRAINT,
	CAUSE_DROP_NOT_NULL,
	CAUSE_DROP_COLUMN,
	CAUSE_SET_STORAGE_OF_TABLE, /* LOGGED, ACCESS METHOD, TABLESPACE */
	CAUSE_ATTACH_PARTITION,
	CAUSE_DETACH_PARTITION,
	CAUSE_CREATE_PARTITION,
	CAUSE_CREATE_INDEX,
	CAUSE_DROP_INDEX,
	CAUSE_REINDEX,
	CAUSE_CREATE_TRIGGER,
	CAUSE_DROP_TABLE,
	CAUSE_DROP_OBJECT,			/* view, function, type, ... */
	CAUSE_DROP_CASCADE,			/* what CASCADE reaches */
	CAUSE_DROP_DATABASE,
	CAUSE_TRUNCATE,
	CAUSE_RENAME_TABLE,
	CAUSE_RENAME_COLUMN,
	CAUSE_RENAME_OBJECT,		/* view, type, enum value, schema, ... */
	CAUSE_SET_SCHEMA,
	CAUSE_VACUUM_FULL,
	CAUSE_CLUSTER,				/* CLUSTER and REPACK */
	CAUSE_REFRESH,
	CAUSE_ALTER_DOMAIN,
	CAUSE_ALTER_TYPE,			/* composite type: typed tables are rewritten */
	CAUSE_OPAQUE,				/* DO, CALL: only running tells */
	CAUSE_UPDATE_ALL,			/* no condition restricts the rows */
	CAUSE_DELETE_ALL,
	CAUSE_ROW_LIMIT,			/* more rows changed than is allowed */
	CAUSE_IRREVERSIBLE,			/* no restore point brings it back */
	CAUSE_DESIGN				/* not an effect: carries a trait */
} EffectCause;

struct Overlay;
struct OverlayRelation;
struct TableSize;

/*
 * Facts about one relation a statement touches, read once per statement.
 * Allocated in the memory context current when describe_effects() is called.
 */
typedef struct RelationFacts
{
	Oid			relid;			/* InvalidOid: made by an earlier statement of
								 * a script that is only checked */
	char	   *name;			/* schema-qualified and quoted, for messages */
	char		relkind;
	bool		is_new;			/* made in this transaction or script */
	bool		is_temp;
	bool		is_protected;	/* a runner's ledger or a system catalog:
								 * never judged */
	bool		measured;		/* the fields below are filled in */
	uint64		table_bytes;	/* main forks and TOAST, whole partition tree */
	uint64		own_bytes;		/* of table_bytes, what is not of children */
	struct TableSize *tables;	/* the same of each table, by OID */
	int			table_count;
	bool		indexes_measured;
	uint64		index_bytes;	/* all indexes, whole partition tree */
	LOCKMODE	held_lockmode;	/* strongest lock this transaction holds */
	LOCKMODE	lockmode;		/* strongest of the effects so far */
	LOCKMODE	lockmode_below; /* the same for all tables below */
	struct OverlayRelation *overlay;	/* what the script changed, or NULL */
} RelationFacts;

typedef struct Effect
{
	EffectCause cause;
	RelationFacts *relation;	/* NULL for objects that are not relations */
	char	   *object;			/* quoted name of the column, constraint,
								 * index ... concerned, or NULL */
	LOCKMODE	lockmode;
	bool		momentary;		/* may be let go of before the statement ends */
	EffectWork	work;
	EffectRisk	risk;
	LOCKMODE	lockmode_below; /* on the tables that inherit from it, where
								 * the work is done as well; NoLock: neither */
	List	   *members;		/* OIDs of those, if not all are concerned */
	List	   *spared;			/* OIDs of those that are locked only */
	uint64		spared_bytes;	/* size of these tables */
	bool		truncates;		/* replaces the storage by an empty one */
	bool		fails_on_rows;	/* the scan raises an error at the first row */
	bool		alone;			/* children are not concerned: ONLY, or a
								 * command that does not recurse */
	bool		loses_statistics;	/* of the planner, about a column */
	bool		analyze_all;	/* they come back only by ANALYZE of the whole
								 * table, not of the column */
	AttrNumber	attnum;			/* of that column */
	uint64		size_bytes;		/* what the work reads or writes */
	char	   *reason;			/* a clause that explains the work, or NULL;
								 * of CAUSE_IRREVERSIBLE what does not come
								 * back */
	int			subcommand;		/* index into AlterTableStmt.cmds, or -1 */
	int			location;		/* byte position in the source, or -1 */
} Effect;

typedef struct EffectContext
{
	const char *source_text;	/* whole source the locations refer to */
	struct Overlay *overlay;	/* NULL: the statement is about to run */
	List	   *effects;		/* of Effect, in order of discovery */
	List	   *dropped;		/* of ObjectAddress: what goes though it is
								 * not named, nor a part of what is */
	List	   *made;			/* names that CREATE SCHEMA makes */
	bool		nowait;			/* NOWAIT, SKIP LOCKED: leave out what others
								 * have locked */
	List	   *relations;		/* of RelationFacts */
} EffectContext;

/*
 * Describe what a utility statement will do.
 *
 * The tree is not changed.  Takes AccessShareLock on the relations concerned
 * for as long as they are looked at and releases it, so that no lock is held
 * into the statement itself (a lock upgrade there would deadlock two sessions
 * that run the same DDL).  A relation that does not exist, is of the wrong
 * kind or is not the user's gives no effect: PostgreSQL's own error is the
 * one to see.  With an overlay, a missing relation raises it.
 *
 * Returns a list of Effect in the current memory context, which is also
 * context->effects.  May throw what the analysis of an expression throws.
 */
extern List *describe_effects(Node *statement, EffectContext *context);

/* True if the statement can have an effect; cheap, looks at the tag only. */
extern bool statement_has_effects(Node *statement);

/*
 * The objects of context->dropped in words, separated by commas, at most so
 * many, palloc'd; NULL if there are none.  Throws nothing for one that is gone.
 */
extern char *dropped_in_words(const EffectContext *context, int most);

/* Bytes of the tables that an effect concerns; they have been measured. */
extern uint64 effect_table_bytes(const Effect *effect);

/*
 * Fill in the sizes of a relation, and of all below it, and the lock that is
 * held on it.  Takes AccessShareLock on each for a moment.  Does nothing if
 * that has been done.
 */
extern void measure_relation(RelationFacts *facts);

/*
 * Call a function for each relation that an effect concerns, as the catalog
 * shows it now: the effect's own one, and those below it with the lock that
 * they get.  What is not in the catalog yet is left out.  Takes no lock.
 */
typedef void (*EffectVisitor) (const Effect *effect, Oid relid,
							   LOCKMODE lockmode, void *arg);

extern void spread_effects(List *effects, EffectVisitor visit, void *arg);

extern const char *work_name(EffectWork work);
extern const char *risk_name(EffectRisk risk);

#endif							/* SAFE_MIGRATE_EFFECTS_H */
