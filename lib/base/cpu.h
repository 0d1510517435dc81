/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_CPU_H
#define FL_BASE_CPU_H

/*
 * The least of `most` and the quotas of the control groups that the file `proc_cgroup` (as
 * /proc/self/cgroup) names, under the folder `mounts` (as /sys/fs/cgroup). A test passes a tree of
 * its own.
 */
unsigned fl__cgroup_limit(const char *proc_cgroup, const char *mounts, unsigned most);

#endif
