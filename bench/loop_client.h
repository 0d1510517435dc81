/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_CLIENT_H
#define BENCH_LOOP_CLIENT_H

/* What the clients of the echo servers share (loop_echo.c, loop_datagram.c). */
#include "loop.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static inline void must(bool good, const char *what)
{
	if (!good)
		bench_fail("%s: %s", what, strerror(errno));
}

/* The second of the CPUs that it may use; back to all of them afterwards. */
static inline cpu_set_t pin(void)
{
	cpu_set_t all, second;
	must(sched_getaffinity(0, sizeof all, &all) == 0, "sched_getaffinity");
	CPU_ZERO(&second);
	for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE && seen < 2; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (++seen == 2 || CPU_COUNT(&all) == 1)
			CPU_SET(cpu, &second);
	}
	must(sched_setaffinity(0, sizeof second, &second) == 0, "sched_setaffinity");
	return all;
}

static inline void unpin(cpu_set_t all)
{
	must(sched_setaffinity(0, sizeof all, &all) == 0, "sched_setaffinity");
}

#endif
