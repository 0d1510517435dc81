/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FDS_H
#define FL_FDS_H

/*
 * Descriptors in tests: how many there are, a limit on them, and faults of the system calls for
 * descriptors.
 *
 *     FL_FD_FAULTS(); // the end of the block restores the tables
 *     fl__fd_sys.memory = fl_test_no_descriptor;
 *     FL_RC(fl_pipe_send(p, large, sizeof large), -EMFILE);
 *
 * A case replaces only entries that no other thread reads during the case. The watcher thread has
 * read epoll_wait, and reads epoll_control when it reaps a child.
 */
#include "fl_child.h"

#include "process/base/process_sys.h"

static struct fl__fd_sys fl_test_real_fd_sys;
static struct fl__net_sys fl_test_real_net_sys;

__attribute__((constructor)) static void fl_test_keep_fd_sys(void)
{
	fl_test_real_fd_sys = fl__fd_sys;
	fl_test_real_net_sys = fl__net_sys;
}

static inline int fl_test_fd_faults_end(void)
{
	fl_test_put_back(&fl__fd_sys, &fl_test_real_fd_sys, sizeof fl__fd_sys);
	fl_test_put_back(&fl__net_sys, &fl_test_real_net_sys, sizeof fl__net_sys);
	return 0;
}

#define FL_FD_FAULTS() FL_RESTORES(fl_test_fd_faults_end)

static inline int fl_test_no_descriptor(void)
{
	return -EMFILE;
}

static inline int fl_test_no_memory_fd(void)
{
	return -ENOMEM;
}

/* From now on only `more` descriptors can be made. Returns the previous limit. */
static inline rlim_t fl_test_limit_fds(unsigned more)
{
	int free_fd[256];
	FL_CHECK(more < 256);
	int least = dup(0);
	FL_CHECK(least >= 0);
	/*
	 * Fill the gaps below, because the limit is on a descriptor's number, not on how many there
	 * are.
	 */
	free_fd[0] = least;
	for (unsigned i = 1; i < more; i++)
		FL_CHECK((free_fd[i] = dup(0)) >= 0);
	rlim_t before = fl_test_limit(RLIMIT_NOFILE, more > 0 ? (rlim_t)free_fd[more - 1] + 1 : (rlim_t)least);
	(void)close(least);
	for (unsigned i = 1; i < more; i++)
		(void)close(free_fd[i]);
	return before;
}

static inline void fl_test_unlimit_fds(rlim_t before)
{
	(void)fl_test_limit(RLIMIT_NOFILE, before);
}

static inline bool fl_test_is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static inline bool fl_test_same_file(int a, int b)
{
	char path[2][64], name[2][256];
	ssize_t n[2];
	const int fds[] = {a, b};
	FL_EACH (i, n) {
		FL_TEXT(path[i], "/proc/self/fd/%d", fds[i]);
		n[i] = readlink(path[i], name[i], sizeof name[i]);
	}
	return n[0] > 0 && n[0] == n[1] && memcmp(name[0], name[1], (size_t)n[0]) == 0;
}

#endif
