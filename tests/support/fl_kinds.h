/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_KINDS_H
#define FL_KINDS_H

/*
 * One wait of each kind in the library, so that common properties are tested on all kinds:
 *
 *     kind->make();                       a fresh object, not ready
 *     kind->wait(NULL, deadline, cancel)  waits for it, on any thread
 *     kind->finish();                     ends the wait of one: it returns kind->done
 *     kind->clear();                      after the waits have ended, in whatever way
 */
#include "fl_queued.h"

#include "core/future/future.h"

typedef struct fl_kind {
	const char *name;
	const char *awaited; /* what the dump calls the object that a waiter waits for; NULL: not tested */
	void (*make)(void);
	fl_test_call *wait;
	void (*finish)(void);
	void (*clear)(void);
	const void *key; /* the key of its wait queue; NULL: in `fl_kind_key` after make() */
	int done;
	bool at_once; /* finished before the wait, the wait returns `done` at once */
	bool many;    /* several may wait */
	bool looks;   /* checks once more before it gives up */
} fl_kind;

static const void *fl_kind_key;

static fl_mutex kind_mutex;

static void kind_mutex_make(void)
{
	fl_mutex_init(&kind_mutex);
	fl_mutex_lock(&kind_mutex);
}

FL_CALL(kind_mutex_wait)
{
	int rc = fl_mutex_lock_until(&kind_mutex, deadline, cancel);
	if (rc == 0)
		fl_mutex_unlock(&kind_mutex);
	return rc;
}

static void kind_mutex_finish(void)
{
	fl_mutex_unlock(&kind_mutex);
}

static void kind_mutex_clear(void)
{
	if (fl_mutex_is_locked(&kind_mutex))
		fl_mutex_unlock(&kind_mutex);
	FL_CHECK(!fl__mutex_is_busy(&kind_mutex));
}

static fl_rmutex kind_rmutex;

static void kind_rmutex_make(void)
{
	fl_rmutex_init(&kind_rmutex);
	fl_rmutex_lock(&kind_rmutex);
}

FL_CALL(kind_rmutex_wait)
{
	/* A wait on the thread that made the object; for the test, this wait must block. */
	if (fl_rmutex_depth(&kind_rmutex))
		return fl_mutex_lock_until(&kind_rmutex.mutex_, deadline, cancel);
	int rc = fl_rmutex_lock_until(&kind_rmutex, deadline, cancel);
	if (rc == 0)
		fl_rmutex_unlock(&kind_rmutex);
	return rc;
}

static void kind_rmutex_finish(void)
{
	fl_rmutex_unlock(&kind_rmutex);
}

static void kind_rmutex_clear(void)
{
	if (fl_rmutex_depth(&kind_rmutex))
		fl_rmutex_unlock(&kind_rmutex);
	FL_CHECK(!fl__mutex_is_busy(&kind_rmutex.mutex_));
}

static fl_cond kind_cond;
static bool kind_changed;

static void kind_cond_make(void)
{
	fl_mutex_init(&kind_mutex);
	fl_cond_init(&kind_cond);
	kind_changed = false;
}

FL_CALL(kind_cond_wait)
{
	FL_LOCKED(&kind_mutex);
	return fl_cond_wait_until(&kind_cond, &kind_mutex, deadline, cancel);
}

static bool kind_has_changed(void *arg)
{
	return *(bool *)arg;
}

FL_CALL(kind_cond_wait_for)
{
	FL_LOCKED(&kind_mutex);
	return fl_cond_wait_for_until(&kind_cond, &kind_mutex, kind_has_changed, &kind_changed, deadline, cancel);
}

static void kind_cond_finish(void)
{
	FL_LOCKED(&kind_mutex);
	kind_changed = true;
	fl_cond_signal(&kind_cond);
}

static void kind_cond_clear(void)
{
	FL_CHECK(!fl__cond_is_busy(&kind_cond));
	FL_CHECK(!fl__mutex_is_busy(&kind_mutex));
}

static fl_sem kind_sem;

static void kind_sem_make(void)
{
	FL_OK(fl_sem_init(&kind_sem, 0));
}

FL_CALL(kind_sem_wait)
{
	return fl_sem_acquire_until(&kind_sem, deadline, cancel);
}

static void kind_sem_finish(void)
{
	fl_sem_release(&kind_sem);
}

static void kind_sem_clear(void)
{
	FL_CHECK(!fl__lot_has_waiters_at(&kind_sem));
}

static fl_event kind_event;

static void kind_event_make(void)
{
	fl_event_init(&kind_event);
}

FL_CALL(kind_event_wait)
{
	return fl_event_wait_until(&kind_event, deadline, cancel);
}

/* The event comes after an object that is never ready, so the index is that of the event. */
FL_CALL(kind_any_wait)
{
	fl_sem none = FL_SEM_INIT(0);
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_SEM(&none), FL_ON_EVENT(&kind_event));
}

static void kind_event_finish(void)
{
	fl_event_set(&kind_event);
}

static void kind_event_clear(void)
{
	FL_CHECK(!fl__lot_has_waiters_at(&kind_event));
}

static fl_latch kind_latch;

static void kind_latch_make(void)
{
	FL_OK(fl_latch_init(&kind_latch, 1));
}

FL_CALL(kind_latch_wait)
{
	return fl_latch_wait_until(&kind_latch, deadline, cancel);
}

static void kind_latch_finish(void)
{
	fl_latch_count_down(&kind_latch, 1);
}

static void kind_latch_clear(void)
{
	FL_CHECK(!fl__lot_has_waiters_at(&kind_latch));
}

static fl_barrier kind_barrier;

static void kind_barrier_make(void)
{
	FL_OK(fl_barrier_init(&kind_barrier, 2));
}

FL_CALL(kind_barrier_wait)
{
	int rc = fl_barrier_wait_until(&kind_barrier, deadline, cancel);
	if (rc < 0)
		fl_barrier_reset(&kind_barrier);
	return rc;
}

static void kind_barrier_finish(void)
{
	FL_CHECK(fl_barrier_wait_until(&kind_barrier, FL_NO_WAIT, FL_SHIELDED) == 1);
}

static void kind_barrier_clear(void)
{
	FL_CHECK(fl_barrier_waiting(&kind_barrier) == 0);
	FL_CHECK(!fl__lot_has_waiters_at(&kind_barrier));
}

/* A function that runs, or a thread that lives, until the gate opens. */
static fl_event kind_gate, kind_entered;
static fl_once kind_once;
static fl_thread *kind_thread;

static int kind_run_until_gate(void *unused)
{
	fl_event_set(&kind_entered);
	return fl_event_wait_until(&kind_gate, FL_FOREVER, FL_SHIELDED);
}

static int kind_run_once(void *unused)
{
	return fl_once_call_until(&kind_once, kind_run_until_gate, unused, FL_FOREVER, FL_SHIELDED);
}

static void kind_start(fl_thread_function *function)
{
	fl_event_init(&kind_gate);
	fl_event_init(&kind_entered);
	fl_test_go(&kind_thread, function, NULL);
	FL_WAIT_FOR(fl_event_is_set(&kind_entered));
}

static void kind_once_make(void)
{
	kind_once = (fl_once)FL_ONCE_INIT;
	kind_start(kind_run_once);
}

FL_CALL(kind_once_wait)
{
	return fl_once_call_until(&kind_once, kind_run_until_gate, object, deadline, cancel);
}

static void kind_thread_clear(void)
{
	fl_event_set(&kind_gate);
	if (kind_thread)
		fl_test_end(kind_thread);
	kind_thread = NULL;
}

/* Finds the wait queue of an opaque object by enqueueing itself. */
static void kind_find_key(const fl_on_type *type, void *object)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node node = FL__NODE(&wait);
	FL_CHECK(type->arm(object, &node));
	fl_kind_key = node.key;
	type->disarm(object, &node);
}

static void kind_thread_make(void)
{
	kind_start(kind_run_until_gate);
	kind_find_key(&fl__on_thread, kind_thread);
}

FL_CALL(kind_thread_wait)
{
	const int rc = fl_thread_join_until(kind_thread, NULL, deadline, cancel);
	if (rc == 0)
		kind_thread = NULL;
	return rc;
}

static void kind_thread_finish(void)
{
	fl_event_set(&kind_gate);
	/* Whether a wait for the end of the thread would return now. */
	FL_WAIT_FOR(!fl__lot_has_waiters_at(fl_kind_key));
}

/* A future that the test itself ends. */
static fl_future kind_future;
static int kind_future_result;

static void kind_future_ended(fl_future *f)
{
}

static const struct fl__future_ops kind_future_home = {
    .claim_cancel = fl__future_claim_cancel, .ended = kind_future_ended, .release = kind_future_ended};
static const fl_task_type kind_future_type = {
    .size = sizeof kind_future_type, .name = "kind", .result_size = sizeof(int), .result_align = _Alignof(int)};

static void kind_future_make(void)
{
	kind_future = (fl_future){.result = &kind_future_result};
	fl__future_init(&kind_future, &kind_future_home, &kind_future_type, 2, NULL, FL_FOREVER);
	FL_CHECK(fl__future_claim(&kind_future) == FL__CLAIM_RUN);
	kind_find_key(&fl__on_future, &kind_future);
}

FL_CALL(kind_future_wait)
{
	int result = 0, rc = fl_future_get_until(&kind_future, &result, sizeof result, deadline, cancel);
	FL_CHECK(result == (rc == 0 ? 6 : 0));
	return rc;
}

static void kind_future_finish(void)
{
	kind_future_result = 6;
	fl__future_finish(&kind_future, 0, NULL);
}

static void kind_future_clear(void)
{
	if (fl_future_state(&kind_future) != FL_DONE)
		fl__future_finish(&kind_future, 0, NULL);
	for (int i = 0; i < 2; i++) /* the references of both sides */
		fl_future_free(&kind_future);
}

static const fl_kind fl_kinds[] = {
    {"mutex", "mutex kind_mutex at ", kind_mutex_make, kind_mutex_wait, kind_mutex_finish, kind_mutex_clear,
     &kind_mutex, 0, true, true, false},
    {"rmutex", "mutex kind_rmutex", kind_rmutex_make, kind_rmutex_wait, kind_rmutex_finish, kind_rmutex_clear,
     &kind_rmutex.mutex_, 0, true, true, false},
    {"cond", "condition kind_cond at ", kind_cond_make, kind_cond_wait, kind_cond_finish, kind_cond_clear, &kind_cond,
     0, false, true, false},
    {"cond for", "condition kind_cond at ", kind_cond_make, kind_cond_wait_for, kind_cond_finish, kind_cond_clear,
     &kind_cond, 0, true, true, true},
    {"sem", "semaphore kind_sem at ", kind_sem_make, kind_sem_wait, kind_sem_finish, kind_sem_clear, &kind_sem, 0, true,
     true, false},
    {"event", "event kind_event at ", kind_event_make, kind_event_wait, kind_event_finish, kind_event_clear,
     &kind_event, 0, true, true, false},
    {"any", "one of several objects ", kind_event_make, kind_any_wait, kind_event_finish, kind_event_clear, &kind_event,
     1, true, true, true},
    {"latch", "latch kind_latch at ", kind_latch_make, kind_latch_wait, kind_latch_finish, kind_latch_clear,
     &kind_latch, 0, true, true, false},
    {"barrier", "barrier kind_barrier at ", kind_barrier_make, kind_barrier_wait, kind_barrier_finish,
     kind_barrier_clear, &kind_barrier, 0, false, false, false},
    {"once", "once kind_once at ", kind_once_make, kind_once_wait, kind_thread_clear, kind_thread_clear, &kind_once, 0,
     true, true, false},
    {"join", "the end of ", kind_thread_make, kind_thread_wait, kind_thread_finish, kind_thread_clear, NULL, 0, false,
     false, false},
    {"future", "future kind_future at ", kind_future_make, kind_future_wait, kind_future_finish, kind_future_clear,
     NULL, 0, true, true, false},
};

enum { FL_KINDS = sizeof fl_kinds / sizeof fl_kinds[0] };

/* FL_EACH_KIND(kind) { ... }, each with its own object; prints the name, for a failing kind. */
#define FL_EACH_KIND(kind)                                                                                             \
	for (const fl_kind *kind = fl_kinds; kind < fl_kinds + FL_KINDS && (kind->make(), fl_kind_say(kind));          \
	     kind->clear(), kind++)

static inline bool fl_kind_say(const fl_kind *kind)
{
	print_message("%s\n", kind->name);
	return true;
}

/* Starts a thread that waits for the object, and returns when it is enqueued. */
static inline void fl_kind_begin(fl_test_caller *c, const fl_kind *kind, fl_time deadline, fl_cancel_token *cancel)
{
	const void *key = kind->key ? kind->key : fl_kind_key;
	fl_test_call_queued(c, kind->wait, NULL, key, deadline, cancel);
}

/* Whether a waiter is in the object's wait queue. */
static inline bool fl_kind_is_queued(const fl_kind *kind)
{
	return fl_test_queued(kind->key ? kind->key : fl_kind_key) > 0;
}

static inline bool fl_kind_sleeps(const fl_kind *kind)
{
	return fl_test_asleep(kind->key ? kind->key : fl_kind_key) == 1;
}

#endif
