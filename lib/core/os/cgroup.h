/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of the control groups to which the process belongs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls `visit` with the folder of each control group of this process that may limit `controller`
 * ("cpu", "memory"), and then with the folders of its ancestors. If `v2` is true, the folder
 * contains the files of version 2. `proc_cgroup` is the file that lists the groups:
 * /proc/thread-self/cgroup, or a file of a test. `mounts` is the folder that contains the groups'
 * folders: /sys/fs/cgroup, or a folder of a test.
 */
void fl__cgroup_visit(const char *proc_cgroup, const char *mounts, const char *controller,
                      void (*visit)(const char *folder, bool v2, void *arg), void *arg);

/*
 * Called by `visit`. Reads up to two numbers from a file in a group's folder. The word "max" counts
 * as -1. If a number is missing, its element of `n` keeps its value.
 */
void fl__cgroup_read(const char *folder, const char *file, int64_t n[2]);

/*
 * Returns the smallest of `most` and the CPU quotas of this process's control groups. A fraction of
 * a CPU counts as a whole CPU. `proc_cgroup` and `mounts` are as in fl__cgroup_visit().
 */
unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most);
