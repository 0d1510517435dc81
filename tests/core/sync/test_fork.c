/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a forked child: words that refer to waiters of the parent. */
#include "core/sync/local.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

static void unlock_for_a_new_waiter(void *arg)
{
	fl_mutex *m = arg;
	fl_test_caller c;
	fl_test_begin_wait(&c, fl_test_lock, m);
	fl_mutex_unlock(m);
	FL_OK(fl_test_call_end(&c));
	FL_CHECK(!fl__mutex_is_busy(m));
}

/*
 * The parent forks while it holds the mutex and a thread waits: the child has no waiter, and the
 * mark is cleared.
 */
FL_TEST(fork_mutex_with_a_waiter)
{
	enum { LOCKED = 1, WAITERS = 2 }; /* lib/core/sync/mutex.c */
	fl_mutex m = {LOCKED | WAITERS};
	FL_IN_CHILD(unlock_for_a_new_waiter, &m);
	fl_mutex_unlock(&m);
	FL_OK(fl_mutex_try_lock(&m));
	assert_int_equal(m.word_, LOCKED);
	fl_mutex_unlock(&m);
	FL_CHECK(!fl__mutex_is_busy(&m));
}

static void is_not_the_last(void *barrier)
{
	FL_RC(fl_barrier_try_wait(barrier), -EAGAIN);
	FL_RC(fl_barrier_wait_until(barrier, fl_test_soon(), NULL), -ETIMEDOUT);
}

FL_TEST(fork_barrier_forgets_arrivals)
{
	fl_barrier b = FL_BARRIER_INIT(3);
	fl_test_caller callers[2];
	fl_test_begin_waits(callers, 2, fl_test_arrive, &b);
	FL_IN_CHILD(is_not_the_last, &b);
	FL_RC(fl_barrier_wait(&b), 2);
	FL_EACH (i, callers)
		FL_RC(fl_test_call_end(&callers[i]), i);
}

/*
 * A party forks in a signal handler, while it waits. It does not pass alone in the child, where its
 * deadline passes.
 */
static fl_barrier interrupted = FL_BARRIER_INIT(2);
static pthread_t party;
static pid_t child_of_handler;

static void fork_in_handler(int unused)
{
	const int error = errno;
	const pid_t child = fork();
	if (child == 0)
		fl__store_relaxed(&fl_test_ahead, FL_S(1000));
	fl__store_release(&child_of_handler, child);
	errno = error;
}

static int wait_interrupted(void *barrier, fl_time deadline, fl_cancel_token *cancel)
{
	party = pthread_self();
	const int rc = fl_barrier_wait_until(barrier, deadline, cancel);
	if (fl__load_relaxed(&fl_test_ahead) != 0)
		_exit(rc == -ETIMEDOUT ? 0 : 1);
	return rc;
}

FL_TEST(fork_barrier_in_a_handler)
{
	FL_FAULTS();
	fl_test_clock_ours();
	fl_test_caller first;
	child_of_handler = -1;
	struct sigaction before, forks = {.sa_handler = fork_in_handler};
	FL_OK(sigaction(SIGUSR1, &forks, &before));
	fl_test_call_queued(&first, wait_interrupted, &interrupted, &interrupted, fl_after(FL_S(1000)), NULL);
	FL_OK(pthread_kill(party, SIGUSR1));
	FL_WAIT_FOR(fl__load_acquire(&child_of_handler) != -1);
	fl_test_reap(child_of_handler);
	FL_RC(fl_barrier_wait(&interrupted), 1);
	FL_RC(fl_test_call_end(&first), 0);
	FL_OK(sigaction(SIGUSR1, &before, NULL));
}

/*
 * The same for an action that runs in the parent: the child has neither the action nor its phase.
 */
struct acting {
	fl_barrier barrier;
	fl_event entered, open;
};

static void act(void *arg)
{
	struct acting *a = arg;
	fl_event_set(&a->entered);
	FL_OK(fl_event_wait_until(&a->open, FL_FOREVER, FL_SHIELDED));
}

static void is_not_acting(void *arg)
{
	struct acting *a = arg;
	FL_CHECK(!fl__lot_has_waiters_at(&a->barrier));
	is_not_the_last(&a->barrier);
}

FL_TEST(fork_barrier_forgets_the_action)
{
	struct acting a = {.entered = FL_EVENT_INIT};
	fl_test_caller first, last;
	FL_OK(fl_barrier_init_with_action(&a.barrier, 2, act, &a));
	fl_test_begin_wait(&first, fl_test_arrive, &a.barrier);
	fl_test_call_start(&last, fl_test_arrive, &a.barrier, FL_FOREVER, NULL);
	FL_OK(fl_event_wait(&a.entered));
	FL_IN_CHILD(is_not_acting, &a);
	fl_event_set(&a.open);
	FL_RC(fl_test_call_end(&first), 0);
	FL_RC(fl_test_call_end(&last), 1);
}

/* The action itself forks: in the child it returns, too, and its party passes, alone. */
struct forking {
	fl_barrier barrier;
	pid_t child;
};

static void fork_in_action(void *arg)
{
	((struct forking *)arg)->child = fork();
}

FL_TEST(fork_barrier_in_its_action)
{
	struct forking f;
	fl_test_caller first;
	FL_OK(fl_barrier_init_with_action(&f.barrier, 2, fork_in_action, &f));
	fl_test_begin_wait(&first, fl_test_arrive, &f.barrier);
	const int order = fl_barrier_wait(&f.barrier);
	if (f.child == 0)
		_exit(order == 1 && fl_barrier_try_wait(&f.barrier) == -EAGAIN ? 0 : 1);
	fl_test_reap(f.child);
	FL_RC(order, 1);
	FL_RC(fl_test_call_end(&first), 0);
}

/*
 * The action forks, and in the child it ends its thread. By then another context of the child acts
 * in a phase of its own, as acting_ says, and that phase goes on.
 */
static void leave_in_child(void *barrier)
{
	enum { FORK = 4 }; /* lib/core/sync/barrier.c */
	const pid_t child = fork();
	if (child == 0) {
		((fl_barrier *)barrier)->acting_ += FORK;
		pthread_exit(NULL);
	}
	fl_test_reap(child);
}

static void is_still_acting(void *barrier)
{
	_exit(((fl_barrier *)barrier)->acting_ == 0);
}

FL_TEST(fork_barrier_action_that_ends_its_thread)
{
	fl_barrier b;
	FL_OK(fl_barrier_init_with_action(&b, 1, leave_in_child, &b));
	pthread_cleanup_push(is_still_acting, &b);
	FL_OK(fl_barrier_wait(&b));
	pthread_cleanup_pop(0);
}

static fl_local local;

static void use_locals(void *arg)
{
	FL_CHECK(fl_local_get(&local) == arg); /* the forking thread keeps its own */
	fl_local other = FL_LOCAL_INIT(NULL);
	FL_OK(fl_local_set(&other, arg));
	FL_CHECK(fl_local_get(&other) == arg);
}

FL_TEST(fork_keeps_locals)
{
	int value;
	FL_OK(fl_local_set(&local, &value));
	FL_IN_CHILD(use_locals, &value);
	FL_OK(fl_local_set(&local, NULL));
}

static int wait_for(void *event)
{
	return fl_event_wait(event);
}

static void has_lost(void *arg)
{
	fl_thread **threads = arg;
	int result = 7;
	FL_CHECK(fl_thread_join(threads[0], &result) == -EOWNERDEAD && result == 7);
	FL_CHECK(!fl_thread_is_alive(threads[0]));
	/* It had ended before the fork. */
	FL_CHECK(fl_thread_join(threads[1], &result) == 0 && result == 0);
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 0);
	fl_thread_detach(threads[0]);
}

FL_TEST(fork_loses_running_threads)
{
	static fl_event never, at_once;
	fl_thread *threads[2];
	fl_event_set(&at_once);
	fl_test_go(&threads[0], wait_for, &never);
	fl_test_go(&threads[1], wait_for, &at_once);
	FL_WAIT_FOR(!fl_thread_is_alive(threads[1]) && fl_test_queued(&never) == 1);
	FL_IN_CHILD(has_lost, threads);
	fl_event_set(&never);
	fl_test_end(threads[0]);
	fl_test_end(threads[1]);
}

static fl_thread *forking;

static void knows_its_thread(void *arg)
{
	FL_CHECK(fl_thread_is_alive(forking));
	FL_RC(fl_thread_join(forking, NULL), -EDEADLK);
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 1);
}

static int fork_in_fiber(void *arg)
{
	FL_RC(fl_thread_join(forking, NULL), -EDEADLK);
	FL_IN_CHILD(knows_its_thread, NULL);
	return 0;
}

static int run_fork_in_fiber(void *started)
{
	const int rc = fl_event_wait(started);
	return rc != 0 ? rc : fl_loop_run(fork_in_fiber, NULL);
}

/* A fiber has a context of its own: the child compares threads. */
FL_TEST(fork_in_a_fiber_keeps_its_thread)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* of the loop */
	static fl_event started;
	fl_test_go(&forking, run_fork_in_fiber, &started);
	fl_event_set(&started);
	fl_test_end(forking);
}

/*
 * Locks that another thread held at the fork stay held: try forms say so, and deadlines end waits.
 */
static struct {
	fl_mutex mutex;
	fl_rmutex rmutex;
	fl_rwlock written, read;
	fl_sem sem;
	fl_cond cond;
	fl_event event;
	fl_latch latch;
	fl_barrier barrier;
	fl_once once;
	fl_event held, over;
} of_another = {.sem = FL_SEM_INIT(1), .latch = FL_LATCH_INIT(1), .barrier = FL_BARRIER_INIT(2)};

static int hold_in_once(void *unused)
{
	fl_event_set(&of_another.held);
	FL_OK(fl_event_wait(&of_another.over));
	return 0;
}

static int hold_all(void *unused)
{
	fl_mutex_lock(&of_another.mutex);
	fl_rmutex_lock(&of_another.rmutex);
	fl_rwlock_write_lock(&of_another.written);
	fl_rwlock_read_lock(&of_another.read);
	FL_OK(fl_sem_acquire(&of_another.sem));
	FL_OK(fl_once_call(&of_another.once, hold_in_once, NULL));
	fl_sem_release(&of_another.sem);
	fl_rwlock_read_unlock(&of_another.read);
	fl_rwlock_write_unlock(&of_another.written);
	fl_rmutex_unlock(&of_another.rmutex);
	fl_mutex_unlock(&of_another.mutex);
	return 0;
}

static fl_time at_once(void)
{
	return fl_test_soon();
}

static void finds_all_held(void *unused)
{
	fl_mutex own = FL_MUTEX_INIT;
	FL_RC(fl_mutex_try_lock(&of_another.mutex), -EAGAIN);
	FL_RC(fl_mutex_lock_until(&of_another.mutex, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_rmutex_try_lock(&of_another.rmutex), -EAGAIN);
	FL_RC(fl_rmutex_lock_until(&of_another.rmutex, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_rwlock_try_read_lock(&of_another.written), -EAGAIN);
	FL_RC(fl_rwlock_read_lock_until(&of_another.written, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_rwlock_try_write_lock(&of_another.written), -EAGAIN);
	FL_RC(fl_rwlock_write_lock_until(&of_another.written, at_once(), NULL), -ETIMEDOUT);
	FL_OK(fl_rwlock_try_read_lock(&of_another.read));
	fl_rwlock_read_unlock(&of_another.read);
	FL_RC(fl_rwlock_try_write_lock(&of_another.read), -EAGAIN);
	FL_RC(fl_rwlock_write_lock_until(&of_another.read, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_sem_try_acquire(&of_another.sem), -EAGAIN);
	FL_RC(fl_sem_acquire_until(&of_another.sem, at_once(), NULL), -ETIMEDOUT);
	fl_mutex_lock(&own);
	FL_RC(fl_cond_wait_until(&of_another.cond, &own, at_once(), NULL), -ETIMEDOUT);
	fl_mutex_unlock(&own);
	FL_RC(fl_event_try_wait(&of_another.event), -EAGAIN);
	FL_RC(fl_event_wait_until(&of_another.event, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_latch_wait_until(&of_another.latch, at_once(), NULL), -ETIMEDOUT);
	FL_RC(fl_barrier_try_wait(&of_another.barrier), -EAGAIN);
	FL_RC(fl_once_try_call(&of_another.once, hold_in_once, NULL), -EAGAIN);
	FL_RC(fl_once_call_until(&of_another.once, hold_in_once, NULL, at_once(), NULL), -ETIMEDOUT);
}

FL_TEST(fork_locks_that_another_thread_holds)
{
	fl_thread *t;
	fl_test_go(&t, hold_all, NULL);
	FL_OK(fl_event_wait(&of_another.held));
	FL_IN_CHILD(finds_all_held, NULL);
	fl_event_set(&of_another.over);
	fl_test_end(t);
}
