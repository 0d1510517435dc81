/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition variable in shared memory consists of three counts. Waiters sleep on changes_; the
 * other two tell whether a waiter may exist.
 *
 *   word       meaning                                   changed by
 *   changes_   wakes; a waiter sleeps while the count    a broadcast: + 1
 *              is what it was under the mutex
 *   waits_     waits that have begun                     a wait, under the mutex: + 1
 *   served_    how many of those waits need no more      a broadcast, after the wake: set to the
 *              wakes                                     waits_ that it read before; a wait that
 *                                                        gave up, under the mutex, if no other
 *                                                        wait was left: + 1
 *
 * Invariants
 *   1. waits_ differs from served_ while a waiter needs a wake, because it sleeps, or may yet
 *      sleep, on the present count. Therefore a broadcast stores served_ after the wake: if it is
 *      killed before the store, the next broadcast wakes the same waiters again. Two simultaneous
 *      broadcasts may store an older number in served_, which only costs a wake that nobody needs.
 *   2. A wait reads changes_ before it increments waits_, and a broadcast reads waits_ before it
 *      increments changes_. So a waiter that a broadcast counts as served has an older count, and
 *      does not sleep. A wait that the broadcast does not count began after the broadcast's caller
 *      had unlocked the mutex, and has seen the change that the broadcast announced.
 *
 * The counts wrap. A waiter is not woken if it sleeps through exactly 2^32 wakes, or if exactly
 * 2^32 waits pass without a wake.
 *
 * Kills. A killed waiter leaves a number in waits_, which costs one wake. Because a broadcast comes
 * before the change that it announces (fairlead/shm_cond.h), a killed broadcast strands only
 * waiters for a change that its caller has not made.
 */
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "core/wait/cancel.h"
#include "shm_bridge.h"
#include "shm_context_lock.h"
#include <errno.h>
#include <fairlead/shm_cond.h>
#include <limits.h>

void fl_shm_cond_destroy(fl_shm_cond *c)
{
	/* relaxed: the caller knows that the condition is unused */
	fl__shm_check_unused("fl_shm_cond_destroy", c, fl__load_relaxed(&c->waits_) != fl__load_relaxed(&c->served_));
}

struct shm_cond_sleeper {
	const uint32_t *changes;
	uint32_t count;
};

static bool shm_cond_is_woken(const void *what)
{
	const struct shm_cond_sleeper *s = what;
	/* relaxed: the waiter locks the mutex next, which acquires */
	return fl__load_relaxed(s->changes) != s->count;
}

static int shm_cond_sleep(const struct shm_cond_sleeper *s, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool is_thread = ctx->ops == &fl__thread_parker;
	const bool bridged = !is_thread || fl__cancel_resolve(cancel, ctx);
	int rc = fl__is_interrupted(deadline, cancel);
	if (rc != 0)
		return rc;
	if (is_thread)
		(void)fl__spin(ctx, shm_cond_is_woken, s, deadline);
	FL__ASLEEP(FL__DEBUG_SHM, s->changes, deadline);
	while (!shm_cond_is_woken(s) && rc != -ETIMEDOUT && rc != -ECANCELED) {
		rc = bridged ? fl__bridge_wait(s->changes, s->count, deadline, cancel)
		             : fl__sys.shared_wait(s->changes, s->count, fl__expiry(deadline));
	}
	return fl__asleep.result = rc != -ECANCELED && shm_cond_is_woken(s) ? 0 : rc;
}

/* Called after wait number `wait` gave up. Counts it as served if no other wait is left. */
static void shm_cond_count_served(fl_shm_cond *c, uint32_t wait)
{
	/* relaxed: the mutex orders waits, and a broadcast stores a number that is as good */
	if (fl__load_relaxed(&c->waits_) == wait && fl__load_relaxed(&c->served_) == wait - 1)
		fl__store_relaxed(&c->served_, wait);
}

int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl_shm_mutex_depth(m) != 1)
		fl__panic("fl_shm_cond_wait", m, "the caller has not locked the mutex, or more than once");
	/* relaxed: the release below orders changes_, and the mutex orders waits_ */
	struct shm_cond_sleeper s = {&c->changes_, fl__load_relaxed(&c->changes_)};
	uint32_t wait = fl__load_relaxed(&c->waits_) + 1;
	/* release: pairs with the acquire in fl_shm_cond_broadcast() */
	fl__store_release(&c->waits_, wait);
	fl_shm_mutex_unlock(m);
	int rc = shm_cond_sleep(&s, deadline, cancel);
	int locked = fl_shm_mutex_lock(m);
	if (rc != 0 && (locked == 0 || locked == -EOWNERDEAD))
		shm_cond_count_served(c, wait);
	if (locked == -EDEADLK) /* another process has overwritten the mutex */
		return -ENOTRECOVERABLE;
	return locked != 0 ? locked : rc;
}

void fl_shm_cond_broadcast(fl_shm_cond *c)
{
	/* acquire: pairs with the release in fl_shm_cond_wait_until() */
	uint32_t waits = fl__load_acquire(&c->waits_);
	/* relaxed: a stale value only costs a wake */
	if (waits == fl__load_relaxed(&c->served_))
		return;
	/* relaxed: the increment publishes nothing; a woken waiter locks the mutex */
	fl__add_relaxed(&c->changes_, 1);
	(void)fl__sys.shared_wake(&c->changes_, INT_MAX);
	/*
	 * relaxed: the store publishes nothing, and an older number only costs a wake (invariant
	 * 1)
	 */
	fl__store_relaxed(&c->served_, waits);
}
