/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the number of workers of a thread executor. A task gets a worker while there may be
 * one, whichever workers end or block in the meantime. Each thread is joined.
 */
#include "pools.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/*
 * Returns whether all threads were joined. It is unknown on real threads, where other samples run
 * at the same time.
 */
static bool threads_are_joined(void)
{
	const bool is_model = fl_stress_steps() > 0;
	return !is_model || fl_thread_enumerate(NULL, NULL) == 0;
}

static void with_idle_actors(struct served *t)
{
	t->p = pool_of_actors(2, 2);
	t->p->idle_timeout = 1;
	OK(await_event_submit(&t->p->base, &t->second, NULL));
}

static void submit_second(struct served *t)
{
	OK(set_event_submit(&t->p->base, &t->second, NULL));
	close_after_second(t);
}

/* The idle time of a worker runs out while a task comes, for which the other worker's task waits. */
POOL(pool_idle_vs_task, with_idle_actors, serve_first, serve_second, submit_second)

struct crew {
	fl_executor *e;
	fl_latch first, second; /* where tasks meet */
	fl_event told;
	atomic_int ran, initialized;
};

static void end(struct crew *t, int ran)
{
	fl_executor_free(t->e);
	FL_STRESS_CHECK(threads_are_joined());
	FL_FORBIDDEN(LOOK(&t->initialized) && !fl_event_is_set(&t->told), "no other worker ran it");
	FL_ACCEPTABLE(LOOK(&t->ran) == ran, "all ran");
}

#define CREW(test, begin, ran, ...) SCENARIO(test, struct crew, begin(&s->t), end(&s->t, ran), __VA_ARGS__)

static void submit_count(struct crew *t)
{
	OK(count_one_submit(t->e, &t->ran, NULL));
}

static void with_idle_time(struct crew *t)
{
	t->e = pool_as((fl_executor_config){.workers = 2, .idle_timeout = 1});
	submit_count(t);
}

/*
 * The idle time of workers runs out while two threads submit. Afterwards the executor is freed at
 * once.
 */
CREW(pool_idle_vs_free, with_idle_time, 3, submit_count, submit_count)

static void meet_twice(struct crew *t, fl_latch *met)
{
	OK(meet_submit(t->e, met, NULL));
	OK(meet_submit(t->e, met, NULL));
}

static void with_two_that_meet(struct crew *t)
{
	t->e = pool_of(2);
	t->first = (fl_latch)FL_LATCH_INIT(2);
	t->second = (fl_latch)FL_LATCH_INIT(2);
	meet_twice(t, &t->first);
}

/*
 * Sets up two workers that are idle, if they get there soon. It checks only a few times, because
 * each check takes the lock, and endless checks may keep it from a worker that is about to sleep.
 */
static void with_two_idle(struct crew *t)
{
	enum { LOOKS = 8 };
	fl_stats_executor stats = {.idle = 0};
	with_two_that_meet(t);
	OK(fl_latch_wait(&t->first)); /* with one worker the tasks would wait for ever */
	for (int i = 0; i < LOOKS && stats.idle < 2; i++) {
		fl_stress_relax();
		OK(fl_executor_stats(t->e, &stats));
	}
}

static void submit_count_and_wait(struct crew *t)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(count_one_submit(t->e, &t->ran, &f));
	OK(fl_future_wait(f));
}

static void resize_to_one(struct crew *t)
{
	OK(fl_executor_resize(t->e, 1));
}

/*
 * One of two sleeping workers is woken to end, while a task comes. The other worker runs the task.
 */
CREW(pool_idle_told_to_end, with_two_idle, 1, submit_count_and_wait, resize_to_one)

FL_TASK_STATIC(first_awaits_event, struct crew *, void)
{
	const bool is_first = atomic_fetch_add_explicit(&(*arg)->initialized, 1, memory_order_relaxed) == 0;
	return is_first ? fl_event_wait(&(*arg)->told) : 0;
}

static void with_initializer(struct crew *t)
{
	t->e = pool_as((fl_executor_config){.workers = 2, .initialize = &first_awaits_event, .initialize_arg = &t});
}

static void submit_nothing(struct crew *t)
{
	OK(do_nothing_submit(t->e, NULL));
}

static void submit_tell(struct crew *t)
{
	OK(set_event_submit(t->e, &t->told, NULL));
}

/*
 * The initializer of the first worker ends only when one of two tasks has run. So whichever submit
 * comes second must provide another worker, or the first worker must do so before it initializes.
 */
CREW(pool_initializer_waits, with_initializer, 0, submit_nothing, submit_tell)

static void submit_two_counts(struct crew *t)
{
	submit_count(t);
	submit_count(t);
}

static void resize_down(struct crew *t)
{
	OK(fl_latch_wait(&t->first)); /* both tasks have begun */
	resize_to_one(t);
	if (fl_stress_choose(2)) {
		OK(fl_executor_resize(t->e, 2));
		meet_twice(t, &t->second);
	}
}

/* The limit is lowered while tasks come, and then it is raised again. */
CREW(pool_resize_down, with_two_that_meet, 2, submit_two_counts, resize_down)

FL_TASK_STATIC(crowd_block, fl_event *, void)
{
	FL_BLOCKING();
	return fl_event_wait_until(*arg, FL_FOREVER, FL_SHIELDED);
}

static void of_one(struct crew *t)
{
	t->e = pool_of(1);
}

static void submit_block(struct crew *t)
{
	OK(crowd_block_submit(t->e, &t->told, NULL));
}

static void submit_tell_and_count(struct crew *t)
{
	submit_tell(t);
	submit_count(t);
}

/* A task blocks until another one has run, with one worker, in whichever order they come. */
CREW(pool_blocking, of_one, 1, submit_block, submit_tell_and_count)

/* After the blocking section, no more tasks run at once than there are workers. */
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

/* A task of a detached executor uses the executor until the task ends, and finds it closed. */
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
