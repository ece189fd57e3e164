/*-------------------------------------------------------------------------
 *
 * task_role.c
 *	  For whom a background worker can run a task, and who may have it run.
 *
 * The worker connects as the role of the task.  What it runs may call code
 * that members of this role own, and that can RESET ROLE: were it connected
 * as the role of the session, it would hand that one's rights to them.  It is
 * so only where the worker cannot connect otherwise, which is for a role that
 * may not log in before PostgreSQL 17, and never as a superuser.
 *
 * It cannot become another role in any other way: what has to run outside of
 * a transaction block cannot run under a changed security context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/catalog.h"
#include "common/compat.h"
#include "common/worker.h"
#include "miscadmin.h"
#include "task/task.h"
#include "utils/acl.h"

static bool roles_can_be_served(Oid session_role, Oid role, Oid *connect_as,
								char **reason);
static char *why_not_as(Oid role);
static char *why_not_from(Oid session_role, Oid role);

/*
 * See task.h.
 */
bool
task_role_can_be_served(char **reason)
{
	Oid			connect_as;

	return roles_can_be_served(GetSessionUserId(), GetUserId(), &connect_as,
							   reason);
}

/*
 * See task.h.
 */
bool
task_can_be_served(const TaskStatus *status, Oid *connect_as, char **reason)
{
	if (!OidIsValid(status->role_oid))
	{
		*reason = psprintf("role \"%s\" does not exist any more", status->role);
		return false;
	}
	return roles_can_be_served(status->session_role_oid, status->role_oid,
							   connect_as, reason);
}

/* The role of the session is invalid if it is not there any more. */
static bool
roles_can_be_served(Oid session_role, Oid role, Oid *connect_as,
					char **reason)
{
	char	   *instead;

	*connect_as = role;
	*reason = why_not_as(role);
	if (*reason == NULL)
		return true;
	if (session_role == role || !OidIsValid(session_role))
		return false;

	*connect_as = session_role;
	instead = why_not_from(session_role, role);
	if (instead == NULL)
		return true;
	*reason = psprintf("%s, and %s", *reason, instead);
	return false;
}

/*
 * NULL if a worker can connect as that role.  Whoever owns the table of tasks
 * can write what he likes into it, but not on behalf of others.
 */
static char *
why_not_as(Oid role)
{
	char	   *reason;

	if (!worker_can_connect_as(role, &reason))
		return reason;
	if (!is_member_of_role(migrate_extension_owner(), role))
		return psprintf("the owner of safe_migrate is neither a superuser nor a member of role \"%s\"",
						GetUserNameFromId(role, false));
	return NULL;
}

/* NULL if one can connect as the first role and SET ROLE to the other one. */
static char *
why_not_from(Oid session_role, Oid role)
{
	char	   *name = GetUserNameFromId(session_role, false);

	if (superuser_arg(session_role))
		return psprintf("it must not connect as superuser \"%s\" of the session instead",
						name);
	if (!compat_can_set_role(session_role, role))
		return psprintf("role \"%s\" of the session is not permitted to SET ROLE \"%s\"",
						name, GetUserNameFromId(role, false));
	return why_not_as(session_role);
}

/*
 * See task.h.
 */
bool
may_wait_for_task(const TaskStatus *status)
{
	return (OidIsValid(status->role_oid) &&
			is_member_of_role(GetUserId(), status->role_oid)) ||
		is_member_of_role(GetUserId(), migrate_extension_owner());
}

/*
 * See task.h.
 */
bool
may_control_task(const TaskStatus *status)
{
	Oid			connect_as;
	char	   *reason;

	if (is_member_of_role(GetUserId(), migrate_extension_owner()))
		return true;
	if (!may_wait_for_task(status))
		return false;

	/* what nobody can run can do no harm */
	return !task_can_be_served(status, &connect_as, &reason) ||
		is_member_of_role(GetUserId(), connect_as);
}
