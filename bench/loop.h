/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "fiber.h"

/*
 * The workloads of event loops. fairlead-bench itself measures tasks and timers (loop.c,
 * fiber_boost.cc; Python's are in loop.py). A separate program, fairlead-bench-loop (loop_probe.c),
 * contains the servers, and the waiting tasks whose memory is measured:
 *
 *     fairlead-bench-loop echo NAME    says "ready", then the port of an echo server on 127.0.0.1;
 *                                      ends with its input
 *     fairlead-bench-loop udp NAME     the same for datagrams
 *     fairlead-bench-loop unix_datagram NAME
 *                                      the same; says its process id (loop_probe.h)
 *     fairlead-bench-loop idle NAME    says "ready"; answers each number (remote.h) by the bytes of
 *                                      memory that so many waiting tasks cost
 *
 * The workloads of tasks on one thread keep their count in a fiber_work:
 *
 *     spawn_join    starts a task and joins it
 *     group_20000   starts LOOP_GROUP tasks, which do not wait, and joins them all; timed from the
 *                   second time on, when their memory is warm
 *     pingpong      two tasks send an item to and fro through two queues, which hold one item each
 */
enum {
	LOOP_TIMERS = 10000, /* how many timers are started at any time */
	LOOP_TASKS = 10000,  /* how many tasks are cancelled together */
	LOOP_GROUP = 20000,  /* how many tasks one group has */
	LOOP_IDLE = 10000,   /* for how many tasks the memory is counted */
	ECHO_SIZE = 64,
};

/* Returns when the i-th of the timers fires, in milliseconds from now: 1 to 11 s, in no order. */
static inline uint64_t loop_timer_ms(uint64_t i)
{
	return 1000 + (i * UINT64_C(0x9e3779b97f4a7c15) >> 32) % 10000;
}

#endif
