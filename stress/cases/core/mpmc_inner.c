/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the base of a queue that waits: the internal functions of the ring, and the marks of
 * its sleepers.
 */
#include "../cases.h"
#include "core/queue/mpmc.h"

/*
 * There is one function for each operation, so that each of their memory orders exists once, and
 * all scenarios use it.
 */
__attribute__((noinline)) static int inner_put(struct fl_mpmc *q, const int *item, bool *owes_wake)
{
	return fl__mpmc_put(q, item, sizeof *item, owes_wake);
}

__attribute__((noinline)) static int inner_get(struct fl_mpmc *q, int *item, bool *owes_wake)
{
	return fl__mpmc_get(q, item, sizeof *item, owes_wake);
}

/*
 * There is one item in two slots. Another thread gets an item and then puts one, or the other way
 * round, or closes the ring and then gets. A concurrent call may return that the ring is busy or
 * closed. However, a put never returns "full", and a get never returns "empty".
 */
enum { NEVER_EMPTY, NEVER_FULL, NEVER_OPEN_AND_EMPTY, NEVERS };

struct mpmc_inner_never {
	struct fl_mpmc q;
	unsigned which;
	bool asks; /* it only asks whether the call is possible */
	int rc, data;
};

FL_STRESS_SETUP(mpmc_inner_never)
{
	bool owes;
	OK(fl__mpmc_init(&s->q, sizeof(int), 2, 0));
	OK(inner_put(&s->q, &(int){1}, &owes));
	s->which = fl_stress_choose(NEVERS);
	s->asks = fl_stress_choose(2) == 1;
}

FL_STRESS_ACTOR(mpmc_inner_never, mover)
{
	bool owes;
	int item = 1;
	if (s->which == NEVER_FULL)
		OK(inner_get(&s->q, &item, &owes));
	if (s->which == NEVER_OPEN_AND_EMPTY)
		s->data = 1, fl_mpmc_close(&s->q);
	else
		FL_IGNORE(inner_put(&s->q, &item, &owes));
	if (s->which != NEVER_FULL)
		FL_IGNORE(inner_get(&s->q, &item, &owes));
}

FL_STRESS_ACTOR(mpmc_inner_never, looker)
{
	bool owes;
	int item = 1;
	if (s->asks)
		s->rc = s->which == NEVER_FULL ? fl__mpmc_can_put(&s->q) : fl__mpmc_can_get(&s->q);
	else
		s->rc = s->which == NEVER_FULL ? inner_put(&s->q, &item, &owes) : inner_get(&s->q, &item, &owes);
	if (s->which == NEVER_OPEN_AND_EMPTY && s->rc == 0 && inner_put(&s->q, &item, &owes) == -EPIPE)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(mpmc_inner_never, mover, looker)
{
	fl__mpmc_fini(&s->q);
	FL_ACCEPTABLE(s->rc == 0, "done");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->which != NEVER_OPEN_AND_EMPTY, "the other is at it");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->which == NEVER_OPEN_AND_EMPTY, "closed, and the other got it");
}

/* index_wrap_2_32: the words pass 2^32 or 2^64, with a capacity that is not a power of two. */
struct mpmc_wrap {
	struct fl_mpmc q;
	int got[4];
};

FL_STRESS_SETUP(mpmc_wrap)
{
	const uint64_t lap = 4 * FL__MPMC_STEP, laps[] = {(UINT64_C(1) << 32) / lap - 1, UINT64_MAX / lap};
	int item;
	bool owes;
	OK(fl__mpmc_init(&s->q, sizeof(int), 3, laps[fl_stress_choose(2)]));
	for (int i = 0; i < 2; i++) {
		OK(inner_put(&s->q, &i, &owes));
		OK(inner_get(&s->q, &item, &owes));
	}
}

static void wrap_put(struct fl_mpmc *q, int item)
{
	bool owes;
	int rc;
	while ((rc = inner_put(q, &item, &owes)) != 0) {
		FL_STRESS_CHECK(rc == -EAGAIN || rc == -EBUSY);
		fl_stress_relax();
	}
}

FL_STRESS_ACTOR(mpmc_wrap, one)
{
	wrap_put(&s->q, 1);
	wrap_put(&s->q, 2);
}

FL_STRESS_ACTOR(mpmc_wrap, two)
{
	wrap_put(&s->q, 4);
	wrap_put(&s->q, 8);
}

FL_STRESS_ACTOR(mpmc_wrap, consumer)
{
	bool owes;
	for (int i = 0; i < 4; i++) {
		int rc;
		while ((rc = inner_get(&s->q, &s->got[i], &owes)) != 0) {
			FL_STRESS_CHECK(rc == -EAGAIN || rc == -EBUSY);
			fl_stress_relax();
		}
	}
}

FL_STRESS(mpmc_wrap, one, two, consumer)
{
	const size_t left = fl_mpmc_length(&s->q);
	int sum = 0;
	for (int i = 0; i < 4; i++)
		sum |= s->got[i];
	fl__mpmc_fini(&s->q);
	FL_ACCEPTABLE(sum == 15 && left == 0, "each once");
}

/*
 * There are marks of sleepers. A thread that finds the ring empty, or full, and sets the mark,
 * sleeps until the thread that clears the mark wakes it. No wake is lost, and the waking thread
 * sees what was done before the mark.
 */
struct mpmc_sleep {
	struct fl_mpmc q;
	atomic_int woken;
	int data, got;
	bool full;
};

FL_STRESS_SETUP(mpmc_sleep)
{
	bool owes;
	OK(fl__mpmc_init(&s->q, sizeof(int), 1, 0));
	s->full = fl_stress_choose(2) == 1;
	if (s->full)
		OK(inner_put(&s->q, &(int){1}, &owes));
}

FL_STRESS_ACTOR(mpmc_sleep, sleeper)
{
	bool owes;
	int item = 2;
	while ((s->full ? inner_put(&s->q, &item, &owes) : inner_get(&s->q, &s->got, &owes)) != 0) {
		if (!s->data)
			s->data = 1;
		if (s->full ? fl__mpmc_mark_full(&s->q) : fl__mpmc_mark_empty(&s->q))
			while (!LOOK(&s->woken))
				fl_stress_relax();
		else
			fl_stress_relax();
	}
}

FL_STRESS_ACTOR(mpmc_sleep, waker)
{
	bool owes = false;
	OK(s->full ? inner_get(&s->q, &s->got, &owes) : inner_put(&s->q, &(int){1}, &owes));
	if (owes) {
		FL_STRESS_CHECK(s->data == 1);
		SET(&s->woken, 1);
	}
}

FL_STRESS(mpmc_sleep, sleeper, waker)
{
	const size_t left = fl_mpmc_length(&s->q);
	fl__mpmc_fini(&s->q);
	FL_FORBIDDEN(s->got != 1 || left != s->full, "lost");
	FL_ACCEPTABLE(LOOK(&s->woken), "woken");
	FL_ACCEPTABLE(1, "it was faster");
}
