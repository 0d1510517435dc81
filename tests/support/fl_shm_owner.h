/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_OWNER_H
#define FL_SHM_OWNER_H

/*
 * A shared mutex whose owners are processes that die.
 *
 *     FL_TEST_SHARED(struct board, b);
 *     pid_t pid = begin_owner(b);                     // a child has locked it
 *     fl_test_kill(pid);
 *     fl_test_reap(fl_test_fork(lock_and_note, b));   // told of the death: b->told is 1
 *
 * Only one source file of a program may include this header, because everything here is static.
 */
#include "fl_shm_child.h"

struct board {
	fl_shm_mutex mutex, other;
	uint32_t held, owner;        /* acquisitions by owners that pause, and the last such owner */
	uint32_t told, locked, lost; /* results of the processes that continue */
	unsigned count;
};

/* The owner of the mutex until it is killed. */
static inline int hold_and_rest(void *arg)
{
	struct board *b = arg;
	int rc = fl_shm_mutex_lock(&b->mutex);
	FL_OK_OR(rc, -EOWNERDEAD);
	fl__store_relaxed(&b->owner, (uint32_t)getpid());
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

/* Starts an owner, and waits until it has the mutex. */
static inline pid_t begin_owner(struct board *b)
{
	uint32_t before = fl__load_acquire(&b->held);
	pid_t pid = fl_test_fork(hold_and_rest, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == before + 1);
	return pid;
}

static inline int lock_and_note(void *arg)
{
	struct board *b = arg;
	int rc = fl_shm_mutex_lock(&b->mutex);
	FL_CHECK(rc == 0 || rc == -EOWNERDEAD || rc == -ENOTRECOVERABLE);
	fl__add_relaxed(rc == 0 ? &b->locked : rc == -EOWNERDEAD ? &b->told : &b->lost, 1);
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_recover(&b->mutex);
	if (rc != -ENOTRECOVERABLE)
		fl_shm_mutex_unlock(&b->mutex);
	return 0;
}

#endif
