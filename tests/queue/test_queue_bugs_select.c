/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More bugs of other queues: of waits for several objects, or that give up while they are woken.
 * See test_queue_bugs.c.
 */
#include "fl_blocked.h"

/* On two queues: in `q` of the two. */
static int op_select_gets(struct blocked *b)
{
	return fl_select_until((fl_select_case[]){FL_GET(b[0].q, &b[0].items[0]), FL_GET(b[1].q, &b[1].items[0])}, 2,
	                       deadline_of(b), b->cancel);
}

static int op_select_puts(struct blocked *b)
{
	return fl_select_until((fl_select_case[]){FL_PUT(b[0].q, &b[0].items[0]), FL_PUT(b[1].q, &b[1].items[0])}, 2,
	                       deadline_of(b), b->cancel);
}

static int close_queue(void *q)
{
	fl_queue_close(q);
	return 0;
}

static fl_queue *queue_or_rendezvous(bool full, unsigned i)
{
	fl_queue *q = NULL;
	if (i % 2 == 0)
		return queue_with(1, full);
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = FL_RENDEZVOUS}));
	return q;
}

/*
 * A select meets two closes at once, and returns after one: its cases are on a stack that is gone
 * then.
 */
FL_TEST(select_close_vs_select_use_after_free)
{
	for (unsigned i = 0, rounds = fl_test_scaled(1000); i < rounds; i++) {
		const bool puts = i & 2;
		struct blocked s[2] = {{.op = puts ? op_select_puts : op_select_gets}};
		fl_thread other;
		s[0].q = queue_or_rendezvous(puts, i);
		s[1].q = queue_or_rendezvous(puts, i);
		blocked_start(s);
		if (i % 8 < 4)
			FL_WAIT_FOR(seam_sleepers() == 1);
		FL_OK(fl_thread_start(&other, close_queue, s[0].q, NULL));
		fl_queue_close(s[1].q);
		FL_RC(blocked_end(s), -EPIPE);
		FL_OK(fl_thread_join(&other, NULL));
		fl_queue_free(s[0].q); /* panics if an entry was left in it */
		fl_queue_free(s[1].q);
	}
}

/*
 * A select that is woken elsewhere, or gives up, leaves the item to the waiter for this queue
 * alone.
 */
FL_TEST(select_leaves_waiter)
{
	for (unsigned i = 0, rounds = fl_test_scaled(1000); i < rounds; i++) {
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		struct blocked s[2] = {{.op = op_select_gets, .cancel = &stop}}, get = {.op = op_get};
		s[0].q = get.q = queue_or_rendezvous(false, i);
		s[1].q = queue_or_rendezvous(false, i);
		blocked_start(s);
		blocked_start(&get);
		if (i % 8 < 4)
			FL_WAIT_FOR(seam_sleepers() == 2);
		struct blocked put = {.op = op_put, .q = get.q, .items = {1}};
		blocked_start(&put);
		if (i % 4 < 2)
			FL_IGNORE(fl_queue_try_put(s[1].q, &(int){2}));
		fl_cancel_token_request(&stop);
		const int which = blocked_end(s);
		if (which == 0)
			FL_OK(fl_queue_put(get.q, &(int){1})); /* it was the other's */
		else if (which == 1)
			assert_int_equal(s[1].items[0], 2);
		else
			FL_RC(which, -ECANCELED);
		FL_OK(blocked_end(&put));
		FL_OK(blocked_end(&get)); /* or it sleeps on beside an item */
		assert_int_equal(get.items[0], 1);
		fl_queue_free(s[0].q);
		fl_queue_free(s[1].q);
	}
}
