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
	size_t index;
};

TWO_PRODUCERS(futures_first)

FL_STRESS_ACTOR(futures_first, consumer)
{
	fl_as_completed *c = NULL;
	int value;
	OK(fl_as_completed_create(&c, s->pair.f, 2));
	OK(fl_as_completed_next(c, &s->index));
	OK(fl_future_try_wait(s->pair.f[s->index & 1]));
	OK(fl_future_get(s->pair.f[s->index & 1], &value, sizeof value));
	FL_STRESS_CHECK(value == (int)s->index + 1);
	fl_as_completed_free(c);
	free_futures(&s->pair);
}

FL_STRESS(futures_first, one, two, consumer)
{
	FL_ACCEPTABLE(s->index == 0, "the one");
	FL_ACCEPTABLE(s->index == 1, "the other");
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
	FL_STRESS_CHECK(s->rc != 0 || (second != s->index && fl_as_completed_next(c, &second) == -ENODATA));
	fl_as_completed_free(c);
}

FL_STRESS(futures_completed, one, two, consumer)
{
	FL_ACCEPTABLE(s->rc == 0 && s->index < 2, "both");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->index < 2, "one in time");
}
