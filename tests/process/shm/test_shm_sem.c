/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"
#include "fl_shm_child.h"

FL_CALL(acquire)
{
	return fl_shm_sem_acquire_until(object, deadline, cancel);
}

static const struct fl__shm_wait_queue *line_of(const fl_shm_sem *s)
{
	return (const void *)s->waiters_;
}

/* Whether a context sleeps, or is about to. */
static bool is_waited_for(const fl_shm_sem *s)
{
	return fl__load_acquire(&line_of(s)->waiting);
}

static uint32_t *monitor(fl_shm_sem *s)
{
	return fl__shm_word((struct fl__shm_lock *)(void *)s->lock_);
}

FL_TEST(shm_sem_initial_permits)
{
	fl_shm_sem s, zero;
	memset(&zero, 0, sizeof zero);
	FL_OK(fl_shm_sem_init(&s, 0));
	assert_memory_equal(&s, &zero, sizeof s);
	FL_OK(fl_shm_sem_init(&s, FL_SHM_SEM_MAX));
	assert_int_equal(fl_shm_sem_value(&s), FL_SHM_SEM_MAX);
	FL_RC(fl_shm_sem_init(&s, FL_SHM_SEM_MAX + 1), -EINVAL);
	assert_int_equal(fl_shm_sem_value(&s), FL_SHM_SEM_MAX);
}

FL_TEST(shm_sem_takes_what_is_there)
{
	fl_shm_sem s;
	FL_OK(fl_shm_sem_init(&s, 3));
	FL_OK(fl_shm_sem_try_acquire(&s));
	FL_OK(fl_shm_sem_acquire(&s));
	FL_OK(fl_shm_sem_acquire_until(&s, FL_NO_WAIT, NULL));
	FL_RC(fl_shm_sem_try_acquire(&s), -EAGAIN);
	FL_OK(fl_shm_sem_release(&s));
	FL_OK(fl_shm_sem_release_n(&s, 0));
	FL_OK(fl_shm_sem_release_n(&s, 4));
	assert_int_equal(fl_shm_sem_value(&s), 5);
}

FL_TEST(shm_sem_acquire_gives_up)
{
	FL_TEST_SHARED(fl_shm_sem, s);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	FL_RC(fl_shm_sem_acquire_until(s, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_test_soon();
	FL_RC(fl_shm_sem_acquire_until(s, deadline, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_sem_acquire_until(s, fl_test_soon(), &stop), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	fl_test_caller c;
	fl_test_call_start(&c, acquire, s, FL_FOREVER, &stop);
	FL_WAIT_FOR(is_waited_for(s));
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
	FL_RC(fl_shm_sem_acquire_until(s, FL_FOREVER, &stop), -ECANCELED);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_shm_sem_acquire(s), -ECANCELED);
	FL_OK(fl_shm_sem_release(s));
	FL_OK(fl_shm_sem_acquire(s)); /* what can be done at once is done */
	assert_int_equal(fl_shm_sem_value(s), 0);
}

FL_TEST(shm_sem_overflow)
{
	FL_TEST_SHARED(fl_shm_sem, s);
	fl_test_caller c;
	FL_OK(fl_shm_sem_init(s, FL_SHM_SEM_MAX));
	FL_RC(fl_shm_sem_release(s), -EOVERFLOW);
	FL_RC(fl_shm_sem_release_n(s, UINT32_MAX), -EOVERFLOW);
	FL_OK(fl_shm_sem_init(s, 1));
	FL_RC(fl_shm_sem_release_n(s, FL_SHM_SEM_MAX), -EOVERFLOW);
	assert_int_equal(fl_shm_sem_value(s), 1);
	FL_OK(fl_shm_sem_acquire(s));
	fl_test_call_start(&c, acquire, s, FL_FOREVER, NULL);
	FL_WAIT_FOR(is_waited_for(s));
	FL_RC(fl_shm_sem_release_n(s, FL_SHM_SEM_MAX + 1), -EOVERFLOW); /* no waiter is woken */
	assert_true(is_waited_for(s));
	FL_OK(fl_shm_sem_release_n(s, FL_SHM_SEM_MAX));
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_shm_sem_value(s), FL_SHM_SEM_MAX - 1);
}

/*
 * A monitor that belongs to this thread only according to the memory: calls that need it report
 * this, other calls work.
 */
FL_TEST(shm_sem_damaged_memory)
{
	fl_shm_sem s;
	FL_OK(fl_shm_sem_init(&s, 0));
	*monitor(&s) = fl__sys.thread_id();
	FL_RC(fl_shm_sem_acquire_until(&s, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_sem_try_acquire(&s), -EAGAIN);
	FL_OK(fl_shm_sem_release_n(&s, 2));
	FL_OK(fl_shm_sem_acquire(&s));
	s.word_ = 0x80000000u;
	FL_RC(fl_shm_sem_release(&s), -EBADMSG);
	FL_RC(fl_shm_sem_release_n(&s, 2), -EBADMSG);
	assert_int_equal(fl_shm_sem_value(&s), 0);
}

/* The monitor's owner is stopped: waits with a deadline end all the same. */
FL_TEST(shm_sem_stopped_owner)
{
	fl_shm_sem s;
	FL_OK(fl_shm_sem_init(&s, 0));
	*monitor(&s) = 1;
	FL_RC(fl_shm_sem_acquire_until(&s, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_SHM_SEM(&s)), -ETIMEDOUT);
	FL_RC(fl_shm_sem_try_acquire(&s), -EAGAIN);
}

/*
 * musl 159d1f6c, 882aedf6: waiters that gave up leave nothing behind that affects later releases.
 */
FL_TEST(shm_sem_stale_waiters)
{
	FL_TEST_SHARED(fl_shm_sem, s);
	for (int i = 0; i < 3; i++) {
		FL_RC(fl_shm_sem_acquire_until(s, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
		FL_OK(fl_shm_sem_release(s));
		assert_int_equal(s->word_, 1);
		FL_OK(fl_shm_sem_try_acquire(s));
	}
	fl_test_caller brief, patient;
	fl_test_call_start(&brief, acquire, s, fl_after(FL_MS(2)), NULL);
	fl_test_call_start(&patient, acquire, s, FL_FOREVER, NULL);
	FL_RC(fl_test_call_end(&brief), -ETIMEDOUT);
	FL_OK(fl_shm_sem_release_n(s, 2));
	FL_OK(fl_test_call_end(&patient));
	FL_OK(fl_shm_sem_acquire_until(s, FL_NO_WAIT, NULL));
}

FL_CALL(wait_any)
{
	fl_shm_sem *s = object;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_SHM_SEM(&s[0]), FL_ON_SHM_SEM(&s[1]));
}

FL_TEST(shm_sem_wait_any)
{
	FL_TEST_SHARED_MANY(fl_shm_sem, s, 2);
	FL_RC(wait_any(s, FL_NO_WAIT, NULL), -ETIMEDOUT);
	for (int i = 0; i < 2; i++) {
		fl_test_caller c;
		fl_test_call_start(&c, wait_any, s, FL_FOREVER, NULL);
		FL_WAIT_FOR(is_waited_for(&s[1]));
		FL_OK(fl_shm_sem_release(&s[i]));
		FL_RC(fl_test_call_end(&c), i);
		FL_OK(fl_shm_sem_try_acquire(&s[i])); /* looking took nothing */
		FL_RC(wait_any(s, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
	}
}
