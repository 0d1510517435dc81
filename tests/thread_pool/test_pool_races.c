/* SPDX-License-Identifier: BSD-2-Clause */
/* Executors that several threads use, cancel and end at once. More of it: test_hammer_exec.c. */
#include "fl_pool.h"
#include <sched.h>

static unsigned drops, runs;

static void count_drop(void *arg)
{
	(void)arg;
	COUNT(&drops);
}

FL_TASK(race_count, int, int, .drop_arg = count_drop)
{
	COUNT(&runs);
	*result = *arg;
	return 0;
}

static void begin_counts(void)
{
	SET(&drops, 0);
	SET(&runs, 0);
}

/* Several threads end one executor at once, while others submit. */
struct ender {
	fl_executor *e;
	unsigned id;
	fl_latch *start;
	unsigned accepted, cancelled;
};

static int race_to_the_end(void *arg)
{
	struct ender *x = arg;
	fl_latch_count_down(x->start, 1);
	switch (x->id) {
	case 0:
		return fl_executor_join(x->e);
	case 1:
		return fl_executor_join_until(x->e, fl_after(FL_S(3600)), NULL);
	case 2:
		x->cancelled = (unsigned)fl_executor_cancel(x->e);
		return fl_executor_join(x->e);
	case 3:
		FL_WAIT_FOR(fl_executor_try_join(x->e) == 0);
		return 0;
	default:
		for (int rc = 0; rc != -EPIPE; x->accepted += rc == 0) {
			rc = race_count_submit(x->e, 1, NULL);
			FL_CHECK(rc == 0 || rc == -EPIPE);
		}
		return 0;
	}
}

FL_TEST(pool_races)
{
	enum { N = 6 };
	for (unsigned round = 0, rounds = fl_test_scaled(150); round < rounds; round++) {
		fl_executor *e = pool_with(1 + round % 3);
		struct ender enders[N];
		fl_thread threads[N];
		fl_latch start = FL_LATCH_INIT(N);
		begin_counts();
		for (unsigned i = 0; i < N; i++)
			enders[i] = (struct ender){.e = e, .id = (i + round) % N, .start = &start};
		seam_start(threads, N, race_to_the_end, enders, sizeof *enders);
		seam_join(threads, N);
		fl_executor_free(e);
		unsigned accepted = 0, cancelled = 0;
		for (unsigned i = 0; i < N; i++) {
			accepted += enders[i].accepted;
			cancelled += enders[i].cancelled;
		}
		assert_int_equal(LOOK(&drops), accepted);
		assert_int_equal(LOOK(&runs) + cancelled, accepted);
	}
}

/*
 * A task that its submitter runs, in a wait, against a cancel of the executor: it is cancelled, or
 * it is asked to stop. It once was neither, when the cancel came between the claim and the frame.
 * Here the submitter begins to wait in the middle of the cancel, which wakes a task that sleeps
 * under its token. Scenario pool_cancel_helped has all other orders.
 */
static unsigned may_submit, has_submitted, may_wait, not_asked;

FL_TASK(race_obey, void, void)
{
	fl_event never = FL_EVENT_INIT;
	int rc = fl_event_wait_until(&never, fl_after(FL_S(20)), fl_task_token(ctx));
	if (rc != -ECANCELED)
		COUNT(&not_asked);
	return rc;
}

FL_TASK(race_nest, fl_event *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	fl_event_set(*arg);
	while (!LOOK(&may_submit))
		sched_yield();
	FL_CHECK(race_obey_submit(fl_executor_current(), &f) == 0);
	SET(&has_submitted, 1);
	while (!LOOK(&may_wait))
		sched_yield();
	return fl_future_wait(f);
}

static void let_it_help(void)
{
	SET(&may_wait, 1);
}

FL_TEST(pool_cancel_vs_help)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	fl_event nests = FL_EVENT_INIT;
	SET(&may_submit, 0);
	SET(&has_submitted, 0);
	SET(&may_wait, 0);
	SET(&not_asked, 0);
	FL_OK(race_nest_submit(e, &nests, NULL));
	FL_OK(fl_event_wait(&nests));
	/* On the other worker: the last one started is the first one asked to stop. */
	FL_OK(race_obey_submit(e, NULL));
	FL_WAIT_FOR(seam_sleepers() == 1);
	SET(&may_submit, 1);
	FL_WAIT_FOR(LOOK(&has_submitted));
	seam_on_wake = let_it_help;
	assert_int_equal(fl_executor_cancel(e), 1);
	assert_null(seam_on_wake);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&not_asked), 0);
}

/*
 * The sequential executor runs tasks on the threads that submit them; a join waits for those of
 * other threads.
 */
struct submission {
	fl_executor *e;
	struct gate gate;
};

static int submit_hold(void *arg)
{
	struct submission *s = arg;
	return hold_submit(s->e, &s->gate, NULL);
}

FL_TEST(pool_join_of_a_sequential_executor_waits_for_other_threads)
{
	enum { N = 3 };
	FL_SCOPED(fl_executor) *e = sequential();
	struct submission s[N];
	fl_thread threads[N];
	for (int i = 0; i < N; i++)
		s[i] = (struct submission){e, {FL_EVENT_INIT, FL_EVENT_INIT}};
	seam_start(threads, N, submit_hold, s, sizeof *s);
	for (int i = 0; i < N; i++) {
		FL_OK(fl_event_wait(&s[i].gate.entered)); /* they run at the same time */
		FL_OK(race_count_submit(e, 1, NULL));
	}
	FL_RC(fl_executor_try_join(e), -EBUSY);
	FL_RC(fl_executor_join_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	for (int i = 0; i < N; i++) {
		FL_RC(fl_executor_try_join(e), -EBUSY);
		fl_event_set(&s[i].gate.open);
	}
	FL_OK(fl_executor_join(e));
	seam_join(threads, N);
}
