/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CHAINS_H
#define STRESS_CHAINS_H

#include "../../../tests/support/fl_chain.h"
#include "../cases.h"

/*
 * Declarations for the scenarios of the unbounded queues. Items are ints, or int64_t if there is
 * one consumer; the int is then the lower half, which a little-endian machine has first. Segments
 * are so short that each put may need another one.
 */
static inline chain *chain_of(bool one_consumer, size_t segment, int items)
{
	chain *q = NULL;
	OK(chain_create(&q, one_consumer ? sizeof(int64_t) : sizeof(int),
	                &(chain_config){.one_consumer = one_consumer, .segment = segment}));
	if (!q)
		/*
		 * The analyzer does not know that a failed check ends the scenario, so this is
		 * never reached.
		 */
		abort();
	for (int64_t i = 1; i <= items; i++)
		OK(chain_try_put(q, &i));
	fl__hazards_end(); /* otherwise the setup would protect segments that the actors free */
	return q;
}

static inline chain *unbounded_of(size_t segment, int items)
{
	return chain_of(false, segment, items);
}

static inline int unbounded_take(chain *q)
{
	int64_t item = 0;
	return chain_try_get(q, &item) == 0 ? (int)item : 0;
}

/*
 * Gets what is left, and frees the queue. Returns the sum of the items, or -1 if the order or the
 * count is wrong.
 */
static inline int unbounded_end(chain *q, uint64_t puts)
{
	int sum = 0;
	bool right = fl__unbounded_puts(q) == puts;
	uint64_t length = chain_length(q);
	for (int item; (item = unbounded_take(q)); length--)
		sum += item;
	right = right && length == 0;
	chain_free(q);
	return right ? sum : -1;
}

/*
 * Makes one of five kinds of calls, for scenarios in which a peer stops forever at each of its
 * steps.
 */
static inline void unbounded_call(chain *q, unsigned which)
{
	int64_t items[2] = {2, 3};
	switch (which) {
	case 0:
		FL_IGNORE(chain_try_put(q, items));
		break;
	case 1:
		(void)unbounded_take(q);
		break;
	case 2:
		(void)MOVED(chain_try_put_many, q, items, 2);
		break;
	case 3:
		(void)MOVED(chain_try_get_many, q, items, 2);
		break;
	default:
		chain_close(q);
	}
}

/*
 * Checks that each call returns within 64 steps beside such a peer. The caller may get only if it
 * `consumes`.
 */
static inline void unbounded_call_all(chain *q, unsigned peer, bool consumes)
{
	int64_t items[2] = {4, 5};
	uint32_t since = fl_stress_steps();
	FL_STRESS_CHECK(!consumes || MOVED(chain_try_get_many, q, items, 1) == 1);
	within_64(&since);
	const int rc = chain_try_put(q, items);
	FL_STRESS_CHECK(rc == 0 || (rc == -EPIPE && peer == 4));
	within_64(&since);
	FL_STRESS_CHECK(MOVED(chain_try_put_many, q, items, 2) == 2 || peer == 4);
	within_64(&since);
	(void)(consumes && unbounded_take(q));
	within_64(&since);
	FL_STRESS_CHECK(chain_length(q) <= 6);
	within_64(&since);
	chain_close(q);
	within_64(&since);
	FL_STRESS_CHECK(chain_is_closed(q));
	within_64(&since);
}

#endif
