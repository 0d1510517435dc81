/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue for many producers and one consumer: a chain (chain.h) from which only that
 * consumer takes tickets.
 */
#include "mpsc.h"

int fl_mpsc_create(fl_mpsc **q, size_t item_size, const fl_mpsc_config *config)
{
	static const fl_mpsc_config defaults;
	struct fl__chain *chain;
	if (!config)
		config = &defaults;
	int rc = fl__chain_create(&chain, item_size, config->segment, config->drop, config->drop_arg);
	if (rc == 0)
		*q = (fl_mpsc *)chain;
	return rc;
}

void fl_mpsc_free(fl_mpsc *q)
{
	fl__chain_free((struct fl__chain *)q);
}

int fl_mpsc_try_put(fl_mpsc *q, const void *item)
{
	bool owes_wake = false; /* ignored: no context waits on it */
	return fl__chain_put(&q->chain, item, &owes_wake);
}

size_t fl_mpsc_try_put_many(fl_mpsc *q, const void *items, size_t n)
{
	bool owes_wake = false;
	int rc;
	return fl__chain_put_many(&q->chain, items, n, &rc, &owes_wake);
}

int fl_mpsc_try_get(fl_mpsc *q, void *item)
{
	return fl__chain_get_alone(&q->chain, item);
}

size_t fl_mpsc_try_get_many(fl_mpsc *q, void *items, size_t n)
{
	size_t got = 0;
	while (got < n && fl__chain_get_alone(&q->chain, (unsigned char *)items + got * q->chain.item_size) == 0)
		got++;
	return got;
}

void fl_mpsc_close(fl_mpsc *q)
{
	fl__chain_close(&q->chain);
}

bool fl_mpsc_is_closed(fl_mpsc *q)
{
	return fl__chain_is_closed(&q->chain);
}

size_t fl_mpsc_length(fl_mpsc *q)
{
	return (size_t)fl__chain_length(&q->chain);
}
