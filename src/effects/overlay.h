/*-------------------------------------------------------------------------
 *
 * overlay.h
 *	  What the earlier statements of a checked script would have made,
 *	  renamed or dropped.
 *
 * migrate.check() runs nothing, so a later statement of the script must be
 * judged by the catalog plus what the earlier ones would have done to it.
 * The overlay is keyed by name.
 *
 * Names without a schema are looked for along search_path, as it is when the
 * function is called: who checks a script sets it as the script does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OVERLAY_H
#define SAFE_MIGRATE_OVERLAY_H

#include "effects/effects.h"

typedef struct OverlayColumn
{
	char	   *name;			/* as it is called now */
	AttrNumber	attnum;			/* in the catalog, or InvalidAttrNumber */
	Oid			type;			/* when made or retyped: InvalidOid for a type
								 * that the script made */
	int32		typmod;
	bool		not_null;		/* the script made it so */
	bool		null_allowed;	/* the script dropped NOT NULL */
	bool		dropped;		/* or called otherwise now */
	bool		made;			/* added by the script */
	bool		retyped;		/* type changed by the script */
} OverlayColumn;

typedef struct OverlayConstraint
{
	char	   *name;			/* as it is called now */
	char	   *catalog_name;	/* in the catalog, or NULL */
	char		contype;		/* CONSTRAINT_xxx of pg_constraint */
	bool		validated;
	bool		dropped;
	List	   *not_null_columns;	/* names: NULL in them violates it */
	Node	   *expression;		/* CHECK that the script added: raw
								 * expression, NULL if it cannot be analysed */
	RangeVar   *referenced;		/* FOREIGN KEY made by the script */
} OverlayConstraint;

/* What has a name of its own in a schema: the others begin like this. */
typedef struct OverlayObject
{
	char	   *nspname;		/* "pg_temp" for a temporary one */
	char	   *name;			/* as it is called now */
	bool		dropped;		/* or called otherwise now */
} OverlayObject;

typedef struct OverlayRelation
{
	char	   *nspname;
	char	   *relname;
	bool		dropped;
	char		relkind;
	Oid			relid;			/* in the catalog; InvalidOid: made by the
								 * script */
	bool		emptied;		/* truncated, and not filled since */
	bool		partial;		/* made with columns that are not known here
								 * (LIKE, AS SELECT, INHERITS) */
	LOCKMODE	held_lockmode;	/* of earlier statements of the script in the
								 * same transaction */
	RangeVar   *index_of;		/* an index: its table, as it is called now */
	List	   *key_columns;	/* an index made by the script: names */
	List	   *owned;			/* OverlayRelation: indexes and sequences */
	List	   *columns;		/* OverlayColumn that the script touched */
	List	   *constraints;	/* OverlayConstraint that the script touched */
} OverlayRelation;

typedef struct OverlayType
{
	char	   *nspname;
	char	   *name;
	bool		dropped;
	Oid			oid;			/* in the catalog; InvalidOid: made by the
								 * script */
	bool		renamed;		/* the catalog calls it otherwise */
	bool		changed;		/* labels, attributes or constraints */
	bool		constrained;	/* a domain that the script gave constraints */
} OverlayType;

typedef struct Overlay Overlay;

/* An empty overlay; its memory is a child of the current memory context. */
extern Overlay *overlay_create(void);

/* Free it.  Pointers that were got from it are no longer valid. */
extern void overlay_free(Overlay *overlay);

/*
 * Find a relation by name as the script sees it: an entry, which may be that
 * of a dropped one and belongs to the overlay, or NULL when neither script nor
 * catalog has it.  Takes no lasting locks.
 */
extern OverlayRelation *overlay_find_relation(Overlay *overlay,
											  const RangeVar *name);

/*
 * The same by OID: renamed relations are found under their catalog OID.  NULL
 * when no statement of the script has named the relation.
 */
extern OverlayRelation *overlay_find_relid(Overlay *overlay, Oid relid);

/* True if a relation of that name is there and not dropped. */
extern bool overlay_has_relation(Overlay *overlay, const RangeVar *name);

/* The schema in which a new relation of that name is made; may throw. */
extern const char *overlay_creation_schema(Overlay *overlay,
										   const RangeVar *name);

/* True if there is a schema of that name after what the script did. */
extern bool overlay_has_schema(Overlay *overlay, const char *name);

/* Its OID in the catalog; InvalidOid for one that the script made. */
extern Oid	overlay_schema_oid(Overlay *overlay, const char *name);

/* NULL when the script has not touched that column. */
extern OverlayColumn *overlay_find_column(const OverlayRelation *relation,
										  const char *name);

/* The same by the number in the catalog. */
extern OverlayColumn *overlay_find_attnum(const OverlayRelation *relation,
										  AttrNumber attnum);

/* NULL when the script has not touched that constraint. */
extern OverlayConstraint *overlay_find_constraint(const OverlayRelation *relation,
												  const char *name);

/*
 * True if the script itself makes sure that the column has no NULL: it set NOT
 * NULL, or validated a CHECK that says so and is not in the list of names.
 */
extern bool overlay_proves_not_null(const OverlayRelation *relation,
									const char *column, List *except);

/*
 * What the script did to a CHECK constraint of the catalog: true if it is
 * valid then.  relation may be NULL.
 */
extern bool overlay_check_is_valid(const OverlayRelation *relation,
								   const char *catalog_name,
								   bool valid_in_catalog);

/*
 * The conditions of the validated CHECK constraints that the script added to a
 * relation of the catalog, analysed, as implicit AND list; relation may be
 * NULL.  Those that name columns which the script made are left out, and those
 * whose name is in the list.  The caller holds a lock on rel.
 */
extern List *overlay_check_conditions(const OverlayRelation *relation,
									  Relation rel, List *except);

/*
 * A copy of a raw expression in which the columns that the script renamed have
 * the names that the catalog knows; NULL when it names a column that the
 * script made.  relation may be NULL.
 */
extern Node *overlay_catalog_names(const OverlayRelation *relation,
								   Node *expression);

/*
 * Names of the key columns of an index, as they are called now; expressions
 * are left out.
 */
extern List *overlay_key_columns(Overlay *overlay,
								 const OverlayRelation *index);

/*
 * Find a type by name as the script sees it.  NULL when neither script nor
 * catalog has it.
 */
extern OverlayType *overlay_find_type(Overlay *overlay, const TypeName *name);

/* True if the script made a type (or row type) of that name. */
extern bool overlay_has_type(Overlay *overlay, const TypeName *name);

/*
 * Resolve a type name as the script sees it.  Returns false, and InvalidOid,
 * if the script made the type.  Throws as typenameTypeIdAndMod() does if there
 * is no such type.  overlay may be NULL.
 */
extern bool overlay_resolve_type(Overlay *overlay, const TypeName *name,
								 Oid *type, int32 *typmod);

/*
 * True if an expression calls functions or uses types that the script made or
 * changed, so that PostgreSQL cannot analyse it.  overlay may be NULL.
 */
extern bool overlay_concerns_expression(Overlay *overlay, Node *expression);

/*
 * Whether a raw expression has a volatile function in it, decided by the names
 * of the functions: for expressions that cannot be analysed.
 */
extern bool overlay_expression_is_volatile(Overlay *overlay, Node *expression);

/*
 * Line of the last statement that may have done anything, 0 if there is none,
 * and its command tag.
 */
extern int	overlay_opaque_line(const Overlay *overlay, const char **command);

/*
 * Apply what a statement on that line would do to the catalog, after it was
 * described.  The tree is not changed; what is kept of it is copied.  Objects
 * that do not exist are passed over.  May throw what look-ups in the catalog
 * throw.
 */
extern void overlay_apply(Overlay *overlay, Node *statement, int line);

/* Remember a lock that the script's transaction holds from now on. */
extern void overlay_hold_lock(Overlay *overlay, OverlayRelation *relation,
							  LOCKMODE lockmode);

/* The script's transaction ended: its locks are gone. */
extern void overlay_release_locks(Overlay *overlay);

#endif							/* SAFE_MIGRATE_OVERLAY_H */
