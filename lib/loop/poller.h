/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

/*
 * The system calls of the poller, with the rules of lib/core/base/sys.h. Another event loop can
 * watch the poller's epoll descriptor.
 */
struct fl__poller_sys {
	int (*create)(void);
	/* `op` is EPOLL_CTL_ADD, EPOLL_CTL_MOD or EPOLL_CTL_DEL. Each event carries `source`. */
	int (*control)(int poller, int op, int fd, uint32_t events, void *source);
	/* Returns the number of events, 0 if the deadline has passed, or -EINTR after a signal. */
	int (*wait)(int poller, struct epoll_event *events, int n, int64_t deadline);
	int (*bell)(void); /* makes an eventfd that ends a wait */
	void (*ring)(int bell);
	void (*close)(int fd); /* closes a poller or a doorbell */
	/* Returns the current events of `fd`: those of `events`, errors and hang-ups; or 0. */
	uint32_t (*look)(int fd, uint32_t events);
};

extern struct fl__poller_sys fl__poller_sys;
