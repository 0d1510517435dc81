/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop that other threads wake soon spins for their next wake before it sleeps; a loop that waits
 * for descriptors does not.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

static _Thread_local bool is_of_loop;
static uint32_t asleep; /* how often the loop has gone to sleep */
static uint32_t looks;  /* number of checks, while another thread is to answer each check */
static uint32_t answered;
static uint32_t relaxes; /* turns of a spin on the loop's thread */
static uint32_t answers; /* whether checks are answered */

static void wait_until(uint32_t *count, uint32_t least)
{
	while (fl__load_acquire(count) < least) /* pairs with the releases below */
		(void)sched_yield();
}

/* A check without result, by the loop's thread: continues when the other thread has answered it. */
static void look_and_wait(void)
{
	/* A fiber that waits for an internal lock of the library. */
	if (!is_of_loop || fl__fiber_self())
		return;
	fl__add_relaxed(&relaxes, 1);
	if (!fl__load_relaxed(&answers))
		return;
	fl__store_release(&looks, looks + 1);
	wait_until(&answered, looks);
}

FL_TEST_POLLER_WAIT(count_sleep)
{
	if (deadline == FL__NEVER)
		fl__add_release(&asleep, 1);
	return fl_test_real_poller.wait(poller, events, n, deadline);
}

static void begin(void)
{
	fl_test_poller_count();
	fl_test_clock_stands(); /* each sleep was short, and a spin has unlimited time */
	fl__sys.relax = look_and_wait;
	fl__poller_sys.wait = count_sleep;
	asleep = looks = answered = relaxes = answers = 0;
}

enum { TRIPS = 5 };

typedef struct trips {
	fl_sem wakes;
	uint32_t done;
	int fds[2];
} trips;

static int take_wakes(void *arg)
{
	trips *t = arg;
	is_of_loop = true;
	for (int i = 0; i < TRIPS; i++) {
		FL_OK(fl_sem_acquire(&t->wakes));
		fl__add_release(&t->done, 1);
	}
	fl__store_relaxed(&answers, 0);
	return 0;
}

static int run_loop(void *arg)
{
	return fl_loop_run(take_wakes, arg);
}

FL_TEST(loop_spin_saves_the_doorbell)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_FAULTS();
	FL_POLLER_FAULTS();
	begin();
	trips t = {.wakes = FL_SEM_INIT(0)};
	fl_thread *loop;
	fl__store_relaxed(&answers, 1);
	fl_test_go(&loop, run_loop, &t);
	wait_until(&asleep, 1);
	fl_sem_release(&t.wakes); /* it sleeps: this rings the doorbell */
	for (uint32_t i = 1; i < TRIPS; i++) {
		wait_until(&looks, i);
		assert_int_equal(fl__load_relaxed(&t.done), i);
		fl_sem_release(&t.wakes); /* it spins: this need not ring */
		fl__store_release(&answered, i);
	}
	fl_test_end(loop);
	assert_int_equal(fl_test_polled.rings, 1);
	assert_int_equal(asleep, 1);
}

static int take_bytes(void *arg)
{
	trips *t = arg;
	char byte;
	is_of_loop = true;
	for (int i = 0; i < TRIPS; i++) {
		FL_OK(fl_fd_wait(t->fds[0], FL_FD_IN));
		FL_CHECK(read(t->fds[0], &byte, 1) == 1);
		fl__add_release(&t->done, 1);
	}
	return 0;
}

static int run_loop_of_bytes(void *arg)
{
	return fl_loop_run(take_bytes, arg);
}

FL_TEST(loop_spin_is_for_threads_alone)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_FAULTS();
	FL_POLLER_FAULTS();
	begin();
	trips t = {.done = 0};
	fl_thread *loop;
	FL_OK(pipe(t.fds));
	fl_test_go(&loop, run_loop_of_bytes, &t);
	for (uint32_t i = 1; i <= TRIPS; i++) {
		wait_until(&asleep, i);
		assert_int_equal(write(t.fds[1], "", 1), 1);
		wait_until(&t.done, i);
	}
	fl_test_end(loop);
	assert_int_equal(relaxes, 0);
	FL_OK(close(t.fds[0]));
	FL_OK(close(t.fds[1]));
}
