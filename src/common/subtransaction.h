/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *	  Work whose errors are caught.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SAFE_MIGRATE_SUBTRANSACTION_H
#define SAFE_MIGRATE_SUBTRANSACTION_H

/* Returns true if what it did, its locks included, is to stay. */
typedef bool (*SubtransactionWork) (void *arg);

extern ErrorData *run_in_subtransaction(SubtransactionWork work, void *arg);
extern ErrorData *run_after_error(void (*work) (void *arg), void *arg);

#endif							/* SAFE_MIGRATE_SUBTRANSACTION_H */
