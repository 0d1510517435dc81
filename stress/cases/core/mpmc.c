/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the ring for many producers and consumers. Each item comes out once, in order. The
 * ring says that it is full, empty or closed only when this is true.
 */
#include "mpmcs.h"

static int64_t get(fl_mpmc *q)
{
	int64_t item = 0;
	int rc;
	while ((rc = fl_mpmc_try_get(q, &item)) != 0) {
		FL_STRESS_CHECK(rc == -EAGAIN || rc == -EBUSY);
		fl_stress_relax();
	}
	return item;
}

/*
 * aba_short_tag: the ring has one slot, so every position is this slot. A thread that has read the
 * slot, and was stopped while others reused it, claims nothing with the old value.
 */
struct mpmc_aba_short_tag {
	fl_mpmc *q;
	int64_t sum, got[3];
};

FL_STRESS_SETUP(mpmc_aba_short_tag)
{
	s->q = ring_of(1);
	OK(fl_mpmc_try_put(s->q, &(int64_t){1}));
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
	if (fl_mpmc_try_put(s->q, &(int64_t){2}) == 0)
		s->sum += 2;
	if (fl_mpmc_try_get(s->q, &s->got[2]) != 0)
		s->got[2] = 0;
	if (fl_mpmc_try_put(s->q, &(int64_t){4}) == 0)
		s->sum += 4;
}

FL_STRESS(mpmc_aba_short_tag, slow, busy)
{
	int64_t left = 0, sum = s->got[0] + s->got[1] + s->got[2];
	while (fl_mpmc_try_get(s->q, &left) == 0)
		sum += left;
	fl_mpmc_free(s->q);
	FL_FORBIDDEN(sum != s->sum + 1, "lost or doubled");
	FL_ACCEPTABLE(s->got[0] == 0, "the slow one found nothing");
	FL_ACCEPTABLE(s->got[0] != 0, "the slow one got one");
}

/*
 * destroy_after_get: the consumer of the last item may free the ring while the item's producer is
 * still leaving.
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
	OK(fl_mpmc_try_put(s->q, &(int64_t){1}));
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
