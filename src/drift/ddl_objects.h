/*-------------------------------------------------------------------------
 *
 * ddl_objects.h
 *	  The objects that a statement has made, altered or dropped.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_DDL_OBJECTS_H
#define SAFE_MIGRATE_DDL_OBJECTS_H

#include "postgres.h"

#include "common/object_watch.h"
#include "nodes/parsenodes.h"

typedef struct DdlObjects
{
	MemoryContext context;		/* of all that follows */
	bool		reaches_others; /* more than can be told from the hook */
	bool		renames;		/* what names it elsewhere changes as well */
	List	   *objects;		/* of DdlObject */
	List	   *shown;			/* of char *: kind and name, for the reader */
	List	   *units;			/* of char *: as in the manifest */
	char	   *runner;			/* ledger of a migration tool, if it is all
								 * about one; or NULL */
} DdlObjects;

/*
 * True for a statement of which the object access hook does not tell, or not
 * always, what it is about; and for one that changes objects besides those:
 * then the units are those of a special sort, "*", that stands for all.
 */
extern bool hook_tells_nothing_of(Node *statement);
extern bool reaches_others(Node *statement);

/* To be called by the watcher; looks into the catalog. */
extern void note_ddl_object(DdlObjects *objects, ObjectAccessType access,
							Oid classid, Oid objid);

/* The same for what such a statement is about, after it has run. */
extern void note_ddl_targets(DdlObjects *objects, Node *statement);

/*
 * Fill in shown, units and runner, after the statement has run.  Returns false
 * if all of it is temporary, or of the system or ours.
 */
extern bool describe_ddl_objects(DdlObjects *objects);

#endif							/* SAFE_MIGRATE_DDL_OBJECTS_H */
