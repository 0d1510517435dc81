/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers that continue together, and fibers that take turns: asyncio's events, barriers, and the
 * fairness of its locks.
 */
#include "fl_in_loop.h"
#include "fl_order.h"
#include "fl_queued.h"

typedef struct taker {
	char letter;
	int rc;
	fl_fiber *fiber;
} taker;

/* `n` of them, a, b, c, ..., that run `function`. */
static void start_takers(taker *t, int n, fl_fiber_function *function)
{
	for (int i = 0; i < n; i++) {
		t[i] = (taker){.letter = (char)('a' + i)};
		t[i].fiber = fl_test_start(function, &t[i]);
	}
}

/* Events. */
static fl_event event;

static int wait_for_event(void *arg)
{
	taker *t = arg;
	t->rc = fl_event_wait(&event);
	if (t->rc == 0)
		note(t->letter);
	return 0;
}

FL_LOOP_TEST(loop_locks_event_cleared_at_once_wakes_all)
{
	taker t[4];
	note_nothing();
	fl_event_init(&event);
	start_takers(t, 3, wait_for_event);
	fl_test_settle();
	fl_fiber_cancel(t[1].fiber);
	fl_event_set(&event);
	fl_event_reset(&event);
	t[3] = (taker){.letter = 'd'}; /* comes after that */
	t[3].fiber = fl_test_start(wait_for_event, &t[3]);
	fl_test_settle();
	NOTED("ac");
	FL_CHECK(t[1].rc == -ECANCELED);
	FL_CHECK(fl_fiber_is_alive(t[3].fiber));
	fl_event_set(&event);
	FL_EACH (i, t)
		FL_OK(fl_test_join(t[i].fiber));
	NOTED("acd");
}

/* Barriers. */
static fl_barrier barrier;

static int come(void *arg)
{
	taker *t = arg;
	t->rc = fl_barrier_wait(&barrier);
	note(t->letter);
	return 0;
}

FL_LOOP_TEST(loop_locks_barrier_lets_all_go_in_order)
{
	taker t[3];
	note_nothing();
	FL_OK(fl_barrier_init(&barrier, 3));
	for (int round = 0; round < 2; round++) {
		start_takers(t, 3, come);
		FL_EACH (i, t)
			FL_CHECK(fl_test_join(t[i].fiber) == 0 && t[i].rc == (int)i);
	}
	/* The last party continues, then the others in order. */
	NOTED("cabcab");
}

FL_LOOP_TEST(loop_locks_barrier_breaks_by_a_cancel)
{
	taker t[3];
	note_nothing();
	FL_OK(fl_barrier_init(&barrier, 3));
	start_takers(t, 2, come);
	fl_test_settle();
	FL_CHECK(fl_barrier_waiting(&barrier) == 2);
	fl_fiber_cancel(t[0].fiber);
	for (int i = 0; i < 2; i++)
		FL_OK(fl_test_join(t[i].fiber));
	FL_CHECK(t[0].rc == -ECANCELED && t[1].rc == -EPIPE && fl_barrier_is_broken(&barrier));
	FL_RC(fl_barrier_wait(&barrier), -EPIPE);
	fl_barrier_reset(&barrier);
	/* Complete before the cancel: it stays complete. */
	start_takers(t, 2, come);
	fl_test_settle();
	FL_CHECK(fl_barrier_wait(&barrier) == 2);
	fl_fiber_cancel(t[0].fiber);
	for (int i = 0; i < 2; i++)
		FL_CHECK(fl_test_join(t[i].fiber) == 0 && t[i].rc == (int)i);
	FL_CHECK(!fl_barrier_is_broken(&barrier));
}

/*
 * Fibers that hold a lock while they wait for something else, and lock it again at once: each has
 * its turn (asyncio's Lock and Semaphore are fair; cpython #90155 was about a lack of that).
 */
typedef struct user {
	char letter;
	void (*lock)(void);
	void (*unlock)(void);
	fl_fiber *fiber;
} user;

static int use_again_and_again(void *arg)
{
	const user *u = arg;
	for (int i = 0; i < 3; i++) {
		u->lock();
		note(u->letter);
		FL_OK(fl_sleep(0));
		u->unlock();
	}
	return 0;
}

static fl_mutex mutex;
static fl_rmutex rmutex;
static fl_sem sem;

static void lock_mutex(void)
{
	fl_mutex_lock(&mutex);
}

static void unlock_mutex(void)
{
	fl_mutex_unlock(&mutex);
}

static void lock_mutex_until(void)
{
	FL_OK(fl_mutex_lock_until(&mutex, fl_after(FL_S(3600)), NULL));
}

static void lock_rmutex(void)
{
	fl_rmutex_lock(&rmutex);
}

static void unlock_rmutex(void)
{
	fl_rmutex_unlock(&rmutex);
}

static void acquire_sem(void)
{
	FL_OK(fl_sem_acquire(&sem));
}

static void release_sem(void)
{
	fl_sem_release(&sem);
}

FL_LOOP_TEST(loop_locks_are_used_in_turns)
{
	static const user users[] = {{.lock = lock_mutex, .unlock = unlock_mutex},
	                             {.lock = lock_mutex_until, .unlock = unlock_mutex},
	                             {.lock = lock_rmutex, .unlock = unlock_rmutex},
	                             {.lock = acquire_sem, .unlock = release_sem}};
	fl_mutex_init(&mutex);
	fl_rmutex_init(&rmutex);
	FL_OK(fl_sem_init(&sem, 1));
	FL_EACH (i, users) {
		user three[3];
		note_nothing();
		FL_EACH (j, three) {
			three[j] = users[i];
			three[j].letter = (char)('a' + j);
			three[j].fiber = fl_test_start(use_again_and_again, &three[j]);
		}
		FL_EACH (j, three)
			FL_OK(fl_test_join(three[j].fiber));
		if (strcmp(order, "abcabcabc") != 0)
			print_error("%zu: %s\n", i, order);
		NOTED("abcabcabc");
	}
}

static fl_event is_held, may_release;
static uint32_t thread_had_it;

static int hold_mutex(void *unused)
{
	FL_LOCKED(&mutex);
	fl_event_set(&is_held);
	return fl_event_wait(&may_release);
}

static int lock_in_thread(void *unused)
{
	FL_LOCKED(&mutex);
	fl__store_relaxed(&thread_had_it, 1);
	return 0;
}

static int lock_once(void *unused)
{
	FL_LOCKED(&mutex);
	return 0;
}

/*
 * A thread waits behind a fiber that an unlock has woken, and that cannot run: another fiber of its
 * loop locks the free mutex again and again, and gives way to no other until the thread has had it.
 */
FL_LOOP_TEST(loop_locks_mutex_goes_on_behind_a_fiber_that_does_not_run)
{
	fl_thread *holder, *behind;
	fl_mutex_init(&mutex);
	fl_event_init(&is_held);
	fl_event_init(&may_release);
	fl__store_relaxed(&thread_had_it, 0);
	fl_test_go(&holder, hold_mutex, NULL);
	FL_OK(fl_event_wait(&is_held));
	fl_fiber *first = fl_test_start(lock_once, NULL);
	fl_test_settle();
	FL_WAIT_FOR(fl_test_queued(&mutex) == 1);
	fl_test_go(&behind, lock_in_thread, NULL);
	FL_WAIT_FOR(fl_test_queued(&mutex) == 2);
	fl_event_set(&may_release);
	FL_WAIT_FOR(!fl_mutex_is_locked(&mutex));
	while (!fl__load_relaxed(&thread_had_it)) {
		fl_mutex_lock(&mutex);
		fl_mutex_unlock(&mutex);
	}
	FL_OK(fl_test_join(first));
	fl_test_end(behind);
	fl_test_end(holder);
}

/*
 * A mutex among fibers is first come, first served, also when another one was handed over in
 * between.
 */
static fl_mutex first, second;

static int pass(void *m)
{
	FL_LOCKED((fl_mutex *)m);
	note(m == &first ? 'f' : 's');
	return 0;
}

FL_LOOP_TEST(loop_locks_mutex_gives_way_after_another)
{
	note_nothing();
	fl_mutex_lock(&first);
	fl_mutex_lock(&second);
	fl_fiber *waiters[] = {fl_test_start(pass, &first), fl_test_start(pass, &second)};
	fl_test_settle();
	fl_mutex_unlock(&first);
	fl_mutex_unlock(&second);
	fl_mutex_lock(&first);
	note('m');
	fl_mutex_unlock(&first);
	FL_EACH (i, waiters)
		FL_OK(fl_test_join(waiters[i]));
	NOTED("fsm");
}
