/*-------------------------------------------------------------------------
 *
 * task_role.c
 *	  For whom a background worker can run a task.
 *
 * It connects as the role of the session that asked, and sets the role that
 * was in force there.  It cannot become that role otherwise: what has to run
 * outside of a transaction block cannot run under a changed security context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "common/catalog.h"
#include "common/compat.h"
#include "miscadmin.h"
#include "task/task.h"
#include "utils/acl.h"
#include "utils/syscache.h"

static bool can_log_in(Oid role);

/*
 * See task.h.
 */
bool
task_role_can_be_served(char **reason)
{
	return roles_can_be_served(GetSessionUserId(), GetUserId(), reason);
}

/*
 * See task.h.
 */
bool
roles_can_be_served(Oid session_role, Oid role, char **reason)
{
	char	   *session_name = GetUserNameFromId(session_role, false);
	char	   *name = GetUserNameFromId(role, false);

	if (!COMPAT_WORKER_BYPASSES_LOGIN && !can_log_in(session_role))
		*reason = psprintf("before PostgreSQL 17 a background worker cannot run as \"%s\", which is not permitted to log in",
						   session_name);
	else if (!compat_may_connect(MyDatabaseId, session_role))
		*reason = psprintf("role \"%s\" is not permitted to connect to this database",
						   session_name);
	else if (session_role != role && !compat_can_set_role(session_role, role))
		*reason = psprintf("role \"%s\" of the session is not permitted to SET ROLE \"%s\"",
						   session_name, name);
	else
		return true;
	return false;
}

static bool
can_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * See task.h.
 */
bool
may_control_task(const char *role)
{
	Oid			oid = get_role_oid(role, true);

	return (OidIsValid(oid) && is_member_of_role(GetUserId(), oid)) ||
		is_member_of_role(GetUserId(), migrate_extension_owner());
}
