/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all benches use (shim.h): memory, failures, the CPUs of a thread, the clock, and work of a
 * known length.
 */
#include "shim.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

void bench_free(void *state, uint64_t total)
{
	free(state);
}

void *bench_setup_arg(const bench_setting *with)
{
	return (void *)with->arg;
}

void bench_no_teardown(void *state, uint64_t total)
{
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

void bench_must(bool good, const char *what)
{
	if (!good)
		bench_fail("%s: %s", what, strerror(errno));
}

void bench_failed_call(int rc, const char *call)
{
	bench_fail("%s: %d, errno: %s", call, rc, strerror(errno));
}

void bench_counted(const char *what, uint64_t counted, uint64_t of)
{
	if (counted != of)
		bench_fail("%s: %" PRIu64 " of %" PRIu64, what, counted, of);
}

cpu_set_t bench_pin(int index)
{
	cpu_set_t before, one;
	int cpu = 0;
	BENCH_OK(sched_getaffinity(0, sizeof before, &before));
	for (int left = index % CPU_COUNT(&before); !CPU_ISSET(cpu, &before) || left-- > 0;)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	BENCH_OK(sched_setaffinity(0, sizeof one, &one));
	return before;
}

void bench_allow_files(void)
{
	struct rlimit files;
	BENCH_OK(getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	BENCH_OK(setrlimit(RLIMIT_NOFILE, &files));
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
