/* SPDX-License-Identifier: BSD-2-Clause */
/* Bugs that other queues had, each under its name: those that a queue without locks can have. */
#include "base/atomic.h"
#include "fl_test.h"
#include "queue/mpmc.h"
#include "queue/mpmc_unbounded.h"

/*
 * An item that has a slot but is not in it yet when the queue is closed. A ring's put with a slot
 * is accepted: no consumer is told "closed and drained" before that item comes out.
 */
FL_TEST(mpmc_closed_with_outstanding_reservation)
{
	struct fl__mpmc q;
	struct fl__mpmc_claim claim = {0, 0, false};
	bool owes;
	int item = 77;
	FL_OK(fl__mpmc_init(&q, sizeof(int), 2, 0));
	FL_OK(fl__mpmc_claim_space(&q, 1, &claim));
	(void)fl__mpmc_close(&q);
	FL_RC(fl__mpmc_put(&q, &item, sizeof item, &owes), -EPIPE);
	FL_RC(fl__mpmc_get(&q, &item, sizeof item, &owes), -EBUSY);
	FL_RC(fl__mpmc_can_get(&q), -EBUSY);
	fl__mpmc_fill(&q, claim.at, &(int){1}, sizeof(int));
	FL_OK(fl__mpmc_get(&q, &item, sizeof item, &owes));
	assert_int_equal(item, 1);
	FL_RC(fl__mpmc_get(&q, &item, sizeof item, &owes), -EPIPE);
	fl__mpmc_fini(&q);
}

/*
 * The consumer of an unbounded queue does not wait: it poisons the slot, so that the put is
 * refused; or the put was faster.
 */
FL_TEST(mpmc_unbounded_closed_with_outstanding_reservation)
{
	for (int faster = 0; faster < 2; faster++) {
		fl_mpmc_unbounded *q = NULL;
		/* More than an item: the compiler checks all possible sizes. */
		int item = 77, one[4] = {1};
		FL_OK(fl_mpmc_unbounded_create(&q, sizeof(int), &(fl_mpmc_unbounded_config){.segment = 2}));
		struct fl__unbounded *c = &q->unbounded;
		struct fl__segment *s = fl__unbounded_protect(&c->tail, FL__HAZARD_TAIL);
		assert_non_null(s);
		const uint64_t ticket = fl__add_relaxed(&s->tail, FL__UNBOUNDED_TICKET) / FL__UNBOUNDED_TICKET;
		fl_mpmc_unbounded_close(q);
		FL_RC(fl_mpmc_unbounded_try_put(q, &item), -EPIPE);
		if (faster)
			assert_true(fl__unbounded_fill(c, s, ticket, one));
		FL_RC(fl_mpmc_unbounded_try_get(q, &item), faster ? 0 : -EPIPE);
		assert_int_equal(item, faster ? 1 : 77);
		if (!faster) {
			assert_false(fl__unbounded_fill(c, s, ticket, one));
			/* As that put goes on. */
			FL_RC(fl_mpmc_unbounded_try_put(q, &(int){1}), -EPIPE);
		}
		FL_RC(fl_mpmc_unbounded_try_get(q, &item), -EPIPE);
		fl_mpmc_unbounded_free(q);
	}
}

/* What the threads of a crowd share. */
struct crowd {
	int (*put)(void *q, void *const *box);
	int (*get)(void *q, void **box);
	void *q;
	unsigned each;
	int none;        /* the allowed result of a get after an own put: -EBUSY; else 0 */
	uint32_t number; /* of the next thread; atomic */
	uint32_t *seen;  /* how often each item was got; atomic */
};

enum { THREADS = 4 };

static int mpmc_put(void *q, void *const *box)
{
	return fl_mpmc_try_put(q, box);
}

static int mpmc_get(void *q, void **box)
{
	return fl_mpmc_try_get(q, box);
}

static int unbounded_put(void *q, void *const *box)
{
	return fl_mpmc_unbounded_try_put(q, box);
}

static int unbounded_get(void *q, void **box)
{
	return fl_mpmc_unbounded_try_get(q, box);
}

/* false_empty_after_own_push: "empty" is never right after an own put. */
static bool got_one(const struct crowd *c, void **box)
{
	const int rc = c->get(c->q, box);
	FL_CHECK(rc == 0 || rc == c->none);
	return rc == 0;
}

/*
 * Puts one and gets one, in turn. A box is written and read plainly: the queue and its own memory
 * must order that.
 */
static int put_and_get(void *arg)
{
	struct crowd *c = arg;
	const uint32_t me = fl__add_relaxed(&c->number, 1u);
	for (unsigned i = 0; i < c->each; i++) {
		uint32_t *box = malloc(sizeof *box);
		void *got;
		FL_CHECK(box);
		*box = me * c->each + i;
		FL_WAIT_FOR(c->put(c->q, (void *const *)&box) == 0);
		FL_WAIT_FOR(got_one(c, &got));
		FL_CHECK(*(uint32_t *)got < THREADS * c->each);
		fl__add_relaxed(&c->seen[*(uint32_t *)got], 1u);
		free(got);
	}
	return 0;
}

static void run_crowd(struct crowd *c, unsigned each)
{
	fl_thread threads[THREADS];
	c->each = fl_test_scaled(each);
	c->seen = calloc(THREADS * c->each, sizeof *c->seen);
	assert_non_null(c->seen);
	for (unsigned i = 0; i < THREADS; i++)
		FL_OK(fl_thread_start(&threads[i], put_and_get, c, NULL));
	for (unsigned i = 0; i < THREADS; i++)
		FL_OK(fl_thread_join(&threads[i], NULL));
	for (unsigned i = 0; i < THREADS * c->each; i++)
		assert_int_equal(c->seen[i], 1);
	free(c->seen);
}

/*
 * Every position is the same slot, so a thread that has read it and was stopped finds it unchanged,
 * except for its tag.
 */
FL_TEST(mpmc_aba_short_tag)
{
	FL_SCOPED(fl_mpmc) *q = NULL;
	FL_OK(fl_mpmc_create(&q, sizeof(void *), 1));
	run_crowd(&(struct crowd){.put = mpmc_put, .get = mpmc_get, .none = -EBUSY, .q = q}, 20000);
}

/*
 * Segments of one item, which are retired and reused with each item, by their last reader and their
 * first writer.
 */
FL_TEST(mpmc_unbounded_block_reuse_ordering)
{
	FL_SCOPED(fl_mpmc_unbounded) *q = NULL;
	FL_OK(fl_mpmc_unbounded_create(&q, sizeof(void *), &(fl_mpmc_unbounded_config){.segment = 1}));
	run_crowd(&(struct crowd){.put = unbounded_put, .get = unbounded_get, .q = q}, 20000);
}
