/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the close of an unbounded queue. The close decides the last ticket that counts. A
 * put that draws a later ticket is refused, and no count ever includes its ticket.
 */
#include "chains.h"

/*
 * A queue that was closed with one item has the length 1, whatever refused puts do. After the item
 * it returns -EPIPE.
 */
struct unbounded_refused {
	chain *q;
	uint64_t length, puts;
	int got;
};

FL_STRESS_SETUP(unbounded_refused)
{
	s->q = unbounded_of(1 + fl_stress_choose(3), 1);
	chain_close(s->q);
	fl__hazards_end();
}

FL_STRESS_ACTOR(unbounded_refused, producer)
{
	FL_STRESS_CHECK(chain_try_put(s->q, &(int){2}) == -EPIPE);
	FL_STRESS_CHECK(MOVED(chain_try_put_many, s->q, (const int[]){3, 4}, 2) == 0);
}

FL_STRESS_ACTOR(unbounded_refused, looker)
{
	s->length = chain_length(s->q);
	s->puts = fl__unbounded_puts(s->q);
	s->got = unbounded_take(s->q);
	FL_STRESS_CHECK(chain_try_get(s->q, &(int){0}) == -EPIPE);
	FL_STRESS_CHECK(chain_length(s->q) == 0);
}

FL_STRESS(unbounded_refused, producer, looker)
{
	const bool empty = chain_length(s->q) == 0 && fl__unbounded_puts(s->q) == 1;
	chain_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_FORBIDDEN(!empty, "a refused put counts for ever");
	FL_ACCEPTABLE(s->length == 1 && s->puts == 1, "one item");
}

/*
 * There are two closes during puts. The counts, and the items that can be got, are those of the
 * accepted puts. A closer that is stopped between its steps does not change what another closer has
 * decided.
 */
struct unbounded_two_closers {
	chain *q;
	int put[2];
	uint64_t length;
};

FL_STRESS_SETUP(unbounded_two_closers)
{
	s->q = unbounded_of(1 + fl_stress_choose(3), (int)fl_stress_choose(2));
	(void)unbounded_take(s->q);
	fl__hazards_end();
}

FL_STRESS_ACTOR(unbounded_two_closers, one)
{
	s->put[0] = chain_try_put(s->q, &(int){1}) == 0;
	chain_close(s->q);
}

FL_STRESS_ACTOR(unbounded_two_closers, two)
{
	s->put[1] = (int)MOVED(chain_try_put_many, s->q, (const int[]){2, 2}, 2);
}

FL_STRESS_ACTOR(unbounded_two_closers, three)
{
	chain_close(s->q);
	FL_STRESS_CHECK(chain_is_closed(s->q));
	s->length = chain_length(s->q);
}

FL_STRESS(unbounded_two_closers, one, two, three)
{
	const uint64_t accepted = (uint64_t)s->put[0] + (uint64_t)s->put[1];
	const uint64_t length = chain_length(s->q);
	int sum = 0;
	for (int item; (item = unbounded_take(s->q));)
		sum += item;
	const bool over = chain_try_get(s->q, &(int){0}) == -EPIPE;
	chain_free(s->q);
	FL_FORBIDDEN(!over || sum != s->put[0] + 2 * s->put[1], "accepted and not got, or got and not accepted");
	FL_FORBIDDEN(length != accepted, "counted wrongly");
	/* No thread has given up a put, so this holds at once. */
	FL_FORBIDDEN(s->length != accepted, "counted wrongly just after the close");
	FL_ACCEPTABLE(accepted == 0, "closed before");
	FL_ACCEPTABLE(1, "closed later");
}
