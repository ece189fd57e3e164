/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What the parsers of formats need of a server, without one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SHIM_H
#define SAFE_MIGRATE_SHIM_H

#include <setjmp.h>

/* An error goes there, with its message and SQLSTATE. */
extern jmp_buf shim_error;
extern char shim_message[4096];
extern int	shim_sqlstate;

/* Free all that was allocated. */
extern void shim_free_all(void);

#endif							/* SAFE_MIGRATE_SHIM_H */
