/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue for many producers and many consumers: a chain (chain.h) with all its
 * operations.
 */
#include "mpmc_unbounded.h"

int fl_mpmc_unbounded_create(fl_mpmc_unbounded **q, size_t item_size, const fl_mpmc_unbounded_config *config)
{
	static const fl_mpmc_unbounded_config defaults;
	struct fl__chain *chain;
	if (!config)
		config = &defaults;
	int rc = fl__chain_create(&chain, item_size, config->segment, config->drop, config->drop_arg);
	if (rc == 0)
		*q = (fl_mpmc_unbounded *)chain;
	return rc;
}

void fl_mpmc_unbounded_free(fl_mpmc_unbounded *q)
{
	fl__chain_free((struct fl__chain *)q);
}

int fl_mpmc_unbounded_try_put(fl_mpmc_unbounded *q, const void *item)
{
	bool owes_wake = false; /* ignored: no context waits on it */
	return fl__chain_put(&q->chain, item, &owes_wake);
}

size_t fl_mpmc_unbounded_try_put_many(fl_mpmc_unbounded *q, const void *items, size_t n)
{
	bool owes_wake = false;
	int rc;
	return fl__chain_put_many(&q->chain, items, n, &rc, &owes_wake);
}

int fl_mpmc_unbounded_try_get(fl_mpmc_unbounded *q, void *item)
{
	return fl__chain_get(&q->chain, item);
}

size_t fl_mpmc_unbounded_try_get_many(fl_mpmc_unbounded *q, void *items, size_t n)
{
	int rc = 0;
	return n > 0 ? fl__chain_get_many(&q->chain, items, n, &rc) : 0;
}

void fl_mpmc_unbounded_close(fl_mpmc_unbounded *q)
{
	fl__chain_close(&q->chain);
}

bool fl_mpmc_unbounded_is_closed(fl_mpmc_unbounded *q)
{
	return fl__chain_is_closed(&q->chain);
}

size_t fl_mpmc_unbounded_length(fl_mpmc_unbounded *q)
{
	return (size_t)fl__chain_length(&q->chain);
}
