/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUED_H
#define FL_QUEUED_H

/*
 * For tests of waits: lists the waiters of a wait queue, and runs one blocking call on a thread.
 *
 *     fl_test_caller c;
 *     fl_test_call_queued(&c, acquire, &sem, &sem, FL_FOREVER, NULL);   // it is enqueued now
 *     fl_sem_release(&sem);
 *     FL_OK(fl_test_call_end(&c));
 */
#include "fl_test.h"

typedef struct fl_test_queue {
	size_t waiters, observers, asleep;
	bool has;             /* the given context is in the queue */
	const uint32_t *word; /* on which the first one sleeps */
} fl_test_queue;

/*
 * The present wait queue of `key`: the number of waiters of each kind, how many of them sleep in
 * the kernel, and whether the context is among them. With `nudges`, wakes all of them spuriously.
 */
static inline fl_test_queue fl_test_queue_visit(const void *key, uint64_t id, bool nudges)
{
	enum { ASLEEP = 3 }; /* lib/core/wait/thread_parker.c */
	fl_test_queue line = {0};
	struct fl__wait wait;
	struct fl__lot lot;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node mine = FL__NODE(&wait);
	fl__lot_open(&lot, key);
	fl__lot_add(&lot, &mine);
	for (const struct fl__node *n = mine.next; n != &mine; n = n->next) {
		line.waiters += !n->observer;
		line.observers += n->observer;
		line.asleep += fl__load_relaxed(&n->wait->park_word) == ASLEEP;
		line.has |= n->wait->ctx->id == id;
		if (n == mine.next)
			line.word = fl__wait_futex(n->wait);
		if (nudges)
			(void)fl__sys.futex_wake(fl__wait_futex(n->wait), INT_MAX);
	}
	fl__lot_remove(&lot, &mine);
	fl__lot_close(&lot);
	return line;
}

static inline fl_test_queue fl_test_queue_with(const void *key, uint64_t id)
{
	return fl_test_queue_visit(key, id, false);
}

static inline size_t fl_test_queued(const void *key)
{
	fl_test_queue line = fl_test_queue_with(key, 0);
	return line.waiters + line.observers;
}

static inline size_t fl_test_asleep(const void *key)
{
	return fl_test_queue_with(key, 0).asleep;
}

/*
 * Wakes all sleepers of the queue spuriously, so that they read the clock again. Returns the number
 * of waiters.
 */
static inline size_t fl_test_nudge(const void *key)
{
	fl_test_queue line = fl_test_queue_visit(key, 0, true);
	return line.waiters + line.observers;
}

/* Calls of one primitive each. */
FL_CALL(fl_test_lock)
{
	const int rc = fl_mutex_lock_until(object, deadline, cancel);
	if (rc == 0)
		fl_mutex_unlock(object);
	return rc;
}

FL_CALL(fl_test_acquire)
{
	return fl_sem_acquire_until(object, deadline, cancel);
}

FL_CALL(fl_test_arrive)
{
	return fl_barrier_wait_until(object, deadline, cancel);
}

FL_CALL(fl_test_sleep)
{
	return fl_sleep_until(deadline, cancel);
}

typedef struct fl_test_caller {
	fl_thread *thread;
	fl_test_call *call;
	void *object;
	fl_time deadline;
	fl_cancel_token *cancel;
} fl_test_caller;

static inline int fl_test_caller_run(void *arg)
{
	fl_test_caller *c = arg;
	return c->call(c->object, c->deadline, c->cancel);
}

/* Makes the call on a new thread. */
static inline void fl_test_call_start(fl_test_caller *c, fl_test_call *call, void *object, fl_time deadline,
                                      fl_cancel_token *cancel)
{
	*c = (fl_test_caller){NULL, call, object, deadline, cancel};
	fl_test_go(&c->thread, fl_test_caller_run, c);
}

/* Whether the call is in the wait queue of `key`, or was there and has ended. */
static inline bool fl_test_call_is_queued(const fl_test_caller *c, const void *key)
{
	return fl_test_queue_with(key, fl_thread_id(c->thread)).has || !fl_thread_is_alive(c->thread);
}

/* Makes the call on a new thread; returns when it is in the wait queue of `key`. */
static inline void fl_test_call_queued(fl_test_caller *c, fl_test_call *call, void *object, const void *key,
                                       fl_time deadline, fl_cancel_token *cancel)
{
	fl_test_call_start(c, call, object, deadline, cancel);
	FL_WAIT_FOR(fl_test_call_is_queued(c, key));
}

/* Does the same, without a deadline, in the wait queue at the object's address. */
static inline void fl_test_begin_wait(fl_test_caller *c, fl_test_call *call, void *object)
{
	fl_test_call_queued(c, call, object, object, FL_FOREVER, NULL);
}

/* Joins the thread, and returns what the call returned. */
static inline int fl_test_call_end(fl_test_caller *c)
{
	int result = 0;
	FL_OK(fl_thread_join_until(c->thread, &result, FL_FOREVER, FL_SHIELDED));
	return result;
}

/* Checks that the call waits until the token is requested, and is then cancelled. */
static inline void fl_test_cancels(fl_test_call *call, void *object, fl_cancel_token *stop)
{
	fl_test_caller c;
	fl_test_call_queued(&c, call, object, stop, FL_FOREVER, stop);
	fl_cancel_token_request(stop);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
}

/*
 * Starts several such calls, one after another. The second function joins all of them; they must
 * have returned 0.
 */
static inline void fl_test_begin_waits(fl_test_caller *callers, size_t n, fl_test_call *call, void *object)
{
	for (size_t i = 0; i < n; i++)
		fl_test_begin_wait(&callers[i], call, object);
}

static inline void fl_test_calls_end(fl_test_caller *callers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		FL_OK(fl_test_call_end(&callers[i]));
}

#endif
