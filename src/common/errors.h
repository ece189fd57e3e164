/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  The SQLSTATE class of safe_migrate.  No other code is raised for a
 *	  condition that is ours; PostgreSQL's own codes are used where
 *	  PostgreSQL has one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ERRORS_H
#define SAFE_MIGRATE_ERRORS_H

#include "utils/elog.h"

#define ERRCODE_SM_REJECTED_BY_RULE		MAKE_SQLSTATE('S','M','0','0','1')
#define ERRCODE_SM_LOCK_DEADLINE		MAKE_SQLSTATE('S','M','0','0','2')
#define ERRCODE_SM_MIGRATION_EDITED		MAKE_SQLSTATE('S','M','0','0','3')
#define ERRCODE_SM_OUT_OF_ORDER			MAKE_SQLSTATE('S','M','0','0','4')
#define ERRCODE_SM_BREAKS_CLIENT		MAKE_SQLSTATE('S','M','0','0','5')
#define ERRCODE_SM_MAIN_MOVED			MAKE_SQLSTATE('S','M','0','0','6')
#define ERRCODE_SM_CANNOT_UNDO			MAKE_SQLSTATE('S','M','0','0','7')
#define ERRCODE_SM_BAD_MIGRATION		MAKE_SQLSTATE('S','M','0','0','8')
#define ERRCODE_SM_NOT_PERMITTED		MAKE_SQLSTATE('S','M','0','0','9')

#endif							/* SAFE_MIGRATE_ERRORS_H */
