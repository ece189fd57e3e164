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

#endif							/* SAFE_MIGRATE_SESSION_SETTINGS_H */
