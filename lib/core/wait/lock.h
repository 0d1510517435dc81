/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOCK_H
#define FL_WAIT_LOCK_H

#include <fairlead/defs.h>

/*
 * A lock of one word for sections of a few instructions, in which the holder waits only for further
 * locks of this kind, and calls no function of the user. Such locks guard, for example, buckets,
 * trees of cancel tokens, futures and groups. However, a thread without memory for hazard pointers
 * holds one for a whole operation (queue/hazard.c). Other sections use FL__HELD() (sync/mutex.h).
 * An all-zero word is unlocked.
 */
void fl__lock(uint32_t *word);
bool fl__try_lock(uint32_t *word); /* for reports from a signal handler */

/*
 * If the word is free, locks it and returns true. Otherwise marks it and returns false. Then the
 * next unlock returns true, and if its thread locks again, it sees what the caller wrote before
 * this call. A signal handler may call this, even if it has interrupted the holder.
 */
bool fl__lock_or_defer(uint32_t *word);

/* Returns true if fl__lock_or_defer() has marked the lock since it was locked. */
bool fl__unlock(uint32_t *word);

/*
 * A declaration that locks until the end of the block. Because it ignores a mark, it is only for
 * locks on which nobody calls fl__lock_or_defer().
 */
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
