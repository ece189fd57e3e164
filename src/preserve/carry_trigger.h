/*-------------------------------------------------------------------------
 *
 * carry_trigger.h
 *	  What the trigger on tables with dropped columns does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_CARRY_TRIGGER_H
#define SAFE_MIGRATE_CARRY_TRIGGER_H

#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "nodes/pg_list.h"

/*
 * Arguments of the trigger, as String nodes, for a column of which rows may be
 * without a value since it was added with a default: the number of the column,
 * and that value.
 */
extern List *carry_arguments(Form_pg_attribute attribute, Datum missing);

#endif							/* SAFE_MIGRATE_CARRY_TRIGGER_H */
