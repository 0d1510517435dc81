/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's ordinary primitives, waited for by fibers and threads alike.
 */
#include "fl_faults.h"
#include "fl_fiber.h"
#include "fl_queued.h"

/*
 * Fibers of one thread, or of two, and two plain threads: all count under one mutex, and unlock it
 * in between.
 */
typedef struct counters {
	fl_mutex lock;
	unsigned inside, count, rounds;
} counters;

static int count_under_lock(void *arg)
{
	counters *c = arg;
	for (unsigned i = 0; i < c->rounds; i++) {
		fl_mutex_lock(&c->lock);
		FL_CHECK(c->inside++ == 0);
		if (fl__fiber_self() && i % 3 == 0)
			fl__fiber_yield(); /* the others come, and wait */
		c->count++;
		c->inside--;
		fl_mutex_unlock(&c->lock);
	}
	return 0;
}

FL_TEST(fiber_mutex_among_fibers)
{
	counters c = {FL_MUTEX_INIT, 0, 0, 100};
	fl_test_fibers_here(count_under_lock, &c, 0, 50);
	assert_int_equal(c.count, 5000);
	FL_OK(fl_mutex_destroy(&c.lock));
}

FL_TEST(fiber_mutex_among_fibers_and_threads)
{
	counters c = {FL_MUTEX_INIT, 0, 0, fl_test_scaled(1000)};
	fl_test_fibers groups[2];
	fl_thread threads[2];
	for (int i = 0; i < 2; i++) {
		fl_test_fibers_begin(&groups[i], count_under_lock, &c, 0, 10);
		fl_test_go(&threads[i], count_under_lock, &c);
	}
	for (int i = 0; i < 2; i++) {
		fl_test_fibers_end(&groups[i]);
		fl_test_end(&threads[i]);
	}
	assert_int_equal(c.count, 22 * c.rounds);
	FL_OK(fl_mutex_destroy(&c.lock));
}

/* There and back through two semaphores. */
typedef struct pingpong {
	fl_sem ping, pong;
	unsigned rounds;
} pingpong;

static int play_ping(void *arg)
{
	pingpong *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		fl_sem_release(&p->ping);
		FL_CHECK(fl_sem_acquire(&p->pong) == 0);
	}
	return 0;
}

static int play_pong(void *arg)
{
	pingpong *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		FL_CHECK(fl_sem_acquire(&p->ping) == 0);
		fl_sem_release(&p->pong);
	}
	return 0;
}

FL_TEST(fiber_sem_between_fiber_and_thread)
{
	pingpong p = {FL_SEM_INIT(0), FL_SEM_INIT(0), fl_test_scaled(5000)};
	fl_thread t;
	fl_test_go(&t, play_pong, &p);
	fl_test_fibers_here(play_ping, &p, 0, 1);
	fl_test_end(&t);
	fl_test_go(&t, play_ping, &p);
	fl_test_fibers_here(play_pong, &p, 0, 1);
	fl_test_end(&t);
}

FL_TEST(fiber_sem_between_two_schedulers)
{
	pingpong p = {FL_SEM_INIT(0), FL_SEM_INIT(0), fl_test_scaled(5000)};
	fl_test_fibers other;
	fl_test_fibers_begin(&other, play_pong, &p, 0, 1);
	fl_test_fibers_here(play_ping, &p, 0, 1);
	fl_test_fibers_end(&other);
}

static int play_either(void *arg)
{
	pingpong *const *p = arg;
	return p[1] ? play_ping(p[0]) : play_pong(p[0]);
}

FL_TEST(fiber_sem_between_fibers)
{
	pingpong p = {FL_SEM_INIT(0), FL_SEM_INIT(0), fl_test_scaled(5000)};
	pingpong *players[2][2] = {{&p, &p}, {&p, NULL}};
	fl_test_fibers_here(play_either, players, sizeof players[0], 2);
}

/* Events wake all, wherever they wait. */
typedef struct signals {
	fl_event go, back;
	uint32_t woken;
} signals;

static int wait_to_go(void *arg)
{
	signals *e = arg;
	FL_CHECK(fl_event_wait(&e->go) == 0);
	if (fl__add_relaxed(&e->woken, 1) + 1 == 25)
		fl_event_set(&e->back);
	FL_CHECK(fl_event_wait(&e->back) == 0);
	return 0;
}

FL_TEST(fiber_event_wakes_fibers_and_threads)
{
	signals e = {FL_EVENT_INIT, FL_EVENT_INIT, 0};
	fl_test_fibers groups[2];
	fl_thread threads[5];
	for (int i = 0; i < 2; i++)
		fl_test_fibers_begin(&groups[i], wait_to_go, &e, 0, 10);
	for (int i = 0; i < 5; i++)
		fl_test_go(&threads[i], wait_to_go, &e);
	FL_WAIT_FOR(fl_test_queued(&e.go) == 25);
	fl_event_set(&e.go);
	for (int i = 0; i < 2; i++)
		fl_test_fibers_end(&groups[i]);
	for (int i = 0; i < 5; i++)
		fl_test_end(&threads[i]);
	assert_int_equal(e.woken, 25);
}

/* Queues. */
typedef struct pipe_line {
	fl_queue *q;
	unsigned items;
	uint64_t sum;
} pipe_line;

static int put_items(void *arg)
{
	pipe_line *p = arg;
	for (unsigned i = 1; i <= p->items; i++)
		FL_CHECK(fl_queue_put(p->q, &i) == 0);
	return 0;
}

static int get_items(void *arg)
{
	pipe_line *p = arg;
	unsigned item;
	uint64_t sum = 0;
	int rc;
	while ((rc = fl_queue_get(p->q, &item)) == 0)
		sum += item;
	FL_CHECK(rc == -EPIPE);
	__atomic_fetch_add(&p->sum, sum, __ATOMIC_RELAXED);
	return 0;
}

FL_TEST(fiber_queue_from_threads_and_fibers_to_both)
{
	enum { PRODUCERS = 6 };
	pipe_line p = {NULL, fl_test_scaled(5000), 0};
	FL_OK(fl_queue_create(&p.q, sizeof(unsigned), &(fl_queue_config){.capacity = 16}));
	fl_test_fibers producers, consumers;
	fl_thread producer, consumer;
	fl_test_fibers_begin(&consumers, get_items, &p, 0, 7);
	fl_test_go(&consumer, get_items, &p);
	fl_test_fibers_begin(&producers, put_items, &p, 0, PRODUCERS - 1);
	fl_test_go(&producer, put_items, &p);
	fl_test_fibers_end(&producers);
	fl_test_end(&producer);
	fl_queue_close(p.q);
	fl_test_fibers_end(&consumers);
	fl_test_end(&consumer);
	assert_int_equal(p.sum, (uint64_t)PRODUCERS * p.items * (p.items + 1) / 2);
	fl_queue_free(p.q);
}

/* Futures of an executor with worker threads. */
FL_TASK_STATIC(fiber_square, unsigned, unsigned)
{
	(void)ctx;
	*result = *arg * *arg;
	return 0;
}

static int square_all(void *arg)
{
	fl_executor *e = arg;
	for (unsigned i = 0; i < 100; i++) {
		fl_future *f = NULL;
		unsigned result = 0;
		FL_CHECK(fiber_square_submit(e, i, &f) == 0);
		FL_CHECK(fl_future_get(f, &result, sizeof result) == 0);
		FL_CHECK(result == i * i);
		fl_future_free(f);
	}
	return 0;
}

FL_TEST(fiber_futures_of_a_pool)
{
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2}));
	fl_test_fibers_here(square_all, e, 0, 20);
	fl_executor_free(e);
}

/* Conditions, barriers, recursive mutexes, waiting for any. */
typedef struct meeting {
	fl_mutex lock;
	fl_cond changed;
	fl_barrier barrier;
	fl_rmutex recursive;
	unsigned here;
} meeting;

static bool all_here(void *arg)
{
	const meeting *m = arg;
	return m->here == 8;
}

static int meet(void *arg)
{
	meeting *m = arg;
	fl_mutex_lock(&m->lock);
	m->here++;
	fl_cond_broadcast(&m->changed);
	FL_CHECK(fl_cond_wait_for(&m->changed, &m->lock, all_here, m) == 0);
	fl_mutex_unlock(&m->lock);
	for (int i = 0; i < 50; i++) {
		int rc = fl_barrier_wait(&m->barrier);
		FL_CHECK(rc >= 0);
	}
	for (int i = 0; i < 20; i++) {
		fl_rmutex_lock(&m->recursive);
		fl_rmutex_lock(&m->recursive);
		if (fl__fiber_self())
			fl__fiber_yield(); /* the owner is the fiber, not the thread */
		fl_rmutex_unlock(&m->recursive);
		fl_rmutex_unlock(&m->recursive);
	}
	return 0;
}

FL_TEST(fiber_meets_threads)
{
	meeting m = {FL_MUTEX_INIT, FL_COND_INIT, FL_BARRIER_INIT(8), FL_RMUTEX_INIT, 0};
	fl_test_fibers group;
	fl_thread threads[2];
	fl_test_fibers_begin(&group, meet, &m, 0, 6);
	for (int i = 0; i < 2; i++)
		fl_test_go(&threads[i], meet, &m);
	fl_test_fibers_end(&group);
	for (int i = 0; i < 2; i++)
		fl_test_end(&threads[i]);
}

typedef struct choice {
	fl_event first, second;
	fl_sem third;
} choice;

static int wait_for_any(void *arg)
{
	choice *c = arg;
	FL_CHECK(FL_WAIT_ANY(FL_ON_EVENT(&c->first), FL_ON_EVENT(&c->second), FL_ON_SEM(&c->third)) == 1);
	FL_CHECK(FL_WAIT_ANY_UNTIL(fl_after(FL_US(100)), NULL, FL_ON_EVENT(&c->first), FL_ON_SEM(&c->third)) ==
	         -ETIMEDOUT);
	FL_CHECK(!fl__lot_has_waiters_at(&c->first) && !fl__lot_has_waiters_at(&c->third));
	return 0;
}

static int set_second(void *arg)
{
	choice *c = arg;
	FL_WAIT_FOR(fl_test_queued(&c->second) == 1);
	fl_event_set(&c->second);
	return 0;
}

FL_TEST(fiber_waits_for_any)
{
	choice c = {FL_EVENT_INIT, FL_EVENT_INIT, FL_SEM_INIT(0)};
	fl_thread t;
	fl_test_go(&t, set_second, &c);
	fl_test_fibers_here(wait_for_any, &c, 0, 1);
	fl_test_end(&t);
}

/* Deadlines. */
static int time_out(void *arg)
{
	counters *c = arg;
	int64_t deadline = fl_after(FL_MS(1));
	FL_CHECK(fl_mutex_lock_until(&c->lock, deadline, NULL) == -ETIMEDOUT);
	FL_CHECK(fl_now() >= deadline);
	FL_CHECK(fl_mutex_lock_until(&c->lock, 0, NULL) == -ETIMEDOUT);
	c->count++;
	return 0;
}

FL_TEST(fiber_waits_until_a_deadline)
{
	counters c = {FL_MUTEX_INIT, 0, 0, 0};
	fl_mutex_lock(&c.lock);
	fl_test_fibers_here(time_out, &c, 0, 20);
	assert_int_equal(c.count, 20);
	fl_mutex_unlock(&c.lock);
	FL_OK(fl_mutex_destroy(&c.lock));
}

enum { SLEEPERS = 100 };
static int64_t base;
static unsigned slept;

static int sleep_in_order(void *arg)
{
	unsigned i = *(unsigned *)arg;
	if (i == SLEEPERS) {
		fl__store_relaxed(&fl_test_ahead, FL_S(7200)); /* the others sleep by now */
		return 0;
	}
	FL_CHECK(fl_sleep_until(base + i, NULL) == 0);
	FL_CHECK(slept++ == i);
	return 0;
}

FL_TEST(fiber_sleeps_end_in_order)
{
	FL_FAULTS();
	fl_test_clock_ours();
	unsigned turns[SLEEPERS + 1];
	for (unsigned i = 0; i <= SLEEPERS; i++)
		turns[i] = i < SLEEPERS ? (i * 37) % SLEEPERS : SLEEPERS;
	slept = 0;
	base = fl_after(FL_S(3600));
	fl_test_fibers_here(sleep_in_order, turns, sizeof turns[0], SLEEPERS + 1);
	assert_int_equal(slept, SLEEPERS);
}

/* Cancel: by token and by scope, from a fiber and from a thread. */
typedef struct cancelled {
	fl_cancel_token stop;
	fl_sem never;
	uint32_t count;
} cancelled;

static int wait_cancelled(void *arg)
{
	cancelled *c = arg;
	FL_CHECK(fl_sem_acquire_until(&c->never, FL_FOREVER, &c->stop) == -ECANCELED);
	fl__add_relaxed(&c->count, 1);
	return 0;
}

static int wait_in_scope(void *arg)
{
	cancelled *c = arg;
	FL_CANCEL_SCOPE(&c->stop);
	FL_CHECK(fl_sem_acquire(&c->never) == -ECANCELED);
	fl__fiber_yield();
	FL_CHECK(fl_cancel_scope_current() == &c->stop); /* the fiber's own */
	fl__add_relaxed(&c->count, 1);
	return 0;
}

static int request(void *arg)
{
	cancelled *c = arg;
	FL_CHECK(fl_cancel_scope_current() == NULL);
	fl_cancel_token_request(&c->stop);
	return 0;
}

static int request_when_in_line(void *arg)
{
	cancelled *c = arg;
	FL_WAIT_FOR(fl_test_queued(&c->never) == 4);
	fl_cancel_token_request(&c->stop);
	return 0;
}

static void cancel_four(bool by_thread)
{
	cancelled c = {FL_CANCEL_TOKEN_INIT, FL_SEM_INIT(0), 0};
	struct fl__sched *s = fl_test_sched();
	struct fl__fiber *f[5];
	fl_thread t;
	for (int i = 0; i < 4; i++)
		f[i] = fl_test_fiber(s, i % 2 ? wait_in_scope : wait_cancelled, &c);
	if (by_thread)
		fl_test_go(&t, request_when_in_line, &c);
	else
		f[4] = fl_test_fiber(s, request, &c);
	fl_test_run(s);
	if (by_thread)
		fl_test_end(&t);
	else
		fl_test_fiber_end(f[4]);
	for (int i = 0; i < 4; i++)
		fl_test_fiber_end(f[i]);
	assert_int_equal(c.count, 4);
	FL_OK(fl_sem_destroy(&c.never));
	fl__sched_destroy(s);
}

FL_TEST(fiber_cancelled_by_a_fiber)
{
	cancel_four(false);
}

FL_TEST(fiber_cancelled_by_a_thread)
{
	cancel_four(true);
}

/* Wakes against deadlines and cancels, from two threads: no permit is lost, none doubled. */
typedef struct race {
	fl_sem permits;
	uint32_t taken, running;
	unsigned rounds;
} race;

static int take_briefly(void *arg)
{
	race *r = arg;
	for (unsigned i = 0; i < r->rounds; i++) {
		fl_cancel_token stop;
		fl_cancel_token_init(&stop, NULL, fl_after(FL_US(i % 5)));
		int rc = fl_sem_acquire_until(&r->permits, fl_after(FL_US(i % 7)), &stop);
		FL_CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
		if (rc == 0)
			fl__add_relaxed(&r->taken, 1);
		fl_cancel_token_destroy(&stop);
	}
	fl__sub_release(&r->running, 1);
	return 0;
}

FL_TEST(fiber_wakes_against_deadlines)
{
	race r = {FL_SEM_INIT(0), 0, 16, fl_test_scaled(3000)};
	fl_test_fibers groups[2];
	uint32_t released = 0;
	for (int i = 0; i < 2; i++)
		fl_test_fibers_begin(&groups[i], take_briefly, &r, 0, 8);
	while (fl__load_acquire(&r.running) > 0) {
		fl_sem_release(&r.permits);
		released++;
		for (unsigned delay = released % 128; delay > 0; delay--)
			fl__sys.relax();
	}
	for (int i = 0; i < 2; i++)
		fl_test_fibers_end(&groups[i]);
	assert_int_equal(released, r.taken + fl_sem_value(&r.permits));
	FL_OK(fl_sem_destroy(&r.permits));
}

/*
 * The scheduler may be freed as soon as its last fiber was woken, by a thread that is still inside
 * of the wake.
 */
static int wait_once(void *sem)
{
	return fl_sem_acquire(sem);
}

typedef struct release_loop {
	fl_sem *sems;
	unsigned rounds;
} release_loop;

static int release_each(void *arg)
{
	const release_loop *r = arg;
	for (unsigned i = 0; i < r->rounds; i++) {
		FL_WAIT_FOR(fl_test_queued(&r->sems[i]) == 1);
		fl_sem_release(&r->sems[i]);
	}
	return 0;
}

FL_TEST(fiber_scheduler_ends_right_after_a_wake)
{
	release_loop r = {NULL, fl_test_scaled(2000)};
	r.sems = calloc(r.rounds, sizeof r.sems[0]);
	assert_non_null(r.sems);
	fl_thread t;
	fl_test_go(&t, release_each, &r);
	for (unsigned i = 0; i < r.rounds; i++)
		fl_test_fibers_here(wait_once, &r.sems[i], 0, 1);
	fl_test_end(&t);
	free(r.sems);
}
