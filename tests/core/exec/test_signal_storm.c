/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits of the library under signals: workers take the signals that their creator does not block.
 * Two tasks on two workers wait for each other in turn. Each worker has a timer that signals its
 * thread every 300 us, or more often where a game is over sooner, and the handler restarts no
 * system call. No wait may end early, or fail.
 */
#include "fl_child.h"
#include "fl_denied.h"
#include "fl_test.h"

#include "core/base/atomic.h"
#include <time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { ROUNDS = 100, HITS = 20, LARGE = 64 << 20, PERIOD = 300000 };

static uint32_t hits;
static uint32_t period = PERIOD; /* of the timers, in ns */
/* Of this thread, or NULL: ThreadSanitizer runs a handler late, even when the timer is gone. */
static _Thread_local timer_t *storm_timer;

/* Again only after the handler: so a thread makes progress on a slow machine, too. */
static void storm_signal_later(timer_t timer)
{
	const struct itimerspec later = {{0, 0}, {0, (long)fl__load_relaxed(&period)}};
	FL_OK(timer_settime(timer, 0, &later, NULL));
}

static void on_signal(int signal)
{
	timer_t *timer = fl__load_relaxed(&storm_timer);
	fl__add_relaxed(&hits, 1);
	if (timer)
		storm_signal_later(*timer);
}

static void storm_handle(struct sigaction *before)
{
	FL_OK(
	    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = fl_denied_sa_flags()}, before));
}

static void storm_begin(timer_t *timer)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	sigset_t blocked;
	FL_CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGUSR1));
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	FL_OK(timer_create(CLOCK_MONOTONIC, &event, timer));
	fl__store_relaxed(&storm_timer, timer); /* only this thread and its handler use it */
	storm_signal_later(*timer);
}

static void storm_end(void)
{
	sigset_t own, before;
	sigemptyset(&own);
	sigaddset(&own, SIGUSR1);
	FL_OK(pthread_sigmask(SIG_BLOCK, &own, &before));
	const timer_t timer = *fl__load_relaxed(&storm_timer);
	fl__store_relaxed(&storm_timer, NULL); /* no handler sets the timer any more */
	FL_OK(timer_delete(timer));
	const struct timespec at_once = {0, 0};
	while (sigtimedwait(&own, NULL, &at_once) == SIGUSR1)
		;
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
}

struct shared {
	fl_shm_mutex mutex;
	fl_shm_cond changed;
	fl_shm_sem sems[2];
	fl_shm_event events[2];
	fl_shm_barrier barrier;
};

/* What the two tasks share. */
struct storm {
	void (*play)(struct storm *s, int side);
	fl_executor *other;
	fl_mutex mutex;
	fl_cond changed;
	int turn;
	fl_rmutex rmutex;
	fl_rwlock rwlock;
	fl_sem sems[2];
	fl_event events[2];
	fl_barrier barrier;
	fl_queue *queues[2];
	int pipes[2][2];
	fl_shm *region;
	struct shared *shared;
	fl_shm_queue *shm_queues[2];
};

struct side {
	struct storm *storm;
	int side;
};

FL_TASK(storm_plays, struct side, void)
{
	timer_t timer;
	storm_begin(&timer);
	arg->storm->play(arg->storm, arg->side);
	storm_end();
	return 0;
}

FL_TASK(storm_adds, int, int)
{
	*result = *arg + 1;
	return 0;
}

static void play_locks(struct storm *s, int side)
{
	for (int i = 0; i < ROUNDS; i++) {
		fl_rmutex_lock(&s->rmutex);
		fl_rwlock_write_lock(&s->rwlock);
		fl_rwlock_write_unlock(&s->rwlock);
		fl_rmutex_unlock(&s->rmutex);
		fl_rwlock_read_lock(&s->rwlock);
		fl_rwlock_read_unlock(&s->rwlock);
		fl_mutex_lock(&s->mutex);
		while (s->turn != side)
			FL_OK(fl_cond_wait(&s->changed, &s->mutex));
		s->turn = !side;
		fl_cond_broadcast(&s->changed);
		fl_mutex_unlock(&s->mutex);
	}
}

static void play_words(struct storm *s, int side)
{
	for (int i = 0; i < ROUNDS; i++) {
		fl_sem_release(&s->sems[!side]);
		FL_OK(fl_sem_acquire(&s->sems[side]));
		fl_event_set(&s->events[!side]);
		FL_OK(fl_event_wait(&s->events[side]));
		fl_event_reset(&s->events[side]);
		const int rc = fl_barrier_wait(&s->barrier);
		FL_OK_OR(rc, 1);
	}
}

static void play_queues(struct storm *s, int side)
{
	for (int i = 0; i < ROUNDS; i++) {
		int got = -1;
		FL_OK(fl_queue_put(s->queues[!side], &i));
		FL_CHECK(fl_queue_get(s->queues[side], &got) == 0 && got == i);
	}
}

static void play_futures(struct storm *s, int side)
{
	for (int i = 0; i < ROUNDS; i++) {
		fl_future *f;
		int sum = 0;
		FL_OK(storm_adds_submit(s->other, side, &f));
		FL_CHECK(storm_adds_get(f, &sum) == 0 && sum == side + 1);
		fl_future_free(f);
	}
}

static int return_seven(void *unused)
{
	return 7;
}

/* What waits for the system: descriptors, time, threads, memory. */
static void play_system(struct storm *s, int side)
{
	for (int i = 0; i < ROUNDS; i++) {
		char byte = 'x';
		FL_CHECK(fl_fd_write_some(s->pipes[!side][1], &byte, 1) == 1);
		FL_OK(fl_fd_wait(s->pipes[side][0], FL_FD_IN));
		FL_CHECK(fl_fd_read_some(s->pipes[side][0], &byte, 1) == 1);
		const fl_time until = fl_after(FL_US(100));
		FL_CHECK(fl_sleep_until(until, FL_SHIELDED) == 0 && fl_time_is_past(until));
		FL_RC(fl_sem_acquire_until(&s->sems[side], fl_after(FL_US(100)), NULL), -ETIMEDOUT);
	}
	fl_thread *t;
	int result = 0;
	fl_test_go(&t, return_seven, NULL);
	FL_CHECK(fl_thread_join(t, &result) == 0 && result == 7);
	fl_shm *region = NULL;
	const int rc = fl_shm_create(&region, LARGE);
	if (rc != 0)
		print_error("fl_shm_create(): %s\n", fl_error_name(rc));
	FL_CHECK(rc == 0);
	fl_shm_free(region);
}

static void play_shared(struct storm *s, int side)
{
	struct shared *h = s->shared;
	for (int i = 0; i < ROUNDS; i++) {
		int got = -1;
		FL_OK(fl_shm_mutex_lock(&h->mutex));
		while (s->turn != side)
			FL_OK(fl_shm_cond_wait(&h->changed, &h->mutex));
		s->turn = !side;
		fl_shm_cond_broadcast(&h->changed);
		fl_shm_mutex_unlock(&h->mutex);
		FL_OK(fl_shm_sem_release(&h->sems[!side]));
		FL_OK(fl_shm_sem_acquire(&h->sems[side]));
		FL_OK(fl_shm_event_set(&h->events[!side]));
		FL_OK(fl_shm_event_wait(&h->events[side]));
		fl_shm_event_reset(&h->events[side]);
		const int rc = fl_shm_barrier_wait(&h->barrier);
		FL_OK_OR(rc, 1);
		FL_OK(fl_shm_queue_put(s->shm_queues[!side], &i));
		FL_CHECK(fl_shm_queue_get(s->shm_queues[side], &got) == 0 && got == i);
	}
}

static void make_shared(struct storm *s)
{
	FL_OK(fl_shm_create(&s->region, 1 << 20));
	struct shared *h = s->shared = fl_shm_block_alloc(s->region, sizeof *h);
	FL_CHECK(h != NULL);
	fl_shm_mutex_init(&h->mutex);
	fl_shm_cond_init(&h->changed);
	FL_OK(fl_shm_barrier_init(&h->barrier, 2));
	FL_EACH (i, h->sems) {
		FL_OK(fl_shm_sem_init(&h->sems[i], 0));
		fl_shm_event_init(&h->events[i]);
		FL_OK(fl_shm_queue_create(&s->shm_queues[i], s->region,
		                          &(fl_shm_queue_config){.item_size = sizeof(int), .capacity = 1}));
	}
}

static void free_shared(struct storm *s)
{
	FL_EACH (i, s->shm_queues)
		fl_shm_queue_free(s->shm_queues[i]);
	fl_shm_free(s->region);
}

/* Until the game has met signals. A game that has met none was shorter than the period. */
static void play(fl_test_create *create, struct storm *s)
{
	struct sigaction before;
	storm_handle(&before);
	FL_SCOPED(fl_executor) *e = NULL, *e2 = NULL;
	FL_OK(create(&e, &(fl_executor_config){.workers = 2}));
	FL_OK(create(&e2, &(fl_executor_config){.workers = 2}));
	s->other = FL_TEST_EXECUTOR(thread, .workers = 1);
	fl__store_relaxed(&hits, 0);
	fl__store_relaxed(&period, PERIOD);
	for (uint32_t seen = 0, now = 0; now < HITS; seen = now) {
		FL_SCOPED(fl_future) *a = NULL, *b = NULL;
		FL_OK(storm_plays_submit(e, ((struct side){s, 0}), &a));
		FL_OK(storm_plays_submit(e2, ((struct side){s, 1}), &b));
		FL_OK(storm_plays_get(a));
		FL_OK(storm_plays_get(b));
		now = fl__load_relaxed(&hits);
		if (now == seen && period > 1)
			fl__store_relaxed(&period, period / 2);
	}
	FL_OK(fl_executor_join(e));
	FL_OK(fl_executor_join(e2));
	fl_executor_free(s->other);
	FL_OK(sigaction(SIGUSR1, &before, NULL));
}

static void play_all(fl_test_create *create)
{
	static void (*const games[])(struct storm * s, int side) = {play_locks,   play_words,  play_queues,
	                                                            play_futures, play_system, play_shared};
	struct storm s = {.barrier = FL_BARRIER_INIT(2)};
	FL_EACH (i, s.queues) {
		FL_OK(fl_queue_create(&s.queues[i], sizeof(int), &(fl_queue_config){.capacity = 1}));
		FL_OK(pipe(s.pipes[i]));
	}
	make_shared(&s);
	FL_EACH (i, games) {
		s.play = games[i];
		play(create, &s);
	}
	free_shared(&s);
	FL_EACH (i, s.queues) {
		fl_queue_free(s.queues[i]);
		FL_OK(close(s.pipes[i][0]) + close(s.pipes[i][1]));
	}
}

FL_TASK(storm_stays, void, void)
{
	static timer_t timer;
	storm_handle(NULL);
	storm_begin(&timer);
	return 0;
}

struct large {
	char bytes[LARGE];
};

FL_TASK(storm_fills, void, struct large)
{
	memset(result->bytes, 7, sizeof result->bytes);
	return 0;
}

/* The memory of the result is allocated in steps: a signal undoes the current one. */
FL_TEST(signal_storm_on_a_process_with_a_large_result)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *stays = NULL, *f = NULL;
	e = FL_TEST_EXECUTOR(process, .workers = 1);
	FL_OK(storm_stays_submit(e, &stays));
	FL_OK(storm_stays_get(stays));
	FL_OK(storm_fills_submit(e, &f));
	fl_test_future_ends(f, 0, NULL);
	const struct large *large = fl_future_result(f);
	assert_int_equal(large->bytes[LARGE - 1], 7);
}

FL_TEST(signal_storm_on_workers)
{
	play_all(fl_thread_executor_create);
}

FL_TEST(signal_storm_on_fibers)
{
	play_all(fl_loop_executor_create);
}
