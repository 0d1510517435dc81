/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "fiber.h"

/*
 * Event loops. Tasks and timers are measured in fairlead-bench itself (loop.c, fiber_boost.cc;
 * Python's by loop.py). Servers and memory are measured in a program of their own,
 * fairlead-bench-loop (loop_probe.c):
 *
 *     fairlead-bench-loop echo NAME    says "ready", then the port of an echo server on 127.0.0.1;
 *                                      ends with its input
 *     fairlead-bench-loop udp NAME     the same for datagrams
 *     fairlead-bench-loop unix_datagram NAME   the same; says its process id (loop_probe.h)
 *     fairlead-bench-loop idle NAME    says "ready"; answers each number (remote.h) by the bytes of
 *                                      memory that so many waiting tasks cost
 *
 * The workloads of tasks on one thread, in a fiber_work: spawn_join: start a task and join it.
 * group_20000: start LOOP_GROUP tasks, which do not wait, then join them all; timed from the second
 * time on, so that their memory is warm. pingpong: two tasks, there and back through two queues,
 * which hold one item each.
 */
enum {
	LOOP_TIMERS = 10000, /* that are started at any time */
	LOOP_TASKS = 10000,  /* that are cancelled together */
	LOOP_GROUP = 20000,  /* tasks of one group */
	LOOP_IDLE = 10000,   /* their memory is counted */
	ECHO_SIZE = 64,
};

/* When the i-th of the timers fires: 1 to 11 s from now, in no order, in milliseconds. */
static inline uint64_t loop_timer_ms(uint64_t i)
{
	return 1000 + (i * UINT64_C(0x9e3779b97f4a7c15) >> 32) % 10000;
}

#endif
