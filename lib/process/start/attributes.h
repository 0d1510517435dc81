/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a process of the fork server inherits from the caller: docs/design.md, section 4. */

/*
 * Hashes. The fork server makes a process only for a caller that has the rights with which the fork
 * server was made.
 */
struct fl__rights {
	/* Read first: users, groups, capabilities, securebits, no_new_privs, session keyring. */
	uint64_t ids;
	uint64_t root;
	uint64_t session; /* and process group */
	/* From /proc: seccomp filters, ambient and bounding capabilities. */
	uint64_t confinement;
	uint64_t namespaces;
	uint64_t place; /* security label, cgroup, oom_score_adj, NUMA policy */
};

/* The fork server takes these on before it forks; the child sets the limits and the umask. */
struct fl__settings {
	uint64_t cpus[128]; /* the affinity */
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
	int32_t nice; /* also beside a real-time policy */
	int32_t io_priority;
	int32_t timer_slack; /* ns */
	int32_t personality;
};

/* Without /proc, in some us. 0; -ENOMEM; -EAGAIN: another thread changed the groups. */
int fl__rights_read_first(struct fl__rights *rights);

/* The umask and the ignored signals. */
struct fl__mask_and_ignored {
	int32_t umask;    /* -1: not known, without /proc */
	uint64_t ignored; /* signal 1 is bit 0; 0 without /proc */
};

/*
 * In some 50 us. 0, or an error of the system. Without /proc, equal rights may hide other
 * namespaces (but for the mount namespace), seccomp filters, and ambient and bounding capabilities.
 */
int fl__rights_read_rest(struct fl__rights *rights, struct fl__mask_and_ignored *more);

/* For the thread of a pool: its namespaces and its place are read once. */
void fl__rights_fix_place(void);

int fl__rights_read(struct fl__rights *rights);

bool fl__rights_begin_equal(const struct fl__rights *a, const struct fl__rights *b);

/* The first right that differs, as a sentence for the log; NULL: none. */
const char *fl__rights_difference(const struct fl__rights *fork_server, const struct fl__rights *caller);

void fl__settings_read(struct fl__settings *settings);

/*
 * Makes `wanted` the settings of this process. Limits are only raised: the hard ones so far that a
 * child can set its limits, and the soft limit of descriptors, so that this process has room for
 * what it passes on. Requires one thread. Returns 0, or an error of the system. `*mine` is what the
 * process has now.
 */
int fl__settings_take_on(struct fl__settings *mine, const struct fl__settings *wanted);

/* The process had the limits of `mine`. */
int fl__settings_limit(const struct fl__settings *mine, const struct fl__settings *wanted);
