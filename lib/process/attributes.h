/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_ATTRIBUTES_H
#define FL_PROCESS_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Attributes that a process inherits from the thread that makes it (fork(2), credentials(7),
 * capabilities(7), namespaces(7), sched(7)), for a process that the fork server makes in place of
 * the thread. fairlead/process.h lists them.
 */

/*
 * Rights are compared, as hashes. A process comes only from a fork server that was made by a thread
 * with the caller's rights: the fork server can take on none.
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

/*
 * Settings are sent. The fork server takes them on before it forks; the child sets the limits and
 * the umask.
 */
struct fl__settings {
	uint64_t cpus[128]; /* the affinity */
	struct {            /* the kernel's struct sched_attr, first version */
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

/* Reads what needs no /proc, in some us. 0; -ENOMEM; -EAGAIN: another thread changed the groups. */
int fl__rights_read_first(struct fl__rights *rights);

/* What is read with the rest, and differs between the threads and moments of one program. */
struct fl__mask_and_ignored {
	int32_t umask;    /* -1: not known, without /proc */
	uint64_t ignored; /* signals, the lowest bit is signal 1; 0 without /proc */
};

/*
 * Reads the rest, in some 50 us. 0, or an error of the system. Without /proc,
 * equal rights may hide other namespaces (but for the mount namespace), seccomp filters, and
 * ambient and bounding capabilities.
 */
int fl__rights_read_rest(struct fl__rights *rights, struct fl__mask_and_ignored *more);

/*
 * Called by a thread that changes its namespaces and its place never: they are read once. For the
 * thread of a pool, which starts many processes.
 */
void fl__rights_fix_place(void);

/* Both. */
int fl__rights_read(struct fl__rights *rights);

/* Whether what is read first is the same. */
bool fl__rights_begin_equal(const struct fl__rights *a, const struct fl__rights *b);

/* Names, as a sentence for the log, the first right that differs; NULL: none does. */
const char *fl__rights_difference(const struct fl__rights *fork_server, const struct fl__rights *caller);

/* Reads the settings of the calling thread. */
void fl__settings_read(struct fl__settings *settings);

/*
 * Makes `wanted` the settings of this process, which has `*mine`, but for the limits: raises hard
 * limits alone, so far that a child can set its limits. For a process with one thread. 0, or an
 * error of the system: -EPERM, -EACCES, -EINVAL, ...; `*mine` is what the process has now.
 */
int fl__settings_take_on(struct fl__settings *mine, const struct fl__settings *wanted);

/* Sets the limits of this process, which has those of `mine`. 0, or an error of the system. */
int fl__settings_limit(const struct fl__settings *mine, const struct fl__settings *wanted);

#endif
