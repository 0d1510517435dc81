/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_bridges.h"
#include "fl_fiber.h"
#include "fl_shm_child.h"

typedef struct board {
	fl_shm_mutex mutex;
	fl_shm_cond cond;
	uint32_t ready, woken, results, held, turns;
	uint64_t items;
} board;

static board *make_board(void)
{
	return fl_test_share(sizeof(board));
}

static void drop(board *b)
{
	fl_test_unshare(b, sizeof *b);
}

static uint32_t waits(const board *b)
{
	return fl__load_acquire(&b->cond.waits_);
}

static bool is_ready(void *arg)
{
	return ((board *)arg)->ready != 0;
}

static int wait_until_ready(void *arg)
{
	board *b = arg;
	int rc = fl_shm_mutex_lock(&b->mutex);
	FL_CHECK(rc == 0);
	rc = fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b);
	if (rc == -ENOTRECOVERABLE) {
		fl__add_release(&b->results, 1);
		return 0;
	}
	FL_CHECK(rc == 0 || rc == -EOWNERDEAD);
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
	board *b = make_board();
	pid_t pids[N];
	begin_waiters(b, pids, N);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_cond_broadcast(&b->cond);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	end_waiters(pids, N);
	assert_int_equal(b->woken, N);
	FL_OK(fl_shm_cond_destroy(&b->cond));
	drop(b);
}

FL_TEST(shm_cond_destroy_with_waiters_is_busy)
{
	board *b = make_board();
	pid_t pid;
	begin_waiters(b, &pid, 1);
	FL_RC(fl_shm_cond_destroy(&b->cond), -EBUSY);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	b->ready = 1;
	fl_shm_cond_broadcast(&b->cond);
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(pid);
	FL_OK(fl_shm_cond_destroy(&b->cond));
	drop(b);
}

FL_TEST(shm_cond_wait_gives_up_and_holds_the_mutex)
{
	board *b = make_board();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT, later;
	fl_cancel_token_request(&stop);
	fl_cancel_token_init(&later, FL_SHIELDED, fl_after(FL_MS(2)));
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, &later), -ECANCELED);
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_FOREVER, &stop), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_shm_cond_wait(&b->cond, &b->mutex), -ECANCELED);
		FL_RC(fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b), -ECANCELED);
	}
	assert_true(fl_shm_mutex_depth(&b->mutex));
	b->ready = 1;
	FL_OK(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, 0, &stop));
	fl_shm_mutex_unlock(&b->mutex);
	FL_OK(fl_shm_cond_destroy(&b->cond)); /* a waiter that gave up does not count */
	fl_cancel_token_destroy(&later);
	drop(b);
}

/*
 * While a context waits, other contexts of its thread lock so many mutexes that there is no memory to
 * record another.
 */

static fl_shm_mutex *others;

static int sleep_while_others_lock(const uint32_t *word, uint32_t expected, int64_t deadline)
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
	board *b = make_board();
	others = fl_test_share(room * sizeof *others);
	FL_FAULTS_UNBRIDGED();
	fl__sys.shared_wait = sleep_while_others_lock;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait(&b->cond, &b->mutex), -ENOMEM);
	lock_again(b);
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, NULL), -ENOMEM);
	lock_again(b);
	FL_RC(fl_shm_cond_wait_for(&b->cond, &b->mutex, has_waited, b), -ENOMEM);
	lock_again(b);
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, has_waited, b, FL_FOREVER, NULL), -ENOMEM);
	lock_again(b);
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_unshare(others, room * sizeof *others);
	drop(b);
}

FL_TEST(shm_cond_wait_without_the_mutex_panics)
{
	board *b = make_board();
	FL_PANICS(FL_IGNORE(fl_shm_cond_wait(&b->cond, &b->mutex)));
	assert_string_equal(fl_test_panic.function, "fl_shm_cond_wait");
	drop(b);
}

static int wait_shielded(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	int rc = fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, FL_SHIELDED);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	return rc;
}

static int wait_with_token(void *arg)
{
	board *b = arg;
	fl_cancel_token never = FL_CANCEL_TOKEN_INIT;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	int rc = fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, &never);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	return rc;
}

/* In each way of waiting, and with a signal that is given without the mutex. */
FL_TEST(shm_cond_signal_reaches_each_kind_of_wait)
{
	for (int way = 0; way < 3; way++) {
		board *b = make_board();
		fl_thread t;
		fl_test_fibers fibers;
		if (way < 2)
			fl_test_go(&t, way == 0 ? wait_shielded : wait_with_token, b);
		else
			fl_test_fibers_begin(&fibers, wait_shielded, b, 0, 3);
		FL_WAIT_FOR(waits(b) == (way < 2 ? 1 : 3));
		FL_WAIT_FOR(!fl_shm_mutex_is_locked(&b->mutex));
		fl_shm_cond_broadcast(&b->cond);
		if (way < 2)
			fl_test_end(&t);
		else
			fl_test_fibers_end(&fibers);
		drop(b);
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

/* Killed between the signal and the unlock: the waiters are woken, and one gets the report. */
FL_TEST(shm_cond_signaller_killed_before_it_unlocks)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 3 };
	board *b = make_board();
	pid_t pids[N];
	begin_waiters(b, pids, N);
	pid_t pid = fl_test_fork(signal_and_die, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	fl_test_kill(pid);
	end_waiters(pids, N);
	assert_int_equal(b->woken, N);
	assert_int_equal(b->ready, 1);
	drop(b);
}

static int wait_told(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	int rc = b->turns == 0 ? fl_shm_cond_wait(&b->cond, &b->mutex)
	                       : fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, NULL);
	FL_CHECK(rc == -EOWNERDEAD && fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_recover(&b->mutex);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

static int wait_for_told(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_FOREVER, NULL), -EOWNERDEAD);
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_recover(&b->mutex);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

static int wait_for_plain_told(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b), -EOWNERDEAD);
	fl_shm_mutex_recover(&b->mutex);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_cond_each_wait_tells_of_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	for (unsigned form = 0; form < 4; form++) {
		board *b = make_board();
		b->turns = form;
		pid_t waiter = fl_test_fork(form < 2 ? wait_told : form == 2 ? wait_for_told : wait_for_plain_told, b);
		FL_WAIT_FOR(waits(b) == 1);
		pid_t pid = fl_test_fork(signal_and_die, b);
		FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
		fl_test_kill(pid);
		fl_test_reap(waiter);
		assert_int_equal(b->ready, 1);
		drop(b);
	}
}

/*
 * The mutex decides: a wait that timed out reports the death of an owner, and times out again
 * afterwards.
 */
FL_TEST(shm_cond_death_comes_before_timeout)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	pid_t pid = fl_test_fork(signal_and_die, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	fl_test_kill(pid);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	/* not recovered: the wait gives it up */
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, 0, NULL), -ENOTRECOVERABLE);
	assert_false(fl_shm_mutex_depth(&b->mutex));
	drop(b);
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

static int is_lost_plain(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait(&b->cond, &b->mutex), -ENOTRECOVERABLE);
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex));
	return 0;
}

static int is_lost_until(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_until(&b->cond, &b->mutex, FL_FOREVER, FL_SHIELDED), -ENOTRECOVERABLE);
	return 0;
}

static int is_lost_for_until(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_for_until(&b->cond, &b->mutex, is_ready, b, FL_FOREVER, NULL), -ENOTRECOVERABLE);
	return 0;
}

static int is_lost_for(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_cond_wait_for(&b->cond, &b->mutex, is_ready, b), -ENOTRECOVERABLE);
	return 0;
}

FL_TEST(shm_cond_lost_mutex_ends_all_waits)
{
	FL_TEST_NEEDS_DEATHS();
	int (*waiters[])(void *) = {is_lost_plain, is_lost_until, is_lost_for_until, is_lost_for};
	board *b = make_board();
	pid_t pids[4];
	for (unsigned i = 0; i < 4; i++) {
		pids[i] = fl_test_fork(waiters[i], b);
		FL_WAIT_FOR(waits(b) == i + 1);
	}
	fl_test_reap(fl_test_fork(end_holding, b));
	fl_test_reap(fl_test_fork(lose_it, b));
	end_waiters(pids, 4);
	drop(b);
}

static int wait_and_rest(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_IGNORE(fl_shm_cond_wait(&b->cond, &b->mutex));
	fl_test_rest();
}

/* A waiter that is killed leaves nothing behind: the others are woken, and the next wait works. */
FL_TEST(shm_cond_killed_waiter_leaves_nothing)
{
	board *b = make_board();
	pid_t pid = fl_test_fork(wait_and_rest, b), other;
	FL_WAIT_FOR(waits(b) == 1 && !fl_shm_mutex_is_locked(&b->mutex));
	other = fl_test_fork(wait_until_ready, b);
	FL_WAIT_FOR(waits(b) == 2 && !fl_shm_mutex_is_locked(&b->mutex));
	fl_test_kill(pid);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_cond_broadcast(&b->cond);
	b->ready = 1;
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(other);
	FL_OK(fl_shm_cond_destroy(&b->cond));
	drop(b);
}
