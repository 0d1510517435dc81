/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiters behind a stopped process, or behind a waiter that needs more; and a lock with an owner
 * that does not exist.
 */
#include "fl_process.h"
#include "fl_shm_child.h"

struct place {
	fl_shm_sem sem;
	fl_shm_mutex mutex;
	uint32_t done;
};

static int get_one(void *q)
{
	int got;
	int rc = fl_shm_queue_get(q, &got);
	FL_OK_OR(rc, -EPIPE);
	return 0;
}

static int acquire_one(void *arg)
{
	FL_OK(fl_shm_sem_acquire(arg));
	return 0;
}

/*
 * True if the process sleeps behind the head of the queue: a wake reaches only waiters that sleep.
 */
static bool sleeps_behind(struct fl__shm_wait_queue *queue, pid_t pid)
{
	return fl__shm_has_waiters(&queue->head) && process_state(pid) == 'S';
}

/* Starts two waiters in `queue`: the first is at its head, and is stopped. */
static void start_behind_a_stopped_one(struct fl__shm_wait_queue *queue, int (*body)(void *), void *arg, pid_t pids[2])
{
	int status;
	pids[0] = fl_test_fork(body, arg);
	FL_WAIT_FOR(is_awaited(queue));
	pids[1] = fl_test_fork(body, arg);
	FL_WAIT_FOR(sleeps_behind(queue, pids[1]));
	FL_OK(kill(pids[0], SIGSTOP));
	FL_CHECK(waitpid(pids[0], &status, WUNTRACED) == pids[0] && WIFSTOPPED(status));
}

static void go_on(pid_t stopped)
{
	FL_OK(kill(stopped, SIGCONT));
	fl_test_reap(stopped);
}

FL_TEST(shm_queue_goes_on_behind_a_stopped_getter)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	pid_t pids[2];
	start_behind_a_stopped_one(&ring_in(region, q)->items, get_one, q, pids);
	SHM_PUTS(q, 1);
	SHM_PUTS(q, 2);
	fl_test_reap(pids[1]);
	assert_int_equal(fl_shm_queue_length(q), 1);
	go_on(pids[0]);
	assert_int_equal(fl_shm_queue_length(q), 0);
}

FL_TEST(shm_queue_close_reaches_those_behind_a_stopped_getter)
{
	SHM_ITEMS(region, q, sizeof(int), 4);
	pid_t pids[2];
	start_behind_a_stopped_one(&ring_in(region, q)->items, get_one, q, pids);
	FL_OK(fl_shm_queue_close(q));
	fl_test_reap(pids[1]);
	go_on(pids[0]);
}

FL_TEST(shm_sem_goes_on_behind_a_stopped_waiter)
{
	FL_TEST_SHARED(struct place, p);
	pid_t pids[2];
	start_behind_a_stopped_one((struct fl__shm_wait_queue *)(void *)p->sem.waiters_, acquire_one, &p->sem, pids);
	FL_OK(fl_shm_sem_release(&p->sem));
	FL_OK(fl_shm_sem_release(&p->sem));
	fl_test_reap(pids[1]);
	assert_int_equal(fl_shm_sem_value(&p->sem), 1);
	go_on(pids[0]);
	assert_int_equal(fl_shm_sem_value(&p->sem), 0);
	FL_OK(fl_shm_sem_release(&p->sem)); /* the waiters' bit wears off */
	FL_OK(fl_shm_sem_try_acquire(&p->sem));
}

static int put_large(void *q)
{
	char frame[60] = {1};
	FL_OK(fl_shm_queue_put_frame(q, frame, sizeof frame));
	return 0;
}

static int put_small(void *q)
{
	char frame[10] = {2};
	FL_OK(fl_shm_queue_put_frame(q, frame, sizeof frame));
	return 0;
}

FL_TEST(shm_queue_a_small_frame_passes_a_large_one)
{
	SHM_FRAMES(region, q, 100);
	struct fl__shm_ring *r = ring_in(region, q);
	char buffer[60] = {0};
	size_t size;
	FL_OK(fl_shm_queue_put_frame(q, buffer, 30));
	FL_OK(fl_shm_queue_put_frame(q, buffer, 56)); /* 6 bytes are left */
	pid_t large = fl_test_fork(put_large, q);
	FL_WAIT_FOR(is_awaited(&r->space));
	pid_t small = fl_test_fork(put_small, q);
	FL_WAIT_FOR(sleeps_behind(&r->space, small));
	/* 40: enough for one of them. */
	FL_OK(fl_shm_queue_get_frame(q, buffer, sizeof buffer, &size));
	fl_test_reap(small);
	FL_OK(fl_shm_queue_get_frame(q, buffer, sizeof buffer, &size));
	fl_test_reap(large);
	FL_OK(fl_shm_queue_get_frame(q, buffer, sizeof buffer, &size));
	assert_int_equal(size, 10);
	FL_OK(fl_shm_queue_get_frame(q, buffer, sizeof buffer, &size));
	assert_int_equal(size, 60);
}

/*
 * No thread has that number: the memory is damaged, or the kernel did not run its walk. This is
 * checked after a second.
 */
FL_TEST(shm_lock_without_an_owner_is_taken_over)
{
	FL_TEST_SHARED(struct place, p);
	*fl__shm_word((struct fl__shm_lock *)(void *)p->mutex.lock_) = FL__SHM_TID - 1;
	FL_RC(fl_shm_mutex_lock(&p->mutex), -EOWNERDEAD);
	fl_shm_mutex_recover(&p->mutex);
	fl_shm_mutex_unlock(&p->mutex);
	fl_test_locks(&p->mutex);
	struct fl__shm_lock *monitor = (struct fl__shm_lock *)(void *)p->sem.lock_;
	struct fl__shm_held held;
	*fl__shm_word(monitor) = (FL__SHM_TID - 1) | FL__SHM_WAITERS;
	FL_OK(fl__shm_enter(monitor, &held, FL_FOREVER));
	fl__shm_leave(monitor, &held);
	FL_OK(fl__shm_enter(monitor, &held, FL_NO_WAIT));
	fl__shm_leave(monitor, &held);
}
