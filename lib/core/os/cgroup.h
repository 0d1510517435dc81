/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls `visit` with the folder of each control group of this process that may limit `controller`
 * ("cpu", "memory"), and of its ancestors. `v2`: the folder has files of version 2. `proc_cgroup`
 * and `mounts`: /proc/thread-self/cgroup and /sys/fs/cgroup, or a test's.
 */
void fl__cgroup_visit(const char *proc_cgroup, const char *mounts, const char *controller,
                      void (*visit)(const char *folder, bool v2, void *arg), void *arg);

/*
 * Called by `visit`. Reads up to two numbers of a file in a group's folder; "max" is -1. Leaves
 * missing ones alone.
 */
void fl__cgroup_read(const char *folder, const char *file, int64_t n[2]);

/*
 * The least of `most` and the CPU quotas of this process's control groups. `proc_cgroup` lists the
 * groups (/proc/thread-self/cgroup), `mounts` holds them (/sys/fs/cgroup).
 */
unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most);
