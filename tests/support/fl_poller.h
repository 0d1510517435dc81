/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_POLLER_H
#define FL_POLLER_H

/*
 * Faults and counts of a loop's system calls (lib/loop/poller.h). FL_POLLER_FAULTS() restores the
 * table at the end of the block. A case replaces entries while no loop runs.
 */
#include "fl_test.h"

#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "loop/poller.h"

static struct fl__poller_sys fl_test_real_poller;

__attribute__((constructor)) static void fl_test_keep_poller(void)
{
	fl_test_real_poller = fl__poller_sys;
}

static inline int fl_test_poller_end(void)
{
	fl_test_put_back(&fl__poller_sys, &fl_test_real_poller, sizeof fl__poller_sys);
	return 0;
}

#define FL_POLLER_FAULTS() FL_RESTORES(fl_test_poller_end)

/* How often each was called, after fl_test_poller_count(). Rings come from any thread. */
typedef struct fl_test_poller_calls {
	uint32_t waits, controls, rings;
} fl_test_poller_calls;

static fl_test_poller_calls fl_test_polled;

static inline int fl_test_poller_wait(int poller, struct epoll_event *events, int n, int64_t deadline)
{
	/* Relaxed, here and below: counts that are polled. */
	fl__add_relaxed(&fl_test_polled.waits, 1);
	/* a process that was stopped goes on with -EINTR */
	return FL__RETRY(fl_test_real_poller.wait(poller, events, n, deadline));
}

static inline int fl_test_poller_control(int poller, int op, int fd, uint32_t events, void *owner)
{
	fl__add_relaxed(&fl_test_polled.controls, 1);
	return fl_test_real_poller.control(poller, op, fd, events, owner);
}

static inline void fl_test_poller_ring(int bell)
{
	fl__add_relaxed(&fl_test_polled.rings, 1);
	fl_test_real_poller.ring(bell);
}

static inline void fl_test_poller_count(void)
{
	fl_test_polled = (fl_test_poller_calls){0, 0, 0};
	fl__poller_sys.wait = fl_test_poller_wait;
	fl__poller_sys.control = fl_test_poller_control;
	fl__poller_sys.ring = fl_test_poller_ring;
}

#endif
