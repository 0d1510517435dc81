/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * What a process of the fork server inherits from the caller; docs/decisions/fork-server-rights.md
 * gives the reasons.
 */

/*
 * Hashes of rights. A process of the fork server begins its task only if the caller has the rights
 * with which the fork server was made.
 */
struct fl__rights {
	/*
	 * The parts that are read first. `ids` covers users, groups, capabilities, securebits,
	 * no_new_privs, and session keyring.
	 */
	uint64_t ids;
	uint64_t root;
	uint64_t session; /* the session and the process group */
	/*
	 * The parts that are read second, from /proc except the NUMA policy. `confinement` covers
	 * seccomp filters, ambient and bounding capabilities, and the file system ids.
	 */
	uint64_t confinement;
	uint64_t namespaces;
	uint64_t place; /* the security label, the cgroup, oom_score_adj, and the NUMA policy */
};

/*
 * The fork server takes these on before it forks, except that it only raises limits, and the child
 * sets them.
 */
struct fl__settings {
	uint64_t cpus[128]; /* the set of CPUs */
	struct {            /* the kernel's struct sched_attr */
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} schedule;
	struct {
		uint64_t now, most; /* the soft and the hard limit */
	} limits[16];
	int32_t nice; /* also used with a real-time policy */
	int32_t io_priority;
	int32_t timer_slack; /* ns */
	int32_t personality;
};

/*
 * Reads the first part, without /proc, in a few us. Returns 0; -ENOMEM; or -EAGAIN if another
 * thread changed the groups.
 */
int fl__rights_read_first(struct fl__rights *rights);

/* The umask and the ignored signals. */
struct fl__mask_and_ignored {
	int32_t umask;    /* -1 if unknown, because there is no /proc */
	uint64_t ignored; /* signal 1 is bit 0; the set is 0 without /proc */
};

/*
 * Reads the rest, in about 50 us. Returns 0 or an error of the system. Without /proc, equal rights
 * may hide differences in namespaces (except the mount namespace), in seccomp filters, in ambient
 * and bounding capabilities, in the file system ids, and in the security label, the cgroup and
 * oom_score_adj.
 */
int fl__rights_read_rest(struct fl__rights *rights, struct fl__mask_and_ignored *more);

/*
 * For a pool's thread: from now on, the calling thread reads its namespaces and its place only
 * once.
 */
void fl__rights_fix_place(void);

int fl__rights_read(struct fl__rights *rights);

bool fl__rights_begin_equal(const struct fl__rights *a, const struct fl__rights *b);

/* Returns a sentence for the log about the first right that differs, or NULL if there is none. */
const char *fl__rights_difference(const struct fl__rights *fork_server, const struct fl__rights *caller);

void fl__settings_read(struct fl__settings *settings);

/*
 * Makes `wanted` the settings of this process. Limits are only raised: the hard limits far enough
 * that a child can set its limits, and the soft limit of descriptors far enough that this process
 * can hold what it passes on. Requires that the process has only one thread. Returns 0 or an error
 * of the system. Stores the resulting settings in `*mine`.
 */
int fl__settings_take_on(struct fl__settings *mine, const struct fl__settings *wanted);

/* Sets the limits of `wanted` in a process that had the limits of `mine`. */
int fl__settings_limit(const struct fl__settings *mine, const struct fl__settings *wanted);
