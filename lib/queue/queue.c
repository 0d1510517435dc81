/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The blocking queue. Its backend holds the items (type.h), side.c has the waiting, and join.c the
 * joining. This file has creation, destruction, and the calls. A call that need not wait is one
 * operation of the backend.
 *
 * Linearization: that of the backend's operation. The operation returns -EBUSY if another call is
 * in the middle of what it needs. The put or get then waits for that call to go on, as for a lock,
 * so its caller never gets -EBUSY.
 */
#include "queue.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include <errno.h>

enum { CAPACITY_DEFAULT = 1024 };

/* Creation and destruction. */

/* Chooses the backend. Returns NULL if the config is invalid. */
static const struct fl__queue_backend *queue_choose_backend(const fl_queue_config *c)
{
	const bool overwrites = c->when_full == FL_OVERWRITE, rendezvous = c->capacity == FL_RENDEZVOUS;
	const bool unbounded = c->capacity == FL_UNBOUNDED;
	if ((c->order == FL_PRIORITY) != (c->compare != NULL) || (c->when_full != FL_WAIT_FOR_SPACE && !overwrites))
		return NULL;
	if (rendezvous)
		return c->order == FL_FIFO && !overwrites ? &fl__backend_rendezvous : NULL;
	if (overwrites)
		return !unbounded && (c->order == FL_FIFO || c->order == FL_LIFO) ? &fl__backend_overwrite : NULL;
	switch (c->order) {
	case FL_FIFO:
		if (unbounded)
			return c->one_consumer ? &fl__backend_unbounded_mpsc : &fl__backend_unbounded;
		return c->one_producer && c->one_consumer ? &fl__backend_spsc : &fl__backend_mpmc;
	case FL_LIFO:
	case FL_PRIORITY:
		return &fl__backend_priority;
	default:
		return NULL;
	}
}

int fl_queue_create(fl_queue **made, size_t item_size, const fl_queue_config *config)
{
	static const fl_queue_config defaults;
	fl_queue_config c = config ? *config : defaults;
	if (c.capacity == 0)
		c.capacity = CAPACITY_DEFAULT;
	const struct fl__queue_backend *type = queue_choose_backend(&c);
	if (item_size == 0 || !type)
		return -EINVAL;
	fl_queue *q = fl__alloc(1, sizeof *q + type->size);
	if (!q)
		return -ENOMEM;
	const int rc = type->init(q->state, item_size, &c);
	if (rc != 0) {
		fl__free(q);
		return rc;
	}
	q->mpmc = type == &fl__backend_mpmc ? fl__queue_as_mpmc(q) : NULL;
	q->spsc = type == &fl__backend_spsc ? fl__queue_as_spsc(q) : NULL;
	q->backend = type;
	q->item_size = item_size;
	q->drop = c.drop;
	q->drop_arg = c.drop_arg;
	q->forks = fl__load_relaxed(&fl__fork_count); /* relaxed: as in fl__is_forked() */
	*made = q;
	return 0;
}

/*
 * Drops all items that are in the queue or being put, and returns how many. The queue is closed, or
 * no longer used.
 */
static size_t queue_drop_all(fl_queue *q)
{
	size_t dropped = 0, count;
	unsigned round = 0;
	for (;;) {
		bool owes_wake; /* ignored: no waiter is left */
		const int rc = q->backend->discard(q, &count, &owes_wake);
		if (rc == 0)
			dropped += count;
		else if (rc == -EBUSY)
			fl__queue_pause(round++);
		else
			return dropped;
	}
}

void fl_queue_free(fl_queue *q)
{
	if (!q)
		return;
	if (fl__queue_has_waiters(q))
		fl__panic("fl_queue_free", q, "somebody waits on it");
	(void)queue_drop_all(q);
	q->backend->fini(q->state);
	fl__free(q);
}

void fl_queue_close(fl_queue *q)
{
	q->backend->close(q->state);
	fl__queue_wake_all(q);
}

size_t fl_queue_close_now(fl_queue *q)
{
	fl_queue_close(q);
	return queue_drop_all(q);
}

/*
 * Putting. The static functions that may wait have the library's prefix. Reports skip functions
 * with that prefix, and show their caller (lib/debug/report.c).
 */

/*
 * Makes the backend's put, which may return -EBUSY. Wakes a waiting consumer if the put owes a
 * wake.
 */
static inline int queue_put_once(fl_queue *q, const void *item)
{
	bool owes_wake = false;
	size_t count;
	int rc;
	if (__builtin_expect(q->mpmc != NULL, 1))
		rc = fl__mpmc_put(q->mpmc, item, q->item_size, &owes_wake);
	else if (q->spsc && fl__queue_spsc_put(q->spsc, item, q->spsc->slots.shape))
		return 0;
	else
		rc = q->backend->put(q->state, item, 1, &count, &owes_wake);
	if (__builtin_expect(owes_wake, 0))
		fl__queue_wake(q, FL__CONSUMERS);
	return rc;
}

static struct fl__queue_call queue_put_call(const void *items, size_t n)
{
	return (struct fl__queue_call){.side = FL__PRODUCERS, .from = items, .n = n};
}

__attribute__((noinline, cold)) static int queue_try_put_slow(fl_queue *q, const void *item)
{
	struct fl__queue_call call = queue_put_call(item, 1);
	return fl__queue_call_now(q, &call);
}

int fl_queue_try_put(fl_queue *q, const void *item)
{
	const int rc = queue_put_once(q, item);
	return __builtin_expect(rc == -EBUSY, 0) ? queue_try_put_slow(q, item) : rc;
}

__attribute__((noinline, cold)) static int fl__queue_put_slow(fl_queue *q, const void *item, int64_t deadline,
                                                              fl_cancel_token *cancel)
{
	struct fl__queue_call call = queue_put_call(item, 1);
	return fl__queue_call_until(q, &call, deadline, cancel);
}

int fl_queue_put_until(fl_queue *q, const void *item, int64_t deadline, fl_cancel_token *cancel)
{
	const int rc = queue_put_once(q, item);
	return __builtin_expect(rc == -EAGAIN || rc == -EBUSY, 0) ? fl__queue_put_slow(q, item, deadline, cancel) : rc;
}

size_t fl_queue_try_put_many(fl_queue *q, const void *items, size_t n)
{
	struct fl__queue_call call = queue_put_call(items, n);
	return n > 0 && fl__queue_call_now(q, &call) == 0 ? call.count : 0;
}

static int fl__queue_put_many(fl_queue *q, const void *items, size_t n, size_t *count, int64_t deadline,
                              fl_cancel_token *cancel)
{
	const unsigned char *next = items;
	int rc = 0;
	for (*count = 0; *count < n && rc == 0;) {
		struct fl__queue_call call = queue_put_call(next + *count * q->item_size, n - *count);
		rc = fl__queue_call_until(q, &call, deadline, cancel);
		*count += call.count;
	}
	return rc;
}

int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count, int64_t deadline,
                            fl_cancel_token *cancel)
{
	return fl__queue_put_many(q, items, n, count, deadline, cancel);
}

/* Getting. */

/* Like queue_put_once(); wakes a waiting producer. */
static inline int queue_get_once(fl_queue *q, void *item)
{
	bool owes_wake = false;
	size_t count;
	int rc;
	if (__builtin_expect(q->mpmc != NULL, 1))
		rc = fl__mpmc_get(q->mpmc, item, q->item_size, &owes_wake);
	else if (q->spsc && fl__queue_spsc_get(q->spsc, item, q->spsc->slots.shape))
		return 0;
	else
		rc = q->backend->get(q->state, item, 1, &count, &owes_wake);
	if (__builtin_expect(owes_wake, 0))
		fl__queue_wake(q, FL__PRODUCERS);
	return rc;
}

static struct fl__queue_call queue_get_call(void *items, size_t n)
{
	return (struct fl__queue_call){.side = FL__CONSUMERS, .to = items, .n = n};
}

__attribute__((noinline, cold)) static int queue_try_get_slow(fl_queue *q, void *item)
{
	struct fl__queue_call call = queue_get_call(item, 1);
	return fl__queue_call_now(q, &call);
}

int fl_queue_try_get(fl_queue *q, void *item)
{
	const int rc = queue_get_once(q, item);
	return __builtin_expect(rc == -EBUSY, 0) ? queue_try_get_slow(q, item) : rc;
}

__attribute__((noinline, cold)) static int fl__queue_get_slow(fl_queue *q, void *item, int64_t deadline,
                                                              fl_cancel_token *cancel)
{
	struct fl__queue_call call = queue_get_call(item, 1);
	return fl__queue_call_until(q, &call, deadline, cancel);
}

int fl_queue_get_until(fl_queue *q, void *item, int64_t deadline, fl_cancel_token *cancel)
{
	const int rc = queue_get_once(q, item);
	return __builtin_expect(rc == -EAGAIN || rc == -EBUSY, 0) ? fl__queue_get_slow(q, item, deadline, cancel) : rc;
}

size_t fl_queue_try_get_many(fl_queue *q, void *items, size_t n)
{
	struct fl__queue_call call = queue_get_call(items, n);
	return n > 0 && fl__queue_call_now(q, &call) == 0 ? call.count : 0;
}

static int fl__queue_get_many(fl_queue *q, void *items, size_t n, size_t *count, int64_t deadline,
                              fl_cancel_token *cancel)
{
	struct fl__queue_call call = queue_get_call(items, n);
	const int rc = n > 0 ? fl__queue_call_until(q, &call, deadline, cancel) : 0;
	*count = call.count;
	return rc;
}

int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, int64_t deadline,
                            fl_cancel_token *cancel)
{
	return fl__queue_get_many(q, items, n, count, deadline, cancel);
}

/* Queries. */

size_t fl_queue_length(fl_queue *q)
{
	return q->backend->length(q->state);
}

size_t fl_queue_capacity(const fl_queue *q)
{
	return q->backend->capacity(q->state);
}

bool fl_queue_is_closed(fl_queue *q)
{
	return q->backend->is_closed(q->state);
}
