/* SPDX-License-Identifier: BSD-2-Clause */
/* How often contexts that join timers run: only at the end of their own timers. */
#include "fl_queued.h"

enum { JOINERS = 32, ROUNDS = 10 };

static _Thread_local bool joins; /* the thread is a joiner */
static unsigned sleeps;          /* how often joiners went to sleep; atomic */

static int (*real_futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);

FL_TEST_FUTEX_WAIT(count_sleep)
{
	if (joins)
		fl__add_relaxed(&sleeps, 1);
	return real_futex_wait(word, expected, deadline);
}

__attribute__((constructor)) static void count_sleeps(void)
{
	real_futex_wait = fl__sys.futex_wait;
	fl__sys.futex_wait = count_sleep;
}

FL_CALL(join_as_joiner)
{
	joins = true;
	const int rc = fl_timer_join_until(object, deadline, cancel);
	joins = false;
	return rc;
}

/* All joiners of the timers at `t` sleep, `per_timer` for each. */
static void await_joiners(const fl_timer *t, size_t per_timer)
{
	for (size_t i = 0; i < JOINERS / per_timer; i++)
		FL_WAIT_FOR(fl_test_asleep(fl__lot_key(&t[i], FL__KEY_OF_CALLBACKS)) == per_timer);
}

static void begin_joins(fl_test_caller *joiners, fl_timer *t, size_t per_timer)
{
	for (size_t i = 0; i < JOINERS; i++)
		fl_test_call_start(&joiners[i], join_as_joiner, &t[i / per_timer], FL_FOREVER, NULL);
	await_joiners(t, per_timer);
	fl__store_relaxed(&sleeps, 0);
}

/* What await_joiners() saw asleep may have been about to sleep. None of them has slept again. */
static void assert_undisturbed(void)
{
	FL_IN_RANGE(fl__load_relaxed(&sleeps), 0, JOINERS);
}

static void tick(void *unused)
{
	(void)unused;
}

/* The end of a timer once woke all contexts that joined any timer. */
FL_TEST(timer_joiners_sleep_while_other_timers_end)
{
	static fl_timer far[JOINERS], t;
	fl_test_caller joiners[JOINERS];
	FL_EACH (i, far)
		FL_OK(fl_timer_start(&far[i], FL_FOREVER, tick, NULL));
	begin_joins(joiners, far, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		FL_OK(fl_timer_start(&t, i % 2 ? FL_FOREVER : FL_NO_WAIT, tick, NULL));
		if (i % 2)
			FL_OK(fl_timer_cancel(&t));
		FL_OK(fl_timer_join(&t));
		await_joiners(far, 1);
	}
	assert_undisturbed();
	FL_EACH (i, far)
		FL_OK(fl_timer_cancel(&far[i]));
	fl_test_calls_end(joiners, JOINERS);
}

typedef struct ticking {
	fl_timer t;
	fl_event begun, go;
	bool periodic;
} ticking;

static void tick_again(void *arg)
{
	ticking *a = arg;
	fl_event_set(&a->begun);
	FL_OK(fl_event_wait(&a->go));
	const int rc = a->periodic ? 0 : fl_timer_start(&a->t, FL_NO_WAIT, tick_again, a);
	FL_OK_OR(rc, -ECANCELED);
}

FL_TEST(timer_joiners_sleep_while_it_is_pending_again)
{
	FL_BOTH (periodic) {
		ticking a = {FL_TIMER_INIT, FL_EVENT_AUTO_INIT, FL_EVENT_AUTO_INIT, periodic};
		fl_test_caller joiners[JOINERS];
		FL_OK(periodic ? fl_timer_start_every(&a.t, FL_NO_WAIT, 1, tick_again, &a)
		               : fl_timer_start(&a.t, FL_NO_WAIT, tick_again, &a));
		FL_OK(fl_event_wait(&a.begun));
		begin_joins(joiners, &a.t, JOINERS);
		for (unsigned i = 0; i < ROUNDS; i++) {
			fl_event_set(&a.go);
			FL_OK(fl_event_wait(&a.begun)); /* of the next call */
			await_joiners(&a.t, JOINERS);
		}
		assert_undisturbed();
		FL_RC(fl_timer_cancel(&a.t), -EINPROGRESS);
		fl_event_set(&a.go);
		fl_test_calls_end(joiners, JOINERS);
	}
}
