/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"

FL_TEST(mutex_try_lock_answers_busy)
{
	fl_mutex m = FL_MUTEX_INIT;
	FL_OK(fl_mutex_try_lock(&m));
	assert_true(fl_mutex_is_locked(&m));
	FL_RC(fl_mutex_try_lock(&m), -EAGAIN);
	fl_mutex_unlock(&m);
	assert_false(fl_mutex_is_locked(&m));
	FL_OK(fl_mutex_try_lock(&m));
	fl_mutex_unlock(&m);
}

FL_TEST(mutex_unlock_of_an_unlocked_one_panics)
{
	fl_mutex m = FL_MUTEX_INIT;
	FL_PANICS_OF("fl_mutex_unlock", &m, fl_mutex_unlock(&m));
	FL_OK(fl_mutex_try_lock(&m)); /* as it was before */
	fl_mutex_unlock(&m);
	FL_PANICS(fl_mutex_unlock(&m));
}

static void lock_plainly(void *m)
{
	fl_mutex_lock(m);
	fl_mutex_unlock(m);
}

FL_CALL(lock_call)
{
	FL_CANCEL_SCOPE(cancel);
	lock_plainly(object);
	return 0;
}

/* Plain locking is never cancelled, whatever the scope says. */
FL_TEST(mutex_lock_is_never_cancelled)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller c;
	fl_mutex_lock(&m);
	fl_test_call_queued(&c, lock_call, &m, &m, FL_FOREVER, &stop);
	fl_cancel_token_request(&stop);
	assert_int_equal(fl_test_queued(&m), 1);
	assert_int_equal(fl_test_queued(&stop), 0);
	fl_mutex_unlock(&m);
	FL_OK(fl_test_call_end(&c));
}

FL_TEST(mutex_may_be_unlocked_by_another_context)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_test_caller c;
	fl_mutex_lock(&m);
	fl_test_begin_wait(&c, fl_test_lock, &m);
	fl_mutex_unlock(&m);
	FL_OK(fl_test_call_end(&c));
	assert_false(fl_mutex_is_locked(&m));
}

FL_TEST(mutex_destroy_of_a_busy_one)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_test_caller c;
	fl_mutex_lock(&m);
	FL_CHECK(fl__mutex_is_busy(&m));
	fl_test_begin_wait(&c, fl_test_lock, &m);
	FL_CHECK(fl__mutex_is_busy(&m));
	fl_mutex_unlock(&m);
	FL_OK(fl_test_call_end(&c));
}

/* Between the unlock and the waiter that it has woken, the mutex is free, but awaited. */
static fl_mutex mutex_awaited;
enum { LOOK = 1, WAS_FREE, WAS_BUSY };
static uint32_t awaited_state;

static int look_and_wake(const uint32_t *word, int n)
{
	if (fl__load_relaxed(&awaited_state) == LOOK)
		fl__store_relaxed(&awaited_state, fl__mutex_is_busy(&mutex_awaited) ? WAS_BUSY : WAS_FREE);
	return fl_test_real_sys.futex_wake(word, n);
}

/* The waiter goes on after the look, also if the unlock comes before its sleep. */
FL_TEST_FUTEX_WAIT(sleep_until_looked)
{
	const int rc = fl_test_real_sys.futex_wait(word, expected, deadline);
	while (fl__load_relaxed(&awaited_state) == LOOK)
		sched_yield();
	return rc;
}

FL_TEST(mutex_is_busy_while_the_next_owner_wakes)
{
	FL_FAULTS();
	fl__sys.futex_wake = look_and_wake;
	fl__sys.futex_wait = sleep_until_looked;
	fl_test_caller c;
	fl_mutex_lock(&mutex_awaited);
	fl_test_begin_wait(&c, fl_test_lock, &mutex_awaited);
	FL_WAIT_FOR(fl_test_asleep(&mutex_awaited) == 1);
	fl__store_relaxed(&awaited_state, LOOK);
	fl_mutex_unlock(&mutex_awaited);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(awaited_state, WAS_BUSY);
}

/* Waiters are woken in the order in which they came. */
typedef struct parade {
	fl_mutex mutex;
	unsigned order[8], n;
} parade;

static int join_parade(void *arg, fl_time number, fl_cancel_token *cancel)
{
	parade *p = arg;
	fl_mutex_lock(&p->mutex);
	p->order[p->n++] = (unsigned)number.ns;
	fl_mutex_unlock(&p->mutex);
	return 0;
}

FL_TEST(mutex_wakes_in_order)
{
	enum { N = 8 };
	parade p = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	fl_mutex_lock(&p.mutex);
	FL_EACH (i, callers)
		fl_test_call_queued(&callers[i], join_parade, &p, &p.mutex, FL__TIME(i), NULL);
	fl_mutex_unlock(&p.mutex);
	fl_test_calls_end(callers, N);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(p.order[i], i);
}

/* All waiters have given up: the bit that they left behind costs one slow unlock, and no more. */
FL_TEST(mutex_stale_waiters)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_mutex_lock(&m);
	FL_RC(fl_mutex_lock_until(&m, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(m.word_, 1); /* a wait that gave up has cleared its mark */
	fl_mutex_unlock(&m);
	assert_int_equal(m.word_, 0);
}

static int leave_by(fl_mutex *m, int way)
{
	for (;;) {
		FL_LOCKED(m);
		FL_CHECK(fl_mutex_is_locked(m));
		if (way == 0)
			break;
		if (way == 1)
			goto out;
		if (way == 2)
			return 2;
		if (fl_mutex_is_locked(m)) {
			way--;
			continue;
		}
	}
	return 0;
out:
	return 1;
}

FL_TEST(mutex_locked_until_the_end_of_the_block)
{
	fl_mutex m = FL_MUTEX_INIT;
	for (int way = 0; way < 5; way++) {
		assert_int_equal(leave_by(&m, way), way < 2 ? way : 2);
		assert_false(fl_mutex_is_locked(&m));
	}
	{
		FL_LOCKED(&m);
		assert_true(fl_mutex_is_locked(&m));
	}
	assert_false(fl_mutex_is_locked(&m));
}

/*
 * On one core, under SCHED_FIFO, sched_yield() never lets a thread of lower priority run: a waiter
 * that spins until the holder continues would spin for ever.
 */
typedef struct rt {
	fl_mutex mutex;
	fl_event held;
	int core, rc;
} rt;

static int become_fifo(const rt *r, int priority)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(r->core, &one);
	int rc = pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){priority});
	return rc ? rc : pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

static int rt_holder(void *arg)
{
	rt *r = arg;
	r->rc = become_fifo(r, 1);
	fl_mutex_lock(&r->mutex);
	fl_event_set(&r->held);
	FL_WAIT_FOR(r->rc != 0 || fl_test_queued(&r->mutex) == 1);
	fl_mutex_unlock(&r->mutex);
	return 0;
}

static int rt_waiter(void *arg)
{
	rt *r = arg;
	FL_OK(fl_event_wait(&r->held));
	if (r->rc != 0 || become_fifo(r, 2) != 0)
		return 0;
	fl_mutex_lock(&r->mutex);
	fl_mutex_unlock(&r->mutex);
	return 0;
}

FL_TEST(fifo_rt_one_core)
{
	rt r = {.core = sched_getcpu()};
	fl_thread *waiter;
	fl_test_go(&waiter, rt_waiter, &r);
	fl_test_on_thread(rt_holder, &r);
	fl_test_end(waiter);
	if (r.rc == EPERM) {
		print_message("SCHED_FIFO is not permitted here\n");
		skip();
	}
	assert_int_equal(r.rc, 0);
}
