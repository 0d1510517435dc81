/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and compares rights, and reads and takes on settings (attributes.h). */
#include "attributes.h"
#include "../base/identity.h"
#include "../base/process_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/wait/context.h"
#include "new_process.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Rights. */

static void attributes_add(uint64_t *hash, const void *data, size_t size)
{
	*hash = fl__hash(*hash, data, size);
}

static int attributes_add_groups(uint64_t *hash)
{
	FL__KEEPS_ERRNO();
	const int n = getgroups(0, NULL);
	gid_t *groups = fl__alloc((size_t)n + 1, sizeof *groups);
	if (!groups)
		return -ENOMEM;
	const int there = getgroups(n, groups);
	if (there >= 0)
		attributes_add(hash, groups, (size_t)there * sizeof *groups);
	fl__free(groups);
	return there >= 0 ? 0 : -EAGAIN; /* -EAGAIN: another thread has just set more groups */
}

static void attributes_add_ids(uint64_t *hash)
{
	enum { CAPABILITY_VERSION = 0x20080522 }; /* of Linux 2.6.26 */
	uint32_t header[2] = {CAPABILITY_VERSION, 0}, capabilities[6] = {0};
	uid_t users[3] = {0, 0, 0};
	gid_t groups[3] = {0, 0, 0};
	(void)getresuid(&users[0], &users[1], &users[2]);
	(void)getresgid(&groups[0], &groups[1], &groups[2]);
	(void)fl__raw(SYS_capget, (long)header, (long)capabilities, 0, 0);
	enum { GET_KEYRING_ID = 0, SESSION_KEYRING = -3 };
	const int bits[] = {prctl(PR_GET_SECUREBITS), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
	                    fl__raw(SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 0, 0)};
	attributes_add(hash, users, sizeof users);
	attributes_add(hash, groups, sizeof groups);
	attributes_add(hash, capabilities, sizeof capabilities);
	attributes_add(hash, bits, sizeof bits);
}

/*
 * Returns -1 if there is no such file, or if a sandbox forbids it. Stores the errno of a
 * shortage in *rc.
 */
static int attributes_open(const char *path, int flags, int *rc)
{
	const int fd = fl__process_sys.open(path, flags);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		*rc = fd;
	return fd < 0 ? -1 : fd;
}

static bool attributes_wants_line(const char *line)
{
	/* Uid, Gid, Groups, Cap..., NoNewPrivs, Seccomp..., Speculation... */
	for (const char *wanted = "UiGiGrCaNoSeSp"; *wanted; wanted += 2)
		if (memcmp(line, wanted, 2) == 0)
			return true;
	return false;
}

static void attributes_add_line(uint64_t *hash, struct fl__mask_and_ignored *more, const char *line)
{
	static const char mask[] = "Umask:", ignored[] = "SigIgn:";
	if (attributes_wants_line(line))
		attributes_add(hash, line, strlen(line));
	if (strncmp(line, mask, sizeof mask - 1) == 0)
		more->umask = (int32_t)strtol(line + sizeof mask - 1, NULL, 8);
	if (strncmp(line, ignored, sizeof ignored - 1) == 0)
		more->ignored = strtoull(line + sizeof ignored - 1, NULL, 16);
}

/* Adds the file system ids, the ambient and bounding capabilities, and seccomp. */
static void attributes_add_status(uint64_t *hash, struct fl__mask_and_ignored *more, int *rc)
{
	char text[2048];
	ssize_t n;
	*more = (struct fl__mask_and_ignored){.umask = -1};
	const int fd = attributes_open("/proc/thread-self/status", O_RDONLY, rc);
	for (off_t at = 0; fd >= 0 && (n = FL__RETRY(FL__SYS_RESULT(pread(fd, text, sizeof text - 1, at)))) > 0;) {
		char *line = text;
		text[n] = '\0';
		for (char *end; (end = strchr(line, '\n')) || line == text; line = end + 1) {
			if (!end) /* a long line of groups is cut; getgroups() has the rest */
				end = text + n - 1;
			*end = '\0';
			attributes_add_line(hash, more, line);
		}
		at += line - text;
	}
	fl__fd_close(fd);
}

/* Returns false if the kernel has no such attribute (-EINVAL). */
static bool attributes_add_file(uint64_t *hash, const char *path, int *rc)
{
	char text[256];
	ssize_t n = 0;
	const int fd = attributes_open(path, O_RDONLY, rc);
	while (fd >= 0 && (n = FL__RETRY(FL__SYS_RESULT(read(fd, text, sizeof text)))) > 0)
		attributes_add(hash, text, (size_t)n);
	const bool invalid = n == -EINVAL;
	fl__fd_close(fd);
	return !invalid;
}

static void attributes_add_place(uint64_t *hash, int *rc)
{
	enum { NODES = 1024 };
	static bool unlabelled; /* the kernel has no module with labels */
	int policy = 0;
	uint64_t nodes[NODES / 64] = {0};
	(void)syscall(SYS_get_mempolicy, &policy, nodes, (long)NODES, NULL, 0L);
	attributes_add(hash, &policy, sizeof policy);
	attributes_add(hash, nodes, sizeof nodes);
	/* relaxed: the flag stands for itself */
	if (!fl__load_relaxed(&unlabelled) && !attributes_add_file(hash, "/proc/thread-self/attr/current", rc))
		fl__store_relaxed(&unlabelled, true);
	(void)attributes_add_file(hash, "/proc/thread-self/cgroup", rc);
	(void)attributes_add_file(hash, "/proc/thread-self/oom_score_adj", rc);
}

/* The links are text such as "net:[4026531840]". */
static void attributes_add_namespaces(uint64_t *hash, int *rc)
{
	static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children",
	                                    "user",   "uts"};
	const int folder = attributes_open("/proc/thread-self/ns", O_PATH | O_DIRECTORY, rc);
	for (size_t i = 0; folder >= 0 && i < FL__COUNT(names); i++) {
		char text[64];
		/* an older kernel lacks some of the links */
		const ssize_t n = readlinkat(folder, names[i], text, sizeof text);
		if (n > 0)
			attributes_add(hash, text, (size_t)n);
	}
	fl__fd_close(folder);
}

/*
 * Adds the identity of the root directory, whose mount differs between mount namespaces. Older
 * headers lack struct statx.
 */
static void attributes_add_root(uint64_t *hash)
{
	enum { MASK = 0x1100 /* STATX_INO | STATX_MNT_ID */, INODE = 4, DEVICE = 17, MOUNT = 18, SIZE = 32 };
	uint64_t root[SIZE] = {0};
	(void)syscall(SYS_statx, AT_FDCWD, "/", 0, MASK, root);
	const uint64_t identity[] = {root[INODE], root[DEVICE], root[MOUNT]};
	attributes_add(hash, identity, sizeof identity);
}

int fl__rights_read_first(struct fl__rights *rights)
{
	*rights = (struct fl__rights){FL__HASH_START, FL__HASH_START, FL__HASH_START,
	                              FL__HASH_START, FL__HASH_START, FL__HASH_START};
	attributes_add_ids(&rights->ids);
	attributes_add_root(&rights->root);
	const pid_t ids[] = {getsid(0), getpgrp()};
	attributes_add(&rights->session, ids, sizeof ids);
	return attributes_add_groups(&rights->ids);
}

int fl__rights_read_rest(struct fl__rights *rights, struct fl__mask_and_ignored *more)
{
	FL__UNCANCELLED();
	struct fl__thread_place *mine = &fl__thread_data()->place;
	int rc = 0;
	attributes_add_status(&rights->confinement, more, &rc);
	if (mine->read) {
		rights->namespaces = mine->namespaces;
		rights->place = mine->place;
	} else {
		attributes_add_namespaces(&rights->namespaces, &rc);
		attributes_add_place(&rights->place, &rc);
		mine->namespaces = rights->namespaces;
		mine->place = rights->place;
		mine->read = mine->fixed && rc == 0;
	}
	return rc;
}

void fl__rights_fix_place(void)
{
	fl__thread_data()->place.fixed = true;
}

int fl__rights_read(struct fl__rights *rights)
{
	struct fl__mask_and_ignored unused;
	int rc = fl__rights_read_first(rights);
	return rc != 0 ? rc : fl__rights_read_rest(rights, &unused);
}

bool fl__rights_begin_equal(const struct fl__rights *a, const struct fl__rights *b)
{
	return a->ids == b->ids && a->root == b->root && a->session == b->session;
}

const char *fl__rights_difference(const struct fl__rights *fork_server, const struct fl__rights *caller)
{
	/* the first checks are for what hides /proc, and with it other rights */
	return fork_server->root != caller->root               ? "the fork server has another root directory"
	       : fork_server->namespaces != caller->namespaces ? "the fork server has other namespaces"
	       : fork_server->ids != caller->ids || fork_server->confinement != caller->confinement
	           ? "the fork server has another user, group, capability, no_new_privs or seccomp filter"
	       : fork_server->session != caller->session ? "the fork server has another session or process group"
	       : fork_server->place != caller->place
	           ? "the fork server has another security label, cgroup, oom_score_adj or NUMA policy"
	           : NULL;
}

/* Settings. */

enum { ATTRIBUTES_IO_PROCESS = 1, ATTRIBUTES_IO_CLASS = 13, ATTRIBUTES_SAME_PERSONALITY = -1 };

static int attributes_limit_at(int which, const void *new, void *old)
{
	return fl__raw(SYS_prlimit64, 0, which, (long)new, (long)old);
}

/* Reads the settings. What a system lacks gets the same value on both sides. */
void fl__settings_read(struct fl__settings *s)
{
	enum { LEAST = 20 /* the call returns 20 - nice */, DEADLINE = 6 };
	memset(s, 0, sizeof *s);
	(void)fl__raw(SYS_sched_getaffinity, 0, sizeof s->cpus, (long)s->cpus, 0);
	(void)fl__raw(SYS_sched_getattr, 0, (long)&s->schedule, sizeof s->schedule, 0);
	/* since Linux 6.12 other policies store a slice here, which may change */
	if (s->schedule.policy != DEADLINE)
		s->schedule.runtime = s->schedule.deadline = s->schedule.period = 0;
	for (int i = 0; i < (int)FL__COUNT(s->limits); i++)
		(void)attributes_limit_at(i, NULL, &s->limits[i]);
	s->nice = LEAST - fl__raw(SYS_getpriority, PRIO_PROCESS, 0, 0, 0);
	s->io_priority = fl__raw(SYS_ioprio_get, ATTRIBUTES_IO_PROCESS, 0, 0, 0);
	if (s->io_priority >> ATTRIBUTES_IO_CLASS <= 0)
		s->io_priority = 0; /* without a class the priority follows `nice` */
	s->timer_slack = prctl(PR_GET_TIMERSLACK);
	s->personality = fl__raw(SYS_personality, ATTRIBUTES_SAME_PERSONALITY, 0, 0, 0);
}

/* Takes on the settings of scheduling. Stops at the first error. */
static int attributes_take_on_schedule(const struct fl__settings *mine, const struct fl__settings *wanted)
{
	int rc = 0;
	if (memcmp(wanted->cpus, mine->cpus, sizeof mine->cpus) != 0)
		rc = fl__raw(SYS_sched_setaffinity, 0, sizeof wanted->cpus, (long)wanted->cpus, 0);
	if (rc == 0 && wanted->nice != mine->nice)
		rc = fl__raw(SYS_setpriority, PRIO_PROCESS, 0, wanted->nice, 0);
	if (rc == 0 && memcmp(&wanted->schedule, &mine->schedule, sizeof mine->schedule) != 0)
		rc = fl__raw(SYS_sched_setattr, 0, (long)&wanted->schedule, 0, 0);
	if (rc == 0 && wanted->io_priority != mine->io_priority)
		rc = fl__raw(SYS_ioprio_set, ATTRIBUTES_IO_PROCESS, 0, wanted->io_priority, 0);
	if (rc == 0 && wanted->timer_slack != mine->timer_slack)
		(void)prctl(PR_SET_TIMERSLACK, (long)wanted->timer_slack);
	if (rc == 0 && wanted->personality != mine->personality)
		rc = fl__raw(SYS_personality, wanted->personality, 0, 0, 0);
	return rc < 0 ? rc : 0; /* personality() returns the old one */
}

static int attributes_raise_limits(const struct fl__settings *mine, const struct fl__settings *wanted)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < (int)FL__COUNT(mine->limits); i++) {
		const uint64_t now = i == RLIMIT_NOFILE ? wanted->limits[i].now : 0;
		const uint64_t raised[] = {FL__MAX(mine->limits[i].now, now),
		                           FL__MAX(mine->limits[i].most, wanted->limits[i].most)};
		if (memcmp(raised, &mine->limits[i], sizeof raised) != 0)
			rc = attributes_limit_at(i, raised, NULL);
	}
	return rc;
}

int fl__settings_take_on(struct fl__settings *mine, const struct fl__settings *wanted)
{
	if (memcmp(mine, wanted, sizeof *mine) == 0)
		return 0;
	int rc = attributes_take_on_schedule(mine, wanted);
	if (rc == 0)
		rc = attributes_raise_limits(mine, wanted);
	fl__settings_read(mine);
	return rc;
}

int fl__settings_limit(const struct fl__settings *mine, const struct fl__settings *wanted)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < (int)FL__COUNT(mine->limits); i++)
		if (memcmp(&mine->limits[i], &wanted->limits[i], sizeof mine->limits[i]) != 0)
			rc = attributes_limit_at(i, &wanted->limits[i], NULL);
	return rc;
}
