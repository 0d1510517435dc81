/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the local queues of the thread executor's workers. A task that a worker has taken
 * and not begun, or that it has submitted, gets another worker while one sleeps, and a cancel finds
 * it. In the model a worker takes two of four tasks at once.
 */
#include "pools.h"

/*
 * The user closes the executor, which wakes all workers. If it `waits`, it does so after the second
 * task.
 */
#define CLOSES_AFTER_SECOND(test, waits, ...)                                                                          \
	FL_STRESS_ACTOR(test, user)                                                                                    \
	{                                                                                                              \
		if (waits)                                                                                             \
			OK(fl_event_wait(&s->second));                                                                 \
		fl_executor_close(&s->p->base);                                                                        \
	}                                                                                                              \
	ALL_END(test, __VA_ARGS__, user)

#define ALL_END(test, ...)                                                                                             \
	FL_STRESS(test, __VA_ARGS__)                                                                                   \
	{                                                                                                              \
		fl_executor_free(&s->p->base);                                                                         \
		FL_ACCEPTABLE(1, "all have ended");                                                                    \
	}

static struct fl__thread_pool *local_of_two(void)
{
	struct fl__thread_pool *p = pool_of_actors(2, 2);
	p->next_stand_in = FL__NEVER; /* a stand-in would hide that a task has no worker */
	return p;
}

/*
 * Makes an executor with six tasks. A worker that has run the first two, and so does not search,
 * takes the third and the fourth at once. The third task waits for the fourth.
 */
static struct fl__thread_pool *local_with_six(fl_event *second)
{
	struct fl__thread_pool *p = local_of_two();
	OK(do_nothing_submit(&p->base, NULL));
	OK(do_nothing_submit(&p->base, NULL));
	OK(await_event_submit(&p->base, second, NULL));
	OK(set_event_submit(&p->base, second, NULL));
	OK(do_nothing_submit(&p->base, NULL));
	OK(do_nothing_submit(&p->base, NULL));
	return p;
}

/*
 * A task of a batch waits for the next one, which is in the hands of its worker while the other
 * worker goes to sleep. The user closes the executor only then, which wakes all workers; or at
 * once, so that the other worker may find the closed backlog empty.
 */
struct local_batch {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_STRESS_SETUP(local_batch)
{
	s->p = local_with_six(&s->second);
}

SERVES(local_batch, one, 0)
SERVES(local_batch, two, 1)

CLOSES_AFTER_SECOND(local_batch, fl_stress_choose(2), one, two)

/*
 * A cancel of the executor finds each task: in an injector queue, in the queue of a worker, in the
 * hands of a worker that moves it there, or running, and then it is asked to stop.
 */
struct local_batch_vs_cancel {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(local_batch_vs_cancel)
{
	s->p = local_of_two();
	for (int i = 0; i < 6; i++)
		OK((i < 2 ? do_nothing_submit : obey_submit)(&s->p->base, NULL));
}

SERVES(local_batch_vs_cancel, one, 0)
SERVES(local_batch_vs_cancel, two, 1)

FL_STRESS_ACTOR(local_batch_vs_cancel, canceller)
{
	(void)fl_executor_cancel(&s->p->base);
}

ALL_END(local_batch_vs_cancel, one, two, canceller)

/*
 * Each task is taken once, while a worker moves tasks to its queue, takes them, and loses them to a
 * thief.
 */
struct local_once {
	struct fl__backlog backlog;
	struct fl__task_queue queues[2];
	int taken[16];
};

enum { LOCAL_TASKS = 16, LOCAL_APART = 64 };

FL_STRESS_SETUP(local_once)
{
	bool marked;
	OK(fl__backlog_init(&s->backlog, 2));
	for (unsigned i = 0; i < 2; i++)
		OK(fl__local_init(&s->queues[i], &s->backlog));
	/* These are no blocks: only their addresses are used. */
	for (uintptr_t i = 1; i <= LOCAL_TASKS; i++)
		FL_STRESS_CHECK(
		    fl__task_queue_put(s->backlog.queues[0], (struct fl__task_block *)(i * LOCAL_APART), &marked));
}

static bool local_take(struct local_once *s, int place)
{
	unsigned owes = 0;
	struct fl__task_block *block = fl__backlog_take(&s->backlog, &s->queues[place], true, &owes);
	if (block)
		s->taken[(uintptr_t)block / LOCAL_APART - 1]++;
	return block != NULL;
}

FL_STRESS_ACTOR(local_once, one)
{
	while (local_take(s, 0))
		;
}

FL_STRESS_ACTOR(local_once, two)
{
	while (local_take(s, 1))
		;
}

FL_STRESS(local_once, one, two)
{
	bool once = true;
	while (local_take(s, 0))
		;
	for (int i = 0; i < LOCAL_TASKS; i++)
		once = once && s->taken[i] == 1;
	for (int i = 0; i < 2; i++)
		fl__mpmc_fini(&s->queues[i].ring);
	fl__backlog_fini(&s->backlog);
	FL_ACCEPTABLE(once, "once each");
}

/*
 * A task submits another one into the queue of its worker, and waits for it by other means than its
 * future, while the other worker goes to sleep.
 */
struct local_own_vs_sleep {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_TASK_STATIC(submit_and_await, struct local_own_vs_sleep *, void)
{
	OK(set_event_submit(&(*arg)->p->base, &(*arg)->second, NULL));
	return fl_event_wait_until(&(*arg)->second, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(local_own_vs_sleep)
{
	s->p = local_of_two();
	/*
	 * As if another worker had emptied the queue and marked it: then a worker that goes to
	 * sleep unlists it.
	 */
	if (fl_stress_choose(2))
		fl__task_queue_list(&worker_at(s->p, 0)->local);
	OK(submit_and_await_submit(&s->p->base, s, NULL));
}

SERVES(local_own_vs_sleep, one, 0)
SERVES(local_own_vs_sleep, two, 1)

CLOSES_AFTER_SECOND(local_own_vs_sleep, true, one, two)

/*
 * There are two such tasks. The first one, on the second worker, waits for the second one. So the
 * third worker, which slept before, must come.
 */
struct local_own_twice {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_TASK_STATIC(submit_two_and_await, struct local_own_twice *, void)
{
	OK(await_event_submit(&(*arg)->p->base, &(*arg)->second, NULL));
	while (!worker_sleeps((*arg)->p))
		fl_stress_relax();
	OK(set_event_submit(&(*arg)->p->base, &(*arg)->second, NULL));
	return fl_event_wait_until(&(*arg)->second, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(local_own_twice)
{
	s->p = pool_of_actors(3, 3);
	s->p->next_stand_in = FL__NEVER;
	OK(submit_two_and_await_submit(&s->p->base, s, NULL));
}

SERVES(local_own_twice, one, 0)
SERVES(local_own_twice, two, 1)
SERVES(local_own_twice, three, 2)

CLOSES_AFTER_SECOND(local_own_twice, true, one, two, three)
