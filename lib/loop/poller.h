/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

/* With the rules of lib/core/base/sys.h. Another event loop can watch the epoll. */
struct fl__poller_sys {
	int (*create)(void);
	/* `op`: EPOLL_CTL_ADD, _MOD or _DEL. Each event carries `source`. */
	int (*control)(int poller, int op, int fd, uint32_t events, void *source);
	/* Returns the number of events; 0: the deadline; -EINTR: a signal. */
	int (*wait)(int poller, struct epoll_event *events, int n, int64_t deadline);
	int (*bell)(void); /* an eventfd that ends a wait */
	void (*ring)(int bell);
	void (*close)(int fd); /* a poller or a doorbell */
};

extern struct fl__poller_sys fl__poller_sys;
