/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of two rings for many producers and consumers. Changes of the rings, and observations
 * of them, have one order for all threads.
 */
#include "core/queue/mpmc.h"
#include "mpmcs.h"

/*
 * Two threads each change one ring, and then query the ring that the other thread changes. At least
 * one of them learns of the other thread's change. After a put, the query is a get, whether a get
 * is possible, or the length; after a close it is a get; after a get, it is a put, whether a put is
 * possible, or the length.
 */
enum {
	PUT_THEN_GET,
	CLOSE_THEN_GET,
	PUT_THEN_CAN_GET,
	PUT_THEN_COUNT,
	GET_THEN_PUT, /* in this and the following, the rings are full */
	GET_THEN_CAN_PUT,
	GET_THEN_COUNT,
	QUESTIONS
};

struct mpmc_agreed {
	fl_mpmc *rings[2];
	unsigned question;
	bool learned[2];
};

FL_STRESS_SETUP(mpmc_agreed)
{
	s->question = fl_stress_choose(QUESTIONS);
	for (int i = 0; i < 2; i++) {
		s->rings[i] = ring_of(1);
		if (s->question >= GET_THEN_PUT)
			OK(fl_mpmc_try_put(s->rings[i], &(int64_t){1}));
	}
}

static int ask(unsigned question, fl_mpmc *q)
{
	int64_t item = 1;
	switch (question) {
	case PUT_THEN_CAN_GET:
		return fl__mpmc_can_get(q);
	case GET_THEN_PUT:
		return fl_mpmc_try_put(q, &item);
	case GET_THEN_CAN_PUT:
		return fl__mpmc_can_put(q);
	default:
		return fl_mpmc_try_get(q, &item);
	}
}

static void change_then_ask(struct mpmc_agreed *s, int i)
{
	fl_mpmc *mine = s->rings[i], *other = s->rings[!i];
	int64_t item = 1;
	if (s->question == CLOSE_THEN_GET)
		fl_mpmc_close(mine);
	else
		OK(s->question >= GET_THEN_PUT ? fl_mpmc_try_get(mine, &item) : fl_mpmc_try_put(mine, &item));
	if (s->question != PUT_THEN_COUNT && s->question != GET_THEN_COUNT) {
		s->learned[i] = ask(s->question, other) != -EAGAIN;
		return;
	}
	const size_t length = fl_mpmc_length(other);
	FL_STRESS_CHECK(length <= 1);
	s->learned[i] = length == (s->question == PUT_THEN_COUNT ? 1 : 0);
}

TWO_ACTORS(mpmc_agreed, change_then_ask)

FL_STRESS(mpmc_agreed, one, two)
{
	fl_mpmc_free(s->rings[0]);
	fl_mpmc_free(s->rings[1]);
	FL_FORBIDDEN(!s->learned[0] && !s->learned[1], "both as before");
	FL_ACCEPTABLE(1, "one learned of it");
}
