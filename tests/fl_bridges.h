/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BRIDGES_H
#define FL_BRIDGES_H

/*
 * Faults for cases of shared memory. The library's bridges (lib/shm/bridge.h) outlive the wait that needed them by seconds, and
 * read the table of system calls meanwhile. FL_FAULTS_UNBRIDGED() is FL_FAULTS() with no bridge alive when the table changes:
 * neither one of the cases before, nor, at the end of the block, one of this case. The case must not replace wait_many and
 * thread_create.
 */
#include "fl_faults.h"

static struct fl__sys fl_test_bare_sys;
static void *(*fl_test_serve)(void *arg);
static uint32_t fl_test_bridges, fl_test_bridges_go; /* how many there are; 1: those that idle are to end */

/* An idle bridge has one word to sleep on, and a deadline. It gets a second word. */
static int fl_test_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	if (deadline == FL_FOREVER)
		return fl_test_bare_sys.wait_many(words, n, deadline);
	struct fl__futex both[2] = {words[0], {0, (uint64_t)(uintptr_t)&fl_test_bridges_go, FL__FUTEX_PRIVATE, 0}};
	int rc = fl_test_bare_sys.wait_many(both, 2, deadline);
	return fl__load_relaxed(&fl_test_bridges_go) ? -ETIMEDOUT : rc;
}

static void *fl_test_bridge(void *arg)
{
	arg = fl_test_serve(arg);
	fl__sub_release(&fl_test_bridges, 1); /* pairs with fl_test_bridges_end() */
	return arg;
}

/*
 * Bridges are detached, and take no argument. What else is detached takes one: the watcher of descriptors, which outlives all.
 * It must not pass here, since a bridge that has not begun to run would take the watcher's function for its own.
 */
static int fl_test_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	int state = PTHREAD_CREATE_JOINABLE;
	if (attr)
		(void)pthread_attr_getdetachstate(attr, &state);
	if (state == PTHREAD_CREATE_JOINABLE || arg)
		return fl_test_bare_sys.thread_create(thread, attr, start, arg);
	fl__store_relaxed(&fl_test_serve, start); /* relaxed: it is always the same, and creating a thread orders it */
	fl__add_relaxed(&fl_test_bridges, 1);
	int rc = fl_test_bare_sys.thread_create(thread, attr, fl_test_bridge, arg);
	if (rc != 0)
		fl__sub_release(&fl_test_bridges, 1);
	return rc;
}

static void fl_test_no_bridges_in_child(void)
{
	fl_test_bridges = 0;
}

__attribute__((constructor)) static void fl_test_wrap_bridges(void)
{
	fl_test_bare_sys = fl__sys;
	fl__sys.wait_many = fl_test_wait_many;
	fl__sys.thread_create = fl_test_create;
	fl_test_real_sys = fl__sys;
	FL_CHECK(pthread_atfork(NULL, NULL, fl_test_no_bridges_in_child) == 0);
}

/* Waits until there is none; nobody waits by one. */
static inline int fl_test_bridges_end(void)
{
	fl__store_relaxed(&fl_test_bridges_go, 1);
	FL_WAIT_FOR(
	    (fl_test_bare_sys.futex_wake(&fl_test_bridges_go, 1 << 20), fl__load_acquire(&fl_test_bridges) == 0));
	fl__store_relaxed(&fl_test_bridges_go, 0);
	return 0;
}

static inline void fl_test_bridges_close(const int *unused)
{
	(void)unused;
	(void)fl_test_bridges_end();
}

#define FL_FAULTS_UNBRIDGED()                                                                                          \
	(void)fl_test_bridges_end();                                                                                   \
	FL_FAULTS();                                                                                                   \
	__attribute__((cleanup(fl_test_bridges_close), unused)) const int FL__JOIN(fl_test_bridges_, __LINE__) = 0

#endif
