/*-------------------------------------------------------------------------
 *
 * column_copy.h
 *	  What belongs to a column, made for the one that takes its place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_COLUMN_COPY_H
#define SAFE_MIGRATE_COLUMN_COPY_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"

/*
 * Lists of char * but for builds; each is one statement, without a semicolon,
 * all names qualified but those of pg_catalog: it is to be run with
 * search_path = pg_catalog.  Within a list the order matters.
 */
typedef struct ColumnCopy
{
	List	   *start;			/* behind ADD COLUMN, in its transaction */
	List	   *start_undo;		/* to give the change up: before the new
								 * column is dropped, in that transaction;
								 * what the drop takes along is not in it */
	List	   *builds;			/* of PlanStep: at top level, after the
								 * backfill */
	List	   *contract_before;	/* while both columns are there, and
									 * nothing keeps them equal any more; the
									 * table is locked by AccessExclusiveLock */
	List	   *contract_after; /* behind DROP COLUMN of the old one, in the
								 * same transaction; the new column may have
								 * got another name by then */
	List	   *refused;		/* sentences, each names what cannot be
								 * carried and a remedy; NIL if all can */
} ColumnCopy;

/*
 * What is to be done so that a column named new_name, of that type, which is
 * not there yet, gets all that old_column of the table has: indexes,
 * constraints, default, identity, privileges and so on.  Palloc'd in the
 * current memory context.  When refused is not NIL the other lists are of no
 * use.
 *
 * The copies of named objects have names that are made of theirs and of
 * change_id, so they are the same when it is called again.
 *
 * The caller holds AccessExclusiveLock on the table; takes AccessShareLock on
 * its partitions and on what depends on the column, all given back.  Throws
 * what PostgreSQL throws about an expression that makes no sense with the new
 * type.
 */
extern ColumnCopy *plan_column_copy(Oid relid, AttrNumber old_column,
									const char *new_name, Oid new_type,
									int32 new_typmod, Oid new_collation,
									int64 change_id);

/*
 * The same for the contract, when the new column has been there for a while:
 * what others have changed of the old one since the start is carried as it is
 * now.  start makes what the new column itself has equal to that again, before
 * contract_before; start_undo and builds are of no use.  What has come since
 * and has no copy is refused.  begun are the statements (of ScriptStatement) that
 * have begun the change: what else the new column has it keeps.
 */
extern ColumnCopy *plan_column_contract(Oid relid, AttrNumber old_column,
										AttrNumber new_column,
										int64 change_id, List *begun);

/*
 * A trigger as the statements of a plan make it, for comparison with them;
 * palloc'd.
 */
extern char *portable_trigger_definition(Oid trigger);

/*
 * Statements that give a new trigger with that name what CREATE TRIGGER does not
 * say of the one there is; a list of char *.
 */
extern List *trigger_settings(Oid trigger);

/*
 * Why the table cannot have a trigger that all rows go through, which inherited
 * ones have to; a sentence with a remedy, palloc'd, or NULL.
 */
extern char *inheritance_in_words(Oid relid);

#endif							/* SAFE_MIGRATE_COLUMN_COPY_H */
