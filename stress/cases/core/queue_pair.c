/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the queue for one producer and one consumer: sleeps beside calls without a fence,
 * several items at once, and lengths.
 */
#include "pairs.h"

/*
 * batch_partial: a put of several items finds less space, across the end of the ring, and a get
 * takes what is there.
 */
struct pair_batch {
	fl_queue *q;
	int got[4];
	size_t put, taken;
};

FL_STRESS_SETUP(pair_batch)
{
	int item;
	s->q = pair_of(3, NULL);
	queue_put_now(s->q, 9);
	OK(fl_queue_try_get(s->q, &item));
}

FL_STRESS_ACTOR(pair_batch, producer)
{
	s->put = MOVED(fl_queue_put_many, s->q, (const int[]){1, 2, 3, 4}, 4);
}

FL_STRESS_ACTOR(pair_batch, consumer)
{
	while (s->taken < 4) {
		const size_t n = MOVED(fl_queue_get_many, s->q, s->got + s->taken, 4 - s->taken);
		FL_STRESS_CHECK(n > 0 && n <= 3);
		s->taken += n;
	}
}

FL_STRESS(pair_batch, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 4 && s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3 && s->got[3] == 4, "in order");
}

/*
 * A length that a third thread reads is one that the queue had. It is not negative, even when all
 * items that were put during the read have been got.
 */
struct pair_length {
	fl_queue *q;
	bool full, many;
	size_t seen;
};

FL_STRESS_SETUP(pair_length)
{
	s->q = any_bounded(1);
	s->full = fl_stress_choose(2);
	s->many = fl_stress_choose(2);
	if (s->full)
		queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(pair_length, producer)
{
	if (s->many)
		(void)MOVED(fl_queue_try_put_many, s->q, &(int){2}, 1);
	else
		FL_IGNORE(fl_queue_try_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(pair_length, consumer)
{
	int item;
	const bool got =
	    s->many ? MOVED(fl_queue_try_get_many, s->q, &item, 1) == 1 : fl_queue_try_get(s->q, &item) == 0;
	FL_STRESS_CHECK(got || !s->full);
}

FL_STRESS_ACTOR(pair_length, looker)
{
	s->seen = fl_queue_length(s->q);
}

FL_STRESS(pair_length, producer, consumer, looker)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->seen == 0, "none");
	FL_ACCEPTABLE(s->seen == 1, "one");
}
