/* SPDX-License-Identifier: BSD-2-Clause */
/* When a loop polls for events and checks its timers, whatever its fibers and other threads do. */
#include "fl_faults.h"
#include "fl_in_loop.h"

/* The clock stands while the fibers take no time, and advances with their work. */
static void work(int64_t ns)
{
	fl__store_relaxed(&fl_test_time, fl_test_time + ns);
}

static int yield_until(void *flag)
{
	while (!*(bool *)flag)
		fl_fiber_yield();
	return 0;
}

static int compute_after_yields(void *unused)
{
	bool fired = false;
	fl_loop_timer timer = {0};
	unsigned pieces = 0;
	fl_fiber *other = fl_test_start(yield_until, &fired);
	for (int i = 0; i < 100000; i++)
		/* A poll for events costs more than the fibers: so polls are rare. */
		fl_fiber_yield();
	for (const uint32_t before = fl_test_polled.waits; fl_test_polled.waits == before;)
		fl_fiber_yield(); /* the next one is far away */
	fl_loop_timer_start(fl_loop_current(), &timer, fl_test_soon(), fl_test_set_flag, &fired);
	while (!fired) {
		work(FL_MS(10));
		fl_fiber_yield();
		pieces++;
	}
	FL_CHECK(pieces <= 100);
	return fl_test_join(other);
}

/* Fibers that took no time begin to compute: the loop does not keep its rare polls. */
FL_TEST(loop_looks_soon_after_fibers_begin_to_compute)
{
	FL_FAULTS();
	FL_POLLER_FAULTS();
	fl_test_poller_count();
	fl_test_clock_stands();
	fl_test_in_loop(compute_after_yields, NULL);
}

/*
 * Two fibers, of which one runs until a thread has woken the other: so the loop's thread always has
 * a wake.
 */
typedef struct relay {
	fl_sem wake[2];
	/* 1 + the fiber to wake; the number of wakes: 0: none, 3: the thread is to end. */
	uint32_t asked, done;
	fl_event begun;
	bool over;
} relay;

struct runner {
	relay *r;
	uint32_t other;
};

static int wake_who_is_asked_for(void *arg)
{
	relay *r = arg;
	uint32_t asked;
	while ((asked = fl__load_acquire(&r->asked)) != 3) { /* pairs with the runners' release */
		if (asked == 0)
			continue;
		fl__store_relaxed(&r->asked, 0);
		fl_sem_release(&r->wake[asked - 1]);
		fl__store_release(&r->done, 1); /* pairs with the runner's acquire */
	}
	return 0;
}

static int run_by_turns(void *arg)
{
	const struct runner *t = arg;
	relay *r = t->r;
	for (unsigned rounds = 0; !r->over; rounds++) {
		FL_OK(fl_sem_acquire_until(&r->wake[1 - t->other], FL_FOREVER, FL_SHIELDED));
		/* Each takes as long as a message to a thread and back. */
		FL_CHECK(rounds < 200000);
		if (rounds == 10)
			fl_event_set(&r->begun);
		fl__store_relaxed(&r->done, 0);
		fl__store_release(&r->asked, t->other + 1); /* pairs with the thread's acquire */
		while (fl__load_acquire(&r->done) == 0)     /* pairs with the thread's release */
			continue;
	}
	return 0;
}

/* Wakes by other threads, one always there when the loop is to sleep, keep no event out. */
FL_LOOP_TEST(loop_looks_while_other_threads_go_on_waking)
{
	relay r = {0};
	struct runner t[2] = {{&r, 1}, {&r, 0}};
	fl_thread *thread;
	fl_stream *ends[2];
	char c = 0;
	FL_OK(fl_sem_init(&r.wake[0], 0));
	FL_OK(fl_sem_init(&r.wake[1], 0));
	FL_OK(fl_stream_pair(ends));
	fl_test_go(&thread, wake_who_is_asked_for, &r);
	fl_fiber *f[2] = {fl_test_start(run_by_turns, &t[0]), fl_test_start(run_by_turns, &t[1])};
	FL_RC(fl_stream_read_some_until(ends[0], &c, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_sem_release(&r.wake[0]);
	FL_OK(fl_event_wait(&r.begun));
	FL_OK(fl_stream_write(ends[1], "x", 1));
	FL_CHECK(fl_stream_read_some(ends[0], &c, 1) == 1 && c == 'x');
	r.over = true;
	fl_sem_release(&r.wake[0]);
	fl_sem_release(&r.wake[1]);
	FL_OK(fl_test_join(f[0]));
	FL_OK(fl_test_join(f[1]));
	fl__store_release(&r.asked, 3);
	fl_test_end(thread);
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
}
