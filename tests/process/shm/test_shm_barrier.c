/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"
#include "fl_shm_child.h"

FL_CALL(wait_at)
{
	return fl_shm_barrier_wait_until(object, deadline, cancel);
}

#define BARRIER(b, parties)                                                                                            \
	FL_TEST_SHARED(fl_shm_barrier, b);                                                                             \
	FL_OK(fl_shm_barrier_init(b, parties))

/* A thread arrives. */
static void arrive(fl_test_caller *c, fl_shm_barrier *b, fl_cancel_token *cancel)
{
	uint32_t before = fl_shm_barrier_waiting(b);
	fl_test_call_start(c, wait_at, b, FL_FOREVER, cancel);
	FL_WAIT_FOR(fl_shm_barrier_waiting(b) == before + 1);
}

FL_TEST(shm_barrier_init_takes_1_to_max)
{
	fl_shm_barrier b;
	FL_RC(fl_shm_barrier_init(&b, 0), -EINVAL);
	FL_RC(fl_shm_barrier_init(&b, FL_SHM_BARRIER_MAX + 1), -EINVAL);
	FL_OK(fl_shm_barrier_init(&b, FL_SHM_BARRIER_MAX));
	memset(&b, 0xff, sizeof b);
	FL_OK(fl_shm_barrier_init(&b, 3));
	assert_int_equal(fl_shm_barrier_waiting(&b), 0);
	assert_false(fl_shm_barrier_is_broken(&b));
}

FL_TEST(shm_barrier_of_one_never_waits)
{
	BARRIER(b, 1);
	for (int i = 0; i < 100; i++) {
		FL_RC(fl_shm_barrier_wait(b), 0);
		FL_RC(fl_shm_barrier_wait_until(b, FL_NO_WAIT, NULL), 0);
	}
}

FL_TEST(shm_barrier_numbers_its_parties)
{
	enum { N = 5 };
	BARRIER(b, N);
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_test_caller callers[N - 1];
	for (int turn = 0; turn < 20; turn++) {
		for (unsigned i = 0; i < N - 1; i++) {
			arrive(&callers[i], b, i % 2 ? &token : NULL);
		}
		FL_RC(fl_shm_barrier_wait(b), N - 1);
		for (int i = 0; i < N - 1; i++)
			FL_RC(fl_test_call_end(&callers[i]), i);
	}
}

FL_TEST(shm_barrier_breaks_when_a_waiter_times_out)
{
	BARRIER(b, 3);
	fl_test_caller other;
	arrive(&other, b, NULL);
	fl_time deadline = fl_test_soon();
	FL_RC(fl_shm_barrier_wait_until(b, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_RC(fl_test_call_end(&other), -EPIPE);
	assert_true(fl_shm_barrier_is_broken(b));
	assert_int_equal(fl_shm_barrier_waiting(b), 0);
	FL_RC(fl_shm_barrier_wait(b), -EPIPE);
	FL_RC(fl_shm_barrier_wait_until(b, FL_FOREVER, NULL), -EPIPE);
}

FL_TEST(shm_barrier_breaks_when_a_waiter_is_cancelled)
{
	BARRIER(b, 3);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller cancelled, other;
	arrive(&cancelled, b, &stop);
	arrive(&other, b, NULL);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&cancelled), -ECANCELED);
	FL_RC(fl_test_call_end(&other), -EPIPE);
	assert_true(fl_shm_barrier_is_broken(b));
	FL_OK(fl_shm_barrier_reset(b));
	FL_RC(fl_shm_barrier_wait_until(b, FL_FOREVER, &stop), -ECANCELED);
	FL_OK(fl_shm_barrier_reset(b));
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_shm_barrier_wait(b), -ECANCELED);
}

FL_TEST(shm_barrier_abort_and_reset)
{
	enum { N = 3 };
	BARRIER(b, N + 1);
	fl_test_caller callers[N];
	FL_BOTH (mend) {
		FL_EACH (i, callers)
			arrive(&callers[i], b, NULL);
		FL_OK(mend ? fl_shm_barrier_reset(b) : fl_shm_barrier_abort(b));
		FL_EACH (i, callers)
			FL_RC(fl_test_call_end(&callers[i]), -EPIPE);
		assert_int_equal(fl_shm_barrier_is_broken(b), !mend);
		FL_OK(fl_shm_barrier_abort(b));
		FL_RC(fl_shm_barrier_wait(b), -EPIPE);
		FL_OK(fl_shm_barrier_reset(b));
		assert_false(fl_shm_barrier_is_broken(b));
	}
}

/* A complete wait stays complete, whatever happens to the barrier before its parties run. */
FL_TEST(shm_barrier_complete_wait_stays_complete)
{
	enum { N = 4 };
	BARRIER(b, N);
	fl_test_caller callers[N - 1];
	for (unsigned round = 0; round < fl_test_scaled(50); round++) {
		for (int i = 0; i < N - 1; i++)
			arrive(&callers[i], b, NULL);
		FL_RC(fl_shm_barrier_wait(b), N - 1);
		for (unsigned i = 0; i < round % 10; i++)
			FL_OK(fl_shm_barrier_abort(b));
		FL_OK(fl_shm_barrier_reset(b));
		for (int i = 0; i < N - 1; i++)
			FL_RC(fl_test_call_end(&callers[i]), i);
	}
}

/* And a broken one stays so, even when others have passed since. */
FL_TEST(shm_barrier_broken_wait_stays_broken)
{
	BARRIER(b, 2);
	for (unsigned round = 0; round < fl_test_scaled(50); round++) {
		fl_test_caller first, second;
		arrive(&first, b, NULL);
		FL_OK(fl_shm_barrier_reset(b));
		arrive(&second, b, NULL);
		FL_RC(fl_shm_barrier_wait(b), 1);
		FL_RC(fl_test_call_end(&first), -EPIPE);
		FL_RC(fl_test_call_end(&second), 0);
	}
}

/*
 * Memory that is no barrier; a monitor that belongs to this thread only according to the memory; a
 * monitor with a stopped owner.
 */
FL_TEST(shm_barrier_damaged_memory)
{
	fl_shm_barrier b;
	memset(&b, 0, sizeof b);
	FL_RC(fl_shm_barrier_wait_until(&b, FL_NO_WAIT, NULL), -EBADMSG);
	FL_RC(fl_shm_barrier_abort(&b), -EBADMSG);
	FL_RC(fl_shm_barrier_reset(&b), -EBADMSG);
	FL_OK(fl_shm_barrier_init(&b, 3));
	b.word_ = 7; /* so many have arrived */
	FL_RC(fl_shm_barrier_wait(&b), -EBADMSG);
	FL_OK(fl_shm_barrier_init(&b, 3));
	uint32_t *monitor = fl__shm_word((struct fl__shm_lock *)(void *)b.lock_);
	*monitor = fl__sys.thread_id();
	FL_RC(fl_shm_barrier_wait(&b), -EBADMSG);
	FL_RC(fl_shm_barrier_abort(&b), -EBADMSG);
	FL_RC(fl_shm_barrier_reset(&b), -EBADMSG);
	*monitor = 1;
	FL_RC(fl_shm_barrier_wait_until(&b, FL__TRY, NULL), -ETIMEDOUT);
	assert_false(fl_shm_barrier_is_broken(&b));
}
