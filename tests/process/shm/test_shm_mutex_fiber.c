/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared mutex for fibers, which share their thread's identity, and on systems without robust
 * lists.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_shm_owner.h"

typedef struct pair {
	struct board *b;
	unsigned inside;
} pair;

static int count_in_fiber(void *arg)
{
	pair *p = arg;
	for (int i = 0; i < 50; i++) {
		FL_OK(fl_shm_mutex_lock(&p->b->mutex));
		FL_RC(fl_shm_mutex_lock(&p->b->mutex), -EDEADLK);
		FL_CHECK(p->inside++ == 0);
		fl__fiber_yield();
		FL_CHECK(--p->inside == 0);
		p->b->count++;
		fl_shm_mutex_unlock(&p->b->mutex);
	}
	return 0;
}

/* Fibers of one thread: each is an owner of its own, and waits for the others. */
FL_TEST(shm_mutex_fibers_exclude_each_other)
{
	FL_TEST_SHARED(struct board, b);
	pair p = {b, 0};
	fl_test_fibers_here(count_in_fiber, &p, 0, 4);
	assert_int_equal(b->count, 200);
}

static int fiber_told(void *arg)
{
	struct board *b = arg;
	fl_test_recover(&b->mutex);
	return 0;
}

static int fiber_gives_up(void *arg)
{
	struct board *b = arg;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_after(FL_MS(2)), NULL), -ETIMEDOUT);
	fl_cancel_token_init(&stop, FL_SHIELDED, fl_after(FL_MS(2)));
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, &stop), -ECANCELED);
	fl_cancel_token_destroy(&stop);
	return 0;
}

static int kill_when_slept_on(void *arg)
{
	void **args = arg;
	struct board *b = args[0];
	FL_WAIT_FOR(fl_test_is_slept_on(b->mutex.lock_));
	fl_test_kill((pid_t)(intptr_t)args[1]);
	return 0;
}

FL_TEST(shm_mutex_fiber_waits_for_a_process)
{
	FL_TEST_NEEDS_DEATHS();
	FL_NEEDS(FL_TEST_EVENTFD); /* of the loop that begins after the process */
	FL_TEST_SHARED(struct board, b);
	pid_t pid = begin_owner(b);
	fl_test_in_loop(fiber_gives_up, b);
	void *args[] = {b, (void *)(intptr_t)pid};
	fl_thread *killer;
	fl_test_go(&killer, kill_when_slept_on, args);
	fl_test_in_loop(fiber_told, b);
	fl_test_end(killer);
}

struct late {
	fl_shm_mutex *mutex;
	fl_event locked, unlock;
	fl_thread *holder;
	fl_fiber *waiter;
};

static int late_hold(void *arg)
{
	struct late *t = arg;
	FL_OK(fl_shm_mutex_lock(t->mutex));
	fl_event_set(&t->locked);
	FL_OK(fl_event_wait(&t->unlock));
	fl_shm_mutex_unlock(t->mutex);
	return 0;
}

static int late_wait(void *mutex)
{
	return fl_shm_mutex_lock_until(mutex, FL_FOREVER, NULL);
}

/* Blocks the loop, which delivers the request afterwards. */
static void *late_cancel_then_unlock(void *arg)
{
	struct late *t = arg;
	fl_fiber_cancel(t->waiter);
	fl_event_set(&t->unlock);
	fl_test_end(t->holder);
	return NULL;
}

static int late_cancel(void *arg)
{
	struct late *t = arg;
	t->waiter = fl_test_start(late_wait, t->mutex);
	while (!fl_test_is_slept_on(t->mutex->lock_))
		fl_fiber_yield();
	(void)fl_test_foreign(late_cancel_then_unlock, t);
	FL_RC(fl_test_join(t->waiter), -ECANCELED);
	FL_OK(fl_shm_mutex_try_lock(t->mutex));
	fl_shm_mutex_unlock(t->mutex);
	return 0;
}

/* A wait takes nothing that comes after the request of its token. */
FL_TEST(shm_mutex_fiber_does_not_lock_what_is_free_after_a_cancel)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* of the loop that begins after the thread */
	FL_TEST_SHARED(struct board, b);
	struct late t = {&b->mutex, FL_EVENT_INIT, FL_EVENT_INIT, NULL, NULL};
	fl_test_go(&t.holder, late_hold, &t);
	FL_OK(fl_event_wait(&t.locked));
	fl_test_in_loop(late_cancel, &t);
}

/* Where the system has no robust lists, it excludes all the same. */
static struct fl__robust_list *no_list(void)
{
	return NULL;
}

static int lock_without_list(void *arg)
{
	struct board *b = arg;
	for (int i = 0; i < 1000; i++) {
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		b->count++;
		fl_shm_mutex_unlock(&b->mutex);
	}
	return 0;
}

FL_TEST(shm_mutex_without_robust_lists_excludes)
{
	FL_FAULTS_UNBRIDGED();
	fl__sys.robust_list = no_list;
	FL_TEST_SHARED(struct board, b);
	fl_thread *t[3];
	FL_EACH (i, t)
		fl_test_go(&t[i], lock_without_list, b);
	FL_END_ALL(t);
	assert_int_equal(b->count, 3000);
}
