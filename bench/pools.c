/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the workloads of pools (pools.h) that all implementations share: the work of a task,
 * the hold until a release, the CPU time of an idle pool, and what stands in for futures.
 */
#include "pools.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static unsigned microsecond; /* how many rounds of bench_work() take a microsecond */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static unsigned held;
static bool released;

static void hold(void)
{
	pthread_mutex_lock(&gate);
	held++;
	pthread_cond_broadcast(&gate_changed);
	while (!released)
		pthread_cond_wait(&gate_changed, &gate);
	pthread_mutex_unlock(&gate);
}

void pool_special(uint64_t arg)
{
	volatile uint64_t sink = arg;
	if (arg & POOL_WORK)
		sink = bench_work(sink, microsecond);
	if (arg & POOL_HOLD)
		hold();
}

void pool_warm(void)
{
	microsecond = 10 * bench_rounds();
}

void pool_await_held(unsigned n)
{
	pthread_mutex_lock(&gate);
	while (held < n)
		pthread_cond_wait(&gate_changed, &gate);
	pthread_mutex_unlock(&gate);
}

void pool_release(void)
{
	pthread_mutex_lock(&gate);
	released = true;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate);
}

/* Returns the ns that a thread of this process has run. */
static int64_t cpu_of(const char *thread)
{
	char name[300];
	int64_t ran = 0;
	(void)snprintf(name, sizeof name, "/proc/self/task/%s/schedstat", thread);
	FILE *f = fopen(name, "r");
	if (!f || fscanf(f, "%" SCNd64, &ran) != 1)
		bench_fail("%s: no such file, or not what was expected", name);
	(void)fclose(f);
	return ran;
}

/*
 * Returns the ns that all threads except the first one have run. The first thread calls this; if it
 * were counted, so would be the time in which it reads the clocks.
 */
static int64_t cpu_of_others(void)
{
	DIR *threads = opendir("/proc/self/task");
	int64_t sum = 0;
	if (!threads)
		bench_fail("/proc/self/task");
	for (const struct dirent *entry; (entry = readdir(threads));)
		if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != getpid())
			sum += cpu_of(entry->d_name);
	(void)closedir(threads);
	return sum;
}

void pool_idle_cpu(bench_thread *t)
{
	int64_t span = t->until - bench_now();
	bench_sleep(POOL_SETTLE_US);
	int64_t before = cpu_of_others(), start = bench_now();
	bench_sleep((unsigned)(span / 1000));
	t->took = cpu_of_others() - before;
	t->done = (uint64_t)((bench_now() - start) / 1000000);
	if (t->took <= 0)
		t->took = 1; /* no CPU time at all; 0 would mean that the row did not measure */
}

pool_future *pool_futures(size_t n)
{
	pool_future *futures = (pool_future *)bench_alloc(n * sizeof *futures);
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_init(&futures[i].mutex, NULL);
		pthread_cond_init(&futures[i].cond, NULL);
	}
	return futures;
}
