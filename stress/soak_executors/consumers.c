/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A turn in which consumers of a queue are cancelled by their tokens, one after another, while
 * items come. No item may be lost.
 */
#include "activities.h"

enum { CONSUMERS = 3, ITEMS = 400 };

struct consumer {
	fl_queue *queue;
	fl_cancel_token token;
	fl_thread *thread;
	uint64_t sum;
};

static int consume(void *arg)
{
	struct consumer *c = arg;
	uint64_t item;
	int rc;
	while ((rc = fl_queue_get_until(c->queue, &item, FL_FOREVER, &c->token)) == 0)
		c->sum += item;
	return rc;
}

static void hire(struct consumer *c, fl_queue *q)
{
	c->queue = q;
	c->sum = 0;
	fl_cancel_token_init(&c->token, NULL, FL_FOREVER);
	check("a consumer", fl_thread_start(&c->thread, consume, c, NULL));
}

/* Joins the consumer. Returns the sum of the items that it has got. */
static uint64_t part_with(struct consumer *c, int expected)
{
	int rc = 0;
	check("a join", fl_thread_join(c->thread, &rc));
	if (rc != expected)
		fail("a consumer ended with %s, not %s", fl_error_name(rc), fl_error_name(expected));
	fl_cancel_token_destroy(&c->token);
	return c->sum;
}

void consumers_turn(uint64_t *state)
{
	struct consumer consumers[CONSUMERS];
	fl_queue *q = NULL;
	uint64_t put = 0, got = 0;
	check("a queue", fl_queue_create(&q, sizeof put, &(fl_queue_config){.capacity = 4}));
	for (int i = 0; i < CONSUMERS; i++)
		hire(&consumers[i], q);
	for (uint64_t item = 1; item <= ITEMS; item++) {
		check("a put", fl_queue_put(q, &item));
		put += item;
		if (draw(state) % 16 == 0) {
			struct consumer *c = &consumers[draw(state) % CONSUMERS];
			fl_cancel_token_request(&c->token);
			got += part_with(c, -ECANCELED);
			hire(c, q);
		}
	}
	fl_queue_close(q);
	for (int i = 0; i < CONSUMERS; i++)
		got += part_with(&consumers[i], -EPIPE);
	if (got != put)
		fail("items of %lu in all were put, of %lu got", put, got);
	fl_queue_free(q);
}
