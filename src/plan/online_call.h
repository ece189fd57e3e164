/*-------------------------------------------------------------------------
 *
 * online_call.h
 *	  The online change that ends where a statement would end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_ONLINE_CALL_H
#define SAFE_MIGRATE_ONLINE_CALL_H

#include "postgres.h"

#include "nodes/nodes.h"

/*
 * The call of the function that does online what a statement asks for, as
 * text without SELECT, in one line, palloc'd; NULL where there is none: other
 * statements, several sub-commands, what is no table or a temporary one.
 * source_text is the statement alone, with or without comments around it.
 *
 * Looks names up by the current search_path; takes AccessShareLock for a
 * moment.  Throws nothing for
 * what is not there.  The change itself may still be refused.
 */
extern char *online_call(Node *statement, const char *source_text);

/*
 * For the message of a refusal: what such a call does, as the end of a
 * sentence that begins with SELECT; palloc'd.
 */
extern char *online_remedy(Node *statement, const char *call);

#endif							/* SAFE_MIGRATE_ONLINE_CALL_H */
