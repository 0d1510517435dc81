/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that are passed over Unix sockets (passed_fds.h). */
#include "passed_fds.h"
#include "core/base/sys.h"
#include "net_sys.h"
#include <string.h>
#include <sys/syscall.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5; missing in older headers */
#endif

void fl__passed_fds_put(struct msghdr *m, union fl__passed_fds *control, const int *fds, unsigned n)
{
	memset(control, 0, CMSG_SPACE(sizeof(int) * n));
	m->msg_control = control->bytes;
	m->msg_controllen = CMSG_SPACE(sizeof(int) * n);
	struct cmsghdr *rights = CMSG_FIRSTHDR(m);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(rights), fds, sizeof(int) * n);
}

ssize_t fl__passed_fds_send(int fd, const struct msghdr *m, int flags)
{
#ifdef __GLIBC__
	return FL__SYS_RESULT(sendmsg(fd, m, flags));
#else
	/*
	 * musl's function has room for only 1,024 bytes of control data. The layout of `m` is the
	 * kernel's.
	 */
	return FL__QUICK_RESULT(syscall(SYS_sendmsg, fd, m, flags));
#endif
}

void fl__passed_fds_expect(struct msghdr *m, union fl__passed_fds *control)
{
	m->msg_control = control->bytes;
	m->msg_controllen = sizeof control->bytes;
}

/* Takes the descriptors of one control message. */
static unsigned passed_fds_take_one(const struct cmsghdr *c, int *fds, unsigned known)
{
	if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_PIDFD))
		return known;
	const unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (unsigned i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
		if (c->cmsg_type == SCM_RIGHTS && known < FL__PASSED_FDS)
			fds[known++] = fd;
		else
			fl__fd_close(fd); /* -1: the kernel had no descriptor for the pidfd */
	}
	return known;
}

unsigned fl__passed_fds_take(struct msghdr *m, int *fds)
{
	unsigned n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		n = passed_fds_take_one(c, fds, n);
	return n;
}
