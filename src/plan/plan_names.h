/*-------------------------------------------------------------------------
 *
 * plan_names.h
 *	  The names that PostgreSQL would choose for what has none.
 *
 * A plan writes them into its steps, because a later step needs them, and
 * because a step that is sent again must not make a second object.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_PLAN_NAMES_H
#define SAFE_MIGRATE_PLAN_NAMES_H

#include "effects/effects.h"

/* Where names are chosen. */
typedef struct NameChoice
{
	char	   *relname;		/* of the table, as it is called now */
	Oid			namespace_oid;
	List	   *used;			/* chosen so far */
	List	   *freed;			/* of constraints that the statement drops */
} NameChoice;

/* For a table, which exists. */
extern NameChoice *names_of_table(const RelationFacts *relation);

/*
 * True if a script that is checked has changed the table before, so that the
 * catalog does not tell all.
 */
extern bool is_changed_by_script(const RelationFacts *relation);

/*
 * A constraint's name, of its columns joined by name_of_columns() (or NULL) and a
 * label such as "check"; palloc'd, and used from then on.
 */
extern char *choose_constraint_name(NameChoice *names, const char *columns,
									const char *label);

/*
 * The same for an index; is_constraint: of UNIQUE or PRIMARY KEY.
 */
extern char *choose_index_name(NameChoice *names, const char *columns,
							   const char *label, bool is_constraint);

/* True if such a constraint or, for an index, such a relation is there. */
extern bool name_is_taken(const NameChoice *names, const char *name,
						  bool is_index);

/* a_b_c, cut as PostgreSQL cuts it when it makes a name of columns. */
extern char *name_of_columns(List *columns);

/*
 * The names of an index's columns, a list of String: params and including are
 * of IndexElem, not yet analyzed.
 */
extern List *index_column_names(List *params, List *including);

/* The column of a CHECK of a table that is about one column alone, or NULL. */
extern char *only_column(Node *expression);

/* The names of the columns in an expression not yet analyzed. */
extern List *columns_of_expression(Node *expression);

#endif							/* SAFE_MIGRATE_PLAN_NAMES_H */
