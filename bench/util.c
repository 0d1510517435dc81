/* SPDX-License-Identifier: BSD-2-Clause */
#include "shim.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

void *bench_alloc(size_t size)
{
	size = (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
	void *memory = aligned_alloc(BENCH_LINE, size);
	if (!memory)
		bench_fail("out of memory: %zu bytes", size);
	return memset(memory, 0, size);
}

void bench_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("fairlead-bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

int64_t bench_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_sleep(unsigned us)
{
	struct timespec time = {us / 1000000, us % 1000000 * 1000L};
	prctl(PR_SET_TIMERSLACK, 1UL);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

int64_t bench_resident(int pid)
{
	char path[64];
	long all, resident = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
	FILE *f = fopen(path, "r");
	if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2)
		bench_fail("%s", path);
	(void)fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static unsigned rounds_100ns;
static pthread_once_t calibrated = PTHREAD_ONCE_INIT;

static void calibrate(void)
{
	enum { ROUNDS = 10000, TRIES = 50 };
	volatile uint64_t sink = 1;
	int64_t best = INT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		int64_t start = bench_now();
		sink = bench_work(sink, ROUNDS);
		int64_t took = bench_now() - start;
		if (took < best)
			best = took;
	}
	rounds_100ns = best > 0 ? (unsigned)(100 * (int64_t)ROUNDS / best) : ROUNDS;
}

unsigned bench_rounds(void)
{
	pthread_once(&calibrated, calibrate);
	return rounds_100ns;
}
