/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/lot.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Waits until a descriptor is ready, as poll() defines it. `events` is POLLIN, POLLOUT, ...;
 * POLLERR and POLLHUP always count.
 *
 *   a thread without a cancel token   polls
 *   a fiber of a loop                 waits through the loop
 *   all other waits                   go through the watcher thread, also a wait-any
 *
 * If the watcher thread cannot be started, the waiter polls every millisecond.
 *
 * Returns
 *   0            ready, or cannot be polled. The caller's read or write must not block: another
 *                thread may be faster.
 *   -ETIMEDOUT
 *   -ECANCELED
 */
int fl__fd_wait(int fd, short events, fl_time deadline, fl_cancel_token *cancel);

/*
 * Makes the call, which never blocks, and as long as it returns -EAGAIN, waits and makes the call
 * again. Returns what the call returned, or the error of the wait, which returns 0 when it has none.
 */
#define FL__CALL_OR_WAIT(call, wait)                                                                                   \
	__extension__({                                                                                                \
		__typeof__((call) + 0) _rc;                                                                            \
		do                                                                                                     \
			_rc = (call);                                                                                  \
		while (_rc == -EAGAIN && (_rc = (wait)) == 0);                                                         \
		_rc;                                                                                                   \
	})

/* For the first of up to FL__WAIT_FDS descriptors. */
int fl__fds_wait(struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);

/* For a wait-any. The lock in fd_watcher.c guards the struct. While armed, `fd` stays open. */
struct fl__watched_fd {
	int fd;
	short events;
	bool fired; /* ready since the last arm: the kernel is not asked again */
	unsigned armed;
	uint32_t fork; /* fl__fork_count at the last arm; changed: no node is armed */
	struct fl__watched_fd *next, **link;
};

/* clang-format off */
#define FL__WATCHED_FD(fd, events) { (fd), (events), false, 0, 0, NULL, NULL }
/* clang-format on */

/* For fl_on_type. */
bool fl__watched_fd_ready(void *watched);
bool fl__watched_fd_arm(void *watched, struct fl__node *node);
void fl__watched_fd_disarm(void *watched, struct fl__node *node);

bool fl__watched_fd_has_waiter(struct fl__watched_fd *watched);

extern const fl_on_type fl__on_watched_fd;

/*
 * For the reaper: starts the watcher thread if there is none, which calls fl__reaper_reap() as long
 * as `pidfd` is ready. 0 or a negative errno.
 */
int fl__fd_watcher_add(int pidfd);
void fl__fd_watcher_remove(int pidfd);

/* 0 or 1. */
unsigned fl__fd_watcher_threads(void);
