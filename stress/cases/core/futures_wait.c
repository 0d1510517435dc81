/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of waits for several futures. Each end is reported once, and no context
 * touches an iteration after its free.
 */
#include "../cases.h"
#include <fairlead/future.h>

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

/* futures_in_order: the future that ends first is returned first. */
struct futures_in_order {
	struct pair pair;
	fl_as_completed *c;
	size_t index[2];
};

FL_STRESS_SETUP(futures_in_order)
{
	begin_pair(&s->pair);
	OK(fl_as_completed_create(&s->c, s->pair.f, 2));
}

FL_STRESS_ACTOR(futures_in_order, producer)
{
	set_and_free(s->pair.p[1], 2);
	set_and_free(s->pair.p[0], 1);
}

FL_STRESS_ACTOR(futures_in_order, consumer)
{
	OK(fl_as_completed_next(s->c, &s->index[0]));
	OK(fl_as_completed_next(s->c, &s->index[1]));
	fl_as_completed_free(s->c);
	free_futures(&s->pair);
}

FL_STRESS(futures_in_order, producer, consumer)
{
	FL_ACCEPTABLE(s->index[0] == 1 && s->index[1] == 0, "in their order");
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
