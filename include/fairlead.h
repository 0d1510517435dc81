/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_H
#define FAIRLEAD_H

/*
 * Fairlead: threads, locks, queues, futures and executors for C. This header includes the headers
 * of all parts that the build has. Each of them also stands alone. fairlead/defs.h says once what
 * all functions have in common: results, deadlines, cancelling, fork.
 */
#include <fairlead/core.h>

#if FL__HAS_PROCESS
/* process */
#include <fairlead/endpoint.h>
#include <fairlead/fd.h>
#include <fairlead/fd_events.h>
#include <fairlead/pipe.h>
#include <fairlead/process.h>
#include <fairlead/process_executor.h>
#include <fairlead/process_io.h>
#include <fairlead/shm.h>
#include <fairlead/shm_barrier.h>
#include <fairlead/shm_cond.h>
#include <fairlead/shm_event.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/shm_queue.h>
#include <fairlead/shm_sem.h>
#include <fairlead/shm_value.h>
#include <fairlead/signals.h>

#endif
#if FL__HAS_LOOP
/* loop */
#include <fairlead/address.h>
#include <fairlead/datagram.h>
#include <fairlead/fiber.h>
#include <fairlead/loop.h>
#include <fairlead/loop_executor.h>
#include <fairlead/net.h>
#include <fairlead/stream.h>

#endif

#endif
