/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The least of `most` and the CPU quotas of this process's control groups. `proc_cgroup` lists the
 * groups (/proc/thread-self/cgroup), `mounts` holds them (/sys/fs/cgroup).
 */
unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most);

/* Opens no file. */
unsigned fl__cpu_affinity_count(void);
