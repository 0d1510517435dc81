/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wait takes nothing that comes after the request of its token, however late its context runs: no
 * item, permit, or set of an event. (test_queue_wait.c has the other operations of the queue, on
 * threads.)
 *
 * The fibers wait under their own token; the thread of their loop delivers its request. That thread
 * is blocked until the request and the later events have happened.
 */
#include "fl_in_loop.h"
#include "fl_seam.h"

static fl_sem sem;
static fl_event event;
static fl_latch latch;
static fl_queue *queue, *full, *meets;
static fl_shm_sem shared;

static int wait_sem(void)
{
	return fl_sem_acquire(&sem);
}

static void give_sem(void)
{
	fl_sem_release(&sem);
}

static bool has_sem(void)
{
	return fl_sem_value(&sem) == 1;
}

static int wait_sem_for_two(void)
{
	return fl_sem_acquire_n_until(&sem, 2, FL_FOREVER, NULL);
}

static void give_sem_two(void)
{
	fl_sem_release_n(&sem, 2);
}

static bool has_sem_two(void)
{
	return fl_sem_value(&sem) == 2;
}

static int wait_event(void)
{
	return fl_event_wait(&event);
}

static void give_event(void)
{
	fl_event_set(&event);
}

static bool has_event(void)
{
	return fl_event_is_set(&event);
}

static int wait_any(void)
{
	const int rc = FL_WAIT_ANY(FL_ON_EVENT(&event));
	return rc >= 0 ? 0 : rc;
}

static int wait_latch(void)
{
	return fl_latch_wait(&latch);
}

static void give_latch(void)
{
	fl_latch_count_down(&latch, 1);
}

static bool has_latch(void)
{
	return fl_latch_wait_until(&latch, FL_NO_WAIT, FL_SHIELDED) == 0;
}

static int get(void)
{
	int item;
	return fl_queue_get(queue, &item);
}

static int get_by_select(void)
{
	int item;
	return FL_SELECT(FL_GET(queue, &item));
}

static void give_item(void)
{
	FL_OK(fl_queue_try_put(queue, &(int){1}));
}

static bool has_item(void)
{
	return fl_queue_length(queue) == 1;
}

static int put(void)
{
	return fl_queue_put(full, &(int){2});
}

static int put_by_select(void)
{
	int item = 2;
	return FL_SELECT(FL_PUT(full, &item));
}

static void give_space(void)
{
	int item;
	FL_CHECK(fl_queue_try_get(full, &item) == 0 && item == 1);
}

static bool has_space(void)
{
	return fl_queue_length(full) == 0;
}

static int meet(void)
{
	int item;
	return fl_queue_get(meets, &item);
}

static void give_to_nobody(void)
{
	FL_RC(fl_queue_try_put(meets, &(int){1}), -EAGAIN);
}

static int wait_shared(void)
{
	return fl_shm_sem_acquire(&shared);
}

static void give_shared(void)
{
	FL_OK(fl_shm_sem_release(&shared));
}

static bool has_shared(void)
{
	return fl_shm_sem_value(&shared) == 1;
}

static bool has_nothing(void)
{
	return true;
}

static const struct row {
	int (*wait)(void);
	void (*give)(void);
	bool (*is_there)(void); /* what was given */
	/*
	 * By a thread of the library, so that a thread which waits for it is not the only sleeper.
	 */
	bool bridged;
} rows[] = {
    {wait_sem, give_sem, has_sem, false},          {wait_sem_for_two, give_sem_two, has_sem_two, false},
    {wait_event, give_event, has_event, false},    {wait_any, give_event, has_event, false},
    {wait_latch, give_latch, has_latch, false},    {get, give_item, has_item, false},
    {get_by_select, give_item, has_item, false},   {put, give_space, has_space, false},
    {put_by_select, give_space, has_space, false}, {meet, give_to_nobody, has_nothing, false},
    {wait_shared, give_shared, has_shared, true},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void set_up(void)
{
	FL_OK(fl_sem_init(&sem, 0));
	fl_event_init_auto(&event);
	FL_OK(fl_latch_init(&latch, 1));
	FL_OK(fl_shm_sem_init(&shared, 0));
	queue = FL_TEST_QUEUE_OF(sizeof(int), NULL);
	full = FL_TEST_QUEUE(int, .capacity = 1);
	meets = FL_TEST_QUEUE(int, .capacity = FL_RENDEZVOUS);
	FL_OK(fl_queue_try_put(full, &(int){1}));
}

static void tear_down(void)
{
	FL_CHECK(!fl__lot_has_waiters_at(&sem));
	FL_CHECK(!fl__lot_has_waiters_at(&event));
	fl_queue_free(queue);
	fl_queue_free(full);
	fl_queue_free(meets);
}

static const struct row *row; /* of this turn */

static int wait_in_fiber(void *begun)
{
	*(bool *)begun = true;
	return row->wait();
}

/* On a thread that is not the loop's. */
static void *cancel_then_give(void *waiter)
{
	fl_fiber_cancel(waiter);
	row->give();
	return NULL;
}

FL_LOOP_TEST(cancel_late_fiber_takes_nothing_that_comes_after_the_request)
{
	for (row = rows; row < rows + ROWS; row++) {
		bool begun = false;
		set_up();
		fl_fiber *waiter = fl_test_start(wait_in_fiber, &begun);
		while (!begun)
			fl_fiber_yield();                        /* then it waits, for it runs until it does */
		(void)fl_test_foreign(cancel_then_give, waiter); /* blocks the loop */
		FL_RC(fl_test_join(waiter), -ECANCELED);
		FL_CHECK(row->is_there());
		tear_down();
	}
}

static int wait_on_thread(void *stop)
{
	FL_CANCEL_SCOPE(stop);
	return row->wait();
}

static void ignore_error(const fl_thread_info *info, int error)
{
}

FL_TEST(cancel_late_thread_takes_nothing_that_comes_after_the_request)
{
	enum { ROUNDS = 20 };
	fl_thread_set_error_handler(ignore_error);
	for (int round = 0; round < ROUNDS; round++) {
		for (row = rows; row < rows + ROWS; row++) {
			if (row->bridged)
				continue;
			fl_thread *thread;
			int rc = 77;
			FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
			set_up();
			fl_test_go(&thread, wait_on_thread, &stop);
			FL_WAIT_FOR(seam_sleepers() == 1);
			fl_cancel_token_request(&stop);
			row->give();
			FL_OK(fl_thread_join(thread, &rc));
			FL_RC(rc, -ECANCELED);
			assert_true(row->is_there());
			tear_down();
		}
	}
	fl_thread_set_error_handler(NULL);
}

static void *cancel_fiber(void *waiter)
{
	fl_fiber_cancel(waiter);
	return NULL;
}

static int wait_on_pipe(void *arg)
{
	return fl_fd_wait(*(int *)arg, FL_FD_IN);
}

FL_LOOP_TEST(cancel_late_fiber_does_not_see_a_descriptor_that_is_ready_after_the_request)
{
	int ends[2];
	FL_OK(pipe(ends));
	fl_fiber *waiter = fl_test_start(wait_on_pipe, &ends[0]);
	fl_test_settle();
	(void)fl_test_foreign(cancel_fiber, waiter);
	FL_CHECK(write(ends[1], "x", 1) == 1);
	FL_RC(fl_test_join(waiter), -ECANCELED);
	FL_OK(close(ends[0]));
	FL_OK(close(ends[1]));
}
