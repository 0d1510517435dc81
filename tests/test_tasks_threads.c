/* SPDX-License-Identifier: BSD-2-Clause */
/* Task groups that other threads cancel. */
#include "fl_children.h"

typedef struct canceller {
	fl_tasks *g;
	uint32_t round, done; /* the round that is to be cancelled; the last that was */
	uint32_t rounds;
} canceller;

static int cancels_each_round(void *arg)
{
	canceller *c = arg;
	for (uint32_t i = 1; i <= c->rounds; i++) {
		FL_WAIT_FOR(fl__load_acquire(&c->round) == i); /* pairs with cancelled_rounds() */
		fl_tasks_cancel(c->g);
		fl__store_release(&c->done, i); /* pairs with cancelled_rounds() */
	}
	return 0;
}

/* Sometimes before the first start, between starts, while children run, while the owner joins. */
static int cancelled_rounds(void *arg)
{
	enum { CHILDREN = 8 };
	canceller *c = arg;
	fl_thread t;
	FL_CHECK(fl_thread_start(&t, cancels_each_round, c, NULL) == 0);
	for (uint32_t i = 1; i <= c->rounds; i++) {
		int ends = 0, started = 0;
		fl__store_release(&c->round, i); /* pairs with cancels_each_round() */
		for (uint32_t k = 0; k < i % 4; k++)
			fl_fiber_yield();
		for (; started < CHILDREN; started++) {
			int rc = fl_tasks_start(c->g, until_cancelled, &ends);
			FL_CHECK(rc == 0 || rc == -ECANCELED);
			if (rc != 0)
				break;
		}
		/* Once a child has begun the join ends with the cancel alone; without any, it must not come before that. */
		while (started == 0 && fl__load_acquire(&c->done) < i)
			fl_fiber_yield();
		FL_CHECK(fl_tasks_join(c->g) == 0 && ends == started);
		while (fl__load_acquire(&c->done) < i) /* pairs with cancels_each_round() */
			fl_fiber_yield();
		FL_CHECK(fl_tasks_join(c->g) == 0); /* a cancel that came after the join is undone */
	}
	FL_CHECK(fl_thread_join(&t, NULL) == 0);
	return 0;
}

FL_TEST(tasks_cancel_from_another_thread)
{
	fl_tasks g = FL_TASKS_INIT;
	canceller c = {.g = &g, .rounds = fl_test_scaled(2000)};
	fl_test_in_loop(cancelled_rounds, &c);
}

static int sets_it(void *event)
{
	fl_event_set(event);
	return 0;
}

/* The cancel races with children that end by themselves, and with the end of the group. */
static int races(void *arg)
{
	canceller *c = arg;
	fl_thread t;
	FL_CHECK(fl_thread_start(&t, cancels_each_round, c, NULL) == 0);
	for (uint32_t i = 1; i <= c->rounds; i++) {
		fl_event gate = FL_EVENT_INIT;
		int rc = fl_tasks_start(c->g, waits_for, &gate);
		fl__store_release(&c->round, i); /* pairs with cancels_each_round() */
		if (rc == 0)
			rc = fl_tasks_start(c->g, sets_it, &gate);
		FL_CHECK(rc == 0 || rc == -ECANCELED);
		FL_CHECK(fl_tasks_join(c->g) == 0);
		while (fl__load_acquire(&c->done) < i) /* pairs with cancels_each_round() */
			fl_fiber_yield();
		FL_CHECK(fl_tasks_join(c->g) == 0);
	}
	FL_CHECK(fl_thread_join(&t, NULL) == 0);
	return 0;
}

FL_TEST(tasks_cancel_races_with_the_end)
{
	fl_tasks g = FL_TASKS_INIT;
	canceller c = {.g = &g, .rounds = fl_test_scaled(5000)};
	fl_test_in_loop(races, &c);
}
