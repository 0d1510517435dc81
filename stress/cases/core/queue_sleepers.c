/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the sleepers of a queue, of each order: the first sleeper stays the first, even if
 * it was woken in vain.
 */
#include "queues.h"

/*
 * The first sleeper is woken for an item that another thread took. It is the first again, and the
 * next item is its own.
 */
struct queue_first_stays_first {
	fl_queue *q;
	/* The first of two sleepers, or -1 if not both sleep, or if no item was stolen. */
	int first, item, got[2];
};

FL_STRESS_SETUP(queue_first_stays_first)
{
	s->q = ordered_as((fl_queue_config){.capacity = 1, .compare = by_value}, any_order());
}

static void get_in_turn(struct queue_first_stays_first *s, int i)
{
	OK(fl_queue_get(s->q, &s->got[i]));
}

TWO_ACTORS(queue_first_stays_first, get_in_turn)

static int first_of_two(struct queue_first_stays_first *s)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(s->q, FL__CONSUMERS));
	struct fl__node *first = fl__lot_first(&lot);
	const int which =
	    !first || !fl__lot_node_after(first) ? -1 : ((struct fl__offer *)(void *)first)->to == &s->got[1];
	fl__lot_close(&lot);
	return which;
}

FL_STRESS_ACTOR(queue_first_stays_first, thief)
{
	s->first = first_of_two(s);
	queue_put(s->q, 1);
	if (fl_queue_try_get(s->q, &s->item) == 0) {
		while (s->first >= 0 && first_of_two(s) < 0)
			fl_stress_relax();
		queue_put(s->q, 1);
	} else {
		s->first = -1;
	}
	queue_put(s->q, 2);
}

FL_STRESS(queue_first_stays_first, one, two, thief)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got[0] + s->got[1] != 3 || s->got[0] * s->got[1] != 2, "lost or doubled");
	FL_ACCEPTABLE(s->first < 0, "nothing to steal");
	FL_ACCEPTABLE(s->got[s->first] == 1, "still the first");
}
