/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_LINUX_ON_MACOS_H
#define FL_TEST_LINUX_ON_MACOS_H

/*
 * What the unit tests use of Linux and macOS lacks, so that they compile and link for it. They were
 * not run there. meson.build lists the calls that fail with ENOSYS.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#define wait fl_test_wait /* not the union of that name */
#include <sys/wait.h>
#undef wait
#undef _W_INT
#define _W_INT(status) (status)
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int fl_test_enosys(int first, ...)
{
	(void)first;
	errno = ENOSYS;
	return -1;
}

#define mount(...) fl_test_enosys(0, __VA_ARGS__)
#define syscall(...) fl_test_enosys(0, __VA_ARGS__)
#define sched_getcpu() fl_test_enosys(0)

enum {
	AT_SECURE,
	CLONE_NEWNS,
	EFD_CLOEXEC,
	EFD_NONBLOCK,
	MADV_DONTFORK,
	MFD_CLOEXEC,
	MS_PRIVATE,
	MS_REC,
	PR_SET_PDEATHSIG,
	SIGRTMIN = SIGUSR1,
	SOCK_CLOEXEC = 0,
	SYS_clock_gettime,
	SYS_futex,
	SYS_gettid,
	SYS_membarrier,
	SYS_preadv2,
	SYS_tgkill
};

typedef int cpu_set_t, pthread_barrier_t;
struct epoll_event {
	uint32_t events;
};
struct mmsghdr {
	struct msghdr msg_hdr;
};
extern char **environ;

#endif
