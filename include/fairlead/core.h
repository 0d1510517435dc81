/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CORE_H
#define FAIRLEAD_CORE_H

/*
 * All headers of the core of Fairlead, which also works on macOS and Windows: threads, locks,
 * queues, futures and executors. fairlead.h also has the other parts that the build has.
 */
#include <fairlead/barrier.h>
#include <fairlead/blocking.h>
#include <fairlead/bytes.h>
#include <fairlead/cancel.h>
#include <fairlead/cond.h>
#include <fairlead/debug.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/group.h>
#include <fairlead/imap.h>
#include <fairlead/latch.h>
#include <fairlead/mpmc.h>
#include <fairlead/mutex.h>
#include <fairlead/once.h>
#include <fairlead/parallel.h>
#include <fairlead/queue.h>
#include <fairlead/rmutex.h>
#include <fairlead/rwlock.h>
#include <fairlead/select.h>
#include <fairlead/sem.h>
#include <fairlead/serial_executor.h>
#include <fairlead/spsc.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>
#include <fairlead/thread_safety.h>
#include <fairlead/time.h>
#include <fairlead/timer.h>
#include <fairlead/version.h>
#include <fairlead/wait_any.h>

/*
 * If the build lacks a part, a program that calls one of these functions does not compile, nor does
 * one that includes a header of that part.
 */
#define FL__ABSENT(part)                                                                                               \
	__extension__({                                                                                                \
		FL__ASSERT(0, "This build of Fairlead lacks the part " part ": docs/platforms.md says who has it.");   \
		0;                                                                                                     \
	})
#if !FL__HAS_PROCESS
#define fl_process_main(...) FL__ABSENT("process")
#define fl_pipe_create(...) FL__ABSENT("process")
#define fl_process_executor_create(...) FL__ABSENT("process")
#define fl_process_run(...) FL__ABSENT("process")
#define fl_process_start(...) FL__ABSENT("process")
#define fl_shm_create(...) FL__ABSENT("process")
#define fl_signals_create(...) FL__ABSENT("process")
#endif
#if !FL__HAS_LOOP
#define fl_fiber_start(...) FL__ABSENT("loop")
#define fl_group_start(...) FL__ABSENT("loop")
#define fl_group_start_with(...) FL__ABSENT("loop")
#define fl_loop_create(...) FL__ABSENT("loop")
#define fl_loop_executor_create(...) FL__ABSENT("loop")
#define fl_loop_run(...) FL__ABSENT("loop")
#endif

#endif
