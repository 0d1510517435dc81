/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FAULTS_H
#define FL_FAULTS_H

/*
 * Faults through the table of system calls. FL_FAULTS() saves the table and restores it at the end
 * of the block; a case replaces entries while no other thread is inside the library:
 *
 *     FL_FAULTS();
 *     fl__sys.alloc = fl_test_no_memory;
 *     FL_RC(fl_thread_start(&t, run, NULL, NULL), -ENOMEM);
 *
 * A failed case leaves by longjmp and its faults remain. Therefore each FL_FAULTS() first restores
 * the real table.
 */
#include "fl_test.h"

#include "core/sync/helper.h"

static struct fl__sys fl_test_real_sys;

__attribute__((constructor(1000))) static void fl_test_keep_sys(void)
{
	fl_test_real_sys = fl__sys;
}

static inline int fl_test_faults_end(void)
{
	fl_test_put_back(&fl__sys, &fl_test_real_sys, sizeof fl__sys);
	/* they may have stored a time of a clock that ran ahead */
	fl__yield_ration = 0;
	fl__store_relaxed(&fl__yield_newest, 0);
	return 0;
}

#define FL_FAULTS() FL_RESTORES(fl_test_faults_end)

/*
 * A clock that the test moves, so that a wait of an hour times out when the test says so, and not
 * earlier. After FL_FAULTS():
 *
 *     fl_test_clock_ours();
 *     ... a thread waits on `key` until fl_after(FL_S(3600)) ...
 *     fl__store_relaxed(&fl_test_ahead, FL_S(3600));
 *     FL_WAIT_FOR(fl_test_nudge(key) == 0);
 */
static int64_t fl_test_ahead;

static inline int64_t fl_test_clock_now(void)
{
	return fl_test_real_sys.now() + fl__load_relaxed(&fl_test_ahead);
}

FL_TEST_FUTEX_WAIT(fl_test_clock_wait)
{
	if (deadline <= fl_test_clock_now())
		return -ETIMEDOUT;
	return fl_test_real_sys.futex_wait(word, expected, deadline);
}

static inline void fl_test_clock_ours(void)
{
	fl__store_relaxed(&fl_test_ahead, 0);
	fl__sys.now = fl_test_clock_now;
	fl__sys.futex_wait = fl_test_clock_wait;
}

/*
 * After FL_FAULTS(): a clock that stands at fl_test_time, which the test moves. Each look at the
 * clock takes fl_test_tick.
 */
static int64_t fl_test_time, fl_test_tick;

static inline int64_t fl_test_clock_look(void)
{
	return fl__add_relaxed(&fl_test_time, fl__load_relaxed(&fl_test_tick));
}

static inline void fl_test_clock_stands(void)
{
	fl__store_relaxed(&fl_test_time, FL_S(1000));
	fl__store_relaxed(&fl_test_tick, 0);
	fl__sys.now = fl_test_clock_look;
}

FL_TEST_FUTEX_WAIT(fl_test_shared_wait_expires)
{
	if (deadline == FL__NEVER)
		return -EINTR;
	if (deadline > fl__sys.now())
		fl__store_relaxed(&fl_test_ahead, deadline - fl_test_real_sys.now());
	return -ETIMEDOUT;
}

/*
 * For FL_FAULTS: the clock jumps to the deadline of each sleep on a shared word, so that a lock
 * that is never released costs no time. The clock must jump, because a waiter wakes each second to
 * check that the owner exists, and sleeps again until its own deadline.
 */
static inline void fl_test_no_patience(void)
{
	fl_test_clock_ours();
	fl__sys.shared_wait = fl_test_shared_wait_expires;
}

static inline void *fl_test_no_memory(size_t size)
{
	return NULL;
}

FL_TEST_THREAD_CREATE(fl_test_no_threads)
{
	return -EAGAIN;
}

/*
 * How many blocks are allocated and not freed, counted after fl_test_count_allocs() under
 * FL_FAULTS().
 */
static uint32_t fl_test_live;

static inline void *fl_test_counted_alloc(size_t size)
{
	(void)fl__add_relaxed(&fl_test_live, 1);
	return fl_test_real_sys.alloc(size);
}

static inline void fl_test_counted_free(void *memory)
{
	(void)fl__sub_acq_rel(&fl_test_live, memory != NULL);
	fl_test_real_sys.free(memory);
}

static inline void fl_test_count_allocs(void)
{
	fl__store_relaxed(&fl_test_live, 0);
	fl__sys.alloc = fl_test_counted_alloc;
	fl__sys.free = fl_test_counted_free;
}

/*
 * Faults for cases of shared memory. The library's bridges (lib/process/shm/shm_bridge.h) outlive
 * their last wait by seconds, and read the table of system calls in that time.
 * FL_FAULTS_UNBRIDGED() is FL_FAULTS(), but makes sure that no bridge exists when the table
 * changes: at its beginning none of an earlier case, and at the end of the block none of this case.
 */

static inline int fl_test_bridges_end(void)
{
	fl__helpers_end();
	return 0;
}

static inline void fl_test_bridges_close(const int *unused)
{
	(void)fl_test_bridges_end();
}

#define FL_FAULTS_UNBRIDGED()                                                                                          \
	(void)fl_test_bridges_end();                                                                                   \
	FL_FAULTS();                                                                                                   \
	__attribute__((cleanup(fl_test_bridges_close), unused)) const int FL__UNIQUE(fl_test_bridges_) = 0

#endif
