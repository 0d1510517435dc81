/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DENIED_H
#define FL_DENIED_H

/*
 * Filters of system calls (seccomp), with which a call fails as in an old kernel (ENOSYS) or in a
 * sandbox (also EPERM). Used by tests, in a child, and by the launcher tests/denied.
 */
#include "fl_denied_flags.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures; some headers are older and lack them. */
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static const struct fl_denied_call {
	const char *name;
	long number;
} fl_denied_calls[] = {
    {"clone3", SYS_clone3},         {"futex_waitv", SYS_futex_waitv}, {"memfd_create", SYS_memfd_create},
    {"pidfd_open", SYS_pidfd_open}, {"membarrier", SYS_membarrier},   {"epoll_pwait2", SYS_epoll_pwait2},
    {"eventfd2", SYS_eventfd2},     {"preadv2", SYS_preadv2},         {"pwritev2", SYS_pwritev2}};
enum { FL_DENIED_CALLS = sizeof fl_denied_calls / sizeof *fl_denied_calls };

/*
 * Installs a filter in this process and its future children: `denied`, a call of the list or any
 * other, fails with `error`. If `others` is not 0, the other calls of the list have that result
 * (SECCOMP_RET_...). Returns the result of seccomp(), which with `flags` is a listener.
 */
static inline int fl_denied_filter(long denied, int error, unsigned others, unsigned flags)
{
	struct sock_filter code[4 + 2 * FL_DENIED_CALLS];
	unsigned short n = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)denied, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
	for (int i = 0; i < FL_DENIED_CALLS && others != 0; i++) {
		const long number = fl_denied_calls[i].number;
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = {n, code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

#endif
