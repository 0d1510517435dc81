/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the ring for one producer and one consumer: typed, which is inline, and untyped,
 * with one item and with several.
 */
#include "../cases.h"
#include <fairlead/spsc.h>

FL_SPSC_OF(int, ints)

static ints *ring_of(size_t capacity)
{
	ints *q = NULL;
	OK(ints_create(&q, capacity));
	return q;
}

/*
 * spsc_wrap: there are more items than slots, and they come in order. The consumer of an item sees
 * what was done before its put, and the producer sees what was done before the get that made the
 * space.
 */
struct spsc_wrap {
	ints *q;
	int before, after, got[3];
};

FL_STRESS_SETUP(spsc_wrap)
{
	s->q = ring_of(1);
}

FL_STRESS_ACTOR(spsc_wrap, producer)
{
	s->before = 1;
	for (int i = 1; i <= 3; i++)
		while (ints_try_put(s->q, i) != 0)
			fl_stress_relax();
	/* It was written before the first get, which made the space. */
	FL_STRESS_CHECK(s->after == 1);
}

FL_STRESS_ACTOR(spsc_wrap, consumer)
{
	s->after = 1;
	for (int i = 0; i < 3; i++) {
		while (ints_try_get(s->q, &s->got[i]) != 0)
			fl_stress_relax();
		FL_STRESS_CHECK(s->before == 1);
	}
}

FL_STRESS(spsc_wrap, producer, consumer)
{
	const size_t left = ints_length(s->q);
	ints_free(s->q);
	FL_ACCEPTABLE(left == 0 && s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3, "in order");
}

/*
 * batch_partial: a put of several items finds less space, across the end of the ring, and a get
 * takes what is there.
 */
struct spsc_batch {
	ints *q;
	int got[4];
};

FL_STRESS_SETUP(spsc_batch)
{
	int item;
	s->q = ring_of(2);
	OK(ints_try_put(s->q, 9));
	OK(ints_try_get(s->q, &item));
}

FL_STRESS_ACTOR(spsc_batch, producer)
{
	const int items[] = {1, 2, 3, 4};
	for (size_t put = 0; put < 4;) {
		const size_t n = MOVED(ints_try_put_many, s->q, items + put, 4 - put);
		FL_STRESS_CHECK(n <= 2);
		if (n == 0)
			fl_stress_relax();
		put += n;
	}
}

FL_STRESS_ACTOR(spsc_batch, consumer)
{
	for (size_t got = 0; got < 4;) {
		const size_t n = MOVED(ints_try_get_many, s->q, s->got + got, 4 - got);
		FL_STRESS_CHECK(n <= 2);
		if (n == 0)
			fl_stress_relax();
		got += n;
	}
}

FL_STRESS(spsc_batch, producer, consumer)
{
	ints_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3 && s->got[3] == 4, "in order");
}

/* A length that another thread reads is a possible one: at most what was ever in the ring. */
struct spsc_length {
	ints *q;
	unsigned form;
	size_t seen;
};

FL_STRESS_SETUP(spsc_length)
{
	s->q = ring_of(3);
	s->form = fl_stress_choose(3);
}

FL_STRESS_ACTOR(spsc_length, mover)
{
	int item;
	OK(ints_try_put(s->q, 1));
	if (s->form == 0)
		OK(ints_try_get(s->q, &item));
	else if (s->form == 1)
		OK(fl_spsc_try_get(ints_untyped(s->q), &item));
	else
		FL_STRESS_CHECK(MOVED(ints_try_get_many, s->q, &item, 1) == 1);
}

FL_STRESS_ACTOR(spsc_length, looker)
{
	s->seen = ints_length(s->q);
}

FL_STRESS(spsc_length, mover, looker)
{
	ints_free(s->q);
	FL_ACCEPTABLE(s->seen == 0, "none");
	FL_ACCEPTABLE(s->seen == 1, "one");
}

/*
 * try_blocks_on_stalled_peer: in mode crash the other side stops forever at each of its steps in
 * turn. Every call then returns within 64 steps of its own.
 */
struct spsc_stalled {
	ints *q;
	fl_spsc *untyped;
	bool produces;
	unsigned form;
};

enum { FORMS = 4 };

FL_STRESS_SETUP(spsc_stalled)
{
	s->q = ring_of(2);
	OK(fl_spsc_create(&s->untyped, sizeof(int), 2));
	s->produces = fl_stress_choose(2) == 1;
	s->form = fl_stress_choose(FORMS);
	OK(ints_try_put(s->q, 1));
	OK(fl_spsc_try_put(s->untyped, &(int){1}));
}

static void act(const struct spsc_stalled *s, bool produces, unsigned form)
{
	int items[2] = {2, 3};
	const uint32_t before = fl_stress_steps();
	switch (form) {
	case 0:
		FL_IGNORE(produces ? ints_try_put(s->q, 2) : ints_try_get(s->q, items));
		break;
	case 1:
		(void)(produces ? MOVED(ints_try_put_many, s->q, items, 2) : MOVED(ints_try_get_many, s->q, items, 2));
		break;
	case 2:
		FL_IGNORE(produces ? fl_spsc_try_put(s->untyped, items) : fl_spsc_try_get(s->untyped, items));
		break;
	default:
		(void)(produces ? MOVED(fl_spsc_try_put_many, s->untyped, items, 2)
		                : MOVED(fl_spsc_try_get_many, s->untyped, items, 2));
	}
	FL_STRESS_CHECK(fl_stress_steps() - before <= 64);
}

FL_STRESS_ACTOR(spsc_stalled, peer)
{
	act(s, s->produces, s->form);
}

FL_STRESS_ACTOR(spsc_stalled, tries)
{
	for (unsigned form = 0; form < FORMS; form++)
		act(s, !s->produces, form);
	const uint32_t before = fl_stress_steps();
	FL_STRESS_CHECK(ints_length(s->q) <= 2 && fl_spsc_length(s->untyped) <= 2);
	FL_STRESS_CHECK(fl_stress_steps() - before <= 64);
}

FL_STRESS_PROCESSES(spsc_stalled, peer, tries)
{
	ints_free(s->q);
	fl_spsc_free(s->untyped);
	FL_ACCEPTABLE(1, "returned");
}

/*
 * destroy_after_get: the consumer of the last item may free the ring while the item's producer is
 * still leaving.
 */
struct spsc_free_after_get {
	ints *q;
};

FL_STRESS_SETUP(spsc_free_after_get)
{
	s->q = ring_of(1);
}

FL_STRESS_ACTOR(spsc_free_after_get, producer)
{
	OK(ints_try_put(s->q, 1));
}

FL_STRESS_ACTOR(spsc_free_after_get, consumer)
{
	int item;
	while (ints_try_get(s->q, &item) != 0)
		fl_stress_relax();
	ints_free(s->q);
}

FL_STRESS(spsc_free_after_get, producer, consumer)
{
	FL_ACCEPTABLE(1, "freed");
}
