/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue's waits: what ends them, and what they leave behind. */
#include "fl_queue_kinds.h"

#include "fl_blocked.h"
#include "fl_child.h"

/* In the plain form, and until a deadline far away. */
QUEUE_TEST(queue_put_blocks_until_there_is_space)
{
	FL_BOTH (until) {
		FL_SCOPED(fl_queue) *q = queue_with(2, 2);
		struct blocked put = {.op = until ? op_put_until : op_put, .q = q, .items = {3}};
		put.deadline = fl_after(FL_S(3600));
		blocked_begin(&put);
		assert_int_equal(fl_queue_length(q), 2);
		GETS(q, 1);
		FL_OK(blocked_end(&put));
		assert_int_equal(fl_queue_length(q), 2);
		GETS(q, 2);
		GETS(q, 3);
	}
}

QUEUE_TEST(queue_get_blocks_until_there_is_an_item)
{
	FL_BOTH (until) {
		FL_SCOPED(fl_queue) *q = queue_with(2, 0);
		struct blocked get = {.op = until ? op_get_until : op_get, .q = q, .deadline = fl_after(FL_S(3600))};
		blocked_begin(&get);
		PUTS(q, 5);
		FL_OK(blocked_end(&get));
		assert_int_equal(get.items[0], 5);
		assert_int_equal(fl_queue_length(q), 0);
	}
}

/*
 * The blocking operations, the state of the queue in which they block (full or empty), and their
 * results after a close.
 */
struct row {
	const char *name;
	int (*op)(struct blocked *b);
	bool full, has_deadline;
};

static const struct row rows[] = {
    {"put", op_put, true, false},
    {"put_until", op_put_until, true, true},
    {"put_many_until", op_put_many_until, true, true},
    {"get", op_get, false, false},
    {"get_until", op_get_until, false, true},
    {"get_many_until", op_get_many_until, false, true},
    {"wait_any", op_observe, false, true},
    {"wait_any for space", op_observe_space, true, true},
    {"join", op_join, true, false},
    {"join_until", op_join_until, true, true},
};
enum { ROWS = sizeof rows / sizeof *rows };

static struct blocked make_blocked(const struct row *row, fl_queue *q)
{
	return (struct blocked){.op = row->op, .q = q, .items = {77}, .n = 1, .count = 55};
}

/* After a wait that failed nothing has changed, and no waiter is enqueued. */
static void check_untouched(const struct row *row, const struct blocked *b)
{
	assert_int_equal(fl_queue_length(b->q), row->full ? 1 : 0);
	assert_int_equal(b->items[0], 77);
	if (row->op == op_put_many_until || row->op == op_get_many_until)
		assert_int_equal(b->count, 0);
	fl_queue_free(b->q); /* panics if a waiter is left */
}

static void cancel_each(bool by_scope)
{
	for (int i = 0; i < ROWS; i++) {
		if (!by_scope && !rows[i].has_deadline)
			continue;
		struct blocked b = make_blocked(&rows[i], queue_with(1, rows[i].full));
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		if (by_scope)
			b.scope = &stop;
		else
			b.cancel = &stop;
		blocked_begin(&b);
		fl_cancel_token_request(&stop);
		FL_RC(blocked_end(&b), -ECANCELED);
		check_untouched(&rows[i], &b);
	}
}

QUEUE_TEST(queue_wait_ends_at_the_request_of_its_token)
{
	cancel_each(false);
}

QUEUE_TEST(queue_wait_ends_at_the_request_of_its_scope)
{
	cancel_each(true);
}

static void time_out_each(fl_cancel_token *scope, fl_cancel_token *cancel)
{
	for (int i = 0; i < ROWS; i++) {
		if (!rows[i].has_deadline)
			continue;
		struct blocked b = make_blocked(&rows[i], queue_with(1, rows[i].full));
		b.scope = scope;
		b.cancel = cancel;
		b.deadline = fl_after(FL_MS(2));
		blocked_start(&b);
		FL_RC(blocked_end(&b), -ETIMEDOUT);
		assert_true(fl_time_is_past(b.deadline));
		check_untouched(&rows[i], &b);
	}
}

QUEUE_TEST(queue_wait_that_timed_out_took_nothing)
{
	time_out_each(NULL, NULL);
}

QUEUE_TEST(queue_wait_that_is_shielded_hears_no_request)
{
	time_out_each(fl_test_requested, FL_SHIELDED);
}

/*
 * A consumer that its token has cancelled takes no item that is put afterwards, however late its
 * thread runs.
 */
QUEUE_TEST(queue_wait_that_was_cancelled_takes_nothing_that_comes_later)
{
	enum { ROUNDS = 20 };
	for (int i = 0; i < ROUNDS * ROWS; i++) {
		const struct row *row = &rows[i % ROWS];
		if (!row->has_deadline)
			continue;
		struct blocked b = make_blocked(row, queue_with(1, row->full));
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		b.cancel = &stop;
		blocked_begin(&b);
		fl_cancel_token_request(&stop);
		if (row->full) {
			GETS(b.q, 1);
			fl_queue_task_done(b.q);
		} else {
			FL_OK(fl_queue_try_put(b.q, &(int){2}));
		}
		FL_RC(blocked_end(&b), -ECANCELED);
		assert_int_equal(b.items[0], 77);
		assert_int_equal(fl_queue_length(b.q), row->full ? 0 : 1);
		fl_queue_free(b.q);
	}
}

/*
 * The result of a blocked operation after a close: -EPIPE; a wait for readiness is over; a join
 * waits on.
 */
QUEUE_TEST(queue_close_ends_blocked_puts_and_gets)
{
	for (int i = 0; i < ROWS; i++) {
		if (rows[i].op == op_join || rows[i].op == op_join_until)
			continue;
		bool observes = rows[i].op == op_observe || rows[i].op == op_observe_space;
		struct blocked b = make_blocked(&rows[i], queue_with(1, rows[i].full));
		blocked_begin(&b);
		fl_queue_close(b.q);
		FL_RC(blocked_end(&b), observes ? 0 : -EPIPE);
		check_untouched(&rows[i], &b);
	}
}

QUEUE_TEST(queue_close_now_ends_everything)
{
	for (int i = 0; i < ROWS; i++) {
		bool goes_on = rows[i].op == op_observe || rows[i].op == op_observe_space || rows[i].op == op_join ||
		               rows[i].op == op_join_until;
		struct blocked b = make_blocked(&rows[i], queue_with(1, rows[i].full));
		blocked_begin(&b);
		assert_int_equal(fl_queue_close_now(b.q), rows[i].full ? 1 : 0);
		FL_RC(blocked_end(&b), goes_on ? 0 : -EPIPE);
		assert_int_equal(b.items[0], 77);
		assert_int_equal(fl_queue_length(b.q), 0);
		fl_queue_free(b.q);
	}
}

QUEUE_TEST_ON(queue_join_waits_for_the_last_task_done, 3, 2)
{
	struct blocked join = {.op = op_join, .q = q}, other = {.op = op_join_until, .q = q};
	blocked_begin(&join);
	blocked_begin(&other);
	GETS(q, 1);
	GETS(q, 2);
	fl_queue_task_done(q);
	FL_RC(fl_queue_join_until(q, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_WAIT_FOR(seam_sleepers() == 2);
	fl_queue_task_done(q);
	FL_OK(blocked_end(&join));
	FL_OK(blocked_end(&other));
}

QUEUE_TEST_ON(queue_join_goes_on_through_a_close, 3, 1)
{
	struct blocked join;
	blocked_on(q, op_join, &join);
	fl_queue_close(q);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	GETS(q, 1);
	FL_WAIT_FOR(seam_sleepers() == 1);
	fl_queue_task_done(q);
	FL_OK(blocked_end(&join));
}

QUEUE_TEST(queue_waits_leave_errno_as_it_is)
{
	FL_SCOPED(fl_queue) *empty = queue_with(1, 0);
	FL_SCOPED(fl_queue) *full = queue_with(1, 1);
	errno = 42;
	FL_RC(fl_queue_get_until(empty, &(int){0}, fl_test_soon(), NULL), -ETIMEDOUT);
	assert_int_equal(errno, 42);
	FL_RC(fl_queue_put_until(full, &(int){0}, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_queue_join_until(full, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_queue_try_get(empty, &(int){0}), -EAGAIN);
	fl_queue_close(full);
	FL_RC(fl_queue_put(full, &(int){0}), -EPIPE);
	assert_int_equal(errno, 42);
}

/* Free with a waiter inside panics, and leaves the queue and the waiter unchanged. */
QUEUE_TEST(queue_free_with_a_waiter_panics)
{
	for (int i = 0; i < ROWS; i++) {
		struct blocked b = make_blocked(&rows[i], queue_with(1, rows[i].full));
		blocked_begin(&b);
		FL_PANICS_OF("fl_queue_free", b.q, fl_queue_free(b.q));
		fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
		FL_WAIT_FOR(seam_sleepers() == 1);
		assert_int_equal(fl_queue_length(b.q), rows[i].full ? 1 : 0);
		assert_int_equal(fl_queue_close_now(b.q), rows[i].full ? 1 : 0);
		(void)blocked_end(&b);
		fl_queue_free(b.q);
	}
}
