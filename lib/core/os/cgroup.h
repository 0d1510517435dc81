/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls `visit` with the folder of each control group of this process that may limit `controller`
 * ("cpu", "memory"), and of its ancestors. If `v2` is true, the folder has files of version 2. The
 * file `proc_cgroup` lists the groups. It is /proc/thread-self/cgroup, or a file of a test. The
 * folder `mounts` contains the folders of the groups. It is /sys/fs/cgroup, or a folder of a test.
 */
void fl__cgroup_visit(const char *proc_cgroup, const char *mounts, const char *controller,
                      void (*visit)(const char *folder, bool v2, void *arg), void *arg);

/*
 * Called by `visit`. Reads up to two numbers of a file in a group's folder. The word "max" counts
 * as the number -1. For a number that is missing, the element of `n` keeps its value.
 */
void fl__cgroup_read(const char *folder, const char *file, int64_t n[2]);

/*
 * Returns the least of `most` and the CPU quotas of this process's control groups. A quota of a
 * part of a CPU counts as a whole CPU. `proc_cgroup` and `mounts` are those of fl__cgroup_visit().
 */
unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most);
