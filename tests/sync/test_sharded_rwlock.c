/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"
#include "fl_test.h"

static fl_sharded_rwlock sharded_rwlock;

static int read_briefly(void *l, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = fl_sharded_rwlock_read_lock_until(l, deadline, cancel);
	if (rc == 0)
		fl_sharded_rwlock_read_unlock(l);
	return rc;
}

static int write_briefly(void *l, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = fl_sharded_rwlock_write_lock_until(l, deadline, cancel);
	if (rc == 0)
		fl_sharded_rwlock_write_unlock(l);
	return rc;
}

FL_TEST(sharded_rwlock_all_zero_is_unlocked)
{
	static fl_sharded_rwlock l = FL_SHARDED_RWLOCK_INIT, zero, made;
	memset(&made, 0xff, sizeof made);
	fl_sharded_rwlock_init(&made);
	assert_memory_equal(&l, &zero, sizeof l);
	assert_memory_equal(&made, &zero, sizeof made);
	assert_false(fl_sharded_rwlock_is_read_locked(&l) || fl_sharded_rwlock_is_write_locked(&l));
	FL_OK(fl_sharded_rwlock_destroy(&l));
}

FL_TEST(sharded_rwlock_many_read_or_one_writes)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	for (int i = 0; i < 3; i++) {
		fl_sharded_rwlock_read_lock(l);
		FL_OK(fl_sharded_rwlock_try_read_lock(l));
		FL_OK(fl_sharded_rwlock_read_lock_until(l, 0, NULL));
		assert_true(fl_sharded_rwlock_is_read_locked(l) && !fl_sharded_rwlock_is_write_locked(l));
		FL_RC(fl_sharded_rwlock_try_write_lock(l), -EBUSY);
		FL_RC(fl_sharded_rwlock_destroy(l), -EBUSY);
		for (int j = 0; j < 3; j++)
			fl_sharded_rwlock_read_unlock(l);
		fl_sharded_rwlock_write_lock(l);
		assert_true(!fl_sharded_rwlock_is_read_locked(l) && fl_sharded_rwlock_is_write_locked(l));
		FL_RC(fl_sharded_rwlock_try_read_lock(l), -EBUSY);
		FL_RC(fl_sharded_rwlock_try_write_lock(l), -EBUSY);
		FL_RC(fl_sharded_rwlock_destroy(l), -EBUSY);
		fl_sharded_rwlock_write_unlock(l);
		FL_OK(fl_sharded_rwlock_try_write_lock(l));
		fl_sharded_rwlock_write_unlock(l);
		FL_OK(fl_sharded_rwlock_destroy(l));
	}
}

FL_TEST(sharded_rwlock_until_gives_up)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	const int64_t past[] = {INT64_MIN, -1, 0, 1, fl_now()};
	fl_sharded_rwlock_write_lock(l);
	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
		FL_RC(fl_sharded_rwlock_read_lock_until(l, past[i], NULL), -ETIMEDOUT);
		FL_RC(fl_sharded_rwlock_write_lock_until(l, past[i], NULL), -ETIMEDOUT);
	}
	int64_t deadline = fl_after(FL_MS(1));
	FL_RC(fl_sharded_rwlock_read_lock_until(l, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	fl_cancel_token_request(&stop);
	FL_RC(fl_sharded_rwlock_read_lock_until(l, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_sharded_rwlock_write_lock_until(l, FL_FOREVER - 1, &stop), -ECANCELED);
	fl_sharded_rwlock_write_unlock(l);
	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
		FL_OK(fl_sharded_rwlock_read_lock_until(l, past[i], &stop));
		FL_RC(fl_sharded_rwlock_write_lock_until(l, past[i], NULL),
		      -ETIMEDOUT); /* and lets the readers in again */
		FL_RC(fl_sharded_rwlock_write_lock_until(l, FL_FOREVER, &stop), -ECANCELED);
		FL_OK(fl_sharded_rwlock_try_read_lock(l));
		fl_sharded_rwlock_read_unlock(l);
		fl_sharded_rwlock_read_unlock(l);
		FL_OK(fl_sharded_rwlock_write_lock_until(l, past[i], &stop));
		fl_sharded_rwlock_write_unlock(l);
	}
	FL_OK(fl_sharded_rwlock_destroy(l));
}

static int lock_plainly(void *l, int64_t deadline, fl_cancel_token *cancel)
{
	FL_CANCEL_SCOPE(cancel);
	if (deadline == 0) {
		fl_sharded_rwlock_read_lock(l);
		fl_sharded_rwlock_read_unlock(l);
	} else {
		fl_sharded_rwlock_write_lock(l);
		fl_sharded_rwlock_write_unlock(l);
	}
	return 0;
}

FL_TEST(sharded_rwlock_plain_locking_is_never_cancelled)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller reader, writer;
	fl_sharded_rwlock_write_lock(l);
	fl_test_call_queued(&reader, lock_plainly, l, l, 0, &stop);
	fl_test_call_queued(&writer, lock_plainly, l, &l->turn_, 1, &stop);
	FL_RC(fl_sharded_rwlock_destroy(l), -EBUSY);
	fl_cancel_token_request(&stop);
	assert_int_equal(fl_test_queued(l), 1);
	assert_int_equal(fl_test_queued(&l->turn_), 1);
	fl_sharded_rwlock_write_unlock(l);
	FL_OK(fl_test_call_end(&reader));
	FL_OK(fl_test_call_end(&writer));
	FL_OK(fl_sharded_rwlock_destroy(l));
}

FL_TEST(sharded_rwlock_misuse_panics)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	FL_PANICS(fl_sharded_rwlock_write_unlock(l));
	assert_string_equal(fl_test_panic.function, "fl_sharded_rwlock_write_unlock");
	assert_ptr_equal(fl_test_panic.object, l);
	FL_PANICS(fl_sharded_rwlock_assert_read_held(l));
	FL_PANICS(fl_sharded_rwlock_assert_write_held(l));
	fl_sharded_rwlock_read_lock(l);
	fl_sharded_rwlock_assert_read_held(l);
	FL_PANICS(fl_sharded_rwlock_assert_write_held(l));
	FL_PANICS(fl_sharded_rwlock_write_unlock(l));
	fl_sharded_rwlock_read_unlock(l);
	fl_sharded_rwlock_write_lock(l);
	fl_sharded_rwlock_assert_read_held(l);
	fl_sharded_rwlock_assert_write_held(l);
	fl_sharded_rwlock_write_unlock(l);
	FL_OK(fl_sharded_rwlock_destroy(l));
}

FL_TEST(sharded_rwlock_scopes)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	for (int i = 0; i < 3; i++) {
		FL_SHARDED_READ_LOCKED(l);
		assert_true(fl_sharded_rwlock_is_read_locked(l));
		if (i == 1)
			continue;
	}
	do {
		FL_SHARDED_WRITE_LOCKED(l);
		assert_true(fl_sharded_rwlock_is_write_locked(l));
		break;
	} while (true);
	FL_OK(fl_sharded_rwlock_destroy(l));
}

/*
 * A writer waits for the readers that it found, holds up others, and lets them in when it is
 * cancelled.
 */
FL_TEST(sharded_rwlock_writer_that_gives_up_lets_readers_in)
{
	fl_sharded_rwlock *l = &sharded_rwlock;
	for (int gives_up = 0; gives_up < 2; gives_up++) {
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller first, second, reader;
		fl_sharded_rwlock_read_lock(l);
		fl_test_call_queued(&first, write_briefly, l, l, FL_FOREVER, &stop);
		FL_RC(fl_sharded_rwlock_try_read_lock(l), -EBUSY);
		fl_test_call_queued(&second, write_briefly, l, &l->turn_, FL_FOREVER, NULL);
		fl_test_call_queued(&reader, read_briefly, l, l, FL_FOREVER, NULL);
		if (gives_up)
			fl_cancel_token_request(&stop);
		else
			fl_sharded_rwlock_read_unlock(l);
		FL_RC(fl_test_call_end(&first), gives_up ? -ECANCELED : 0);
		/* Before the second writer, or beside the current reader. */
		FL_OK(fl_test_call_end(&reader));
		if (gives_up)
			fl_sharded_rwlock_read_unlock(l);
		FL_OK(fl_test_call_end(&second));
		FL_OK(fl_sharded_rwlock_destroy(l));
	}
}

/* Contexts may unlock what others locked, in whatever rows; also while a writer waits. */
static int unlock_it(void *l)
{
	fl_sharded_rwlock_read_unlock(l);
	return 0;
}

FL_TEST(sharded_rwlock_may_be_unlocked_by_other_contexts)
{
	enum { N = 20 };
	fl_sharded_rwlock *l = &sharded_rwlock;
	for (int awaited = 0; awaited < 2; awaited++) {
		fl_test_caller writer;
		for (int i = 0; i < N; i++)
			fl_sharded_rwlock_read_lock(l);
		if (awaited)
			fl_test_call_queued(&writer, write_briefly, l, l, FL_FOREVER, NULL);
		for (int i = 0; i < N; i++) {
			fl_thread t;
			assert_true(fl_sharded_rwlock_is_read_locked(l));
			fl_test_go(&t, unlock_it, l);
			fl_test_end(&t);
		}
		assert_false(fl_sharded_rwlock_is_read_locked(l));
		if (awaited)
			FL_OK(fl_test_call_end(&writer));
		fl_sharded_rwlock_write_lock(l);
		fl_sharded_rwlock_write_unlock(l);
		FL_OK(fl_sharded_rwlock_destroy(l));
	}
}

typedef struct guarded {
	fl_sharded_rwlock lock;
	unsigned rounds, a, b;
} guarded;

static int use_guarded(void *arg)
{
	guarded *g = arg;
	uint64_t random = (uint64_t)(uintptr_t)&random | 1;
	for (unsigned i = 0; i < g->rounds; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		unsigned dice = (unsigned)(random >> 40);
		if (i % 10 == 0) {
			if (dice % 3 == 0)
				fl_sharded_rwlock_write_lock(&g->lock);
			else if (dice % 3 == 1)
				FL_WAIT_FOR(fl_sharded_rwlock_try_write_lock(&g->lock) == 0);
			else
				while (fl_sharded_rwlock_write_lock_until(&g->lock, fl_after(FL_US(dice % 50)), NULL) !=
				       0)
					continue;
			g->a++;
			g->b++;
			fl_sharded_rwlock_write_unlock(&g->lock);
			continue;
		}
		if (dice % 4 == 0 && fl_sharded_rwlock_try_read_lock(&g->lock) != 0)
			continue;
		if (dice % 4 == 1 && fl_sharded_rwlock_read_lock_until(&g->lock, fl_after(FL_US(dice % 50)), NULL) != 0)
			continue;
		if (dice % 4 > 1)
			fl_sharded_rwlock_read_lock(&g->lock);
		FL_CHECK(g->a == g->b);
		fl_sharded_rwlock_read_unlock(&g->lock);
	}
	return 0;
}

FL_TEST(sharded_rwlock_hammer)
{
	enum { THREADS = 6 };
	static guarded g;
	g.rounds = 10 * fl_test_scaled(3000);
	fl_thread threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		fl_test_go(&threads[i], use_guarded, &g);
	for (int i = 0; i < THREADS; i++)
		fl_test_end(&threads[i]);
	assert_int_equal(g.a, THREADS * g.rounds / 10);
	assert_int_equal(g.b, g.a);
	FL_OK(fl_sharded_rwlock_destroy(&g.lock));
}
