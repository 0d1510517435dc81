/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the local queues of the thread executor's workers. If a worker has taken but not
 * begun a task, or has submitted it, the task gets another worker if one sleeps, and a cancel finds
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
	return pool_of_actors(2, 2);
}

/*
 * Makes an executor with six tasks. A worker takes the third and the fourth at once. The third task
 * waits for the fourth.
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
 * A task of a batch waits for the next task, which its worker has taken, while the other worker
 * goes to sleep. The user closes the executor, which wakes all workers, either only after that, or
 * at once, so that the other worker may find the closed backlog empty.
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
 * When the executor is cancelled, each task is found: in an injector queue, in the queue of a
 * worker, taken by a worker that is moving it there, or running, in which case it is asked to stop.
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
 * Each task is taken once, while the owner of a queue puts tasks and takes the oldest or the newest,
 * and a thief takes half of them. The owner fills the queue, and so uses each slot again.
 */
enum { LOCAL_TASKS = FL__LOCAL_SLOTS + 2 };

struct local_once {
	struct fl__local local;
	struct fl__task_block blocks[LOCAL_TASKS]; /* only their addresses are used */
	int taken[LOCAL_TASKS];
};

static void local_note(struct local_once *s, const struct fl__task_block *block)
{
	if (block)
		s->taken[block - s->blocks]++;
}

static bool local_take_oldest(struct local_once *s)
{
	struct fl__task_block *block = NULL;
	const bool taken = fl__local_take(&s->local, &block, 1, false) == 1;
	local_note(s, taken ? block : NULL);
	return taken;
}

FL_STRESS_ACTOR(local_once, owner)
{
	const bool newest = fl_stress_choose(2);
	for (int i = 0; i < LOCAL_TASKS; i++) {
		while (!fl__local_put(&s->local, &s->blocks[i]))
			(void)local_take_oldest(s);
		if (i % 2 == 0)
			continue;
		if (newest)
			local_note(s, fl__local_take_newest(&s->local));
		else
			(void)local_take_oldest(s);
	}
}

FL_STRESS_ACTOR(local_once, thief)
{
	struct fl__task_block *blocks[2];
	for (int i = 0; i < 2; i++) {
		const size_t n = fl__local_take(&s->local, blocks, 2, true);
		for (size_t k = 0; k < n; k++)
			local_note(s, blocks[k]);
	}
}

FL_STRESS(local_once, owner, thief)
{
	bool once = true;
	while (local_take_oldest(s))
		;
	for (int i = 0; i < LOCAL_TASKS; i++)
		once = once && s->taken[i] == 1;
	FL_ACCEPTABLE(once, "once each");
}

/*
 * A task submits another task into the queue of its worker, and waits for that task by other means
 * than its future, while the other worker goes to sleep.
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
	OK(submit_and_await_submit(&s->p->base, s, NULL));
}

SERVES(local_own_vs_sleep, one, 0)
SERVES(local_own_vs_sleep, two, 1)

CLOSES_AFTER_SECOND(local_own_vs_sleep, true, one, two)

/*
 * There are two such tasks. The first task, on the second worker, waits for the second task. So the
 * third worker, which slept before, must run the second task.
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
	OK(submit_two_and_await_submit(&s->p->base, s, NULL));
}

SERVES(local_own_twice, one, 0)
SERVES(local_own_twice, two, 1)
SERVES(local_own_twice, three, 2)

CLOSES_AFTER_SECOND(local_own_twice, true, one, two, three)
