/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CHAIN_H
#define FL_CHAIN_H

/*
 * The unbounded queue inside of fl_queue by itself, for tests and scenarios: the list of segments,
 * which never waits, with segments of any length.
 *
 *     chain *q;
 *     rc = chain_create(&q, sizeof(int), &(chain_config){.segment = 2});
 *     rc = chain_try_put(q, &item);           // -ENOMEM, -EPIPE: the item is unchanged
 *     rc = chain_try_get(q, &item);           // -EAGAIN: empty; -EPIPE: closed and drained
 *     chain_free(q);
 */
#include "core/base/sys.h"
#include "core/queue/mpmc_unbounded.h"

/*
 * If the copy were inlined, the compiler would check it for all sizes of items, and warn about most
 * of them.
 */
#define CHAIN_FN __attribute__((noinline, unused)) static

typedef struct fl__unbounded chain;

typedef struct chain_config {
	size_t segment; /* items in a segment; 0: as many as fl_queue takes */
	bool one_consumer;
} chain_config;

/* The address of the allocation is stored in front of the chain. Returns 0, -EOVERFLOW, -ENOMEM. */
static inline int chain_create(chain **q, size_t item_size, const chain_config *config)
{
	config = FL__OR_DEFAULTS(config);
	void **memory = fl__alloc(1, sizeof *memory + FL__LINE - 1 + sizeof(chain));
	if (!memory)
		return -ENOMEM;
	chain *c = fl__align_to_line(memory + 1);
	((void **)(void *)c)[-1] = memory;
	const int rc = fl__unbounded_init(c, item_size, config->segment);
	if (rc != 0) {
		fl__free(memory);
		return rc;
	}
	c->one_consumer = config->one_consumer;
	*q = c;
	return 0;
}

static inline void chain_free(chain *q)
{
	if (!q)
		return;
	fl__unbounded_end(q);
	fl__free(((void **)(void *)q)[-1]);
}

FL__SCOPED(chain, chain_free)

CHAIN_FN int chain_try_put(chain *q, const void *item)
{
	bool owes_wake = false; /* no context waits on it */
	return fl__unbounded_put(q, item, &owes_wake);
}

/* As fl_queue_try_put_many(). */
CHAIN_FN int chain_try_put_many(chain *q, const void *items, size_t n, size_t *count)
{
	bool owes_wake = false;
	int rc = 0;
	*count = fl__unbounded_put_many(q, items, n, &rc, &owes_wake);
	return *count == n ? 0 : rc;
}

CHAIN_FN int chain_try_get(chain *q, void *item)
{
	int rc = 0;
	if (q->one_consumer)
		return fl__unbounded_get_mpsc(q, item);
	return fl__unbounded_get_ready(q, item) || fl__unbounded_get_many(q, item, 1, &rc) != 0 ? 0 : rc;
}

/* As fl_queue_try_get_many(). */
CHAIN_FN int chain_try_get_many(chain *q, void *items, size_t n, size_t *count)
{
	int rc = 0;
	*count = 0;
	if (!q->one_consumer)
		*count = n > 0 ? fl__unbounded_get_many(q, items, n, &rc) : 0;
	else
		while (*count < n &&
		       (rc = fl__unbounded_get_mpsc(q, (unsigned char *)items + *count * q->item_size)) == 0)
			++*count;
	return *count > 0 ? 0 : rc;
}

static inline void chain_close(chain *q)
{
	fl__unbounded_close(q);
}

static inline bool chain_is_closed(chain *q)
{
	return fl__unbounded_is_closed(q);
}

static inline size_t chain_length(chain *q)
{
	return fl__unbounded_length(q);
}

#endif
