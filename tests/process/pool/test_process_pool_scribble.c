/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker overwrites all that it can write, in the middle of its work. Its own tasks may end in
 * any way, but they end; the executor stays intact (under AddressSanitizer, too), and the results
 * of another worker are right.
 */
#include "fl_process_pool.h"
#include "fl_test.h"

#include "core/base/atomic.h"
#include "process/pool/rings.h"
#include <inttypes.h>

enum { TRIALS = 1000, OTHERS = 4, BYTES = 500 };

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/*
 * The memory that this worker shares with its executor: the mapping of that size and those rights;
 * NULL: none.
 */
static void *find_mapping(const char *rights, size_t size)
{
	char line[512];
	void *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return NULL;
	while (fgets(line, sizeof line, maps)) {
		uintptr_t from, to;
		char is[8];
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, is) == 3 && to - from == size &&
		    strcmp(is, rights) == 0 && strstr(line, "memfd:"))
			found = (void *)from;
	}
	fclose(maps);
	return found;
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
};

FL_TASK_STATIC(scribble, struct scribble, void)
{
	struct fl__completion_ring *replies = find_mapping("rw-s", sizeof *replies);
	const struct fl__submission_ring *orders = find_mapping("r--s", sizeof *orders);
	uint64_t seed = arg->seed;
	if (!replies || !orders)
		return -ENOENT;
	scribble_over(replies, orders, (enum how)arg->how, &seed);
	if (arg->then == 1)
		(void)raise(SIGKILL);
	return arg->then == 2 ? -EIO : 0;
}

struct filled {
	unsigned char bytes[BYTES];
};

static void fill(struct filled *f, uint64_t seed)
{
	for (size_t i = 0; i < BYTES; i++)
		f->bytes[i] = (unsigned char)draw(&seed);
}

FL_TASK_STATIC(compute, uint64_t, struct filled)
{
	fill(result, *arg);
	return 0;
}

static void submit_some(fl_executor *e, uint64_t seed, fl_future **f)
{
	for (unsigned i = 0; i < OTHERS; i++)
		FL_OK(compute_submit(e, seed + i, &f[i]));
}

static void expect_right(uint64_t seed, fl_future **f)
{
	struct filled got, expected;
	for (unsigned i = 0; i < OTHERS; i++) {
		FL_OK(compute_get(f[i], &got));
		fill(&expected, seed + i);
		assert_memory_equal(&got, &expected, sizeof got);
		fl_future_free(f[i]);
	}
}

static void expect_ended(fl_future **f)
{
	for (unsigned i = 0; i < OTHERS; i++) {
		FL_OK(fl_future_wait(f[i]));
		assert_true(strlen(fl_future_message(f[i])) < FL_MESSAGE_MAX);
		fl_future_free(f[i]);
	}
}

/* Returns whether the worker went through with it. */
static bool try_once(fl_executor *bad, fl_executor *good, unsigned trial)
{
	fl_future *first, *behind[OTHERS], *others[OTHERS];
	const uint64_t seed = trial * UINT64_C(0x9e3779b97f4a7c15) + 1;
	const struct scribble s = {trial % HOWS, trial / HOWS % 3, seed};
	FL_OK(scribble_submit(bad, s, &first));
	submit_some(bad, seed, behind);
	submit_some(good, seed + 100, others);
	expect_right(seed + 100, others);
	bool went = scribble_get(first) == 0 || fl_future_error(first) != -ENOENT;
	fl_future_free(first);
	expect_ended(behind);
	return went;
}

FL_TEST(process_pool_survives_a_worker_that_scribbles)
{
	FL_SCOPED(fl_executor) *bad = NULL, *good = NULL;
	uint64_t answer_seed = 7;
	fl_future *after[OTHERS];
	FL_OK(fl_process_executor_create(&bad, &(fl_executor_config){.workers = 1, .name = "bad"}));
	FL_OK(fl_process_executor_create(&good, &(fl_executor_config){.workers = 1, .name = "good"}));
	for (unsigned trial = 0; trial < fl_test_scaled(TRIALS); trial++)
		assert_true(try_once(bad, good, trial));
	submit_some(bad, answer_seed, after); /* it serves as well as ever */
	expect_right(answer_seed, after);
}

/* Submissions are the executor's. A worker that writes them dies, and cannot map them anew. */
FL_TASK_STATIC(write_orders, int, int)
{
	struct fl__submission_ring *orders = find_mapping("r--s", sizeof *orders);
	if (!orders)
		return -ENOENT;
	*result = mprotect(orders, sizeof *orders, PROT_READ | PROT_WRITE) == 0;
	if (*arg)
		*(volatile uint32_t *)&orders->doorbell = 1;
	return 0;
}

FL_TEST(process_pool_orders_cannot_be_written_by_their_worker)
{
	FL_SCOPED(fl_executor) *e = NULL;
	int allowed = -1;
	FL_OK(fl_process_executor_create(&e, &(fl_executor_config){.workers = 1}));
	for (int writes = 0; writes < 2; writes++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(write_orders_submit(e, writes, &f));
		FL_RC(write_orders_get(f, &allowed), writes ? FL_ETASK : 0);
		FL_RC(fl_future_error(f), writes ? -EOWNERDEAD : 0);
	}
	assert_int_equal(allowed, 0);
}
