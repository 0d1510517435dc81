/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls of the loop's poller, by epoll (poller.h). */
#include "poller.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "fd/net_sys.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int poller_create(void)
{
	return fl__eperm_to_enosys(FL__SYS_RESULT(epoll_create1(EPOLL_CLOEXEC)));
}

static int poller_control(int poller, int op, int fd, uint32_t events, void *source)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	return FL__SYS_RESULT(epoll_ctl(poller, op, fd, &event));
}

/* Waits by epoll_wait(), with the time rounded up to milliseconds. */
static int poller_wait_ms(int poller, struct epoll_event *events, int n, int64_t left)
{
	const int64_t ms = left < 0 ? -1 : (left + FL_MS(1) - 1) / FL_MS(1);
	return epoll_wait(poller, events, n, (int)FL__MIN(ms, INT_MAX));
}

static int poller_wait_for(int poller, struct epoll_event *events, int n, int64_t left)
{
#ifdef SYS_epoll_pwait2
	/* becomes true before Linux 5.11 and in some sandboxes, where the call is missing */
	static bool missing;
	/* relaxed: a thread that reads a stale value makes the call itself */
	if (left > 0 && !fl__load_relaxed(&missing)) {
		/* the kernel's struct has 64-bit fields on every machine */
		const int64_t time[2] = {left / FL_S(1), left % FL_S(1)};
		int rc = (int)syscall(SYS_epoll_pwait2, poller, events, n, time, NULL, (size_t)_NSIG / 8);
		if (rc >= 0 || (errno != ENOSYS && errno != EPERM))
			return rc;
		/* relaxed: a thread that reads a stale value makes the call itself */
		fl__store_relaxed(&missing, true);
	}
#endif
	return poller_wait_ms(poller, events, n, left);
}

static int poller_wait(int poller, struct epoll_event *events, int n, int64_t deadline)
{
	int64_t left = -1;
	if (deadline != FL__NEVER) {
		left = deadline > 0 ? deadline - fl__sys.now() : 0;
		left = FL__MAX(left, 0);
	}
	return FL__SYS_RESULT(poller_wait_for(poller, events, n, left));
}

static int poller_bell(void)
{
	return fl__eperm_to_enosys(FL__SYS_RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

static void poller_close(int fd)
{
#ifdef FL__TSAN
	uint64_t rings;
	/* for ThreadSanitizer: the read orders all rings before the close */
	(void)FL__SYS_RESULT(read(fd, &rings, sizeof rings));
#endif
	fl__fd_close(fd);
}

static uint32_t poller_look(int fd, uint32_t events)
{
	struct pollfd p = {.fd = fd, .events = (short)events}; /* poll and epoll have the same bits */
	return FL__RETRY(FL__SYS_RESULT(poll(&p, 1, 0))) > 0 ? (uint16_t)p.revents : 0;
}

struct fl__poller_sys fl__poller_sys = {
    .create = poller_create,
    .control = poller_control,
    .wait = poller_wait,
    .bell = poller_bell,
    .ring = fl__ring,
    .close = poller_close,
    .look = poller_look,
};
