/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of usable CPUs: the affinity mask, limited by the CPU quotas of the control group and
 * its ancestors. Version 2: cpu.max ("max 100000" or "QUOTA PERIOD"). Version 1: cpu.cfs_quota_us
 * (-1: none), cpu.cfs_period_us.
 */
#include "../base/atomic.h"
#include "cgroup.h"
#include "os.h"
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Lowers `*most`, unsigned, to the limit of the group at `folder`. */
static void cpu_visit_group(const char *folder, bool v2, void *most)
{
	int64_t quota[2] = {-1, 0}, period[2] = {0, 0};
	if (v2) {
		fl__cgroup_read(folder, "cpu.max", quota);
		period[0] = quota[1];
	} else {
		fl__cgroup_read(folder, "cpu.cfs_quota_us", quota);
		fl__cgroup_read(folder, "cpu.cfs_period_us", period);
	}
	if (quota[0] <= 0 || period[0] <= 0)
		return;
	const int64_t cpus = quota[0] / period[0] + (quota[0] % period[0] != 0);
	if (cpus < *(unsigned *)most)
		*(unsigned *)most = (unsigned)cpus;
}

FL__COLD unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most)
{
	fl__cgroup_visit(proc_cgroup, mounts, "cpu", cpu_visit_group, &most);
	return most;
}

unsigned fl__cpu_count(void)
{
	return fl__cpu_limit("/proc/thread-self/cgroup", "/sys/fs/cgroup", fl__cpu_affinity_count());
}
