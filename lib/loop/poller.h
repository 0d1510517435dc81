/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_POLLER_H
#define FL_LOOP_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

/*
 * The system calls by which a loop learns of events. The table continues that of lib/base/sys.h,
 * with the same rules. Results are 0, a count, a descriptor, or a negative errno; errno keeps its
 * value.
 *
 * A poller is the descriptor of an epoll, close-on-exec. Another loop can watch that descriptor:
 * this is how a loop is embedded.
 */
struct fl__poller_sys {
	int (*create)(void);
	/* `op`: EPOLL_CTL_ADD, _MOD or _DEL. Each event carries `who`. */
	int (*control)(int poller, int op, int fd, uint32_t events, void *who);
	/* Waits for events until `deadline`: their number; 0: the deadline; -EINTR: a signal. */
	int (*wait)(int poller, struct epoll_event *events, int n, int64_t deadline);
	int (*bell)(void); /* a non-blocking eventfd, which another thread rings to end a wait */
	void (*ring)(int bell);
	void (*close)(int fd); /* a poller or a bell */
};

extern struct fl__poller_sys fl__poller_sys;

#endif
