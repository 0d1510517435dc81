/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of usable CPUs: the affinity mask, limited by the CPU quotas of the control group and
 * its ancestors. Version 2 has cpu.max ("max 100000" or "QUOTA PERIOD"). Version 1 has
 * cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us.
 */
#include "cpu.h"
#include <errno.h>
#include <fairlead/cpu.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned cpu_affinity_count(void)
{
	/* The kernel's mask may be longer than cpu_set_t: EINVAL asks for a larger one. */
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

/* Reads up to two numbers of a file. "max" counts as -1. Returns how many it read. */
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

static unsigned cpu_group_limit(const char *folder, bool v2, unsigned most)
{
	char path[4096 + 64];
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

/* The least limit of the group at `mount` + `group` and its ancestors. */
static unsigned cpu_tree_limit(const char *mount, const char *group, bool v2, unsigned most)
{
	char folder[4096];
	int n = snprintf(folder, sizeof folder, "%s%s", mount, group);
	if (n < 0 || (size_t)n >= sizeof folder)
		return most;
	for (size_t root = strlen(mount); strlen(folder) >= root;) {
		most = cpu_group_limit(folder, v2, most);
		char *slash = strrchr(folder + root, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return most;
}

/* Whether the comma-separated `list` has `cpu`. */
static bool cpu_is_listed(const char *list)
{
	for (const char *at = list; (at = strstr(at, "cpu")) != NULL; at += 3)
		if ((at == list || at[-1] == ',') && (at[3] == ',' || at[3] == '\0'))
			return true;
	return false;
}

unsigned fl__cgroup_limit(const char *proc_cgroup, const char *mounts, unsigned most)
{
	char line[4096];
	FILE *f = fopen(proc_cgroup, "re");
	if (!f)
		return most;
	/* "0::/group" in version 2, "4:cpu,cpuacct:/group" in version 1 */
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		if (strcmp(group, "/") == 0)
			group = (char *)"";
		char mount[4096];
		bool v2 = *controllers == '\0';
		if (!v2 && !cpu_is_listed(controllers))
			continue;
		(void)snprintf(mount, sizeof mount, "%s%s%s", mounts, v2 ? "" : "/", controllers);
		most = cpu_tree_limit(mount, group, v2, most);
	}
	(void)fclose(f);
	return most;
}

unsigned fl_cpu_count(void)
{
	return fl__cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup", cpu_affinity_count());
}
