/*-------------------------------------------------------------------------
 *
 * traits.h
 *	  What a statement writes down about the design of a schema: types,
 *	  names, keys, indexes.
 *
 * Traits are facts, like effects, and know nothing of policy; but they are
 * looked for only when a rule about them is on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TRAITS_H
#define SAFE_MIGRATE_TRAITS_H

#include "postgres.h"

#include "effects/effects.h"

typedef enum TraitKind
{
	TRAIT_NONE,

	/* types of columns */
	TRAIT_TIMESTAMP,
	TRAIT_ZERO_PRECISION,
	TRAIT_CHAR,
	TRAIT_VARCHAR_LENGTH,
	TRAIT_MONEY,
	TRAIT_FLOAT,
	TRAIT_JSON,
	TRAIT_SERIAL,
	TRAIT_FORBIDDEN_TYPE,
	TRAIT_SMALL_PRIMARY_KEY,

	/* tables */
	TRAIT_NO_PRIMARY_KEY,
	TRAIT_UNIQUE_AS_PRIMARY_KEY,
	TRAIT_UNLOGGED,
	TRAIT_WIDE_TABLE,
	TRAIT_PADDING,
	TRAIT_NO_COMMENT,

	/* names */
	TRAIT_QUOTED_IDENTIFIER,
	TRAIT_NAME_PATTERN,
	TRAIT_LONG_IDENTIFIER,
	TRAIT_UNQUALIFIED_TABLE,

	/* indexes and foreign keys */
	TRAIT_DUPLICATE_INDEX,
	TRAIT_WIDE_INDEX,
	TRAIT_MANY_INDEXES,
	TRAIT_FOREIGN_KEY,
	TRAIT_CASCADING_FOREIGN_KEY,
	TRAIT_UNINDEXED_FOREIGN_KEY,
	TRAIT_FOREIGN_KEY_TYPE,

	/* how the statement is written, and when it is sent */
	TRAIT_NO_IF_EXISTS,
	TRAIT_ENUM_POSITION,
	TRAIT_NO_LOCK_TIMEOUT,
	TRAIT_NO_STATEMENT_TIMEOUT,
	TRAIT_SEVERAL_FOREIGN_KEYS,
	TRAIT_REPEATED_ALTER,
	TRAIT_NO_MIGRATION,

	TRAIT_COUNT
} TraitKind;

typedef struct Trait
{
	TraitKind	kind;
	RelationFacts *relation;	/* NULL: about no table; relid is InvalidOid
								 * for one that is being made */
	const char *nspname;		/* of the relation, or NULL */
	const char *relname;
	char	   *object;			/* quoted name of column, index ..., or NULL:
								 * it is about the relation */
	char	   *detail;			/* goes on after the object: "has no index" */
	int			location;		/* byte position in the source, or -1 */
} Trait;

/*
 * One statement, and where it is in the source that locations refer to.
 */
typedef struct TraitSource
{
	EffectContext *effects;		/* in which its effects were described */
	const char *text;			/* the statement, with comments before it */
	int			offset;			/* of text in the source, bytes */
	bool		by_migration;	/* it is part of one, or may become so */
} TraitSource;

/* True if the statement can have traits; cheap, looks at the tag only. */
extern bool statement_has_traits(Node *statement);

/*
 * The traits of a utility statement, of the kinds that are wanted (indexed by
 * TraitKind).  Its effects have been described in source->effects.  Returns a
 * list of Trait in the current memory context.  Tables that are temporary or
 * a migration tool's own have none.  Locks and errors are as for effects.
 */
extern List *describe_traits(Node *statement, const TraitSource *source,
							 const bool *wanted);

#endif							/* SAFE_MIGRATE_TRAITS_H */
