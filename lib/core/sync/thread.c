/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads. Each thread that fl__thread_start() starts has a control block, which is in one list.
 * The block has two owners, the thread and the handle, which `owners` counts. The event `ended`
 * publishes `result`.
 *
 * Invariants
 *   1. `thread_list_lock` guards the list. A block is in the list until it is freed.
 *   2. An owner may use the block until it subtracts itself from `owners`. Whoever subtracts the
 *      last owner is the only user of the block, so it takes the block off the list and then frees
 *      it. The subtraction is not made under thread_list_lock, because an unlock uses its caller's
 *      context even after the lock is free (mutex.c, mutex_wake_first()). If the thread subtracted
 *      under the lock, the handle could free the block, and with it the context, in the middle of
 *      the thread's unlock.
 *   3. A thread subtracts only after its last wait, because a thread that wakes it may touch the
 *      context until its unpark is published (lot.c, invariant 3). It forgets its context before it
 *      subtracts, so that a signal handler does not use the context afterwards. If the thread finds
 *      that it is the last owner, it uses the context once more, to lock the list.
 */
#include "thread.h"
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/lot.h"
#include "local.h"
#include "mutex.h"
#include <fairlead/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct fl_thread {
	struct fl__thread_data data;
	struct fl_thread *next, *prev;
	fl_thread_function *function;
	void *arg;
	pthread_t pthread;
	fl_event ended;
	int result;
	unsigned owners;
	bool detached;
	const sigset_t *signals; /* what the thread blocks; NULL: what it began with */
	char name[32];
};

static fl_mutex thread_list_lock = FL_MUTEX_INIT;
static fl_thread *thread_oldest FL_GUARDED_BY(thread_list_lock), *thread_newest FL_GUARDED_BY(thread_list_lock);
static unsigned
    thread_started FL_GUARDED_BY(thread_list_lock); /* how many threads were started: the number in the next name */
static fl_thread_error_handler *thread_error_handler;

static void thread_enlist(fl_thread *t, const char *name)
{
	FL__HELD(&thread_list_lock);
	thread_started++;
	if (name)
		(void)snprintf(t->name, sizeof t->name, "%s", name);
	else
		(void)snprintf(t->name, sizeof t->name, "thread-%u", thread_started);
	FL__QUEUE_ADD(thread_oldest, thread_newest, t);
}

/* Subtracts `owners` owners. Returns whether none is left (invariant 2). */
static bool thread_is_unowned(fl_thread *t, unsigned owners)
{
	/*
	 * acq_rel: pairs with the subtraction by the other owner, whose uses come before the free
	 */
	return fl__sub_acq_rel(&t->owners, owners) == owners;
}

static void thread_delist(fl_thread *t)
{
	FL__HELD(&thread_list_lock);
	FL__QUEUE_REMOVE(thread_oldest, thread_newest, t);
}

static void thread_release(fl_thread *t, unsigned owners)
{
	if (!thread_is_unowned(t, owners))
		return;
	thread_delist(t);
	fl__free(t);
}

static void thread_report_error(const fl_thread *t)
{
	/* acquire: pairs with the release in fl_thread_set_error_handler() */
	fl_thread_error_handler *handler = fl__load_acquire(&thread_error_handler);
	const fl_thread_info info = {t->data.ctx.id, t->name, true};
	if (handler)
		handler(&info, t->result);
	else if (fl__load_relaxed(&t->detached)) /* relaxed: it publishes nothing else */
		fl__log(FL_LOG_ERROR, "thread %s ended with %d", t->name, t->result);
}

FL__SLOW_PATH static void thread_finish(fl_thread *t)
{
	if (t->result != 0)
		thread_report_error(t);
	fl__locals_end(&t->data.ctx);
	fl_event_set(&t->ended); /* publishes `result` to the joiner */
	/* If a later destructor calls the library, it gets a context as a foreign thread does. */
	fl__ctx_current = NULL;
	if (!thread_is_unowned(t, 1))
		return;
	fl__ctx_current = &t->data.ctx; /* invariant 3 */
	thread_delist(t);
	fl__ctx_current = NULL;
	fl__free(t);
}

/*
 * Called when the function leaves by pthread_exit() or pthread_cancel(). If the thread was in a
 * task or a callback, it panics, because their frames are gone, and other threads would wait for
 * their ends.
 */
FL__COLD static void thread_exits(void *arg)
{
	fl_thread *t = arg;
	if (t->data.ctx.front.inside.helper || t->data.ctx.front.inside.calling)
		fl__panic(t->name, t, "a task or a callback that the thread runs " FL__ENDS_THREAD);
	thread_finish(t);
}

static void *thread_run(void *arg)
{
	fl_thread *t = arg;
	fl__ctx_current = &t->data.ctx;
	fl__name_thread(t->name);
	if (t->signals)
		fl__signals_restore(t->signals);
	t->result = -ECANCELED; /* the result if the function does not return */
	pthread_cleanup_push(thread_exits, t);
	t->result = t->function(t->arg);
	pthread_cleanup_pop(0);
	thread_finish(t);
	return NULL;
}

static int thread_set_stack(pthread_attr_t *attr, size_t size)
{
#ifndef __GLIBC__
	enum { USUAL = 1 << 20 }; /* musl's default, 128 KiB, is too small for nested tasks */
	size = size > 0 ? size : USUAL;
#endif
	if (size == 0)
		return 0;
	if (size < (size_t)PTHREAD_STACK_MIN)
		size = (size_t)PTHREAD_STACK_MIN;
	return -pthread_attr_setstacksize(attr, size);
}

static int thread_spawn(fl_thread *t, const fl_thread_config *config)
{
	pthread_attr_t attr;
	int rc = -pthread_attr_init(&attr);
	if (rc != 0)
		return rc;
	rc = thread_set_stack(&attr, config->stack_size);
	if (rc == 0) {
		rc = config->block_signals || t->signals ? fl__thread_create_blocked(&t->pthread, &attr, thread_run, t)
		                                         : fl__sys.thread_create(&t->pthread, &attr, thread_run, t);
	}
	(void)pthread_attr_destroy(&attr);
	return rc;
}

FL__COLD int fl__thread_start(fl_thread **made, fl_thread_function *function, void *arg, const fl_thread_config *config,
                              const sigset_t *signals)
{
	config = FL__OR_DEFAULTS(config);
	fl_thread *t = fl__alloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	fl__ctx_init_thread(&t->data.ctx, t->name);
	t->function = function;
	t->arg = arg;
	t->owners = 2;
	t->signals = signals;
	thread_enlist(t, config->name);
	int rc = thread_spawn(t, config);
	if (rc != 0) {
		thread_release(t, 2);
		return rc;
	}
	*made = t;
	return 0;
}

int fl_thread_start(fl_thread **t, fl_thread_function *function, void *arg, const fl_thread_config *config)
{
	return fl__thread_start(t, function, arg, config, NULL);
}

static int thread_await(fl_thread *t, fl_time deadline, fl_cancel_token *cancel)
{
	FL__BLOCKS(deadline);
	FL__AWAITS(FL__DEBUG_JOIN, (void *)(uintptr_t)t->data.ctx.id);
	fl__hook_join(&t->data.ctx, !fl__is_forever(deadline));
	const int rc = fl_event_wait_until(&t->ended, deadline, cancel);
	fl__hook_join(NULL, false);
	return rc;
}

/*
 * `rc` is the result of pthread_join() or pthread_detach(). They fail if the thread was already
 * joined or detached, unless the C library has forgotten it.
 */
static void thread_check_handle(const char *function, const fl_thread *t, int rc)
{
	if (fl__unlikely(rc != 0))
		fl__panic(function, t, "a thread that was joined or detached before");
}

FL__COLD int fl__thread_join_until(fl_thread **handle, int *result, fl_time deadline, fl_cancel_token *cancel)
{
	fl_thread *t = *handle;
	if (&t->data == fl__thread_data())
		return -EDEADLK;
	const int rc = thread_await(t, deadline, cancel);
	if (rc != 0)
		return rc;
	/*
	 * The thread has set `ended`, so this only waits until it has left the library's code and
	 * run the destructors of its thread-specific data.
	 */
	thread_check_handle("fl_thread_join", t, fl__sys.thread_join(t->pthread));
	if (result)
		*result = t->result;
	*handle = NULL;
	thread_release(t, 1);
	return 0;
}

int fl_thread_join_until(fl_thread *t, int *result, fl_time deadline, fl_cancel_token *cancel)
{
	fl__hook_ends(t);
	return fl__thread_join_until(&t, result, deadline, cancel);
}

FL__COLD void fl_thread_detach(fl_thread *t)
{
	fl__hook_ends(t);
	fl__store_relaxed(&t->detached, true); /* relaxed: it publishes nothing else */
	thread_check_handle("fl_thread_detach", t, fl__sys.thread_detach(t->pthread));
	fl__hook_freed(t); /* the thread may last */
	thread_release(t, 1);
}

bool fl_thread_is_alive(const fl_thread *t)
{
	return !fl_event_is_set(&t->ended);
}

uint64_t fl_thread_id(const fl_thread *t)
{
	return t->data.ctx.id;
}

uint64_t fl_thread_current_id(void)
{
	return fl__ctx_get()->id;
}

const char *fl_thread_current_name(void)
{
	return fl__ctx_get()->name;
}

size_t fl_thread_enumerate(void (*visit)(const fl_thread_info *info, void *arg), void *arg)
{
	size_t n = 0;
	FL__HELD(&thread_list_lock);
	FL__BLOCKS_THREAD();
	FL__EACH (const fl_thread, t, thread_oldest) {
		const fl_thread_info info = {t->data.ctx.id, t->name, !fl_event_is_set(&t->ended)};
		if (visit)
			visit(&info, arg);
		n++;
	}
	return n;
}

fl_thread_error_handler *fl_thread_set_error_handler(fl_thread_error_handler *handler)
{
	/*
	 * release: pairs with the acquire in thread_report_error(). acquire: pairs with the call
	 * that set the previous handler.
	 */
	return fl__swap_acq_rel(&thread_error_handler, handler);
}

static unsigned cpu_limit_of_environment(void)
{
	/* The result is NULL in a program that has more rights than its user. */
	const char *text = secure_getenv("FL_CPUS");
	if (!text)
		return INT_MAX;
	char *end;
	const long n = strtol(text, &end, 10);
	if (n > 0 && !*end)
		return (unsigned)FL__MIN(n, INT_MAX);
	fl__log(FL_LOG_WARNING, "FL_CPUS: \"%.40s\" is not a number of CPUs, 1 or more", text);
	return INT_MAX;
}

unsigned fl_cpu_count(void)
{
	static unsigned limit; /* 0 until the environment has been read */
	/* relaxed: a thread that reads 0 reads the environment itself, and finds the same limit */
	unsigned most = fl__load_relaxed(&limit);
	if (!most)
		fl__store_relaxed(&limit, most = cpu_limit_of_environment());
	return FL__MIN(most, fl__cpu_count());
}

static bool thread_ready(void *object)
{
	return !fl_thread_is_alive(object);
}

static bool thread_arm(void *object, struct fl__node *node)
{
	fl_thread *t = object;
	return fl__on_event.arm(&t->ended, node);
}

const fl_on_type fl__on_thread = {thread_ready, thread_arm, fl__node_disarm, NULL, true};

/* The only thread of a child is in no list, like the main thread. */
FL_NO_THREAD_SAFETY_ANALYSIS FL__COLD static void thread_make_anew(void)
{
	fl_mutex_init(&thread_list_lock);
	thread_oldest = thread_newest = NULL;
}

FL__MAKES_ANEW(thread_make_anew)
