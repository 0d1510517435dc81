/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads of helpers. A thread whose function has ended still runs code of this library for a
 * moment. So it is joined, by the next thread that ends or when this copy ends.
 *
 * Invariants
 *   1. All variables change under helper_lock. No function of a helper is called under it.
 *   2. helper_running counts the started threads that have not put themselves into helper_ended.
 *   3. The block of a thread, which contains its context, is freed only after the thread was
 *      joined. So the thread may still use its context after it has put itself into helper_ended:
 *      in the unlock of helper_lock, and to join the thread before it.
 *   4. While helper_ending is set, no thread starts, and no unused thread comes into use. So
 *      helper_running falls to the number of threads in use, and helpers_end_all() stops waiting.
 */
#include "helper.h"
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../base/unload.h"
#include "../wait/context.h"
#include "local.h"
#include "mutex.h"
#include <pthread.h>

struct helper_thread {
	struct fl__thread_data data;
	struct helper_thread *next, **link; /* links of helper_threads */
	pthread_t thread;                   /* written under helper_lock */
	struct fl__helper *helper;
	void *arg;
	sigset_t signals; /* what the thread blocks if it calls functions of the user */
};

static fl_mutex helper_lock = FL_MUTEX_INIT;
static fl_cond helper_fewer = FL_COND_INIT; /* broadcast when helper_running has fallen */
static struct fl__helper *helper_first FL_GUARDED_BY(helper_lock);
static struct helper_thread *helper_threads FL_GUARDED_BY(helper_lock);
static unsigned helper_running FL_GUARDED_BY(helper_lock);
/* The ended thread that nobody has joined yet, or NULL. */
static struct helper_thread *helper_ended FL_GUARDED_BY(helper_lock);
static uint32_t helper_ending;

static void helper_join(struct helper_thread *t)
{
	if (!t)
		return;
	(void)fl__sys.thread_join(t->thread);
	{
		FL__HELD(&helper_lock);
		FL__LIST_REMOVE(t);
	}
	fl__free(t);
}

static struct helper_thread *helper_leave(struct helper_thread *t)
{
	FL__HELD(&helper_lock);
	struct helper_thread *before = helper_ended;
	helper_ended = t;
	helper_running--;
	fl_cond_broadcast(&helper_fewer);
	return before;
}

/* Called when a function of the user ends the thread. */
FL__COLD static void helper_exits(void *arg)
{
	const struct helper_thread *t = arg;
	fl__panic(t->helper->name, t->helper, "a function that the library calls " FL__ENDS_THREAD);
}

static void *helper_run(void *arg)
{
	struct helper_thread *t = arg;
	fl__ctx_current = &t->data.ctx;
	fl__name_thread(t->helper->name);
	if (t->helper->calls_user)
		fl__signals_restore(&t->signals);
	pthread_cleanup_push(helper_exits, t);
	t->helper->function();
	fl__locals_end(&t->data.ctx);
	pthread_cleanup_pop(0);
	helper_join(helper_leave(t));
	/* If a later destructor calls the library, it gets a context as a foreign thread does. */
	fl__ctx_current = NULL;
	return NULL;
}

/* Registers helper->end(), with helper_lock held. */
static void helper_list(struct fl__helper *helper) FL_REQUIRES(helper_lock)
{
	if (helper->listed)
		return;
	helper->listed = true;
	helper->next = helper_first;
	helper_first = helper;
}

void fl__helper_list(struct fl__helper *helper)
{
	FL__HELD(&helper_lock);
	helper_list(helper);
}

int fl__helper_start_with(struct fl__helper *helper, void *arg)
{
	struct helper_thread *t = fl__alloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	fl__ctx_init_thread(&t->data.ctx, helper->name);
	t->helper = helper;
	t->arg = arg;
	fl__signals_of_thread(&t->signals);
	FL__HELD(&helper_lock);
	const int rc = fl__helper_must_end() ? -EAGAIN : fl__thread_create_blocked(&t->thread, NULL, helper_run, t);
	if (rc != 0) {
		fl__free(t);
		return rc;
	}
	FL__LIST_ADD(&helper_threads, t);
	helper_running++;
	helper_list(helper);
	return 0;
}

void *fl__helper_arg(void)
{
	/* The context is the first member of struct helper_thread. */
	return ((const struct helper_thread *)(const void *)fl__ctx_current)->arg;
}

bool fl__helper_must_end(void)
{
	/*
	 * relaxed: if a thread of the helper reads an old value, it asks again after helper->end()
	 * has woken it. fl__helper_start_with() holds helper_lock, under which the value changes.
	 * Other callers hold the helper's lock, which helper->end() also takes.
	 */
	return fl__load_relaxed(&helper_ending);
}

static struct fl__helper *helpers_set_ending(uint32_t value)
{
	FL__HELD(&helper_lock);
	fl__store_relaxed(&helper_ending, value); /* relaxed: fl__helper_must_end() says why */
	return helper_first;
}

static void helpers_end_all(void)
{
	unsigned used = 0;
	FL__EACH (struct fl__helper, helper, helpers_set_ending(1))
		used += helper->end();
	fl__mutex_hold(&helper_lock);
	while (helper_running > used)
		/* This returns 0, because there is no deadline and no token. */
		(void)fl__cond_wait(&helper_fewer, &helper_lock, FL_FOREVER, FL_SHIELDED, true);
	struct helper_thread *last = helper_ended;
	helper_ended = NULL;
	fl_mutex_unlock(&helper_lock);
	helper_join(last);
}

void fl__helpers_end(void)
{
	helpers_end_all();
	(void)helpers_set_ending(0);
}

FL__AT_UNLOAD_FIRST static void helpers_unload(void)
{
	helpers_end_all();
}

/* The child has no thread of a helper. The helpers stay registered for when the child ends. */
FL_NO_THREAD_SAFETY_ANALYSIS static void helpers_make_anew(void)
{
	fl_mutex_init(&helper_lock);
	fl_cond_init(&helper_fewer);
	helper_threads = helper_ended = NULL;
	helper_running = 0;
	fl__store_relaxed(&helper_ending, 0); /* relaxed: the child has one thread */
}

FL__MAKES_ANEW(helpers_make_anew)
