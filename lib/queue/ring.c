/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend of bounded FIFO queues: the ring of mpmc.h. */
#include "queue.h"

static int mpmc_init(void *state, size_t item_size, const fl_queue_config *config)
{
	return fl__mpmc_init(state, item_size, config->capacity, 0);
}

static void mpmc_fini(void *state)
{
	fl__mpmc_fini(state);
}

static int mpmc_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__mpmc *q = state;
	return fl__mpmc_put_many(q, items, q->item_size, n, count, owes_wake);
}

static int mpmc_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__mpmc *q = state;
	return fl__mpmc_get_many(q, items, q->item_size, n, count, owes_wake);
}

static int mpmc_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__mpmc *q = fl__queue_as_mpmc(of);
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_item(q, SIZE_MAX, &claim);
	if (rc != 0)
		return rc;
	*count = claim.count;
	*owes_wake = claim.owes_wake;
	for (uint64_t at = claim.at; claim.count > 0; claim.count--, at = fl__mpmc_next(q, at)) {
		unsigned char nothing;
		if (of->drop)
			of->drop(fl__mpmc_slot(q, at) + q->offset, of->drop_arg);
		fl__mpmc_drain(q, at, &nothing, 0);
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
	}
	return 0;
}

static int mpmc_can_get(void *state)
{
	return fl__mpmc_can_get(state);
}

static int mpmc_can_put(void *state)
{
	return fl__mpmc_can_put(state);
}

static bool mpmc_mark_empty(void *state)
{
	return fl__mpmc_mark_empty(state);
}

static bool mpmc_mark_full(void *state)
{
	return fl__mpmc_mark_full(state);
}

static void mpmc_close(void *state)
{
	(void)fl__mpmc_close(state);
}

static bool mpmc_is_closed(void *state)
{
	return fl__mpmc_is_closed(state);
}

static size_t mpmc_length(void *state)
{
	return fl__mpmc_length(state);
}

static size_t mpmc_capacity(const void *state)
{
	return ((const struct fl__mpmc *)state)->capacity; /* never changes */
}

static uint64_t mpmc_puts(void *state)
{
	return fl__mpmc_puts(state);
}

const struct fl__queue_backend fl__backend_mpmc = {
    .size = sizeof(struct fl__mpmc),
    .init = mpmc_init,
    .fini = mpmc_fini,
    .put = mpmc_put,
    .get = mpmc_get,
    .discard = mpmc_discard,
    .can = {mpmc_can_get, mpmc_can_put},
    .mark = {mpmc_mark_empty, mpmc_mark_full},
    .close = mpmc_close,
    .is_closed = mpmc_is_closed,
    .length = mpmc_length,
    .capacity = mpmc_capacity,
    .puts = mpmc_puts,
};
