/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes and conditions as the library uses them for itself, and what mutex.c does for cond.c. */
#pragma once

#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/lot.h"
#include <fairlead/cond.h>
#include <fairlead/mutex.h>

/*
 * The locks of the library itself. They are held for a few instructions or system calls, and never
 * over a wait. A context acquires them by FL__HELD() or fl__mutex_hold(), which block the thread
 * even in a fiber. A suspended fiber would be in the queue of the lock, and at last an unlock would
 * hand the lock over to it. But its loop may run another fiber for seconds, which may even be
 * blocked outside of the library until some thread has used the same lock. All other threads would
 * wait for that loop. A thread that is blocked here waits only for threads that run.
 *
 * Therefore a function that is called with such a lock held must not suspend a fiber. Functions of
 * the user that may wait (an allocator, a log handler) are called in FL__BLOCKS_THREAD(), so that
 * their waits also block the thread.
 *
 *     FL__HELD(&lock);        // a declaration: holds the lock until the end of the block
 *
 * Starting a program blocks the thread even in a fiber, as the system call does. If that makes a
 * fork server, no lock is held while the caller waits for the fork server's answer. The functions
 * that visit threads or processes also block the thread.
 */
void fl__mutex_hold(fl_mutex *m) FL_ACQUIRE(*m);
FL__SCOPED_LOCK(fl__held_lock, fl_mutex, fl__mutex_hold, fl_mutex_unlock, FL_ACQUIRE(*_lock))
#define FL__HELD(m) FL__LOCK_SCOPE(fl__held_lock, m)

/*
 * Does what fl_cond_wait_until() does. If `holds` is true, `m` is a lock of the library, so the
 * function blocks the thread to acquire it again.
 */
int fl__cond_wait(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel, bool holds) FL_REQUIRES(*m);

/*
 * Returns whether a context holds the object or is in its wait queue. A destroy calls it while
 * debugging is on. It returns false wherever the object's header allows a destroy. For example, a
 * mutex is not busy when its last owner has unlocked it, although an earlier owner may still be in
 * its unlock.
 */
bool fl__mutex_is_busy(const fl_mutex *m);
bool fl__cond_is_busy(const fl_cond *c);

struct fl__mutex_node {
	struct fl__node node;
	fl_mutex *mutex;
	int64_t since; /* when the waiter was first woken: turn.h */
	bool has_run;  /* the waiter has run since its last wake */
};
#define FL__MUTEX_NODE(m, w) ((struct fl__mutex_node){.node = {.wait = (w), .wants_mutex = true}, .mutex = (m)})

/* Returns the fl__mutex_node of `node`, or NULL if `node` is NULL. */
static inline struct fl__mutex_node *fl__mutex_node_of(struct fl__node *node)
{
	return (struct fl__mutex_node *)(void *)node;
}

/*
 * Called by a signal of a condition. Takes up to `max` waiters of `m` from the queue `from`, in
 * order, until the first one waits for another mutex. Moves a thread to `to`, the queue of `m`, and
 * wakes a fiber. Both queues are locked. Returns how many waiters were moved or woken.
 */
size_t fl__mutex_requeue(fl_mutex *m, struct fl__lot *from, struct fl__lot *to, size_t max);

/* Dequeues a moved waiter that has given up. `lot`, the queue of `m`, is locked. */
void fl__mutex_give_up(fl_mutex *m, struct fl__lot *lot, struct fl__mutex_node *waiter);

/*
 * Locks the mutex for a waiter of a condition, whether it was moved or not. Ends the `op` of
 * fl__hook_waiting_cond().
 */
void fl__mutex_relock(struct fl__mutex_node *waiter, struct fl__hook_op *op);
