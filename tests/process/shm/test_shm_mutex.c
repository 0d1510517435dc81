/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_shm_owner.h"

static void die_holding(struct board *b)
{
	fl_test_kill(begin_owner(b));
}

FL_TEST(shm_mutex_locks_and_unlocks)
{
	fl_shm_mutex m = FL_SHM_MUTEX_INIT;
	for (int form = 0; form < 3; form++) {
		FL_OK(fl_test_lock_by(&m, form));
		assert_true(fl_shm_mutex_is_locked(&m) && fl_shm_mutex_depth(&m));
		FL_RC(fl_shm_mutex_try_lock(&m), -EAGAIN);
		FL_RC(fl_shm_mutex_lock_until(&m, FL_FOREVER, NULL), -EDEADLK);
		fl_shm_mutex_unlock(&m);
		assert_false(fl_shm_mutex_is_locked(&m) || fl_shm_mutex_depth(&m));
	}
}

static int is_refused(void *arg)
{
	struct board *b = arg;
	FL_CHECK(fl_shm_mutex_is_locked(&b->mutex) && !fl_shm_mutex_depth(&b->mutex));
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EAGAIN);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(2)), NULL), -ETIMEDOUT);
	return 0;
}

FL_TEST(shm_mutex_excludes_threads_and_processes)
{
	FL_TEST_SHARED(struct board, b);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_test_on_thread(is_refused, b);
	fl_test_reap(fl_test_fork(is_refused, b));
	assert_true(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
}

FL_TEST(shm_mutex_misuse_panics)
{
	FL_TEST_SHARED(struct board, b);
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_unlock");
	FL_PANICS(fl_shm_mutex_recover(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_recover");
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_PANICS(fl_shm_mutex_recover(&b->mutex));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_recover");
	fl_shm_mutex_unlock(&b->mutex);
	pid_t pid = begin_owner(b);
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	fl_test_kill(pid);
}

static void cancel_soon(fl_cancel_token *stop, struct board *b)
{
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_cancel_token_request(stop);
}

typedef struct cancelled {
	struct board *b;
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
	FL_BOTH (by_scope) {
		FL_TEST_SHARED(struct board, b);
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		cancelled c = {b, &stop, by_scope};
		fl_thread *t;
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		fl_test_go(&t, lock_cancelled, &c);
		cancel_soon(&stop, b);
		fl_test_end(t);
		fl_shm_mutex_unlock(&b->mutex);
		/* An operation that can succeed at once succeeds. */
		FL_OK(fl_shm_mutex_lock_until(&b->mutex, FL_NO_WAIT, &stop));
		fl_shm_mutex_unlock(&b->mutex);
		pid_t pid = begin_owner(b);
		FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, &stop), -ECANCELED);
		fl_test_kill(pid);
	}
}

static int unlock_when_slept_on(void *arg)
{
	struct board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl__add_release(&b->held, 1);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_mutex_plain_lock_is_not_cancelled)
{
	FL_TEST_SHARED(struct board, b);
	FL_CANCEL_SCOPE(fl_test_requested);
	pid_t pid = fl_test_fork(unlock_when_slept_on, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	fl_test_locks(&b->mutex);
	fl_test_reap(pid);
}

/* A token without a request: the wait uses the bridge, and gets the lock. */
FL_TEST(shm_mutex_lock_until_waits_with_a_token)
{
	FL_TEST_SHARED(struct board, b);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	pid_t pid = fl_test_fork(unlock_when_slept_on, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	FL_OK(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, &stop));
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(pid);
	pid = begin_owner(b);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(2)), &stop), -ETIMEDOUT);
	fl_test_kill(pid);
}

/* Deaths. */

FL_TEST(shm_mutex_tells_of_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct board, b);
	for (int form = 0; form < 3; form++) {
		die_holding(b);
		FL_RC(fl_test_lock_by(&b->mutex, form), -EOWNERDEAD);
		assert_true(fl_shm_mutex_depth(&b->mutex));
		fl_shm_mutex_recover(&b->mutex);
		FL_PANICS(fl_shm_mutex_recover(&b->mutex));
		fl_shm_mutex_unlock(&b->mutex);
		fl_test_locks(&b->mutex);
	}
}

static int lock_and_end(void *arg)
{
	struct board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	return 0;
}

FL_TEST(shm_mutex_a_thread_that_ends_is_dead)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct board, b);
	fl_test_on_thread(lock_and_end, b);
	fl_test_recover(&b->mutex);
	fl_test_reap(fl_test_fork(lock_and_end, b)); /* by exit */
	fl_test_recover(&b->mutex);
}

static int lock_and_exec(void *arg)
{
	struct board *b = arg;
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl__add_release(&b->held, 1);
	(void)execl("/bin/sleep", "sleep", "100", (char *)NULL);
	return 1;
}

FL_TEST(shm_mutex_exec_is_a_death)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct board, b);
	pid_t pid = fl_test_fork(lock_and_exec, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 1);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
	fl_shm_mutex_recover(&b->mutex);
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_kill(pid);
}

/* kill9_in_critical: the owner is killed while others sleep; exactly one gets the report. */
FL_TEST(shm_mutex_kill9_in_critical)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 4 };
	for (int round = 0; round < 20; round++) {
		FL_TEST_SHARED(struct board, b);
		pid_t waiters[N], owner = begin_owner(b);
		FL_EACH (i, waiters)
			waiters[i] = fl_test_fork(lock_and_note, b);
		FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
		fl_test_kill(owner);
		FL_EACH (i, waiters)
			fl_test_reap(waiters[i]);
		assert_int_equal(b->told, 1);
		assert_int_equal(b->locked, N - 1);
	}
}

FL_TEST(shm_mutex_not_recovered_is_lost_for_all)
{
	FL_TEST_NEEDS_DEATHS();
	enum { N = 5 };
	FL_TEST_SHARED(struct board, b);
	pid_t waiters[N];
	die_holding(b);
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	FL_EACH (i, waiters)
		waiters[i] = fl_test_fork(lock_and_note, b);
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_shm_mutex_unlock(&b->mutex);
	FL_EACH (i, waiters)
		fl_test_reap(waiters[i]);
	assert_int_equal(b->lost, N);
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -ENOTRECOVERABLE);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, NULL), -ENOTRECOVERABLE);
	assert_false(fl_shm_mutex_is_locked(&b->mutex));
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	fl_shm_mutex_init(&b->mutex);
	fl_test_locks(&b->mutex);
}

static int recover_and_rest(void *arg)
{
	struct board *b = arg;
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	fl_shm_mutex_recover(&b->mutex);
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

FL_TEST(shm_mutex_death_after_recover_is_a_new_one)
{
	FL_TEST_NEEDS_DEATHS();
	FL_TEST_SHARED(struct board, b);
	die_holding(b);
	pid_t pid = fl_test_fork(recover_and_rest, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 2);
	fl_test_kill(pid);
	fl_test_recover(&b->mutex);
}

static int scoped(struct board *b)
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
	FL_TEST_SHARED(struct board, b);
	FL_RC(scoped(b), -EDEADLK);
	assert_false(fl_shm_mutex_is_locked(&b->mutex));
	if (fl_test_has_deaths()) {
		die_holding(b);
		FL_RC(scoped(b), -EOWNERDEAD);
		FL_RC(scoped(b), -ENOTRECOVERABLE);
		assert_false(fl_shm_mutex_is_locked(&b->mutex));
	}
}

static int owns_nothing(void *arg)
{
	struct board *b = arg;
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex) && fl_shm_mutex_is_locked(&b->mutex));
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EAGAIN);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_test_soon(), NULL), -ETIMEDOUT);
	fl__add_release(&b->held, 1);
	int rc = fl_shm_mutex_lock(&b->mutex);
	FL_OK_OR(rc, -EOWNERDEAD);
	fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

FL_TEST(shm_mutex_fork_while_holding)
{
	FL_TEST_SHARED(struct board, b);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	pid_t killed = fl_test_fork(owns_nothing, b), waits = fl_test_fork(owns_nothing, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == 2);
	fl_test_kill(killed);
	assert_true(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
	fl_test_reap(waits);
	fl_test_locks(&b->mutex);
}
