/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOCK_H
#define FL_WAIT_LOCK_H

#include <fairlead/defs.h>

/*
 * For sections of a few instructions that never wait and never call out: buckets, trees of cancel
 * tokens, lists of tasks. Higher layers use FL__HELD() (sync/mutex.h). All-zero is unlocked.
 */
void fl__lock(uint32_t *word);
bool fl__try_lock(uint32_t *word); /* for reports from a signal handler */

/*
 * Also from a signal handler, which may have interrupted the holder. False: the next unlock returns
 * true, and its thread, once it has locked again, sees what the caller wrote before.
 */
bool fl__lock_or_defer(uint32_t *word);

/* True: fl__lock_or_defer() has failed since the lock was taken. */
bool fl__unlock(uint32_t *word);

/* A declaration: locks until the end of the block, for locks without fl__lock_or_defer(). */
#define FL__LOCKED(word)                                                                                               \
	__attribute__((cleanup(fl__lock_end), unused)) uint32_t *FL__UNIQUE(fl__lock_) = fl__lock_begin(word)

static inline uint32_t *fl__lock_begin(uint32_t *word)
{
	fl__lock(word);
	return word;
}

static inline void fl__lock_end(uint32_t **word)
{
	(void)fl__unlock(*word);
}

#endif
