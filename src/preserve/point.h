/*-------------------------------------------------------------------------
 *
 * point.h
 *	  Restore points: making one, and which there are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_POINT_H
#define SAFE_MIGRATE_POINT_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Kinds of points, as migrate.restore_point_data has them. */
#define POINT_MIGRATION	"migration"
#define POINT_MANUAL	"manual"
#define POINT_ROLLBACK	"rollback"
#define POINT_STATEMENT	"statement"

/* Longest label, bytes: that of a restore point in the WAL. */
#define LABEL_MAX_BYTES	63

/*
 * True if what is destroyed is to be kept: safe_migrate.restore_points is on,
 * the extension is created here, and neither pg_restore nor pg_upgrade nor
 * recovery is at work.  Cheap; needs a transaction.
 */
extern bool preserving(void);

/* The same, whatever safe_migrate.restore_points and mode say. */
extern bool points_are_possible(void);

/*
 * Make a point that holds the whole catalog as it is now, with what this
 * transaction has changed so far: the row, the image of the catalog, the
 * manifest, the states of the sequences, and a restore point of that name in
 * the WAL.  Returns its number.  Needs a transaction that is not read only for
 * good, with any role; writes with the rights of the extension's owner.  Locks
 * no table but our own, and waits for nobody who locks one; holds a lock until
 * the end of the transaction from which others know that a point is being made
 * (see point_is_being_made).  Throws if the label is taken, empty or too long.
 */
extern int64 make_restore_point(const char *label, const char *kind);

/*
 * The same for what the current transaction has changed: the row alone, to
 * which the caller adds what is to come back.
 */
extern int64 make_statement_point(const char *statement);
extern void forget_statement_point(int64 point);

/* Let nobody drop it before this transaction ends; false if it is gone. */
extern bool hold_statement_point(int64 point);

/*
 * A label like that one which no point has yet, palloc'd; with a number behind
 * it if need be, and cut where it is too long.
 */
extern char *unused_label(const char *wanted);

/*
 * The numbers of all points, as int64 *, oldest first, in the current memory
 * context; whatever the transaction's isolation level, also those that were
 * committed a moment ago.  Needs a transaction.
 */
extern List *living_points(void);

/* The same without those of statements, which hold the whole catalog. */
extern List *full_points(void);

/*
 * For a transaction that is about to destroy something: true if another one is
 * making a point that nobody can see yet, so that everything has to be kept as
 * if it were needed.  If not, none can be made before this one has ended.
 * Waits for nobody.
 */
extern bool point_is_being_made(void);

/* For one that has said so and was told false: others need not wait for it. */
extern void let_points_be_made(void);

/* By that a session finds its own points again; palloc'd. */
extern char *session_in_words(void);

/* What a point must have been made by to be of use; palloc'd. */
extern char *catalog_version_in_words(void);

/*
 * False if there never was a point or anything parked in this database, or our
 * extension is not created in it.  Costs next to nothing.
 */
extern bool restore_points_may_exist(void);

/* True if there are points, or something that is kept for one.  Runs no SQL. */
extern bool restore_data_exists(void);

#endif							/* SAFE_MIGRATE_POINT_H */
