/*-------------------------------------------------------------------------
 *
 * table_owner.c
 *	  Who may change a table online: its owner himself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "common/catalog.h"
#include "common/errors.h"
#include "common/table_owner.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static Oid	table_of_another(Oid relid);

/*
 * See table_owner.h.
 */
bool
is_owner_himself(Oid relid)
{
	return !OidIsValid(table_of_another(relid));
}

/*
 * See table_owner.h.
 */
void
require_owner_himself(Oid relid, const char *function)
{
	Oid			table = table_of_another(relid);
	Oid			owner;

	if (!OidIsValid(table))
		return;
	owner = relation_owner(table);
	if (table != relid && relation_owner(relid) == GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_SM_NOT_PERMITTED),
				 errmsg("%s on %s would run functions of role \"%s\", which owns %s: ALTER TABLE %s OWNER TO %s first",
						function, relation_display_name(relid),
						GetUserNameFromId(owner, false),
						relation_display_name(table),
						relation_display_name(table),
						quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	ereport(ERROR,
			(errcode(ERRCODE_SM_NOT_PERMITTED),
			 errmsg("%s on %s would run functions of its owner with the rights of role \"%s\": SET ROLE %s first",
					function, relation_display_name(relid),
					GetUserNameFromId(GetUserId(), false),
					quote_identifier(GetUserNameFromId(relation_owner(relid),
													   false)))));
}

/* The first in the tree; InvalidOid if there is none. */
static Oid
table_of_another(Oid relid)
{
	List	   *relids = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *cell;

	foreach(cell, relids)
	{
		/* not one that is being dropped */
		if (get_rel_name(lfirst_oid(cell)) != NULL &&
			relation_owner(lfirst_oid(cell)) != GetUserId())
			return lfirst_oid(cell);
	}
	return InvalidOid;
}
