/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order among the fibers of a loop: asyncio's test_locks, test_queues and test_barrier. First
 * come, first served; units are handed over at once; a waiter that gives up takes nothing with it.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_kinds.h"
#include "fl_order.h"

/* An object without units, to which one unit at a time can be given. */
static fl_queue *queue;

typedef struct kind {
	const char *name;
	void (*begin)(void);
	fl_test_call *take; /* waits; observes the scope */
	void (*give)(void);
	bool chain; /* a taker passes the unit on: one is enough for all */
	void (*end)(void);
} kind;

FL_CALL(mutex_take)
{
	int rc = fl_mutex_lock_until(&kind_mutex, deadline, cancel);
	if (rc == 0) {
		FL_OK(fl_sleep_until(FL_NO_WAIT, FL_SHIELDED)); /* holds it for a turn */
		fl_mutex_unlock(&kind_mutex);
	}
	return rc;
}

static void mutex_end(void)
{
	FL_CHECK(!fl__mutex_is_busy(&kind_mutex)); /* free, without waiters */
}

static void sem_end(void)
{
	FL_CHECK(fl_sem_value(&kind_sem) == 0);
	kind_sem_clear();
}

static void queue_begin(void)
{
	queue = FL_TEST_QUEUE_OF(1, &(fl_queue_config){.capacity = 4});
}

FL_CALL(queue_get)
{
	char item;
	return fl_queue_get_until(queue, &item, deadline, cancel);
}

static void queue_put_one(void)
{
	FL_OK(fl_queue_try_put(queue, "x"));
}

static void queue_end(void)
{
	FL_CHECK(fl_queue_length(queue) == 0);
	fl_queue_free(queue);
}

static void full_queue_begin(void)
{
	queue_begin();
	FL_MANY(0, 4, fl_queue_try_put_many, queue, "xxxx", 4);
}

FL_CALL(queue_put)
{
	return fl_queue_put_until(queue, "x", deadline, cancel);
}

static void queue_get_one(void)
{
	char item;
	FL_OK(fl_queue_try_get(queue, &item));
}

static void full_queue_end(void)
{
	FL_CHECK(fl_queue_length(queue) == 4);
	fl_queue_free(queue);
}

static const kind kinds[] = {
    {"mutex", kind_mutex_make, mutex_take, kind_mutex_finish, true, mutex_end},
    {"cond", kind_cond_make, kind_cond_wait, kind_cond_finish, false, kind_cond_clear},
    {"sem", kind_sem_make, kind_sem_wait, kind_sem_finish, false, sem_end},
    {"queue_get", queue_begin, queue_get, queue_put_one, false, queue_end},
    {"queue_put", full_queue_begin, queue_put, queue_get_one, false, full_queue_end},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Takes one unit, and notes it. */
typedef struct taker {
	const kind *kind;
	char letter;
	fl_time deadline; /* 0: none */
	int rc;
	fl_fiber *fiber;
} taker;

static int take_it(void *arg)
{
	const taker *t = arg;
	int rc = t->kind->take(NULL, FL_FOREVER, NULL);
	if (rc == 0)
		note(t->letter);
	return rc;
}

static int take_in_time(void *arg)
{
	taker *t = arg;
	fl_timeout limit = FL_TIMEOUT_INIT;
	fl_timeout_begin(&limit, t->deadline);
	int rc = take_it(t);
	t->rc = fl_timeout_end(&limit, rc);
	return 0;
}

/* `n` of them, a, b, c, ..., that wait when this returns. */
static void line_up(const kind *k, taker *takers, int n)
{
	note_nothing();
	k->begin();
	for (int i = 0; i < n; i++) {
		takers[i] = (taker){.kind = k, .letter = (char)('a' + i), .rc = 77};
		takers[i].fiber = fl_test_start(take_in_time, &takers[i]);
	}
	fl_test_settle();
	NOTED("");
}

/* Until it has returned. */
static void await(const taker *t)
{
	while (t->rc == 77)
		FL_OK(fl_sleep(0));
}

/* Gives, until as many have been given as want it, and joins them. */
static void finish(const kind *k, taker *takers, int n, int wanted)
{
	for (int i = 0; i < (k->chain ? 0 : wanted); i++)
		k->give();
	for (int i = 0; i < n; i++)
		FL_OK(fl_test_join(takers[i].fiber));
	k->end();
}

/* Runs a case in a loop for each kind. */
typedef void kind_body(const kind *k);

static int run_kinds(void *body)
{
	for (int i = 0; i < KINDS; i++)
		(*(kind_body **)body)(&kinds[i]);
	return 0;
}

static void for_each_kind(kind_body *body)
{
	fl_test_in_loop(run_kinds, &body);
}

static void expect(const kind *k, const char *expected)
{
	if (strcmp(order, expected) != 0)
		print_error("%s: %s, not %s\n", k->name, order, expected);
	FL_CHECK(strcmp(order, expected) == 0);
}

FL_TEST_WITH(loop_locks_serve_in_order, for_each_kind, const kind *k)
{
	taker t[5];
	line_up(k, t, 5);
	k->give();
	fl_test_settle();
	if (!k->chain)
		expect(k, "a");
	finish(k, t, 5, 4);
	expect(k, "abcde");
}

/* A unit that was given to a waiter cannot be taken by a later fiber. */
FL_TEST_WITH(loop_locks_sem_permit_is_assigned_at_release, for_each_kind, const kind *k)
{
	taker t[2];
	if (k->take != kind_sem_wait)
		return;
	line_up(k, t, 2);
	k->give();
	FL_CHECK(fl_sem_try_acquire(&kind_sem) == -EAGAIN && fl_sem_value(&kind_sem) == 0);
	finish(k, t, 2, 1);
	expect(k, "ab");
}

/* asyncio #201, #343, cpython #90155, and their kin. */
FL_TEST_WITH(loop_locks_cancelled_waiter_takes_nothing, for_each_kind, const kind *k)
{
	taker t[3];
	line_up(k, t, 3);
	fl_fiber_cancel(t[0].fiber);
	k->give(); /* in the same turn: it is not a's any more */
	fl_test_settle();
	FL_CHECK(t[0].rc == -ECANCELED);
	finish(k, t, 3, 1);
	FL_CHECK(t[1].rc == 0 && t[2].rc == 0);
	expect(k, "bc");
}

FL_TEST_WITH(loop_locks_cancelled_waiters_leave_the_queue, for_each_kind, const kind *k)
{
	taker t[4];
	line_up(k, t, 4);
	fl_fiber_cancel(t[1].fiber);
	fl_fiber_cancel(t[2].fiber);
	fl_test_settle();
	FL_CHECK(t[1].rc == -ECANCELED && t[2].rc == -ECANCELED);
	k->give();
	finish(k, t, 4, 1);
	expect(k, "ad");
}

/* A wake that came first counts: a woken waiter has what it waited for, cancelled or not. */
FL_TEST_WITH(loop_locks_woken_before_the_cancel_has_it, for_each_kind, const kind *k)
{
	taker t[3];
	line_up(k, t, 3);
	k->give();
	fl_fiber_cancel(t[0].fiber);
	fl_test_settle();
	FL_CHECK(t[0].rc == 0);
	finish(k, t, 3, 2);
	expect(k, "abc");
}

/* All waiters are cancelled, and further units are given: they are there for the next fibers. */
FL_TEST_WITH(loop_locks_all_cancelled_leave_it_there, for_each_kind, const kind *k)
{
	taker t[3];
	line_up(k, t, 3);
	FL_EACH (i, t)
		fl_fiber_cancel(t[i].fiber);
	fl_test_settle();
	k->give();
	FL_EACH (i, t)
		FL_CHECK(fl_test_join(t[i].fiber) == 0 && t[i].rc == -ECANCELED);
	if (k->take != kind_cond_wait) /* a signal without a waiter is lost */
		FL_CHECK(k->take(NULL, FL_FOREVER, NULL) == 0);
	k->end();
	expect(k, "");
}

/* The same by deadlines: the clock is not read in between, so all expire at once. */
static void timed_out(const kind *k)
{
	taker t[4];
	fl__store_relaxed(&fl_test_ahead, 0);
	note_nothing();
	k->begin();
	FL_EACH (i, t) {
		t[i] = (taker){.kind = k,
		               .letter = (char)('a' + i),
		               .rc = 77,
		               .deadline = i % 2 ? FL_FOREVER : fl_after(FL_S(3600))};
		t[i].fiber = fl_test_start(take_in_time, &t[i]);
	}
	fl_test_settle();
	fl__store_relaxed(&fl_test_ahead, FL_S(3600));
	await(&t[0]); /* until the loop reads the clock */
	await(&t[2]);
	FL_CHECK(t[0].rc == -ETIMEDOUT && t[2].rc == -ETIMEDOUT);
	k->give();
	finish(k, t, 4, 1);
	expect(k, "bd");
}

FL_TEST(loop_locks_timed_out_waiter_takes_nothing)
{
	FL_FAULTS();
	fl_test_clock_ours();
	for_each_kind(timed_out);
}

/* Conditions. */
FL_LOOP_TEST(loop_locks_cond_wakes_so_many)
{
	const kind *k = &kinds[1];
	taker t[6];
	line_up(k, t, 6);
	fl_cond_signal(&kind_cond);
	fl_cond_signal(&kind_cond);
	fl_test_settle();
	expect(k, "ab");
	fl_cond_broadcast(&kind_cond);
	t[5].letter = 'f';
	fl_test_settle();
	expect(k, "abcdef");
	finish(k, t, 6, 0);
}

/*
 * Cancelled while it waits for the mutex after a signal: it returns with the mutex, and has had the
 * signal (test_cancelled_wakeup).
 */
FL_LOOP_TEST(loop_locks_cond_cancelled_after_the_signal)
{
	const kind *k = &kinds[1];
	taker t[2];
	line_up(k, t, 2);
	fl_mutex_lock(&kind_mutex);
	fl_cond_signal(&kind_cond);
	fl_test_settle();
	expect(k, ""); /* it waits for the mutex */
	fl_fiber_cancel(t[0].fiber);
	fl_test_settle();
	FL_CHECK(t[0].rc == 77);
	fl_mutex_unlock(&kind_mutex);
	fl_test_settle();
	FL_CHECK(t[0].rc == 0);
	finish(k, t, 2, 1);
	expect(k, "ab");
}

/*
 * Cancelled in its wait, it returns with the mutex, which another fiber holds at that time
 * (test_wait_cancel_contested).
 */
FL_LOOP_TEST(loop_locks_cond_cancelled_returns_with_the_mutex)
{
	const kind *k = &kinds[1];
	taker t[2];
	line_up(k, t, 2);
	fl_mutex_lock(&kind_mutex);
	fl_fiber_cancel(t[0].fiber);
	fl_test_settle();
	FL_CHECK(t[0].rc == 77);    /* it waits for the mutex, cancelled as it is */
	fl_cond_signal(&kind_cond); /* is b's */
	fl_mutex_unlock(&kind_mutex);
	finish(k, t, 2, 0);
	FL_CHECK(t[0].rc == -ECANCELED);
	expect(k, "b");
}
