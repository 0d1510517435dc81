/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_H
#define FAIRLEAD_H

/*
 * Fairlead: threads, locks, queues, futures and executors for C. This header includes all others;
 * each of them also stands alone. fairlead/defs.h says once what all functions have in common:
 * results, deadlines, cancelling, fork.
 */
#include <fairlead/barrier.h>
#include <fairlead/blocking.h>
#include <fairlead/cancel.h>
#include <fairlead/cond.h>
#include <fairlead/context_var.h>
#include <fairlead/datagram.h>
#include <fairlead/debug.h>
#include <fairlead/defs.h>
#include <fairlead/embedded_task.h>
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/executor.h>
#include <fairlead/fd.h>
#include <fairlead/fiber.h>
#include <fairlead/future.h>
#include <fairlead/group.h>
#include <fairlead/imap.h>
#include <fairlead/latch.h>
#include <fairlead/loop.h>
#include <fairlead/loop_executor.h>
#include <fairlead/mpmc.h>
#include <fairlead/mutex.h>
#include <fairlead/net.h>
#include <fairlead/offer.h>
#include <fairlead/once.h>
#include <fairlead/parallel.h>
#include <fairlead/pipe.h>
#include <fairlead/process.h>
#include <fairlead/process_executor.h>
#include <fairlead/process_io.h>
#include <fairlead/queue.h>
#include <fairlead/rmutex.h>
#include <fairlead/rwlock.h>
#include <fairlead/select.h>
#include <fairlead/sem.h>
#include <fairlead/shm.h>
#include <fairlead/shm_barrier.h>
#include <fairlead/shm_cond.h>
#include <fairlead/shm_event.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/shm_queue.h>
#include <fairlead/shm_sem.h>
#include <fairlead/shm_value.h>
#include <fairlead/signals.h>
#include <fairlead/spsc.h>
#include <fairlead/stream.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>
#include <fairlead/time.h>
#include <fairlead/timer.h>
#include <fairlead/version.h>
#include <fairlead/wait_any.h>

#endif
