/* SPDX-License-Identifier: BSD-2-Clause */
/* The waiter that a condition keeps in its word while it spins, before it enqueues itself. */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

enum { WAITERS = 1 }; /* lib/core/sync/cond.c */

static struct {
	fl_mutex mutex;
	fl_cond cond;
	pthread_t actor; /* its checks and sleeps count */
	unsigned looks, sleeps;
	uintptr_t seen; /* the word at the third check */
	bool was_busy;  /* the condition, then */
	void (*act)(fl_cond *c);
} stage;

/* Acts as another thread at the third check. */
static void relax(void)
{
	if (!pthread_equal(pthread_self(), stage.actor) || ++stage.looks != 3)
		return;
	stage.seen = stage.cond.word_;
	stage.was_busy = fl__cond_is_busy(&stage.cond);
	if (stage.act)
		stage.act(&stage.cond);
}

FL_TEST_FUTEX_WAIT(sleep_on)
{
	if (pthread_equal(pthread_self(), stage.actor))
		stage.sleeps++;
	return fl_test_clock_wait(word, expected, deadline);
}

/* A wait of this thread, under FL_FAULTS(); `act` runs while it spins. */
static int meet(void (*act)(fl_cond *c), fl_time deadline)
{
	memset(&stage, 0, sizeof stage);
	stage.actor = pthread_self();
	stage.act = act;
	fl_test_clock_ours();
	fl__sys.relax = relax;
	fl__sys.futex_wait = sleep_on;
	fl_mutex_lock(&stage.mutex);
	const int rc = fl_cond_wait_until(&stage.cond, &stage.mutex, deadline, NULL);
	FL_CHECK(fl_mutex_is_locked(&stage.mutex));
	fl_mutex_unlock(&stage.mutex);
	return rc;
}

static int wait_and_meet(void (*act)(fl_cond *c), fl_time deadline)
{
	FL_FAULTS();
	return meet(act, deadline);
}

static void signal_locked(fl_cond *c)
{
	FL_LOCKED(&stage.mutex);
	fl_cond_signal(c);
}

FL_TEST(cond_spinner_is_signalled_without_a_queue)
{
	void (*const acts[])(fl_cond *) = {fl_cond_signal, fl_cond_broadcast, signal_locked};
	FL_EACH (i, acts) {
		FL_OK(wait_and_meet(acts[i], fl_after(FL_S(20))));
		assert_true(stage.seen > WAITERS); /* it was in the word */
		assert_true(stage.was_busy);
		assert_int_equal(stage.cond.word_, 0);
		assert_int_equal(stage.sleeps, 0);
	}
}

static void pass_the_deadline(fl_cond *c)
{
	fl__store_relaxed(&fl_test_ahead, FL_S(3600));
}

FL_TEST(cond_spinner_times_out_in_the_queue)
{
	FL_RC(wait_and_meet(pass_the_deadline, fl_after(FL_S(3600))), -ETIMEDOUT);
	assert_true(stage.seen > WAITERS);
	assert_int_equal(stage.cond.word_, WAITERS); /* which the next signal takes away */
	fl_cond_signal(&stage.cond);
	assert_int_equal(stage.cond.word_, 0);
}
