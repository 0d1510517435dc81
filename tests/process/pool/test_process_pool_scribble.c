/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker overwrites all that it can write, in the middle of its work. Its own tasks may end in
 * any way, but they end; the executor stays intact (under AddressSanitizer, too), and the results
 * of another worker are right.
 */
#include "fl_process_pool_sizes.h"

enum { TRIALS = 1000, OTHERS = 4 };

PROCESS_POOL_SIZED(compute, 8, 8, 500, 1);

static uint64_t draw(uint64_t *seed)
{
	return process_pool_next(seed) << 33 ^ process_pool_next(seed);
}

enum how { RANDOM, ZEROS, ONES, ENDED, CLAIMS, MESSAGES, HOWS };

/* Says of all submissions that they have ended, in ways that none does. */
static void pretend(struct fl__completion_ring *replies, const struct fl__submission_ring *orders, uint64_t *seed)
{
	for (unsigned i = 0; i < FL__RINGS_DEPTH; i++) {
		replies->entry[i].error = (int32_t)draw(seed);
		replies->entry[i].flags = (uint32_t)draw(seed);
		replies->entry[i].count = (uint32_t)draw(seed);
		replies->entry[i].began = (int64_t)draw(seed);
		fl__store_release(&replies->entry[i].done, orders->entry[i].seq + (uint32_t)(draw(seed) % 4 == 0));
	}
}

static void scribble_over(struct fl__completion_ring *replies, const struct fl__submission_ring *orders, enum how how,
                          uint64_t *seed)
{
	uint64_t *words = (uint64_t *)(void *)replies;
	switch (how) {
	case RANDOM:
		for (size_t i = 0; i < sizeof *replies / sizeof *words; i++)
			words[i] = draw(seed);
		break;
	case ENDED:
		pretend(replies, orders, seed);
		break;
	case CLAIMS:
		for (unsigned i = 0; i < FL__RINGS_DEPTH; i++)
			replies->claim[i] = (uint32_t)draw(seed);
		replies->state = (uint32_t)draw(seed);
		break;
	case MESSAGES: /* none of them ends */
		memset(replies->message, 'x', sizeof replies->message);
		break;
	default:
		memset(replies, how == ONES ? 0xff : 0, sizeof *replies);
	}
}

struct scribble {
	uint32_t how;
	uint32_t then; /* 0: goes on; 1: dies; 2: fails */
	uint64_t seed;
	int *begun; /* counts such tasks */
};

FL_TASK_STATIC(scribble, struct scribble, void)
{
	struct fl__completion_ring *replies = find_memory("rw-s", sizeof *replies);
	const struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	uint64_t seed = arg->seed;
	process_pool_count(arg->begun);
	scribble_over(replies, orders, (enum how)arg->how, &seed);
	if (arg->then == 1)
		(void)raise(SIGKILL);
	return arg->then == 2 ? -EIO : 0;
}

static void send_some(fl_executor *e, uint64_t seed, fl_future **f)
{
	for (unsigned i = 0; i < OTHERS; i++)
		f[i] = process_pool_send(e, &compute, seed + i);
}

static void receive_some(uint64_t seed, fl_future **f)
{
	for (unsigned i = 0; i < OTHERS; i++)
		process_pool_receive(f[i], &compute, seed + i);
}

static void try_once(fl_executor *bad, fl_executor *good, unsigned trial, int *begun)
{
	fl_future *first, *behind[OTHERS], *others[OTHERS];
	const uint64_t seed = trial * UINT64_C(0x9e3779b97f4a7c15) + 1;
	FL_OK(scribble_submit(bad, (struct scribble){trial % HOWS, trial / HOWS % 3, seed, begun}, &first));
	send_some(bad, seed, behind);
	send_some(good, seed + 100, others);
	receive_some(seed + 100, others);
	process_pool_ends(first);
	FL_EACH (i, behind)
		process_pool_ends(behind[i]);
}

FL_TEST(process_pool_survives_a_worker_that_scribbles)
{
	FL_SCOPED(fl_executor) *bad = process_pool_with(1), *good = process_pool_with(1);
	int *begun = process_pool_counters(1);
	fl_future *after[OTHERS];
	for (unsigned trial = 0; trial < fl_test_scaled(TRIALS); trial++)
		try_once(bad, good, trial, begun);
	assert_true(process_pool_counted(begun) > 0);
	send_some(bad, 7, after); /* it serves as well as ever */
	receive_some(7, after);
}

/* Submissions are the executor's. A worker that writes them dies, and cannot map them anew. */
FL_TASK_STATIC(write_orders, int, int)
{
	struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	*result = mprotect(orders, sizeof *orders, PROT_READ | PROT_WRITE) == 0;
	if (*arg)
		*(volatile uint32_t *)&orders->doorbell = 1;
	return 0;
}

PROCESS_POOL_TEST(process_pool_orders_cannot_be_written_by_their_worker, 1)
{
	int allowed = -1;
	FL_BOTH (writes) {
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(write_orders, e, writes);
		FL_RC(write_orders_get(f, &allowed), writes ? FL_ETASK : 0);
		FL_RC(fl_future_error(f), writes ? -EOWNERDEAD : 0);
	}
	assert_int_equal(allowed, 0);
}
