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
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OVERLAY_H
#define SAFE_MIGRATE_OVERLAY_H

#include "effects/effects.h"

typedef struct OverlayColumn
{
	char	   *name;			/* as it is called now */
	AttrNumber	attnum;			/* in the catalog, or InvalidAttrNumber */
	Oid			type;			/* InvalidOid when made by the script */
	int32		typmod;
	bool		not_null;
	bool		dropped;
	bool		made;			/* added by the script */
	bool		retyped;		/* type changed by the script */
} OverlayColumn;

typedef struct OverlayRelation
{
	char	   *nspname;
	char	   *relname;
	Oid			relid;			/* in the catalog; InvalidOid: made by the
								 * script */
	char		relkind;
	bool		dropped;
	bool		has_rows;		/* the script put rows into it, or may have */
	bool		partial;		/* columns came from an opaque source (LIKE,
								 * CREATE TABLE AS): not all are known */
	RangeVar   *index_of;		/* an index: its table, as it is called now */
	List	   *columns;		/* of OverlayColumn that the script touched */
	List	   *constraints;	/* of OverlayConstraint */
} OverlayRelation;

typedef struct OverlayConstraint
{
	char	   *name;
	char		contype;		/* CONSTRAINT_xxx of pg_constraint */
	bool		validated;
	bool		dropped;
	char	   *not_null_column;	/* CHECK (column IS NOT NULL), or NULL */
	RangeVar   *referenced;		/* foreign key */
} OverlayConstraint;

typedef struct Overlay Overlay;

extern Overlay *overlay_create(void);

/*
 * Find a relation by name as the script sees it.  Returns NULL when the
 * script has not touched it, so that the catalog is to be asked; otherwise an
 * entry, which may be a dropped one.
 */
extern OverlayRelation *overlay_find_relation(Overlay *overlay,
											  const RangeVar *name);

/* The same by OID: renamed relations are found under their catalog OID. */
extern OverlayRelation *overlay_find_relid(Overlay *overlay, Oid relid);

/* NULL when the script has not touched that column. */
extern OverlayColumn *overlay_find_column(const OverlayRelation *relation,
										  const char *name);

extern OverlayConstraint *overlay_find_constraint(const OverlayRelation *relation,
												  const char *name);

/* True if the script made a type (or row type) of that name. */
extern bool overlay_has_type(Overlay *overlay, const TypeName *name);

/* True if an opaque statement came before, which may have changed anything. */
extern bool overlay_is_opaque(const Overlay *overlay);

/* Apply what a statement would do to the catalog, after it was described. */
extern void overlay_apply(Overlay *overlay, Node *statement);

#endif							/* SAFE_MIGRATE_OVERLAY_H */
