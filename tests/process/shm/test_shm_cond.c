/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_shm_child.h"

typedef struct board {
	fl_shm_mutex mutex;
	fl_shm_cond cond;
	uint32_t ready, woken, form, held, turns;
} board;

static uint32_t waits(const board *b)
{
	return fl__load_acquire(&b->cond.waits_);
}

static bool is_ready(void *arg)
{
	return ((board *)arg)->ready != 0;
}

/* The four calls that wait: 0 to 3. */
enum { FORMS = 4 };

static int wait_by(board *b, unsigned form, bool (*predicate)(void *arg))
{
	switch (form) {
	case 0:
		return fl_shm_cond_wait(&b->cond, &b->mutex);
	case 1:
		return fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, NULL);
	case 2:
		return fl_shm_cond_wait_for(&b->cond, &b->mutex, predicate, b);
	default:
		return fl_shm_cond_wait_for_until(&b->cond, &b->mutex, predicate, b, FL_FOREVER, NULL);
	}
}

static int wait_until_ready(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	int rc = fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b);
	FL_OK_OR(rc, -EOWNERDEAD);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	if (rc == -EOWNERDEAD) {
		fl_shm_cond_broadcast(&b->cond);
		b->ready++;
		fl_shm_mutex_recover(&b->mutex);
	}
	b->woken++;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

static void make_ready(board *b)
{
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_cond_broadcast(&b->cond);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
}

/* `n` children that wait. */
static void begin_waiters(board *b, pid_t *pids, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pids[i] = fl_test_fork(wait_until_ready, b);
		FL_WAIT_FOR(waits(b) == i + 1);
	}
}

static void end_waiters(const pid_t *pids, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fl_test_reap(pids[i]);
}

FL_TEST(shm_cond_wakes_all)
{
	enum { N = 4 };
	FL_TEST_SHARED(board, b);
	pid_t pids[N];
	begin_waiters(b, pids, N);
	make_ready(b);
	end_waiters(pids, N);
	assert_int_equal(b->woken, N);
}

FL_TEST(shm_cond_wait_gives_up_and_holds_the_mutex)
{
	FL_TEST_SHARED(board, b);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT, later;
	fl_cancel_token_request(&stop);
	fl_cancel_token_init(&later, FL_SHIELDED, fl_after(FL_MS(2)));
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, &later), -ECANCELED);
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_FOREVER, &stop), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_shm_cond_wait(&b->cond, &b->mutex), -ECANCELED);
		FL_RC(fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b), -ECANCELED);
	}
	assert_true(fl_shm_mutex_depth(&b->mutex));
	b->ready = 1;
	FL_OK(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_NO_WAIT, &stop));
	fl_shm_mutex_unlock(&b->mutex);
	assert_int_equal(b->cond.waits_, b->cond.served_); /* a waiter that gave up does not count */
	fl_cancel_token_destroy(&later);
}

/*
 * While a context waits, other contexts of its thread lock so many mutexes that there is no memory
 * to record another.
 */

static fl_shm_mutex *others;

FL_TEST_FUTEX_WAIT(sleep_while_others_lock)
{
	fl__sys.alloc = fl_test_no_memory;
	for (uint32_t i = 0; i < fl__shm_self()->room; i++)
		FL_OK(fl_shm_mutex_lock(&others[i]));
	return -ETIMEDOUT;
}

/* After such a wait. */
static void lock_again(board *b)
{
	assert_false(fl_shm_mutex_depth(&b->mutex));
	for (uint32_t i = 0; i < fl__shm_self()->room; i++)
		fl_shm_mutex_unlock(&others[i]);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	b->turns = waits(b);
}

static bool has_waited(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	return waits(b) != b->turns;
}

FL_TEST(shm_cond_each_wait_says_when_there_is_no_memory)
{
	const uint32_t room = fl__shm_self()->room;
	FL_TEST_SHARED(board, b);
	FL_TEST_SHARED_MANY(fl_shm_mutex, many, room);
	others = many;
	FL_FAULTS_UNBRIDGED();
	fl__sys.shared_wait = sleep_while_others_lock;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	for (unsigned form = 0; form < FORMS; form++) {
		/*
		 * fl_shm_cond_wait, fl_shm_cond_wait_until, fl_shm_cond_wait_for,
		 * fl_shm_cond_wait_for_until
		 */
		FL_RC(wait_by(b, form, has_waited), -ENOMEM);
		lock_again(b);
	}
	fl_shm_mutex_unlock(&b->mutex);
}

FL_TEST(shm_cond_wait_without_the_mutex_panics)
{
	FL_TEST_SHARED(board, b);
	FL_PANICS(FL_IGNORE(fl_shm_cond_wait(&b->cond, &b->mutex)));
	assert_string_equal(fl_test_panic.function, "fl_shm_cond_wait");
}

static int wait_with(board *b, fl_cancel_token *cancel)
{
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	int rc = fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, cancel);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	return rc;
}

static int wait_shielded(void *b)
{
	return wait_with(b, FL_SHIELDED);
}

static int wait_with_token(void *b)
{
	return wait_with(b, &(fl_cancel_token)FL_CANCEL_TOKEN_INIT);
}

/* In each way of waiting, and with a signal that is given without the mutex. */
FL_TEST(shm_cond_signal_reaches_each_kind_of_wait)
{
	for (int way = 0; way < 3; way++) {
		FL_TEST_SHARED(board, b);
		fl_thread *t;
		fl_test_fibers fibers;
		if (way < 2)
			fl_test_go(&t, way == 0 ? wait_shielded : wait_with_token, b);
		else
			fl_test_fibers_begin(&fibers, wait_shielded, b, 0, 3);
		FL_WAIT_FOR(waits(b) == (way < 2 ? 1 : 3));
		FL_WAIT_FOR(!fl_shm_mutex_is_locked(&b->mutex));
		fl_shm_cond_broadcast(&b->cond);
		if (way < 2)
			fl_test_end(t);
		else
			fl_test_fibers_end(&fibers);
	}
}

static int signal_and_die(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_cond_broadcast(&b->cond);
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

/* A child signals, and is killed before it unlocks. */
static void signal_and_be_killed(board *b)
{
	pid_t pid = fl_test_fork(signal_and_die, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	fl_test_kill(pid);
}

/* Killed between the signal and the unlock: the waiters are woken, and one gets the report. */
FL_TEST(shm_cond_signaller_killed_before_it_unlocks)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 3 };
	FL_TEST_SHARED(board, b);
	pid_t pids[N];
	begin_waiters(b, pids, N);
	signal_and_be_killed(b);
	end_waiters(pids, N);
	assert_int_equal(b->woken, N);
	assert_int_equal(b->ready, 1);
}

static int wait_told(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(wait_by(b, b->form, is_ready), -EOWNERDEAD);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_recover(&b->mutex);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_cond_each_wait_tells_of_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	for (unsigned form = 0; form < FORMS; form++) {
		FL_TEST_SHARED(board, b);
		b->form = form;
		/*
		 * -EOWNERDEAD: fl_shm_cond_wait, fl_shm_cond_wait_until, fl_shm_cond_wait_for,
		 * fl_shm_cond_wait_for_until
		 */
		pid_t waiter = fl_test_fork(wait_told, b);
		FL_WAIT_FOR(waits(b) == 1);
		signal_and_be_killed(b);
		fl_test_reap(waiter);
		assert_int_equal(b->ready, 1);
	}
}

/*
 * The mutex decides: a wait that timed out reports the death of an owner, and times out again
 * afterwards.
 */
FL_TEST(shm_cond_death_comes_before_timeout)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(board, b);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	pid_t pid = fl_test_fork(signal_and_die, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	fl_test_kill(pid);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	/* not recovered: the wait gives it up */
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_NO_WAIT, NULL), -ENOTRECOVERABLE);
	assert_false(fl_shm_mutex_depth(&b->mutex));
}

static int lose_it(void *arg)
{
	board *b = arg;
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	fl_shm_cond_broadcast(&b->cond);
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

static int end_holding(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	return 0;
}

static int is_lost(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(wait_by(b, b->form, is_ready), -ENOTRECOVERABLE);
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex));
	return 0;
}

FL_TEST(shm_cond_lost_mutex_ends_all_waits)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(board, b);
	pid_t pids[FORMS];
	FL_EACH (i, pids) {
		b->form = i;
		/*
		 * -ENOTRECOVERABLE: fl_shm_cond_wait, fl_shm_cond_wait_until, fl_shm_cond_wait_for,
		 * fl_shm_cond_wait_for_until
		 */
		pids[i] = fl_test_fork(is_lost, b);
		FL_WAIT_FOR(waits(b) == i + 1);
	}
	fl_test_reap(fl_test_fork(end_holding, b));
	fl_test_reap(fl_test_fork(lose_it, b));
	end_waiters(pids, FORMS);
}
