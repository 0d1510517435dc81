/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of workers of a thread executor: a task gets one while there may be one, whichever
 * workers end or block in the meantime; and each thread is joined.
 */
#include "pools.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/* Whether all threads were joined; on real threads other samples run at the same time. */
static bool threads_are_joined(void)
{
	const bool is_model = fl_stress_steps() > 0;
	return !is_model || fl_thread_enumerate(NULL, NULL) == 0;
}

/*
 * The idle time of workers runs out while two threads submit; the executor is freed at once
 * afterwards.
 */
struct pool_idle_vs_free {
	fl_executor *e;
	atomic_int ran;
};

FL_STRESS_SETUP(pool_idle_vs_free)
{
	s->e = pool_as((fl_executor_config){.workers = 2, .idle_timeout = 1});
	OK(count_one_submit(s->e, &s->ran, NULL));
}

FL_STRESS_ACTOR(pool_idle_vs_free, submitter)
{
	OK(count_one_submit(s->e, &s->ran, NULL));
}

FL_STRESS(pool_idle_vs_free, submitter, submitter)
{
	fl_executor_free(s->e);
	FL_STRESS_CHECK(threads_are_joined());
	FL_ACCEPTABLE(LOOK(&s->ran) == 3, "all ran");
}

/* One of two sleeping workers is woken to end, while a task comes: the other runs it. */
struct pool_idle_told_to_end {
	fl_executor *e;
	fl_latch met;
	atomic_int ran;
};

/*
 * Checks a few times only: each check takes the lock, and endless checks may keep it from a worker
 * that is about to sleep.
 */
static void wait_until_idle(fl_executor *e, unsigned n)
{
	enum { LOOKS = 8 };
	fl_executor_stats stats = {.idle = 0};
	for (int i = 0; i < LOOKS && stats.idle < n; i++) {
		fl_stress_relax();
		OK(fl_executor_get_stats(e, &stats));
	}
}

FL_STRESS_SETUP(pool_idle_told_to_end)
{
	s->e = pool_without_stand_ins(2);
	s->met = (fl_latch)FL_LATCH_INIT(2);
	OK(meet_submit(s->e, &s->met, NULL));
	OK(meet_submit(s->e, &s->met, NULL));
	OK(fl_latch_wait(&s->met)); /* with one worker they would wait for ever */
	wait_until_idle(s->e, 2);
}

FL_STRESS_ACTOR(pool_idle_told_to_end, submitter)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(count_one_submit(s->e, &s->ran, &f));
	OK(fl_future_wait(f));
}

FL_STRESS_ACTOR(pool_idle_told_to_end, resizer)
{
	OK(fl_executor_resize(s->e, 1));
}

FL_STRESS(pool_idle_told_to_end, submitter, resizer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(LOOK(&s->ran) == 1, "it ran");
}

/*
 * The initializer of the first worker ends only when one of two tasks has run. So whichever submit
 * comes second must provide another worker, or the first worker must before it initializes.
 */
struct pool_initializer_waits {
	fl_executor *e;
	fl_event ran;
	atomic_int initialized;
};

FL_TASK_STATIC(first_awaits_event, struct pool_initializer_waits *, void)
{
	const bool is_first = atomic_fetch_add_explicit(&(*arg)->initialized, 1, memory_order_relaxed) == 0;
	return is_first ? fl_event_wait(&(*arg)->ran) : 0;
}

FL_STRESS_SETUP(pool_initializer_waits)
{
	s->e = pool_as((fl_executor_config){.workers = 2, .initialize = &first_awaits_event, .initialize_arg = &s});
}

FL_STRESS_ACTOR(pool_initializer_waits, one)
{
	OK(do_nothing_submit(s->e, NULL));
}

FL_STRESS_ACTOR(pool_initializer_waits, two)
{
	OK(set_event_submit(s->e, &s->ran, NULL));
}

FL_STRESS(pool_initializer_waits, one, two)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->ran), "another worker ran it");
}

/* A lower limit while tasks come; then a higher one again. */
struct pool_resize_down {
	fl_executor *e;
	fl_latch first, second;
	atomic_int ran;
};

FL_STRESS_SETUP(pool_resize_down)
{
	s->e = pool_without_stand_ins(2);
	s->first = (fl_latch)FL_LATCH_INIT(2);
	s->second = (fl_latch)FL_LATCH_INIT(2);
	OK(meet_submit(s->e, &s->first, NULL));
	OK(meet_submit(s->e, &s->first, NULL));
}

FL_STRESS_ACTOR(pool_resize_down, submitter)
{
	OK(count_one_submit(s->e, &s->ran, NULL));
	OK(count_one_submit(s->e, &s->ran, NULL));
}

FL_STRESS_ACTOR(pool_resize_down, resizer)
{
	OK(fl_latch_wait(&s->first)); /* both have begun */
	OK(fl_executor_resize(s->e, 1));
	if (fl_stress_choose(2)) {
		OK(fl_executor_resize(s->e, 2));
		OK(meet_submit(s->e, &s->second, NULL));
		OK(meet_submit(s->e, &s->second, NULL));
	}
}

FL_STRESS(pool_resize_down, submitter, resizer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(LOOK(&s->ran) == 2, "all ran");
}

/* A task blocks until another has run, with one worker, in any order. */
struct pool_blocking {
	fl_executor *e;
	fl_event ran;
	atomic_int count;
};

FL_TASK_STATIC(crowd_block, fl_event *, void)
{
	FL_BLOCKING();
	return fl_event_wait_until(*arg, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(pool_blocking)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(pool_blocking, one)
{
	OK(crowd_block_submit(s->e, &s->ran, NULL));
}

FL_STRESS_ACTOR(pool_blocking, two)
{
	OK(set_event_submit(s->e, &s->ran, NULL));
	OK(count_one_submit(s->e, &s->count, NULL));
}

FL_STRESS(pool_blocking, one, two)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(LOOK(&s->count) == 1, "all ran");
}

/* After the section, no more tasks run at once than there are workers. */
struct pool_blocking_over {
	fl_executor *e;
	fl_event ran;
	atomic_int inside, at_once, count;
};

FL_TASK_STATIC(crowd_inside, struct pool_blocking_over *, void)
{
	struct pool_blocking_over *s = *arg;
	if (atomic_fetch_add_explicit(&s->inside, 1, memory_order_relaxed) > 0)
		COUNT(&s->at_once);
	COUNT(&s->count);
	atomic_fetch_sub_explicit(&s->inside, 1, memory_order_relaxed);
	return 0;
}

FL_STRESS_SETUP(pool_blocking_over)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(pool_blocking_over, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(crowd_block_submit(s->e, &s->ran, &f));
	OK(set_event_submit(s->e, &s->ran, NULL));
	OK(fl_future_wait(f));
	OK(crowd_inside_submit(s->e, s, NULL));
	OK(crowd_inside_submit(s->e, s, NULL));
}

FL_STRESS(pool_blocking_over, user)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN(LOOK(&s->count) != 2, "one did not run");
	FL_FORBIDDEN(LOOK(&s->at_once) > 0, "two ran at once");
	FL_ACCEPTABLE(1, "one after the other");
}

/* A task of a detached executor uses the executor until it ends, and finds it closed. */
struct pool_detached_in_use {
	fl_event detached;
	atomic_int ran;
	int rc;
};

FL_TASK_STATIC(submit_to_detached, struct pool_detached_in_use *, void)
{
	struct pool_detached_in_use *s = *arg;
	OK(fl_event_wait(&s->detached));
	s->rc = count_one_submit(fl_executor_current(), &s->ran, NULL);
	return 0;
}

FL_STRESS_ACTOR(pool_detached_in_use, owner)
{
	fl_executor *e = pool_of(1);
	FL_SCOPED(fl_future) *f = NULL;
	OK(submit_to_detached_submit(e, s, &f));
	OK(fl_executor_detach(e));
	fl_event_set(&s->detached);
	OK(fl_future_wait(f));
}

FL_STRESS(pool_detached_in_use, owner)
{
	FL_ACCEPTABLE(s->rc == -EPIPE && LOOK(&s->ran) == 0, "refused");
}
