/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_WATCH_H
#define FL_PROCESS_WATCH_H

#include "../wait/lot.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Waiting for a descriptor to become ready, in the sense of poll(): `events` is POLLIN, POLLOUT, ...; errors and the end
 * always count. A thread without a cancel token polls by itself; a fiber of a loop waits by that. All other waits (with a token, for
 * any of several things) go through one watcher thread, which is started by the first of them and then sleeps in the kernel while nothing is
 * watched. Where it cannot be started (no memory, no descriptor), who waits looks every millisecond instead.
 *
 * The watcher blocks all signals, and ends when the library is unloaded. A forked child has none,
 * and starts its own.
 */

/*
 * Waits until `fd` is ready, or the deadline, or a request of `cancel` (NULL: the context's scope; FL_SHIELDED: none).
 * 0, -ETIMEDOUT, -ECANCELED. After 0 others may have been faster, and a descriptor that cannot be polled counts as ready: so
 * call the operation itself again, in a form that does not wait.
 */
int fl__fd_wait(int fd, short events, int64_t deadline, fl_cancel *cancel);

/*
 * A descriptor and what is waited for, as a thing for fl_wait_any: in the handle of what the descriptor belongs to, or in
 * the waiter's frame. All nodes that wait for it stand in its line. Guarded by the lock in watch.c while any does; nobody
 * touches it after the last disarm. The descriptor must stay open for so long.
 */
struct fl__watched {
	int fd;
	short events;
	bool fired;     /* was seen ready since the last arm: the kernel is not asked for it */
	unsigned armed; /* nodes */
	uint32_t fork;  /* the fl__fork_count of those: a child knows none of its parent's */
	struct fl__watched *next, *prev;
};

/* clang-format off */
#define FL__WATCHED(fd, events) { (fd), (events), false, 0, 0, NULL, NULL }
/* clang-format on */

/* The three of fl_on_type, for a struct fl__watched; handles call them with the one that they hold. */
bool fl__watched_ready(void *watched);
bool fl__watched_arm(void *watched, struct fl__node *node);
void fl__watched_disarm(void *watched, struct fl__node *node);

/* Whether somebody waits for it through a node. */
bool fl__watched_waited(struct fl__watched *watched);

extern const fl_on_type fl__on_watched;

#endif
