/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a worker sleeps, and how long.
 *
 * Sleepers are woken last in, first out, so that surplus workers sleep until their timeout expires.
 */
#include "../base/sys.h"
#include "../wait/wait_queue.h"
#include "thread_pool.h"
#include <fairlead/time.h>

static const int64_t pool_surplus_timeout = FL_S(1); /* how long a worker above the limit sleeps before it ends */

/* Returns whether a worker may end after its sleep. It is no longer in `sleepers`. */
static bool pool_may_end(const struct fl__thread_pool *p)
{
	const bool too_many = p->alive > p->base.workers + p->blocked && p->alive > p->most; /* a spare one stays */
	return p->alive > 1 && (too_many || (p->idle_timeout > 0 && (p->alive > p->most || p->sleepers.first)));
}

/* Called before the worker is added to `sleepers`. */
static fl_time pool_sleep_deadline(const struct fl__thread_pool *p)
{
	if (p->base.closed || (p->idle_timeout > 0 && !pool_may_end(p)) || p->alive == 1)
		return FL_FOREVER;
	const fl_duration time = p->idle_timeout > 0 ? p->idle_timeout : FL_DURATION_MAX;
	/* too many as soon as no worker is blocked */
	const bool surplus = p->alive > p->base.workers && p->alive > p->most;
	return fl_after(surplus ? FL__MIN(time, pool_surplus_timeout) : time);
}

bool fl__pool_sleep(struct fl__thread_pool *p)
{
	FL__WAIT(wait, node, FL__DEBUG_TASK, p);
	wait.no_spin = true; /* the worker has spun for a while */
	const fl_time wake_at = pool_sleep_deadline(p);
	fl__wait_queue_add_first(&p->sleepers, &node);
	fl__hook_idle(&p->base);
	fl__pool_unlock(p);
	const struct fl__worker_ops *const worker_ops = wait.ctx->worker_ops;
	wait.ctx->worker_ops = NULL; /* because this is not a wait of a task */
	const bool woken = fl__wait_sleep(&wait, wake_at, FL_SHIELDED) == 0;
	wait.ctx->worker_ops = worker_ops;
	fl__mutex_hold(&p->base.lock);
	if (woken)
		return true;
	fl__wait_queue_remove(&p->sleepers, &node);
	if (pool_may_end(p) && !fl__pool_needs_search(p))
		return false;
	fl__pool_count(p, 1, 1);
	return true;
}
