/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's waits in the fibers of a loop: each suspends the fiber and not the thread, for any
 * partner. test_loop_locks_work.c has executors and waits for several objects,
 * test_loop_locks_shared.c the shared kinds, test_loop_locks_order.c the order.
 */
#include "fl_meet.h"

/* Locks. */
static fl_mutex mutex;
static fl_rmutex rmutex;

static void hold_mutex(void *m)
{
	fl_mutex_lock(m);
}

static void leave_mutex(void *m)
{
	fl_mutex_unlock(m);
}

static int pass_mutex(void *m)
{
	fl_mutex_lock(m);
	fl_mutex_unlock(m);
	return fl_mutex_lock_until(m, 0, NULL) == 0 ? leave_mutex(m), 0 : -EBUSY;
}

FL_TEST(loop_locks_mutex)
{
	fl_test_meet(&(fl_test_meeting){.object = &mutex, .hold = hold_mutex, .wait = pass_mutex, .wake = leave_mutex});
	FL_OK(fl_mutex_destroy(&mutex));
}

static int pass_mutex_in_time(void *m)
{
	int rc = fl_mutex_lock_until(m, fl_after(FL_S(3600)), NULL);
	if (rc == 0)
		fl_mutex_unlock(m);
	return rc;
}

FL_TEST(loop_locks_mutex_until)
{
	fl_test_meet(
	    &(fl_test_meeting){.object = &mutex, .hold = hold_mutex, .wait = pass_mutex_in_time, .wake = leave_mutex});
	FL_OK(fl_mutex_destroy(&mutex));
}

static void hold_rmutex(void *m)
{
	fl_rmutex_lock(m);
	fl_rmutex_lock(m);
}

static void leave_rmutex(void *m)
{
	fl_rmutex_unlock(m);
	FL_CHECK(fl_rmutex_depth(m));
	fl_rmutex_unlock(m);
	FL_CHECK(!fl_rmutex_depth(m));
}

static int pass_rmutex(void *m)
{
	/* Its owner is the other context, also if that is a fiber of this thread. */
	FL_CHECK(!fl_rmutex_depth(m));
	hold_rmutex(m);
	leave_rmutex(m);
	return 0;
}

FL_TEST(loop_locks_rmutex)
{
	fl_test_meet(
	    &(fl_test_meeting){.object = &rmutex, .hold = hold_rmutex, .wait = pass_rmutex, .wake = leave_rmutex});
	FL_OK(fl_rmutex_destroy(&rmutex));
}

/* A condition. */
typedef struct board {
	fl_mutex lock;
	fl_cond changed;
	bool ready;
} board;

static void clear_board(void *arg)
{
	((board *)arg)->ready = false;
}

static bool is_ready(void *arg)
{
	return ((const board *)arg)->ready;
}

static int wait_for_board(void *arg)
{
	board *b = arg;
	FL_LOCKED(&b->lock);
	while (!b->ready) {
		int rc = fl_cond_wait(&b->changed, &b->lock);
		if (rc != 0)
			return rc;
	}
	return fl_cond_wait_for(&b->changed, &b->lock, is_ready, b);
}

static void change_board(void *arg)
{
	board *b = arg;
	FL_LOCKED(&b->lock);
	b->ready = true;
	fl_cond_signal(&b->changed);
}

FL_TEST(loop_locks_cond)
{
	static board b;
	fl_test_meet(
	    &(fl_test_meeting){.object = &b, .begin = clear_board, .wait = wait_for_board, .wake = change_board});
	FL_OK(fl_cond_destroy(&b.changed));
	FL_OK(fl_mutex_destroy(&b.lock));
}

/* Semaphores. */
static int acquire(void *sem)
{
	return fl_sem_acquire(sem);
}

static void release(void *sem)
{
	fl_sem_release(sem);
}

FL_TEST(loop_locks_sem)
{
	static fl_sem sem = FL_SEM_INIT(0);
	fl_test_meet(&(fl_test_meeting){.object = &sem, .wait = acquire, .wake = release});
	assert_int_equal(fl_sem_value(&sem), 0);
	FL_OK(fl_sem_destroy(&sem));
}

static void reset_event(void *event)
{
	fl_event_reset(event);
}

static int wait_for_event(void *event)
{
	return fl_event_wait(event);
}

static void set_event(void *event)
{
	fl_event_set(event);
}

FL_TEST(loop_locks_event)
{
	static fl_event event = FL_EVENT_INIT;
	fl_test_meet(
	    &(fl_test_meeting){.object = &event, .begin = reset_event, .wait = wait_for_event, .wake = set_event});
	FL_OK(fl_event_destroy(&event));
}

static void make_latch(void *latch)
{
	FL_CHECK(fl_latch_init(latch, 2) == 0);
}

static int wait_for_latch(void *latch)
{
	return fl_latch_wait(latch);
}

static void count_down(void *latch)
{
	fl_latch_count_down(latch, 1);
	fl_latch_count_down(latch, 1);
}

FL_TEST(loop_locks_latch)
{
	static fl_latch latch;
	fl_test_meet(
	    &(fl_test_meeting){.object = &latch, .begin = make_latch, .wait = wait_for_latch, .wake = count_down});
	FL_OK(fl_latch_destroy(&latch));
}

static int come_first(void *barrier)
{
	return fl_barrier_wait(barrier) >= 0 ? 0 : -EPIPE;
}

static void come_last(void *barrier)
{
	FL_CHECK(fl_barrier_wait(barrier) >= 0);
}

FL_TEST(loop_locks_barrier)
{
	static fl_barrier barrier = FL_BARRIER_INIT(2);
	fl_test_meet(&(fl_test_meeting){.object = &barrier, .wait = come_first, .wake = come_last});
	FL_OK(fl_barrier_destroy(&barrier));
}

/* Once: another is at it. */
typedef struct making {
	fl_once once;
	fl_event begun, go;
	fl_thread maker;
	unsigned made;
} making;

static int make(void *arg)
{
	making *m = arg;
	fl_event_set(&m->begun);
	m->made++;
	return fl_event_wait(&m->go);
}

static int make_once(void *arg)
{
	making *m = arg;
	return fl_once_call(&m->once, make, m);
}

static void begin_making(void *arg)
{
	making *m = arg;
	*m = (making){.made = 0};
	FL_CHECK(fl_thread_start(&m->maker, make_once, m, NULL) == 0);
	FL_CHECK(fl_event_wait(&m->begun) == 0);
}

static void end_making(void *arg)
{
	making *m = arg;
	int rc;
	FL_CHECK(fl_thread_join(&m->maker, &rc) == 0 && rc == 0);
	FL_CHECK(m->made == 1);
}

static void let_make(void *arg)
{
	fl_event_set(&((making *)arg)->go);
}

FL_TEST(loop_locks_once)
{
	static making m;
	fl_test_meet(&(fl_test_meeting){
	    .object = &m, .begin = begin_making, .end = end_making, .wait = make_once, .wake = let_make});
}

/* Threads. */
typedef struct other {
	fl_thread thread;
	fl_event go;
} other;

static int wait_in_thread(void *arg)
{
	other *o = arg;
	int rc = fl_event_wait(&o->go);
	return rc == 0 ? 9 : rc;
}

static void start_other(void *arg)
{
	other *o = arg;
	fl_event_reset(&o->go);
	FL_CHECK(fl_thread_start(&o->thread, wait_in_thread, o, NULL) == 0);
}

static int join_other(void *arg)
{
	int result = 0, rc = fl_thread_join(&((other *)arg)->thread, &result);
	FL_CHECK(result == 9);
	return rc;
}

static void let_end(void *arg)
{
	fl_event_set(&((other *)arg)->go);
}

FL_TEST(loop_locks_thread_join)
{
	static other o;
	fl_test_meet(&(fl_test_meeting){.object = &o, .hold = start_other, .wait = join_other, .wake = let_end});
}

/* Queues, from both sides. */
typedef struct store {
	fl_queue *queue;
	int rounds;
} store;

static void make_queue(void *arg)
{
	FL_CHECK(fl_queue_create(&((store *)arg)->queue, sizeof(int), &(fl_queue_config){.capacity = 2}) == 0);
}

static void free_queue(void *arg)
{
	const store *s = arg;
	FL_CHECK(fl_queue_length(s->queue) == 0);
	fl_queue_free(s->queue);
}

static int get_items(void *arg)
{
	const store *s = arg;
	for (int i = 1, item; i <= s->rounds; i++)
		FL_CHECK(fl_queue_get(s->queue, &item) == 0 && item == i);
	return 0;
}

static int put_items(void *arg)
{
	const store *s = arg;
	for (int i = 1; i <= s->rounds; i++)
		FL_CHECK(fl_queue_put(s->queue, &i) == 0);
	return 0;
}

static void then_put(void *arg)
{
	(void)put_items(arg);
}

static void then_get(void *arg)
{
	(void)get_items(arg);
}

FL_TEST(loop_locks_queue_get)
{
	store s = {NULL, 100};
	fl_test_meet(&(fl_test_meeting){
	    .object = &s, .begin = make_queue, .end = free_queue, .wait = get_items, .wake = then_put});
}

FL_TEST(loop_locks_queue_put)
{
	store s = {NULL, 100};
	fl_test_meet(&(fl_test_meeting){
	    .object = &s, .begin = make_queue, .end = free_queue, .wait = put_items, .wake = then_get});
}

static void make_queue_with_work(void *arg)
{
	store *s = arg;
	make_queue(s);
	(void)put_items(s);
}

static int wait_for_work(void *arg)
{
	return fl_queue_join(((const store *)arg)->queue);
}

static void do_work(void *arg)
{
	const store *s = arg;
	(void)get_items(arg);
	for (int i = 0; i < s->rounds; i++)
		fl_queue_task_done(s->queue);
}

FL_TEST(loop_locks_queue_join)
{
	store s = {NULL, 2};
	fl_test_meet(&(fl_test_meeting){
	    .object = &s, .begin = make_queue_with_work, .end = free_queue, .wait = wait_for_work, .wake = do_work});
}

static int get_from_closed(void *arg)
{
	int item;
	return fl_queue_get(((const store *)arg)->queue, &item) == -EPIPE ? 0 : -EINVAL;
}

static void close_queue(void *arg)
{
	fl_queue_close(((const store *)arg)->queue);
}

FL_TEST(loop_locks_queue_close)
{
	store s = {NULL, 0};
	fl_test_meet(&(fl_test_meeting){
	    .object = &s, .begin = make_queue, .end = free_queue, .wait = get_from_closed, .wake = close_queue});
}
