/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue that never waits: a chain (chain.h) with all its operations. With one
 * consumer the gets take their tickets by plain stores.
 */
#include "mpmc_unbounded.h"

int fl_mpmc_unbounded_create(fl_mpmc_unbounded **q, size_t item_size, const fl_mpmc_unbounded_config *config)
{
	static const fl_mpmc_unbounded_config defaults;
	struct fl__unbounded *chain;
	if (!config)
		config = &defaults;
	int rc = fl__unbounded_create(&chain, item_size, config->segment, config->drop, config->drop_arg);
	if (rc != 0)
		return rc;
	chain->one_consumer = config->one_consumer;
	*q = (fl_mpmc_unbounded *)chain;
	return 0;
}

void fl_mpmc_unbounded_free(fl_mpmc_unbounded *q)
{
	fl__unbounded_free((struct fl__unbounded *)q);
}

int fl_mpmc_unbounded_try_put(fl_mpmc_unbounded *q, const void *item)
{
	bool owes_wake = false; /* ignored: no context waits on it */
	return fl__unbounded_put(&q->unbounded, item, &owes_wake);
}

size_t fl_mpmc_unbounded_try_put_many(fl_mpmc_unbounded *q, const void *items, size_t n)
{
	bool owes_wake = false;
	int rc;
	return fl__unbounded_put_many(&q->unbounded, items, n, &rc, &owes_wake);
}

int fl_mpmc_unbounded_try_get(fl_mpmc_unbounded *q, void *item)
{
	return q->unbounded.one_consumer ? fl__unbounded_get_mpsc(&q->unbounded, item)
	                                 : fl__unbounded_get(&q->unbounded, item);
}

size_t fl_mpmc_unbounded_try_get_many(fl_mpmc_unbounded *q, void *items, size_t n)
{
	struct fl__unbounded *c = &q->unbounded;
	size_t got = 0;
	int rc = 0;
	if (!c->one_consumer)
		return n > 0 ? fl__unbounded_get_many(c, items, n, &rc) : 0;
	while (got < n && fl__unbounded_get_mpsc(c, (unsigned char *)items + got * c->item_size) == 0)
		got++;
	return got;
}

void fl_mpmc_unbounded_close(fl_mpmc_unbounded *q)
{
	fl__unbounded_close(&q->unbounded);
}

bool fl_mpmc_unbounded_is_closed(fl_mpmc_unbounded *q)
{
	return fl__unbounded_is_closed(&q->unbounded);
}

size_t fl_mpmc_unbounded_length(fl_mpmc_unbounded *q)
{
	return (size_t)fl__unbounded_length(&q->unbounded);
}
