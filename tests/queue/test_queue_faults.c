/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue's waits against signals, spurious wakes, and a wall clock that jumps. */
#include "fl_blocked.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned signals_seen;
static uint64_t blocked_thread; /* a pthread_t */

static void on_signal(int number)
{
	(void)number;
	COUNT(&signals_seen);
}

static int op_get_told(struct blocked *b)
{
	SET(&blocked_thread, (uint64_t)pthread_self());
	return fl_queue_get_until(b->q, b->items, deadline_of(b), NULL);
}

FL_TEST(queue_eintr)
{
	signals_seen = 0;
	struct sigaction action = {.sa_handler = on_signal}, before; /* without SA_RESTART */
	FL_OK(sigaction(SIGUSR1, &action, &before));
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	struct blocked get = {.op = op_get_told, .q = q, .deadline = fl_after(FL_S(3600))};
	blocked_begin(&get);
	pthread_t thread = (pthread_t)LOOK(&blocked_thread);
	for (unsigned i = 1; i <= 20; i++) {
		/*
		 * repeatedly: ThreadSanitizer delays a signal that comes just before the futex call
		 */
		FL_WAIT_FOR(pthread_kill(thread, SIGUSR1) == 0 && LOOK(&signals_seen) >= i);
		FL_WAIT_FOR(seam_sleepers() == 1); /* it sleeps on */
	}
	FL_OK(fl_queue_put(q, &(int){5}));
	FL_OK(blocked_end(&get));
	assert_int_equal(get.items[0], 5);
	FL_OK(sigaction(SIGUSR1, &before, NULL));
}

/* 0, EINTR and EAGAIN of the futex end no wait, neither with an item nor as a timeout. */
FL_TEST(queue_spurious_wakes_end_no_wait)
{
	int (*const ops[])(struct blocked *) = {op_get, op_put, op_get_until, op_put_until, op_join, op_observe};
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		bool full = ops[i] == op_put || ops[i] == op_put_until || ops[i] == op_join;
		FL_SCOPED(fl_queue) *q = queue_with(1, full);
		struct blocked b = {.op = ops[i], .q = q, .items = {2}, .deadline = fl_after(FL_S(3600))};
		seam_interrupt(300);
		blocked_start(&b);
		FL_WAIT_FOR(seam_interruptions_left() == 0 && seam_sleepers() == 1);
		if (full)
			GETS(q, 1);
		else
			FL_OK(fl_queue_put(q, &(int){7}));
		if (ops[i] == op_join)
			fl_queue_task_done(q);
		FL_OK(blocked_end(&b));
	}
}

FL_TEST(queue_spurious_wakes_bring_no_deadline_forward)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	int item = 77;
	int64_t deadline = fl_after(FL_MS(5));
	seam_interrupt(100);
	FL_RC(fl_queue_get_until(q, &item, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	assert_int_equal(item, 77);
	seam_interrupt(0);
}

/* The library's clock, seen by the linker before libc's: the wall clock is what the test says. */
static int64_t wall_jump, wall_looks;

#if UINTPTR_MAX > 0xffffffff
int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_REALTIME && rc == 0) {
		t->tv_sec += LOOK(&wall_jump);
		COUNT(&wall_looks);
	}
	return rc;
}
#endif

FL_TEST(queue_clock_jump)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	struct blocked get = {.op = op_get_until, .q = q, .deadline = fl_after(FL_S(1000))};
	blocked_begin(&get);
	const int64_t jumps[] = {3600, -3600, 1000000, -1000000, 0};
	SET(&wall_looks, 0);
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		int64_t before = fl_now(), deadline = fl_after(FL_MS(1));
		SET(&wall_jump, jumps[i]);
		seam_interrupt(10); /* so that the waiter checks again */
		FL_RC(fl_queue_get_until(q, &(int){0}, deadline, NULL), -ETIMEDOUT);
		assert_true(fl_now() >= deadline);
		assert_true(fl_now() - before < FL_S(1000)); /* the clock did not jump along */
		seam_interrupt(0);
		FL_WAIT_FOR(seam_sleepers() == 1); /* its deadline did not come */
	}
	assert_int_equal(LOOK(&wall_looks), 0); /* it was not read */
	FL_OK(fl_queue_put(q, &(int){5}));
	FL_OK(blocked_end(&get));
}
