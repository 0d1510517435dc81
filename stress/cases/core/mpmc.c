/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for many producers and consumers: each item once, in order; full, empty and closed only
 * when true.
 */
#include "../cases.h"
#include <fairlead/mpmc.h>

static fl_mpmc *ring_of(size_t capacity)
{
	fl_mpmc *q = NULL;
	OK(fl_mpmc_create(&q, sizeof(int), capacity));
	return q;
}

/* Puts until it succeeds: the ring is not closed. */
static void put(fl_mpmc *q, int item)
{
	int rc;
	while ((rc = fl_mpmc_try_put(q, &item)) != 0) {
		FL_STRESS_CHECK(rc == -EAGAIN || rc == -EBUSY);
		fl_stress_relax();
	}
}

static int get(fl_mpmc *q)
{
	int item = 0, rc;
	while ((rc = fl_mpmc_try_get(q, &item)) != 0) {
		FL_STRESS_CHECK(rc == -EAGAIN || rc == -EBUSY);
		fl_stress_relax();
	}
	return item;
}

/*
 * producer_order_happens_before: the consumer of an item sees what its producer did before; a
 * producer that reuses the slot sees what the consumer did.
 */
struct mpmc_data {
	fl_mpmc *q;
	int before, after;
};

FL_STRESS_SETUP(mpmc_data)
{
	s->q = ring_of(1);
}

FL_STRESS_ACTOR(mpmc_data, producer)
{
	s->before = 1;
	put(s->q, 1);
	put(s->q, 2); /* into the slot of the first */
	FL_STRESS_CHECK(s->after == 1);
}

FL_STRESS_ACTOR(mpmc_data, consumer)
{
	s->after = 1;
	FL_STRESS_CHECK(get(s->q) == 1);
	FL_STRESS_CHECK(s->before == 1);
	FL_STRESS_CHECK(get(s->q) == 2);
}

FL_STRESS(mpmc_data, producer, consumer)
{
	FL_FORBIDDEN(fl_mpmc_length(s->q) != 0, "something left");
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(1, "in order");
}

/* Two producers, a consumer: each item once, and the items of one producer in order. */
struct mpmc_producers {
	fl_mpmc *q;
	int got[3];
};

FL_STRESS_SETUP(mpmc_producers)
{
	s->q = ring_of(2);
}

FL_STRESS_ACTOR(mpmc_producers, one)
{
	put(s->q, 1);
	put(s->q, 2);
}

FL_STRESS_ACTOR(mpmc_producers, two)
{
	put(s->q, 3);
}

FL_STRESS_ACTOR(mpmc_producers, consumer)
{
	for (int i = 0; i < 3; i++)
		s->got[i] = get(s->q);
}

FL_STRESS(mpmc_producers, one, two, consumer)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3, "123");
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 3 && s->got[2] == 2, "132");
	FL_ACCEPTABLE(s->got[0] == 3 && s->got[1] == 1 && s->got[2] == 2, "312");
	FL_FORBIDDEN(1, "lost, doubled or out of order");
}

/* Two consumers. */
struct mpmc_consumers {
	fl_mpmc *q;
	int got[3];
};

FL_STRESS_SETUP(mpmc_consumers)
{
	s->q = ring_of(2);
}

FL_STRESS_ACTOR(mpmc_consumers, producer)
{
	for (int i = 1; i <= 3; i++)
		put(s->q, i);
}

FL_STRESS_ACTOR(mpmc_consumers, one)
{
	s->got[0] = get(s->q);
	s->got[1] = get(s->q);
}

FL_STRESS_ACTOR(mpmc_consumers, two)
{
	s->got[2] = get(s->q);
}

FL_STRESS(mpmc_consumers, producer, one, two)
{
	fl_mpmc_free(s->q);
	FL_FORBIDDEN(s->got[0] + s->got[1] + s->got[2] != 6 || s->got[0] * s->got[1] * s->got[2] != 6,
	             "lost or doubled");
	FL_FORBIDDEN(s->got[0] > s->got[1], "out of order");
	FL_ACCEPTABLE(1, "each once, in order");
}

/*
 * aba_short_tag: a ring of one slot, so every position is this slot. A thread that has read it and
 * was stopped while others reused it claims nothing with the old value.
 */
struct mpmc_aba_short_tag {
	fl_mpmc *q;
	int sum, got[3];
};

FL_STRESS_SETUP(mpmc_aba_short_tag)
{
	s->q = ring_of(1);
	OK(fl_mpmc_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(mpmc_aba_short_tag, slow)
{
	if (fl_mpmc_try_get(s->q, &s->got[0]) != 0)
		s->got[0] = 0;
}

FL_STRESS_ACTOR(mpmc_aba_short_tag, busy)
{
	if (fl_mpmc_try_get(s->q, &s->got[1]) != 0)
		s->got[1] = 0;
	if (fl_mpmc_try_put(s->q, &(int){2}) == 0)
		s->sum += 2;
	if (fl_mpmc_try_get(s->q, &s->got[2]) != 0)
		s->got[2] = 0;
	if (fl_mpmc_try_put(s->q, &(int){4}) == 0)
		s->sum += 4;
}

FL_STRESS(mpmc_aba_short_tag, slow, busy)
{
	int left = 0, sum = s->got[0] + s->got[1] + s->got[2];
	while (fl_mpmc_try_get(s->q, &left) == 0)
		sum += left;
	fl_mpmc_free(s->q);
	FL_FORBIDDEN(sum != s->sum + 1, "lost or doubled");
	FL_ACCEPTABLE(s->got[0] == 0, "the slow one found nothing");
	FL_ACCEPTABLE(s->got[0] != 0, "the slow one got one");
}

/*
 * false_empty_after_own_push, false_full_after_own_pop: a thread that has put an item is never told
 * "empty", and one that has got one never "full", while no thread gets more than it has put.
 */
struct mpmc_own_item {
	fl_mpmc *q;
	int got[2];
};

FL_STRESS_SETUP(mpmc_own_item)
{
	s->q = ring_of(2);
}

static int put_and_get(fl_mpmc *q, int item)
{
	int rc;
	while ((rc = fl_mpmc_try_put(q, &item)) == -EBUSY)
		fl_stress_relax();
	OK(rc);
	while ((rc = fl_mpmc_try_get(q, &item)) == -EBUSY)
		fl_stress_relax();
	OK(rc);
	return item;
}

FL_STRESS_ACTOR(mpmc_own_item, one)
{
	s->got[0] = put_and_get(s->q, 1);
}

FL_STRESS_ACTOR(mpmc_own_item, two)
{
	s->got[1] = put_and_get(s->q, 2);
}

FL_STRESS(mpmc_own_item, one, two)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "their own");
	FL_ACCEPTABLE(s->got[0] == 2 && s->got[1] == 1, "each other's");
	FL_FORBIDDEN(1, "lost or doubled");
}

struct mpmc_own_space {
	fl_mpmc *q;
};

FL_STRESS_SETUP(mpmc_own_space)
{
	s->q = ring_of(2);
	OK(fl_mpmc_try_put(s->q, &(int){1}));
	OK(fl_mpmc_try_put(s->q, &(int){2}));
}

static void get_and_put(fl_mpmc *q)
{
	int rc, item;
	while ((rc = fl_mpmc_try_get(q, &item)) == -EBUSY)
		fl_stress_relax();
	OK(rc);
	while ((rc = fl_mpmc_try_put(q, &item)) == -EBUSY)
		fl_stress_relax();
	OK(rc);
}

FL_STRESS_ACTOR(mpmc_own_space, one)
{
	get_and_put(s->q);
}

FL_STRESS_ACTOR(mpmc_own_space, two)
{
	get_and_put(s->q);
}

FL_STRESS(mpmc_own_space, one, two)
{
	int a = 0, b = 0;
	const bool both = fl_mpmc_try_get(s->q, &a) == 0 && fl_mpmc_try_get(s->q, &b) == 0;
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(both && a + b == 3 && a * b == 2, "both are in");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * One item in two slots. Another thread gets and then puts one, or the other way round, or closes
 * and then gets: a put, or get, beside that may return -EBUSY or closed, but never "full", or
 * "empty".
 */
enum { NEVER_EMPTY, NEVER_FULL, NEVER_OPEN_AND_EMPTY, NEVERS };

struct mpmc_never {
	fl_mpmc *q;
	unsigned which;
	int rc;
};

FL_STRESS_SETUP(mpmc_never)
{
	s->q = ring_of(2);
	OK(fl_mpmc_try_put(s->q, &(int){1}));
	s->which = fl_stress_choose(NEVERS);
}

FL_STRESS_ACTOR(mpmc_never, mover)
{
	int item = 1;
	if (s->which == NEVER_FULL)
		OK(fl_mpmc_try_get(s->q, &item));
	if (s->which == NEVER_OPEN_AND_EMPTY)
		fl_mpmc_close(s->q);
	else
		FL_IGNORE(fl_mpmc_try_put(s->q, &item));
	if (s->which != NEVER_FULL)
		FL_IGNORE(fl_mpmc_try_get(s->q, &item));
}

FL_STRESS_ACTOR(mpmc_never, looker)
{
	int item = 1;
	s->rc = s->which == NEVER_FULL ? fl_mpmc_try_put(s->q, &item) : fl_mpmc_try_get(s->q, &item);
}

FL_STRESS(mpmc_never, mover, looker)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->rc == 0, "done");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->which != NEVER_OPEN_AND_EMPTY, "the other is at it");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->which == NEVER_OPEN_AND_EMPTY, "closed, and the other got it");
	FL_FORBIDDEN(1, "full, or empty, which it never was");
}

/* A length that is read during this is one that the ring had. */
struct mpmc_length {
	fl_mpmc *q;
	size_t seen;
};

FL_STRESS_SETUP(mpmc_length)
{
	s->q = ring_of(3);
}

FL_STRESS_ACTOR(mpmc_length, mover)
{
	int item;
	OK(fl_mpmc_try_put(s->q, &(int){1}));
	OK(fl_mpmc_try_get(s->q, &item));
}

FL_STRESS_ACTOR(mpmc_length, looker)
{
	s->seen = fl_mpmc_length(s->q);
}

FL_STRESS(mpmc_length, mover, looker)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->seen == 0, "none");
	FL_ACCEPTABLE(s->seen == 1, "one");
	FL_FORBIDDEN(1, "more than there ever were");
}

/*
 * destroy_after_get: the consumer of the last item may free the ring while its producer is still
 * leaving.
 */
struct mpmc_free_after_get {
	fl_mpmc *q;
};

FL_STRESS_SETUP(mpmc_free_after_get)
{
	s->q = ring_of(1);
}

FL_STRESS_ACTOR(mpmc_free_after_get, producer)
{
	OK(fl_mpmc_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(mpmc_free_after_get, consumer)
{
	FL_STRESS_CHECK(get(s->q) == 1);
	fl_mpmc_free(s->q);
}

FL_STRESS(mpmc_free_after_get, producer, consumer)
{
	FL_ACCEPTABLE(1, "freed");
}
