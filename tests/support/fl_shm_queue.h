/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_SHM_QUEUE_H
#define FL_TEST_SHM_QUEUE_H

/* For the tests of queues in shared memory: a region, queues in it, and processes that use them. */
#include "fl_test.h"

#include "core/base/atomic.h"
#include "process/shm/shm_queue.h"
#include <sys/prctl.h>

#define SHM_FN __attribute__((unused)) static

SHM_FN fl_shm *region_of(size_t size)
{
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, size));
	return region;
}

SHM_FN fl_shm_queue *items_in(fl_shm *region, size_t item_size, size_t capacity)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = item_size, .capacity = capacity}));
	return q;
}

SHM_FN fl_shm_queue *frames_in(fl_shm *region, size_t bytes)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.frame_bytes = bytes}));
	return q;
}

/* The ring behind a handle. */
SHM_FN struct fl__shm_ring *ring_in(fl_shm *region, fl_shm_queue *q)
{
	return fl_shm_at(region, fl_shm_queue_offset(q), sizeof(struct fl__shm_ring));
}

/* True if a process sleeps in the queue, or is about to. */
SHM_FN bool is_awaited(struct fl__shm_wait_queue *queue)
{
	return fl__load_relaxed(&queue->waiting) != 0;
}

/*
 * Runs `body` in a process of its own, which ends by _exit(0), by a failed FL_CHECK, or with its
 * parent.
 */
SHM_FN pid_t process(int (*body)(void *arg), void *arg)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(60);
		/* No alarm ends a stopped process. */
		FL_OK(prctl(PR_SET_PDEATHSIG, SIGKILL));
		_exit(body(arg));
	}
	return pid;
}

SHM_FN int end_of(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, 0) < 0)
		FL_CHECK(errno == EINTR);
	return status;
}

/* It ended by itself, with 0. */
#define ENDED_WELL(pid) assert_int_equal(end_of(pid), 0)

SHM_FN void kill_off(pid_t pid)
{
	FL_OK(kill(pid, SIGKILL));
	FL_CHECK(WIFSIGNALED(end_of(pid)));
}

#endif
