/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_CPU_H
#define FL_BASE_CPU_H

/*
 * The least of `most` and the quotas of the control groups that the file `proc_cgroup` names, under
 * the folder `mounts`: /proc/self/cgroup and /sys/fs/cgroup, or a test's own.
 */
unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most);

#endif
