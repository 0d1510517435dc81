/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the usable CPUs: those of the affinity mask, or as many as the CPU quotas of the control
 * group and its ancestors allow, if that is less.
 */
#include "../base/atomic.h"
#include "cgroup.h"
#include "os.h"
#ifndef FL__OS_POSIX
#include <errno.h>
#include <sched.h>

unsigned fl__cpu_affinity_count(void)
{
	/* EINVAL means that the mask is shorter than the kernel's. */
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

unsigned fl__cpu_count(void)
{
	return fl__cpu_limit("/proc/thread-self/cgroup", "/sys/fs/cgroup", fl__cpu_affinity_count());
}
#endif
