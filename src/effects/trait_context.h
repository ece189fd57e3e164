/*-------------------------------------------------------------------------
 *
 * trait_context.h
 *	  Shared by the files that look for traits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_TRAIT_CONTEXT_H
#define SAFE_MIGRATE_TRAIT_CONTEXT_H

#include "effects/describe.h"
#include "effects/traits.h"

typedef struct TraitContext
{
	const TraitSource *source;
	const bool *wanted;
	Node	   *statement;
	RangeVar   *written;		/* the table as the statement names it, or
								 * NULL */
	RelationFacts *relation;	/* the table, or NULL */
	const char *nspname;
	const char *relname;
	List	   *columns;		/* of WrittenColumn */
	List	   *constraints;	/* of WrittenConstraint */
	List	   *traits;			/* of Trait, in order of discovery */
} TraitContext;

/* A column with its type, in CREATE TABLE, ADD COLUMN or ALTER COLUMN TYPE. */
typedef struct WrittenColumn
{
	const char *name;
	TypeName   *type_name;		/* NULL: given by a parent or a type */
	bool		is_new;			/* not ALTER COLUMN TYPE */
	int			location;
} WrittenColumn;

typedef struct WrittenConstraint
{
	Constraint *constraint;
	const char *column;			/* that it is written behind, or NULL */
} WrittenConstraint;

/* traits.c */

/*
 * Add a trait about an object of the table, or about the table itself if name
 * is NULL.  Returns NULL if the kind is not wanted.
 */
extern Trait *add_trait(TraitContext *context, TraitKind kind, const char *name,
						int location, const char *format,...) pg_attribute_printf(5, 6);

/* Go on with traits about that relation. */
extern void set_trait_relation(TraitContext *context, RelationFacts *facts);

/* Names of the columns that a written constraint is about. */
extern List *written_keys(const WrittenConstraint *written);

/* trait_columns.c */
extern void look_at_columns(TraitContext *context);
extern void look_at_primary_key(TraitContext *context);
extern Oid	written_type(TraitContext *context, const TypeName *type_name,
						 int32 *typmod);

/* trait_tables.c */
extern void look_at_new_table(TraitContext *context);
extern void look_at_table_width(TraitContext *context);

/* trait_names.c */
extern void look_at_names(TraitContext *context);
extern void look_at_long_identifiers(TraitContext *context);

/* trait_indexes.c */
extern void look_at_new_index(TraitContext *context);
extern void look_at_foreign_keys(TraitContext *context);
extern void look_at_key_indexes(TraitContext *context);

/* "a, b": names, quoted where need be */
extern char *joined_names(List *names);

/* trait_origin.c */
extern void look_at_origin(TraitContext *context);

/* trait_transaction.c */
extern void look_at_transaction(TraitContext *context);

#endif							/* SAFE_MIGRATE_TRAIT_CONTEXT_H */
