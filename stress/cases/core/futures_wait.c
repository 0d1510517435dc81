/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of waits for several futures. Each end is reported to the watch once, and no context
 * touches a watch after its end.
 */
#include "../cases.h"
#include "core/future/as_completed.h"

struct pair {
	fl_promise *p[2];
	fl_future *f[2];
};

static void begin_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		OK(fl_promise_create(&pair->p[i], sizeof(int), NULL, &pair->f[i]));
}

static void free_futures(struct pair *pair)
{
	fl_future_free(pair->f[0]);
	fl_future_free(pair->f[1]);
}

static void set_and_free(fl_promise *p, int value)
{
	OK(fl_promise_set(p, &value));
	fl_promise_free(p);
}

/* Two futures, and an actor for each of them, which ends it: one with 1, the other with 2. */
#define TWO_PRODUCERS(scenario)                                                                                        \
	FL_STRESS_SETUP(scenario)                                                                                      \
	{                                                                                                              \
		begin_pair(&s->pair);                                                                                  \
	}                                                                                                              \
	FL_STRESS_ACTOR(scenario, one)                                                                                 \
	{                                                                                                              \
		set_and_free(s->pair.p[0], 1);                                                                         \
	}                                                                                                              \
	FL_STRESS_ACTOR(scenario, two)                                                                                 \
	{                                                                                                              \
		set_and_free(s->pair.p[1], 2);                                                                         \
	}

/* futures_first: the wait returns when one of the futures has ended, and sees its result. */
struct futures_first {
	struct pair pair;
	int n;
};

TWO_PRODUCERS(futures_first)

FL_STRESS_ACTOR(futures_first, consumer)
{
	s->n = fl_futures_wait(s->pair.f, 2, FL_FIRST_ENDED);
	for (int i = 0, value; i < 2; i++)
		if (fl_future_try_wait(s->pair.f[i]) == 0)
			FL_STRESS_CHECK(fl_future_get(s->pair.f[i], &value, sizeof value) == 0 && value == i + 1);
	FL_STRESS_CHECK(fl_futures_wait(s->pair.f, 2, FL_ALL_ENDED) == 2);
	free_futures(&s->pair);
}

FL_STRESS(futures_first, one, two, consumer)
{
	FL_ACCEPTABLE(s->n == 1, "one");
	FL_ACCEPTABLE(s->n == 2, "both");
}

/* futures_first_error: success and cancellation do not end the wait. An error does. */
struct futures_first_error {
	struct pair pair;
	int n;
	bool failed;
};

FL_STRESS_SETUP(futures_first_error)
{
	begin_pair(&s->pair);
}

FL_STRESS_ACTOR(futures_first_error, breaker)
{
	fl_promise_free(s->pair.p[0]);
}

FL_STRESS_ACTOR(futures_first_error, canceller)
{
	OK(fl_future_cancel(s->pair.f[1]));
	fl_promise_free(s->pair.p[1]);
}

FL_STRESS_ACTOR(futures_first_error, consumer)
{
	fl_future *f[2] = {fl_future_ref(s->pair.f[0]), fl_future_ref(s->pair.f[1])};
	s->n = fl_futures_wait(f, 2, FL_FIRST_ERROR);
	s->failed = fl_future_error(f[0]) == -EOWNERDEAD;
	fl_future_free(f[0]);
	fl_future_free(f[1]);
}

FL_STRESS(futures_first_error, breaker, canceller, consumer)
{
	free_futures(&s->pair);
	FL_FORBIDDEN(!s->failed, "returned without the error");
	FL_ACCEPTABLE(s->n == 1, "the error first");
	FL_ACCEPTABLE(s->n == 2, "both");
}

struct watching {
	struct fl__future_set ws;
	struct fl__future_entry each[2];
};

/* futures_in_order: the future that ends first is reported first. */
struct futures_in_order {
	struct pair pair;
	bool right;
};

FL_STRESS_SETUP(futures_in_order)
{
	begin_pair(&s->pair);
}

FL_STRESS_ACTOR(futures_in_order, producer)
{
	set_and_free(s->pair.p[1], 2);
	set_and_free(s->pair.p[0], 1);
}

static bool both_are_there(const struct fl__future_set *ws)
{
	return ws->left == 0;
}

FL_STRESS_ACTOR(futures_in_order, consumer)
{
	struct watching *w = make(sizeof *w);
	w->ws = (struct fl__future_set){.left = 0};
	fl__future_set_add(&w->ws, &w->each[1], s->pair.f[1]);
	fl__future_set_add(&w->ws, &w->each[0], s->pair.f[0]);
	OK(fl__future_set_sleep(&w->ws, both_are_there, FL_FOREVER, NULL));
	s->right = fl__future_set_take(&w->ws) == &w->each[1] && fl__future_set_take(&w->ws) == &w->each[0] &&
	           !fl__future_set_take(&w->ws);
	fl__future_set_fini(&w->ws);
	free(w);
	free_futures(&s->pair);
}

FL_STRESS(futures_in_order, producer, consumer)
{
	FL_ACCEPTABLE(s->right, "in their order");
}

/*
 * futures_completed: each future is handed out once, and the iteration may end while futures end.
 */
struct futures_completed {
	struct pair pair;
	int rc;
	size_t index;
};

TWO_PRODUCERS(futures_completed)

FL_STRESS_ACTOR(futures_completed, consumer)
{
	fl_as_completed *c = NULL;
	size_t second = 7;
	OK(fl_as_completed_create(&c, s->pair.f, 2));
	OK(fl_as_completed_next(c, &s->index));
	OK(fl_future_try_wait(s->pair.f[s->index & 1]));
	free_futures(&s->pair);
	s->rc = fl_as_completed_next_until(c, &second, soon(), NULL);
	FL_STRESS_CHECK(s->rc != 0 || (second != s->index && fl_as_completed_try_next(c, &second) == -ENODATA));
	fl_as_completed_free(c);
}

FL_STRESS(futures_completed, one, two, consumer)
{
	FL_ACCEPTABLE(s->rc == 0 && s->index < 2, "both");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->index < 2, "one in time");
}
