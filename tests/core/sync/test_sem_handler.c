/* SPDX-License-Identifier: BSD-2-Clause */
/* Releases in signal handlers, whatever they interrupt. */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

/*
 * Two semaphores with wait queues that are nearly always in one bucket: 46368 is a Fibonacci
 * number.
 */
static struct {
	fl_sem s;
	char gap[46368 - sizeof(fl_sem)];
	fl_sem neighbour;
} room;

static unsigned given;

static void give(int signal)
{
	errno = 4711;
	fl_sem_release_in_handler(&room.s);
	FL_CHECK(errno == 4711);
	fl__add_relaxed(&given, 1); /* relaxed: read when all is over */
}

/* From here on a SIGUSR1 gives a permit; there is none yet. */
static void begin(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = give;
	action.sa_flags = SA_RESTART;
	FL_OK(sigaction(SIGUSR1, &action, NULL));
	FL_OK(fl_sem_init(&room.s, 0));
	FL_OK(fl_sem_init(&room.neighbour, 0));
	given = 0;
}

FL_TEST(sem_handler_gives_a_permit)
{
	begin();
	errno = 7;
	FL_OK(raise(SIGUSR1));
	FL_OK(raise(SIGUSR1));
	assert_int_equal(fl_sem_value(&room.s), 2);
	FL_OK(fl_sem_acquire_n_until(&room.s, 2, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(sem_handler_wakes_a_waiter)
{
	fl_test_caller c;
	begin();
	fl_test_begin_wait(&c, fl_test_acquire, &room.s);
	FL_OK(raise(SIGUSR1));
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_sem_value(&room.s), 0);
}

FL_TEST(sem_handler_panics_above_the_bound)
{
	fl_sem s = FL_SEM_BOUNDED_INIT(1);
	FL_PANICS(fl_sem_release_in_handler(&s));
	assert_ptr_equal(fl_test_panic.object, &s);
	FL_OK(fl_sem_init(&s, FL_SEM_MAX));
	FL_PANICS(fl_sem_release_in_handler(&s));
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);
}

/* With a waiter it cannot tell: the next release does. */
FL_TEST(sem_handler_leaves_one_too_many_to_the_next)
{
	fl_sem s;
	fl_test_caller c;
	struct fl__lot lot;
	FL_OK(fl_sem_init_bounded(&s, 0, 1));
	fl_test_begin_wait(&c, fl_test_acquire, &s);
	fl__lot_open(&lot, &s);
	for (int i = 0; i < 3; i++)
		fl_sem_release_in_handler(&s);
	fl__lot_close(&lot);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_sem_value(&s), 2);
	FL_PANICS(fl_sem_release(&s));
	assert_int_equal(fl_sem_value(&s), 2);
}

/* The handler's own thread holds the bucket: by its own queue, or by the neighbour's. */
static void interrupt_a_holder(const void *key)
{
	fl_test_caller c[2];
	struct fl__lot lot;
	begin();
	fl_test_begin_waits(c, 2, fl_test_acquire, &room.s);
	fl__lot_open(&lot, key);
	FL_OK(raise(SIGUSR1));
	FL_OK(raise(SIGUSR1));
	FL_OK(raise(SIGUSR1));
	if (key == &room.s)
		assert_int_equal(fl_sem_value(&room.s), 3); /* no waiter is served yet */
	fl__lot_close(&lot);
	FL_OK(fl_test_call_end(&c[0]));
	FL_OK(fl_test_call_end(&c[1]));
	assert_int_equal(fl_sem_value(&room.s), 1);
}

FL_TEST(sem_handler_interrupts_a_transaction_on_the_queue)
{
	interrupt_a_holder(&room.s);
}

FL_TEST(sem_handler_interrupts_a_transaction_on_the_bucket)
{
	interrupt_a_holder(&room.neighbour);
}

/*
 * A transaction on two queues unlocks and locks the first of them on its way, in one of the two
 * orders.
 */
static void interrupt_a_holder_of_two(const void *from_key, const void *to_key)
{
	fl_test_caller c[2];
	struct fl__lot from, to;
	begin();
	fl_test_begin_waits(c, 2, fl_test_acquire, &room.s);
	fl__lot_open(&from, from_key);
	FL_OK(raise(SIGUSR1));
	(void)fl__lot_open_also(&from, &to, to_key);
	assert_ptr_equal(from.key, from_key);
	FL_OK(raise(SIGUSR1));
	fl__lot_unlock_also(&from, &to);
	fl__lot_close(&from);
	FL_OK(fl_test_call_end(&c[0]));
	FL_OK(fl_test_call_end(&c[1]));
	assert_int_equal(fl_sem_value(&room.s), 0);
}

FL_TEST(sem_handler_interrupts_a_transaction_on_two_queues)
{
	for (int i = 0; i < 4; i++) {
		interrupt_a_holder_of_two(&room.s, &room.gap[64 * i]);
		interrupt_a_holder_of_two(&room.gap[64 * i], &room.s);
	}
}

/* In the midst of an unlock: the bucket is free, and its sleepers have yet to be woken. */
static int wake_after_signal(const uint32_t *word, int n)
{
	fl__sys.futex_wake = fl_test_real_sys.futex_wake;
	FL_OK(raise(SIGUSR1));
	return fl__sys.futex_wake(word, n);
}

FL_TEST(sem_handler_interrupts_a_wake)
{
	FL_FAULTS();
	fl_test_caller c[2];
	begin();
	fl_test_begin_waits(c, 2, fl_test_acquire, &room.s);
	FL_WAIT_FOR(fl_test_asleep(&room.s) == 2);
	fl__sys.futex_wake = wake_after_signal;
	fl_sem_release(&room.s);
	FL_OK(fl_test_call_end(&c[0]));
	FL_OK(fl_test_call_end(&c[1]));
	assert_int_equal(given, 1);
}

/* Fibers on a thread that is interrupted. */
static int take(void *unused)
{
	return fl_sem_acquire(&room.s);
}

static int interrupt_own_thread(void *unused)
{
	struct fl__lot lot;
	fl_fiber *f[3];
	FL_EACH (i, f)
		f[i] = fl_test_start(take, NULL);
	fl_test_settle();
	FL_CHECK(fl_test_queued(&room.s) == 3);
	FL_OK(raise(SIGUSR1));
	fl__lot_open(&lot, &room.s);
	FL_OK(raise(SIGUSR1));
	FL_OK(raise(SIGUSR1));
	fl__lot_close(&lot);
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
	return 0;
}

FL_TEST(sem_handler_wakes_fibers_of_its_thread)
{
	begin();
	fl_test_in_loop(interrupt_own_thread, NULL);
	assert_int_equal(fl_sem_value(&room.s), 0);
}
