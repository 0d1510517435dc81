/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order among the fibers of a loop: asyncio's test_locks, test_queues and test_barrier. First
 * come, first served; units are handed over at once; a waiter that gives up takes nothing with it.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_order.h"
#include "fl_queued.h"

/* An object without units, to which one unit at a time can be given. */
static fl_mutex mutex;
static fl_cond cond;
static fl_sem sem;
static fl_queue *queue;

typedef struct kind {
	const char *name;
	void (*begin)(void);
	int (*take)(void); /* waits; observes the scope */
	void (*give)(void);
	const void *(*line)(void); /* the key of its wait queue; NULL: not visible */
	bool chain;                /* a taker passes the unit on: one is enough for all */
	void (*end)(void);
} kind;

static void mutex_begin(void)
{
	fl_mutex_init(&mutex);
	fl_mutex_lock(&mutex);
}

static int mutex_take(void)
{
	int rc = fl_mutex_lock_until(&mutex, FL_FOREVER, NULL);
	if (rc == 0) {
		FL_OK(fl_sleep_until(FL_NO_WAIT, FL_SHIELDED)); /* holds it for a turn */
		fl_mutex_unlock(&mutex);
	}
	return rc;
}

static void mutex_give(void)
{
	fl_mutex_unlock(&mutex);
}

static const void *mutex_line(void)
{
	return &mutex;
}

static void mutex_end(void)
{
	FL_CHECK(!fl__mutex_is_busy(&mutex)); /* free, without waiters */
}

static void cond_begin(void)
{
	fl_mutex_init(&mutex);
	fl_cond_init(&cond);
}

static int cond_take(void)
{
	FL_LOCKED(&mutex);
	return fl_cond_wait(&cond, &mutex);
}

static void cond_give(void)
{
	fl_cond_signal(&cond);
}

static const void *cond_line(void)
{
	return &cond;
}

static void cond_end(void)
{
	FL_CHECK(!fl__cond_is_busy(&cond));
	mutex_end();
}

static void sem_begin(void)
{
	FL_OK(fl_sem_init(&sem, 0));
}

static int sem_take(void)
{
	return fl_sem_acquire(&sem);
}

static void sem_give(void)
{
	fl_sem_release(&sem);
}

static const void *sem_line(void)
{
	return &sem;
}

static void sem_end(void)
{
	FL_CHECK(fl_sem_value(&sem) == 0 && !fl__lot_has_waiters_at(&sem));
}

static void queue_begin(void)
{
	queue = FL_TEST_QUEUE_OF(1, &(fl_queue_config){.capacity = 4});
}

static int queue_get(void)
{
	char item;
	return fl_queue_get(queue, &item);
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

static int queue_put(void)
{
	return fl_queue_put(queue, "x");
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
    {"mutex", mutex_begin, mutex_take, mutex_give, mutex_line, true, mutex_end},
    {"cond", cond_begin, cond_take, cond_give, cond_line, false, cond_end},
    {"sem", sem_begin, sem_take, sem_give, sem_line, false, sem_end},
    {"queue_get", queue_begin, queue_get, queue_put_one, NULL, false, queue_end},
    {"queue_put", full_queue_begin, queue_put, queue_get_one, NULL, false, full_queue_end},
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
	int rc = t->kind->take();
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

/* Runs `body` in a loop for each kind. */
typedef struct plan {
	void (*body)(const kind *k);
} plan;

static int run_plan(void *arg)
{
	const plan *p = arg;
	for (int i = 0; i < KINDS; i++)
		p->body(&kinds[i]);
	return 0;
}

static void for_each_kind(void (*body)(const kind *k))
{
	fl_test_in_loop(run_plan, &(plan){body});
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
	if (k->take != sem_take)
		return;
	line_up(k, t, 2);
	k->give();
	FL_CHECK(fl_sem_try_acquire(&sem) == -EAGAIN && fl_sem_value(&sem) == 0);
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
	if (k->take != cond_take) /* a signal without a waiter is lost */
		FL_CHECK(k->take() == 0);
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
	fl_cond_signal(&cond);
	fl_cond_signal(&cond);
	fl_test_settle();
	expect(k, "ab");
	fl_cond_broadcast(&cond);
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
	fl_mutex_lock(&mutex);
	fl_cond_signal(&cond);
	fl_test_settle();
	expect(k, ""); /* it waits for the mutex */
	fl_fiber_cancel(t[0].fiber);
	fl_test_settle();
	FL_CHECK(t[0].rc == 77);
	fl_mutex_unlock(&mutex);
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
	fl_mutex_lock(&mutex);
	fl_fiber_cancel(t[0].fiber);
	fl_test_settle();
	FL_CHECK(t[0].rc == 77); /* it waits for the mutex, cancelled as it is */
	fl_cond_signal(&cond);   /* is b's */
	fl_mutex_unlock(&mutex);
	finish(k, t, 2, 0);
	FL_CHECK(t[0].rc == -ECANCELED);
	expect(k, "b");
}
