/*-------------------------------------------------------------------------
 *
 * overlay_internal.h
 *	  Shared by the files overlay*.c.
 *
 * What is kept is allocated in the overlay's own memory context, whatever the
 * current one; lists and names that are returned are in the current one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_OVERLAY_INTERNAL_H
#define SAFE_MIGRATE_OVERLAY_INTERNAL_H

#include "effects/overlay.h"
#include "utils/hsearch.h"
#include "utils/palloc.h"

/* What has a name of its own in a schema: OverlayRelation, OverlayType … */
typedef enum OverlayKind
{
	OVERLAY_RELATION,
	OVERLAY_TYPE,
	OVERLAY_FUNCTION
} OverlayKind;

/* All functions and procedures of one name: arguments are not looked at. */
typedef struct OverlayFunction
{
	char	   *nspname;
	char	   *name;
	bool		dropped;
	char		volatility;		/* PROVOLATILE_xxx */
} OverlayFunction;

struct Overlay
{
	MemoryContext context;
	HTAB	   *objects;		/* by kind, schema and name */
	HTAB	   *relids;			/* relations by OID */
	List	   *schemas;		/* of overlay_schema.c, the latest first */
	List	   *locked;			/* OverlayRelation with held_lockmode */
	int			line;			/* of the statement that is applied */
	int			opaque_line;	/* of the last that may have done anything */
	const char *opaque_command;
};

/* overlay.c: objects by name */
extern void *overlay_get(Overlay *overlay, OverlayKind kind,
						 const char *nspname, const char *name);
extern void overlay_put(Overlay *overlay, OverlayKind kind,
						const char *nspname, const char *name, void *object);
extern List *overlay_names_in_schema(Overlay *overlay, OverlayKind kind,
									 const char *nspname);
extern List *overlay_search_path(Overlay *overlay);
extern OverlayRelation *overlay_make_relation(Overlay *overlay,
											  const char *nspname,
											  const char *relname,
											  char relkind);
extern void overlay_move_relation(Overlay *overlay, OverlayRelation *relation,
								  const char *nspname, const char *relname);
extern void overlay_drop_relation(OverlayRelation *relation);
extern void overlay_own(OverlayRelation *table, OverlayRelation *owned);
extern void overlay_load_owned(Overlay *overlay, OverlayRelation *table);

/* overlay_schema.c */
extern bool overlay_may_use_schema(Overlay *overlay, const char *name);
extern bool overlay_schema_is_dropped(Overlay *overlay, const char *name);
extern char *overlay_schema_name(Overlay *overlay, Oid oid);
extern void overlay_make_schema(Overlay *overlay, const char *name);
extern void overlay_rename_schema(Overlay *overlay, const char *old_name,
								  const char *new_name);
extern void overlay_drop_schema(Overlay *overlay, const char *name);

/* overlay_type.c: types and functions */
extern OverlayType *overlay_make_type(Overlay *overlay, List *names);
extern OverlayType *overlay_touch_type(Overlay *overlay, List *names);
extern void overlay_drop_type(Overlay *overlay, List *names);
extern void overlay_move_type(Overlay *overlay, List *names,
							  const char *nspname, const char *name);
extern void overlay_make_function(Overlay *overlay, List *names,
								  char volatility);
extern void overlay_rename_function(Overlay *overlay, List *names,
									const char *name);
extern OverlayFunction *overlay_find_function(Overlay *overlay, List *names);

/* overlay_table.c: columns */
extern OverlayColumn *overlay_touch_column(OverlayRelation *relation,
										   const char *name);
extern void overlay_rename_column(OverlayRelation *relation,
								  const char *old_name, const char *new_name);
extern void overlay_add_column(Overlay *overlay, OverlayRelation *relation,
							   ColumnDef *definition);
extern void overlay_alter_table(Overlay *overlay, OverlayRelation *relation,
								List *commands);

/* overlay_constraint.c: constraints and indexes */
extern void overlay_add_constraint(Overlay *overlay, OverlayRelation *relation,
								   Constraint *constraint, const char *column);
extern void overlay_alter_constraint(Overlay *overlay,
									 OverlayRelation *relation,
									 AlterTableCmd *command);
extern void overlay_rename_constraint(Overlay *overlay,
									  OverlayRelation *relation,
									  const char *old_name,
									  const char *new_name);
extern void overlay_add_index(Overlay *overlay, OverlayRelation *table,
							  IndexStmt *stmt);
extern char *overlay_free_name(Overlay *overlay, OverlayRelation *relation,
							   const char *addition, const char *label);

#endif							/* SAFE_MIGRATE_OVERLAY_INTERNAL_H */
