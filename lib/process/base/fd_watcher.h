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
 *   a thread under no cancel token    polls
 *   a fiber of a loop                 waits through the loop
 *   all other waits                   go through the watcher thread, also a wait-any
 *
 * If a loop cannot watch the descriptor, for example because it already does, the fiber waits
 * through the watcher thread instead. If the watcher thread cannot be started, or the kernel
 * refuses to watch the descriptor, the waiter polls every millisecond.
 *
 * Returns
 *   0            The descriptor is ready, or cannot be polled. The caller's read or write must not
 *                block: another thread may be faster.
 *   -ETIMEDOUT   the deadline has passed
 *   -ECANCELED   the token, or the context's cancel scope, was cancelled
 */
int fl__fd_wait(int fd, short events, fl_time deadline, fl_cancel_token *cancel);

/*
 * Evaluates `call`, which must not block. While `call` returns -EAGAIN, the macro evaluates `wait`,
 * which is 0 after a wait without an error, and then evaluates `call` again. Returns the result of
 * the call, or the error of the wait.
 */
#define FL__CALL_OR_WAIT(call, wait)                                                                                   \
	__extension__({                                                                                                \
		__typeof__((call) + 0) _rc;                                                                            \
		do                                                                                                     \
			_rc = (call);                                                                                  \
		while (_rc == -EAGAIN && (_rc = (wait)) == 0);                                                         \
		_rc;                                                                                                   \
	})

/* Waits for the first of up to FL__WAIT_FDS descriptors. */
int fl__fds_wait(struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);

/*
 * A descriptor in a wait-any. The lock in fd_watcher.c guards the struct. While the struct is
 * armed, `fd` must stay open.
 */
struct fl__watched_fd {
	int fd;
	short events;
	/*
	 * whether the descriptor was ready after the last arm; if so, the kernel is not asked again
	 * until the next arm
	 */
	bool fired;
	unsigned armed;
	/*
	 * links in the table or, if this is not its descriptor's first entry, in the list `others`
	 * of the first entry
	 */
	struct fl__watched_fd *next, **link;
	/*
	 * Used only in the first entry of a descriptor: the other entries, and the events for which
	 * any of these entries may wait.
	 */
	struct fl__watched_fd *others;
	uint32_t wanted;
};

/* clang-format off */
#define FL__WATCHED_FD(fd, events) { (fd), (events), false, 0, NULL, NULL, NULL, 0 }
/* clang-format on */

/* The functions of fl__on_watched_fd. */
bool fl__watched_fd_ready(void *watched);
bool fl__watched_fd_arm(void *watched, struct fl__node *node);
void fl__watched_fd_disarm(void *watched, struct fl__node *node);

/* Returns true if a context of this process waits for `watched` in a wait-any. */
bool fl__watched_fd_has_waiter(struct fl__watched_fd *watched);

extern const fl_on_type fl__on_watched_fd;

/*
 * For the reaper. Starts the watcher thread if there is none. The watcher calls fl__reaper_reap()
 * while `pidfd` is ready. Returns 0 or a negative errno.
 */
int fl__fd_watcher_add(int pidfd);
void fl__fd_watcher_remove(int pidfd);

/* Returns 0 or 1. */
unsigned fl__fd_watcher_threads(void);
