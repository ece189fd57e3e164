/*-------------------------------------------------------------------------
 *
 * later_columns.h
 *	  The columns of a file that goes and of the file that takes its place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_LATER_COLUMNS_H
#define SAFE_MIGRATE_LATER_COLUMNS_H

#include "postgres.h"

#include "access/attnum.h"
#include "restore/later_writes.h"

/* A column of the label that is there now as well, be it renamed. */
typedef struct LaterColumn
{
	AttrNumber	attnum;
	bool		is_native;		/* copied as it is, not as text */
	bool		is_retyped;		/* has another type than it had */
	bool		equal_is_same;	/* values that are equal have the same bytes */
	bool		finds_key;		/* the old value can be compared with the new */
	char	   *label_name;		/* as SQL, as all that follows */
	char	   *label_type;
	Oid			label_typeid;
	int32		label_typmod;
	char	   *holder_name;	/* in the hidden relation, or NULL */
	char	   *name;			/* now */
	char	   *type;			/* for a domain, what it is made of */
	char	   *equals;			/* operator of that type */
	char	   *label_equals;
	char	   *copied;			/* expression by which it is copied now */
	char	   *written;		/* and by which the copy, as l, is written */
	char	   *updated;		/* the same for a row t that is there */
	char	   *pairs;			/* see later_values.h; NULL without USING */
} LaterColumn;

/*
 * Fill in the columns and the key: those of the label that are there now as
 * well, without generated ones.  In the current memory context, as all text
 * that follows.
 */
extern void find_later_columns(LaterWrites *later,
							   const RestoreTarget *target);

/* The column with that number, or NULL. */
extern LaterColumn *later_column(const LaterWrites *later, AttrNumber attnum);

/* Name the type of the label, which has to be there by now. */
extern void finish_later_column(const LaterWrites *later,
								LaterColumn *column);

/*
 * As SQL: the text of a value, or NULL.  Not by a cast, which may be a function
 * of anybody.
 */
extern char *text_of_value(const char *value);

/* What a column is called in what they are written to. */
extern char *later_target_name(const LaterWrites *later,
							   const LaterColumn *column);

/*
 * As SQL: equality of keys between t, the table, and l, what was copied; the
 * columns of the table; and what is written to them, from l.
 */
extern char *later_key_condition(const LaterWrites *later);
extern char *label_column_list(const LaterWrites *later);
extern char *written_column_list(const LaterWrites *later);

#endif							/* SAFE_MIGRATE_LATER_COLUMNS_H */
