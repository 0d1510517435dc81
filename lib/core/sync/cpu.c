/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of usable CPUs: the affinity mask, limited by the CPU quotas of the control group and
 * its ancestors. Version 2: cpu.max ("max 100000" or "QUOTA PERIOD"). Version 1: cpu.cfs_quota_us
 * (-1: none), cpu.cfs_period_us.
 */
#include "cpu.h"
#include "../base/cgroup.h"
#include <errno.h>
#include <fairlead/thread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned fl__cpu_affinity_count(void)
{
	/* EINVAL asks for a mask as long as the kernel's */
	for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		if (!set)
			return 1;
		size_t size = CPU_ALLOC_SIZE(cpus);
		int rc = sched_getaffinity(0, size, set);
		unsigned count = rc == 0 ? (unsigned)CPU_COUNT_S(size, set) : 1;
		CPU_FREE(set);
		if (rc == 0 || errno != EINVAL)
			return count > 0 ? count : 1;
	}
	return 1;
}

/* Up to two numbers of a file. "max" counts as -1. Returns how many. */
static int cpu_read_numbers(const char *path, long long n[2])
{
	char text[64] = "";
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	const char *line = fgets(text, sizeof text, f);
	(void)fclose(f);
	if (!line)
		return 0;
	if (strncmp(text, "max", 3) == 0)
		memcpy(text, "-1 ", 3);
	return sscanf(text, "%lld %lld", &n[0], &n[1]);
}

static unsigned cpu_ceil_quota(long long quota, long long period, unsigned most)
{
	if (quota <= 0 || period <= 0)
		return most;
	long long cpus = quota / period + (quota % period != 0);
	return cpus < most ? (unsigned)cpus : most;
}

/* The limit of the group at `folder`, at most `most`. */
static unsigned cpu_group_limit(const char *folder, bool v2, unsigned most)
{
	char path[2 * 4096 + 64];
	long long n[2], period[2];
	if (v2) {
		(void)snprintf(path, sizeof path, "%s/cpu.max", folder);
		return cpu_read_numbers(path, n) == 2 ? cpu_ceil_quota(n[0], n[1], most) : most;
	}
	(void)snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
	if (cpu_read_numbers(path, n) < 1)
		return most;
	(void)snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
	return cpu_read_numbers(path, period) >= 1 ? cpu_ceil_quota(n[0], period[0], most) : most;
}

static void cpu_visit_group(const char *folder, bool v2, void *most)
{
	*(unsigned *)most = cpu_group_limit(folder, v2, *(unsigned *)most);
}

__attribute__((cold)) unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most)
{
	fl__cgroup_visit(proc_cgroup, mounts, "cpu", cpu_visit_group, &most);
	return most;
}

unsigned fl_cpu_count(void)
{
	return fl__cpu_limit("/proc/self/cgroup", "/sys/fs/cgroup", fl__cpu_affinity_count());
}
