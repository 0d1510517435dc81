/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition: a count on which waiters sleep, and two more that say whether anybody may.
 *
 *   word        meaning                                    changed by
 *   changes_    wakes; a waiter sleeps while it is what    wake_all(): + 1
 *               it was under the mutex
 *   waits_      waits that have begun                      a wait, under the mutex: + 1
 *   served_     those among them that nobody has to        wake_all(), when it has woken them: what waits_ was before; a wait
 *               wake any more                              that gave up, under the mutex, if it alone was left
 *
 * Invariant: whoever sleeps on an old count, or may yet sleep on the present one, has waits_ != served_, or a wake_all() that
 * began later than its wait is on its way. Hence served_ follows the wake: killed before that, a wake_all() has taken
 * nothing from the next, which wakes the same ones again. Two at once, without the mutex, may put an older number into
 * served_: that costs a wake which reaches nobody.
 *
 * A wait reads changes_ before it adds to waits_, and a wake_all() reads waits_ before it adds to changes_: so whom it counts
 * among the served has an older count, and does not sleep. Whom it does not see began after its caller let go of the mutex,
 * and has seen what it announces.
 *
 * The numbers wrap. A wait of 2^32 wakes, or 2^32 waits without a wake and then none ever, would be taken for none.
 *
 * Kills: a waiter leaves a number in waits_, which costs one wake. Who wakes, see above: nobody is stranded by it but those who
 * wait for the very thing that it was going to do, and did not.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "bridge.h"
#include <errno.h>
#include <fairlead/shm_cond.h>
#include <fairlead/time.h>
#include <limits.h>

void fl_shm_cond_init(fl_shm_cond *c)
{
	*c = (fl_shm_cond)FL_SHM_COND_INIT;
}

int fl_shm_cond_destroy(const fl_shm_cond *c)
{
	/* relaxed: whoever destroys it has been told by other means that it is not needed */
	return fl__load_relaxed(&c->waits_) != fl__load_relaxed(&c->served_) ? -EBUSY : 0;
}

struct sleeper {
	const uint32_t *changes;
	uint32_t count;
};

static bool is_woken(const void *what)
{
	const struct sleeper *s = what;
	return fl__load_relaxed(s->changes) != s->count; /* relaxed: the mutex, which is taken next, acquires */
}

/* Sleeps until a wake: 0, -ETIMEDOUT, -ECANCELED. */
static int sleep_on(const struct sleeper *s, int64_t deadline, fl_cancel *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	fl_cancel *token = fl__cancel_resolve(cancel, ctx);
	bool is_thread = ctx->ops == &fl__thread_parker;
	int rc = 0;
	if (token && fl_cancel_requested(token))
		return -ECANCELED;
	if (fl__is_past(deadline))
		return -ETIMEDOUT;
	if (is_thread)
		(void)fl__spin(ctx, is_woken, s, deadline);
	while (!is_woken(s) && rc != -ETIMEDOUT && rc != -ECANCELED) {
		if (is_thread && !token)
			rc = fl__sys.shared_wait(s->changes, s->count, deadline);
		else
			rc = fl__bridge_wait(s->changes, s->count, deadline, token ? token : FL_SHIELDED);
	}
	return rc != -ECANCELED && is_woken(s) ? 0 : rc;
}

/* Under the mutex: wait number `wait` has given up. */
static void forget(fl_shm_cond *c, uint32_t wait)
{
	/* relaxed: the mutex orders waits; a wake_all() without it stores a number that is as good */
	if (fl__load_relaxed(&c->waits_) == wait && fl__load_relaxed(&c->served_) == wait - 1)
		fl__store_relaxed(&c->served_, wait);
}

int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	if (!fl_shm_mutex_is_owned(m))
		fl__panic("fl_shm_cond_wait", m, "the mutex is not held by the caller");
	struct sleeper s = {&c->changes_, fl__load_relaxed(&c->changes_)}; /* relaxed: the release below orders it */
	uint32_t wait = fl__load_relaxed(&c->waits_) + 1;                  /* relaxed: the mutex orders it */
	fl__store_release(&c->waits_, wait);                               /* pairs with wake_all() */
	fl_shm_mutex_unlock(m);
	int rc = sleep_on(&s, deadline, cancel);
	int locked = fl_shm_mutex_lock(m);
	if (rc != 0 && (locked == 0 || locked == -EOWNERDEAD))
		forget(c, wait);
	return locked != 0 ? locked : rc;
}

int fl_shm_cond_wait(fl_shm_cond *c, fl_shm_mutex *m)
{
	return fl_shm_cond_wait_until(c, m, FL_FOREVER, NULL);
}

int fl_shm_cond_wait_for_until(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg), void *arg,
                               int64_t deadline, fl_cancel *cancel)
{
	int rc = 0;
	while (!predicate(arg)) {
		if (rc != 0)
			return rc;
		rc = fl_shm_cond_wait_until(c, m, deadline, cancel);
		if (rc == -EOWNERDEAD || rc == -ENOTRECOVERABLE)
			return rc;
	}
	return 0;
}

int fl_shm_cond_wait_for(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg), void *arg)
{
	return fl_shm_cond_wait_for_until(c, m, predicate, arg, FL_FOREVER, NULL);
}

static void wake_all(fl_shm_cond *c)
{
	uint32_t waits = fl__load_acquire(&c->waits_); /* pairs with the release in a wait */
	if (waits == fl__load_relaxed(&c->served_))    /* relaxed: out of date it costs a wake */
		return;
	fl__add_relaxed(&c->changes_, 1); /* relaxed: publishes nothing; who wakes takes the mutex */
	(void)fl__sys.shared_wake(&c->changes_, INT_MAX);
	fl__store_relaxed(&c->served_, waits); /* relaxed: as above */
}

void fl_shm_cond_signal(fl_shm_cond *c)
{
	wake_all(c);
}

void fl_shm_cond_broadcast(fl_shm_cond *c)
{
	wake_all(c);
}
