/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_shm_child.h"

typedef struct board {
	fl_shm_mutex mutex;
	uint32_t held;    /* counts the owners that pause */
	uint32_t results; /* counts the results of waiters */
	uint32_t dead, lost, locked;
} board;

static board *make_board(void)
{
	return fl_test_share(sizeof(board));
}

static void drop(board *b)
{
	fl_test_unshare(b, sizeof *b);
}

static bool is_locked_result(int rc)
{
	return rc == 0 || rc == -EOWNERDEAD;
}

static int hold_and_rest(void *arg)
{
	board *b = arg;
	FL_CHECK(is_locked_result(fl_shm_mutex_lock(&b->mutex)));
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

/* A child holds it. */
static pid_t begin_holder(board *b)
{
	uint32_t before = fl__load_acquire(&b->held);
	pid_t pid = fl_test_fork(hold_and_rest, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == before + 1);
	return pid;
}

static void die_holding(board *b)
{
	fl_test_kill(begin_holder(b));
}

FL_TEST(shm_mutex_locks_and_unlocks)
{
	fl_shm_mutex m = FL_SHM_MUTEX_INIT;
	for (int form = 0; form < 3; form++) {
		FL_OK(fl_test_lock_by(&m, form));
		assert_true(fl_shm_mutex_is_locked(&m) && fl_shm_mutex_depth(&m));
		FL_RC(fl_shm_mutex_lock(&m), -EDEADLK);
		FL_RC(fl_shm_mutex_try_lock(&m), -EBUSY);
		FL_RC(fl_shm_mutex_lock_until(&m, FL_FOREVER, NULL), -EDEADLK);
		FL_RC(fl_shm_mutex_destroy(&m), -EBUSY);
		fl_shm_mutex_unlock(&m);
		assert_false(fl_shm_mutex_is_locked(&m) || fl_shm_mutex_depth(&m));
		FL_OK(fl_shm_mutex_destroy(&m));
	}
}

static int is_refused(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_shm_mutex_is_locked(&b->mutex) && !fl_shm_mutex_depth(&b->mutex));
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EBUSY);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(2)), NULL), -ETIMEDOUT);
	return 0;
}

static int run_refused(void *arg)
{
	return is_refused(arg);
}

FL_TEST(shm_mutex_excludes_threads_and_processes)
{
	board *b = make_board();
	fl_thread t;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_test_go(&t, run_refused, b);
	fl_test_end(&t);
	fl_test_reap(fl_test_fork(is_refused, b));
	assert_true(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	drop(b);
}

FL_TEST(shm_mutex_misuse_panics)
{
	board *b = make_board();
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_unlock");
	FL_PANICS(fl_shm_mutex_recover(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_recover");
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_PANICS(fl_shm_mutex_recover(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_recover");
	fl_shm_mutex_unlock(&b->mutex);
	pid_t pid = begin_holder(b);
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	fl_test_kill(pid);
	drop(b);
}

static void cancel_soon(fl_cancel_token *stop, board *b)
{
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_cancel_token_request(stop);
}

typedef struct cancelled {
	board *b;
	fl_cancel_token *stop;
	bool by_scope;
} cancelled;

static int lock_cancelled(void *arg)
{
	const cancelled *c = arg;
	FL_CANCEL_SCOPE(c->by_scope ? c->stop : FL_SHIELDED);
	FL_RC(fl_shm_mutex_lock_until(&c->b->mutex, FL_FOREVER, c->by_scope ? NULL : c->stop), -ECANCELED);
	FL_CHECK(!fl_shm_mutex_depth(&c->b->mutex));
	return 0;
}

FL_TEST(shm_mutex_lock_until_is_cancelled)
{
	for (int by_scope = 0; by_scope < 2; by_scope++) {
		board *b = make_board();
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		cancelled c = {b, &stop, by_scope};
		fl_thread t;
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		fl_test_go(&t, lock_cancelled, &c);
		cancel_soon(&stop, b);
		fl_test_end(&t);
		fl_shm_mutex_unlock(&b->mutex);
		/* An operation that can succeed at once succeeds. */
		FL_OK(fl_shm_mutex_lock_until(&b->mutex, 0, &stop));
		fl_shm_mutex_unlock(&b->mutex);
		pid_t pid = begin_holder(b);
		FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, &stop), -ECANCELED);
		fl_test_kill(pid);
		drop(b);
	}
}

static int unlock_when_slept_on(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl__add_release(&b->held, 1);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_mutex_plain_lock_is_not_cancelled)
{
	board *b = make_board();
	FL_CANCEL_SCOPE(fl_test_requested);
	pid_t pid = fl_test_fork(unlock_when_slept_on, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(pid);
	drop(b);
}

/* A token without a request: the wait uses the bridge, and gets the lock. */
FL_TEST(shm_mutex_lock_until_waits_with_a_token)
{
	board *b = make_board();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	pid_t pid = fl_test_fork(unlock_when_slept_on, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	FL_OK(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, &stop));
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(pid);
	pid = begin_holder(b);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(2)), &stop), -ETIMEDOUT);
	fl_test_kill(pid);
	drop(b);
}

/* Deaths. */

FL_TEST(shm_mutex_tells_of_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	for (int form = 0; form < 3; form++) {
		die_holding(b);
		FL_RC(fl_test_lock_by(&b->mutex, form), -EOWNERDEAD);
		assert_true(fl_shm_mutex_depth(&b->mutex));
		fl_shm_mutex_recover(&b->mutex);
		FL_PANICS(fl_shm_mutex_recover(&b->mutex));
		fl_shm_mutex_unlock(&b->mutex);
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		fl_shm_mutex_unlock(&b->mutex);
	}
	drop(b);
}

static int lock_and_end(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	return 0;
}

FL_TEST(shm_mutex_a_thread_that_ends_is_dead)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	fl_thread t;
	fl_test_go(&t, lock_and_end, b);
	fl_test_end(&t);
	fl_test_recover(&b->mutex);
	fl_test_reap(fl_test_fork(lock_and_end, b)); /* by exit */
	fl_test_recover(&b->mutex);
	drop(b);
}

static int lock_and_exec(void *arg)
{
	board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl__add_release(&b->held, 1);
	(void)execl("/bin/sleep", "sleep", "100", (char *)NULL);
	return 1;
}

FL_TEST(shm_mutex_exec_is_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	pid_t pid = fl_test_fork(lock_and_exec, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
	fl_shm_mutex_recover(&b->mutex);
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_kill(pid);
	drop(b);
}

static int lock_and_say(void *arg)
{
	board *b = arg;
	int rc = fl_shm_mutex_lock(&b->mutex);
	fl__add_relaxed(rc == 0 ? &b->locked : rc == -EOWNERDEAD ? &b->dead : &b->lost, 1);
	FL_CHECK(is_locked_result(rc) || rc == -ENOTRECOVERABLE);
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_recover(&b->mutex);
	if (rc != -ENOTRECOVERABLE)
		fl_shm_mutex_unlock(&b->mutex);
	fl__add_release(&b->results, 1);
	return 0;
}

/* kill9_in_critical: the owner is killed while others sleep; exactly one gets the report. */
FL_TEST(shm_mutex_kill9_in_critical)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 4 };
	for (int round = 0; round < 20; round++) {
		board *b = make_board();
		pid_t waiters[N], owner = begin_holder(b);
		for (int i = 0; i < N; i++)
			waiters[i] = fl_test_fork(lock_and_say, b);
		FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
		fl_test_kill(owner);
		for (int i = 0; i < N; i++)
			fl_test_reap(waiters[i]);
		assert_int_equal(b->dead, 1);
		assert_int_equal(b->locked, N - 1);
		FL_OK(fl_shm_mutex_destroy(&b->mutex));
		drop(b);
	}
}

FL_TEST(shm_mutex_not_recovered_is_lost_for_all)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 5 };
	board *b = make_board();
	pid_t waiters[N];
	die_holding(b);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	for (int i = 0; i < N; i++)
		waiters[i] = fl_test_fork(lock_and_say, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	for (int i = 0; i < N; i++)
		fl_test_reap(waiters[i]);
	assert_int_equal(b->lost, N);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -ENOTRECOVERABLE);
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -ENOTRECOVERABLE);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, NULL), -ENOTRECOVERABLE);
	assert_false(fl_shm_mutex_is_locked(&b->mutex));
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	fl_shm_mutex_init(&b->mutex);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	drop(b);
}

/* Each of three owners dies, the last two after the report of the previous death. */
FL_TEST(shm_mutex_chain_of_deaths)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	for (int i = 0; i < 3; i++)
		die_holding(b);
	fl_test_recover(&b->mutex);
	FL_OK(fl_shm_mutex_try_lock(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	drop(b);
}

static int recover_and_rest(void *arg)
{
	board *b = arg;
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	fl_shm_mutex_recover(&b->mutex);
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

FL_TEST(shm_mutex_death_after_recover_is_a_new_one)
{
	FL_TEST_NEEDS_DEATHS();
	board *b = make_board();
	die_holding(b);
	pid_t pid = fl_test_fork(recover_and_rest, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 2);
	fl_test_kill(pid);
	fl_test_recover(&b->mutex);
	drop(b);
}

static int scoped(board *b)
{
	FL_SHM_LOCKED(rc, &b->mutex);
	if (rc != 0)
		return rc;
	FL_CHECK(fl_shm_mutex_depth(&b->mutex));
	FL_SHM_LOCKED(again, &b->mutex);
	return again;
}

FL_TEST(shm_mutex_scoped_form)
{
	board *b = make_board();
	FL_RC(scoped(b), -EDEADLK);
	assert_false(fl_shm_mutex_is_locked(&b->mutex));
	if (fl_test_has_deaths()) {
		die_holding(b);
		FL_RC(scoped(b), -EOWNERDEAD);
		FL_RC(scoped(b), -ENOTRECOVERABLE);
		assert_false(fl_shm_mutex_is_locked(&b->mutex));
	}
	drop(b);
}

/* A robust waiter is killed after it was woken: the wake reaches the other. */
FL_TEST(shm_mutex_robust_waiter_killed_after_wake)
{
	FL_TEST_NEEDS_DEATHS();
	for (unsigned round = 0; round < fl_test_scaled(300); round++) {
		board *b = make_board();
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		pid_t first = fl_test_fork(hold_and_rest, b);
		FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
		pid_t second = fl_test_fork(lock_and_say, b);
		if (round % 2)
			(void)sched_yield();
		fl_shm_mutex_unlock(&b->mutex);
		for (unsigned i = 0; i < round % 7; i++)
			(void)sched_yield();
		fl_test_kill(first);
		fl_test_reap(second);
		drop(b);
	}
}

FL_TEST(shm_mutex_destroy_with_waiters_is_busy)
{
	board *b = make_board();
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_RC(fl_shm_mutex_destroy(&b->mutex), -EBUSY);
	pid_t pid = fl_test_fork(lock_and_say, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	FL_RC(fl_shm_mutex_destroy(&b->mutex), -EBUSY);
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(pid);
	FL_OK(fl_shm_mutex_destroy(&b->mutex));
	drop(b);
}

static int owns_nothing(void *arg)
{
	board *b = arg;
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex) && fl_shm_mutex_is_locked(&b->mutex));
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EBUSY);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	fl__add_release(&b->held, 1);
	FL_CHECK(is_locked_result(fl_shm_mutex_lock(&b->mutex)));
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_mutex_fork_while_holding)
{
	board *b = make_board();
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	pid_t killed = fl_test_fork(owns_nothing, b), waits = fl_test_fork(owns_nothing, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 2);
	fl_test_kill(killed);
	assert_true(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(waits);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	drop(b);
}
