/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_POLLER_H
#define FL_LOOP_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

/*
 * What a loop asks of the system to learn of events: the continuation of lib/base/sys.h's table, with the same rules. Results
 * are 0, a count or a descriptor, or a negative errno; errno stays as it is. A poller is the descriptor of an epoll, close-on-exec;
 * so it can stand in another loop, which is how a loop is embedded.
 */
struct fl__poller_sys {
	int (*create)(void);
	/* EPOLL_CTL_ADD, _MOD or _DEL; `who` comes back with each event. */
	int (*control)(int poller, int op, int fd, uint32_t events, void *who);
	/* Until there are events, whose number it returns, or `deadline`: 0. -EINTR after a signal. */
	int (*wait)(int poller, struct epoll_event *events, int n, int64_t deadline);
	int (*bell)(void); /* an eventfd that does not block: what another thread rings to end a wait */
	void (*ring)(int bell);
	void (*close)(int fd); /* a poller or a bell */
};

extern struct fl__poller_sys fl__poller_sys;

#endif
