/*-------------------------------------------------------------------------
 *
 * session_settings.h
 *	  The settings of the session, kept from what a migration sets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SESSION_SETTINGS_H
#define SAFE_MIGRATE_SESSION_SETTINGS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/guc.h"

struct config_generic;

typedef struct SessionSettings
{
	char	   *session_authorization;
	char	   *role;
	List	   *settings;		/* of SessionSetting */
} SessionSettings;

/*
 * Read what the session has set, and put it back.  Putting back needs a
 * transaction.  The result is in the current memory context.
 */
extern SessionSettings *save_session_settings(void);
extern void restore_session_settings(const SessionSettings *saved);

/*
 * After a commit: what was in force before it, SET LOCAL included, is set for
 * the session.  safe_migrate.override ends with its transaction all the same.
 */
extern void renew_session_settings(const SessionSettings *in_force);

/*
 * In which context to set what the session has SET once more.  It has been
 * permitted already, so nobody asks again; but what is set of a module that is
 * not loaded yet, which anybody may do, must not look as if a superuser had
 * done it: once loaded, the module would take it for that.
 */
extern GucContext setting_context(const struct config_generic *variable);

#endif							/* SAFE_MIGRATE_SESSION_SETTINGS_H */
