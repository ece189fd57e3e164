/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Places at which tests make a process fail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/fault.h"

#ifdef SAFE_MIGRATE_FAULT_POINTS

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

static char *setting_fault_point = NULL;

/*
 * See fault.h.
 */
void
define_fault_point_setting(void)
{
	DefineCustomStringVariable("safe_migrate.fault_point",
							   "Where a process fails, for tests, and how: NAME:error, NAME:kill or NAME:wait.",
							   NULL,
							   &setting_fault_point, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
}

/*
 * See fault.h.
 */
void
reach_fault_point(const char *name)
{
	const char *action;

	if (!fault_point_is_set(name))
		return;
	action = setting_fault_point + strlen(name);
	if (strcmp(action, ":kill") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(action, ":wait") != 0)
		elog(ERROR, "fault point \"%s\"", name);

	elog(LOG, "waiting at fault point \"%s\"", name);
	for (;;)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * See fault.h.
 */
bool
fault_point_is_set(const char *name)
{
	size_t		length = strlen(name);

	return strncmp(setting_fault_point, name, length) == 0 &&
		(setting_fault_point[length] == '\0' ||
		 setting_fault_point[length] == ':');
}

#endif							/* SAFE_MIGRATE_FAULT_POINTS */
