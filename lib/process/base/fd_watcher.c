/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watcher is a thread in epoll_wait(), with a table of entries (struct fl__watched_fd) by
 * descriptor. An entry is in the table from the arm of its first node to the disarm of its last
 * node. For each descriptor the table contains only the first entry, which has a list of the
 * others, so that the cost of an arm or a disarm does not depend on the number of waits for the
 * descriptor. The kernel watches a descriptor at least for the events of all its entries that have
 * not fired. A registration is for one event (EPOLLONESHOT), so a new wait registers again. The
 * watcher also watches the pidfds of the reaper's children. These are not in the table, so an event
 * without an entry goes to the reaper.
 *
 * Invariants
 *   1. The table, its entries and the epoll set change only under `fd_watcher_lock`, which is
 *      acquired before a bucket of the parking lot.
 *   2. One critical section enqueues a node and registers its events. A disarm dequeues its node
 *      and, if the node was the last of the descriptor, withdraws the registration, also in one
 *      critical section. If the descriptor has other entries, the events of the node stay
 *      registered, and one late event may come, which wakes nobody. The kernel checks the
 *      descriptor when it is registered, so no earlier event is missed.
 *   3. The watcher finds entries only through the table, by the descriptor of an event. So an entry
 *      may be freed when its last disarm has returned. If the descriptor's number has been reused
 *      for another file, a late event causes a spurious wakeup.
 *
 * The functions of this file are blocking. An arm, a disarm and the watcher acquire
 * `fd_watcher_lock`, which is held for a few system calls, for the start of the thread, or for a
 * walk through the nodes of one descriptor.
 */
#include "fd_watcher.h"
#include "core/base/anew.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "core/sync/helper.h"
#include "core/sync/mutex.h"
#include "fd/try_io.h"
#include "process_sys.h"
#include "reaper.h"
#include <errno.h>
#include <fairlead/fd.h>
#include <fairlead/time.h>
#include <string.h>
#include <unistd.h>

enum { FD_WATCHER_ROWS = 64, FD_WATCHER_EVENTS = 64, FD_WATCHER_NONE = -1 };

/* the time between two polls of a waiter if there is no watcher */
static const int64_t fd_watcher_interval = FL_MS(1);

static fl_mutex fd_watcher_lock = FL_MUTEX_INIT;
/* the rows of the table are lists */
static struct fl__watched_fd *fd_watcher_rows[FD_WATCHER_ROWS];
/* fd_watcher_end() rings fd_watcher_wakeup */
static int fd_watcher_epoll = FD_WATCHER_NONE, fd_watcher_wakeup = FD_WATCHER_NONE;

static struct fl__watched_fd **fd_watcher_row(int fd)
{
	return &fd_watcher_rows[(unsigned)fd % FD_WATCHER_ROWS];
}

/* Returns the first entry of the descriptor, or NULL. */
static struct fl__watched_fd *fd_watcher_find(int fd)
{
	struct fl__watched_fd *w = *fd_watcher_row(fd);
	while (w && w->fd != fd)
		w = w->next;
	return w;
}

static int fd_watcher_register(const struct fl__watched_fd *first)
{
	const uint32_t events = first->wanted | EPOLLONESHOT;
	int rc = fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_MOD, first->fd, events);
	return rc == -ENOENT ? fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_ADD, first->fd, events) : rc;
}

/*
 * If an entry waits for one of the events, wakes its waiters. Returns the events that the entry
 * still wants.
 */
static uint32_t fd_watcher_fire(struct fl__watched_fd *w, uint32_t events, struct fl__lot *lot)
{
	/* poll() and epoll have the same bits */
	const uint32_t wanted = (uint16_t)w->events;
	if (w->fired)
		return 0;
	if (!(events & (wanted | EPOLLERR | EPOLLHUP)))
		return wanted;
	w->fired = true;
	fl__lot_open_next(lot, w);
	fl__lot_take(lot, FL__ALL, 0);
	fl__lot_unlock(lot);
	return 0;
}

/* Returns false for a child's pidfd, and for a late event, after which `fd` may be another file. */
static bool fd_watcher_fire_all(int fd, uint32_t events, struct fl__lot *lot)
{
	FL__HELD(&fd_watcher_lock);
	struct fl__watched_fd *first = fd_watcher_find(fd);
	if (!first)
		return false;
	first->wanted = fd_watcher_fire(first, events, lot);
	FL__EACH (struct fl__watched_fd, w, first->others)
		first->wanted |= fd_watcher_fire(w, events, lot);
	if (first->wanted != 0)
		(void)fd_watcher_register(first); /* changing a registration needs no memory */
	return true;
}

static void fd_watcher_wake_waiters(int fd, uint32_t events)
{
	struct fl__lot lot = {0};
	const bool present = fd_watcher_fire_all(fd, events, &lot);
	fl__lot_unpark(&lot);
	if (!present)
		fl__reaper_reap(fd);
}

/* Called under the lock. */
static bool fd_watcher_has_entries(void)
{
	for (unsigned i = 0; i < FD_WATCHER_ROWS; i++)
		if (fd_watcher_rows[i])
			return true;
	return false;
}

/* Called under the lock, except by fd_watcher_make_anew(). */
static void fd_watcher_close(void)
{
	fl__fd_close(fd_watcher_epoll);
	fl__fd_close(fd_watcher_wakeup);
	fd_watcher_epoll = fd_watcher_wakeup = FD_WATCHER_NONE;
}

static bool fd_watcher_must_end(void)
{
	if (!fl__helper_must_end())
		return false;
	FL__HELD(&fd_watcher_lock);
	if (fd_watcher_has_entries())
		return false;
	fd_watcher_close();
	return true;
}

static void fd_watcher_run(void)
{
	/* both were written before the thread was started */
	const int set = fd_watcher_epoll, wakeup = fd_watcher_wakeup;
	/* read once, because tests replace it during the call */
	int (*const wait)(int, struct epoll_event *, int, int) = fl__fd_sys.epoll_wait;
	struct epoll_event events[FD_WATCHER_EVENTS];
	uint64_t wakes;
	do {
		int n = wait(set, events, FD_WATCHER_EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == wakeup)
				(void)FL__SYS_RESULT(read(wakeup, &wakes, sizeof wakes));
			else
				fd_watcher_wake_waiters(events[i].data.fd, events[i].events);
	} while (!fd_watcher_must_end());
}

static unsigned fd_watcher_end(void)
{
	FL__HELD(&fd_watcher_lock);
	fl__ring(fd_watcher_wakeup); /* fails if there is no thread */
	return fd_watcher_has_entries() ? 1 : 0;
}

static bool fd_watcher_open(void)
{
	fd_watcher_epoll = fl__fd_sys.epoll_create();
	fd_watcher_wakeup = fd_watcher_epoll < 0 ? FD_WATCHER_NONE : fl__process_sys.eventfd();
	return fd_watcher_wakeup >= 0 &&
	       fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_ADD, fd_watcher_wakeup, EPOLLIN) == 0;
}

/* Called under the lock. Returns false if the watcher cannot run. */
static bool fd_watcher_start(void)
{
	static struct fl__helper helper = {.name = "watcher", .function = fd_watcher_run, .end = fd_watcher_end};
	if (fd_watcher_epoll >= 0)
		return !fl__helper_must_end();
	if (!fd_watcher_open() || fl__helper_start(&helper) != 0) {
		fd_watcher_close();
		return false;
	}
	return true;
}

int fl__fd_watcher_add(int pidfd)
{
	FL__HELD(&fd_watcher_lock);
	return fd_watcher_start() ? fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_ADD, pidfd, EPOLLIN) : -EAGAIN;
}

void fl__fd_watcher_remove(int pidfd)
{
	FL__HELD(&fd_watcher_lock);
	/* fails if the descriptor is not registered */
	(void)fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_DEL, pidfd, 0);
}

unsigned fl__fd_watcher_threads(void)
{
	FL__HELD(&fd_watcher_lock);
	return fd_watcher_epoll >= 0 ? 1 : 0;
}

/* A forked child shares the epoll set with its parent, so it only closes its descriptors. */
static void fd_watcher_make_anew(void)
{
	fl_mutex_init(&fd_watcher_lock);
	memset(fd_watcher_rows, 0, sizeof fd_watcher_rows);
	fd_watcher_close();
}

FL__MAKES_ANEW(fd_watcher_make_anew)

bool fl__watched_fd_ready(void *watched)
{
	const struct fl__watched_fd *w = watched;
	return fl__fd_poll(w->fd, w->events) != 0;
}

static void fd_watcher_sleep_interval(void)
{
	/* without a token the result is 0 */
	FL_IGNORE(fl_sleep_until(fl_after(fd_watcher_interval), FL_SHIELDED));
}

/* Adds an entry to the table. Returns the first entry of its descriptor. */
static struct fl__watched_fd *fd_watcher_enter(struct fl__watched_fd *w)
{
	struct fl__watched_fd *first = fd_watcher_find(w->fd);
	if (w->armed++ > 0)
		return first;
	if (first) {
		FL__LIST_ADD(&first->others, w);
		return first;
	}
	w->others = NULL;
	w->wanted = 0;
	FL__LIST_ADD(fd_watcher_row(w->fd), w);
	return w;
}

/* Lets another entry take the place of the first one. */
static void fd_watcher_replace(struct fl__watched_fd *first)
{
	struct fl__watched_fd *w = first->others;
	FL__LIST_REMOVE(w);
	w->others = first->others;
	if (w->others)
		w->others->link = &w->others;
	w->wanted = first->wanted;
	FL__LIST_ADD(fd_watcher_row(w->fd), w);
}

static void fd_watcher_uncount(struct fl__watched_fd *w)
{
	if (--w->armed > 0)
		return;
	const bool is_first = fd_watcher_find(w->fd) == w;
	FL__LIST_REMOVE(w);
	if (is_first && w->others)
		fd_watcher_replace(w);
	else if (is_first)
		/* fails if the descriptor is not registered */
		(void)fl__fd_sys.epoll_control(fd_watcher_epoll, EPOLL_CTL_DEL, w->fd, 0);
}

/* Returns false if the descriptor cannot be watched. */
static bool fd_watcher_enqueue(struct fl__watched_fd *w, struct fl__node *node)
{
	FL__HELD(&fd_watcher_lock);
	if (!fd_watcher_start())
		return false;
	struct fl__watched_fd *first = fd_watcher_enter(w);
	w->fired = false;
	first->wanted |= (uint16_t)w->events;
	if (fd_watcher_register(first) != 0) {
		fd_watcher_uncount(w);
		return false;
	}
	FL__LOT(lot, w);
	fl__lot_add(&lot, node);
	return true;
}

/*
 * If the descriptor cannot be watched, sleeps for one interval and reports "ready". A wait-any then
 * checks its token and deadline, and polls all its objects again.
 */
bool fl__watched_fd_arm(void *watched, struct fl__node *node)
{
	if (fd_watcher_enqueue(watched, node))
		return true;
	fd_watcher_sleep_interval();
	return false;
}

void fl__watched_fd_disarm(void *watched, struct fl__node *node)
{
	struct fl__watched_fd *w = watched;
	FL__HELD(&fd_watcher_lock);
	fl__lot_leave(node);
	if (w->armed > 0)
		fd_watcher_uncount(w);
}

bool fl__watched_fd_has_waiter(struct fl__watched_fd *w)
{
	FL__HELD(&fd_watcher_lock);
	return w->armed > 0;
}

const fl_on_type fl__on_watched_fd = {fl__watched_fd_ready, fl__watched_fd_arm, fl__watched_fd_disarm, NULL};

/* Returns the nanoseconds that are left, or -1 without a deadline. */
static int64_t fd_wait_time_left(fl_time deadline)
{
	if (fl__is_forever(deadline))
		return -1;
	int64_t now = fl__sys.now();
	return deadline.ns > now ? deadline.ns - now : 0;
}

static int fd_poll_until(struct pollfd *fds, unsigned n, fl_time deadline)
{
	for (;;) {
		int64_t left = fd_wait_time_left(deadline);
		int rc = fl__fd_sys.poll(fds, n, left);
		if (rc > 0)
			return 0;
		if (rc == 0 && left == 0)
			return -ETIMEDOUT;
		if (rc < 0 && rc != -EINTR) {
			fd_watcher_sleep_interval(); /* a caller that tries again must not spin */
			return left == 0 ? -ETIMEDOUT : 0;
		}
	}
}

static int fd_wait_by_poll(struct pollfd *fds, unsigned n, fl_time deadline)
{
	FL__ASLEEP(FL__DEBUG_DESCRIPTOR, (void *)(uintptr_t)fds[0].fd, deadline);
	return fl__asleep.result = fd_poll_until(fds, n, deadline);
}

/*
 * Waits by the context's wait_fds(), which does not poll first. Therefore this function polls after
 * a timeout, and if the token was already cancelled before the wait. A cancel during the wait ends
 * the call without a poll. Returns -ENOSYS if the context cannot wait for descriptors.
 */
static int fd_wait_by_context(const struct fl__ctx *ctx, struct pollfd *fds, unsigned n, fl_time deadline,
                              fl_cancel_token *cancel)
{
	if (!ctx->ops->wait_fds)
		return -ENOSYS;
	const bool late = fl_cancel_token_is_requested(cancel);
	const int rc = ctx->ops->wait_fds(fds, n, deadline, cancel);
	return (rc == -ETIMEDOUT || (rc == -ECANCELED && late)) && FL__RETRY(fl__fd_sys.poll(fds, n, 0)) > 0 ? 0 : rc;
}

int fl__fds_wait(struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel)
{
	const struct fl__ctx *ctx = fl__ctx_of_wait();
	if (ctx->ops == &fl__thread_parker && (cancel == FL_SHIELDED || (!cancel && !ctx->front.scope)))
		return fd_wait_by_poll(fds, n, deadline);
	int rc = fd_wait_by_context(ctx, fds, n, deadline, cancel);
	if (rc != -ENOSYS)
		return rc;
	struct fl__watched_fd watched[FL__WAIT_FDS];
	fl_on on[FL__WAIT_FDS];
	for (unsigned i = 0; i < n; i++) {
		watched[i] = (struct fl__watched_fd)FL__WATCHED_FD(fds[i].fd, fds[i].events);
		on[i] = (fl_on)FL__ON(fl__on_watched_fd, &watched[i]);
	}
	FL__AWAITS(FL__DEBUG_DESCRIPTOR, (void *)(uintptr_t)fds[0].fd);
	rc = fl_wait_any_until(on, n, deadline, cancel);
	return rc < 0 ? rc : 0;
}

int fl__fd_wait(int fd, short events, fl_time deadline, fl_cancel_token *cancel)
{
	struct pollfd p = {.fd = fd, .events = events};
	return fl__fds_wait(&p, 1, deadline, cancel);
}

int fl_fd_wait_until(int fd, unsigned events, fl_time deadline, fl_cancel_token *cancel)
{
	if (events == 0 || (events & ~(unsigned)(FL_FD_IN | FL_FD_OUT)))
		return -EINVAL;
	if (fd < 0)
		return -EBADF; /* poll() would wait forever */
	const int bits = (events & FL_FD_IN ? POLLIN | POLLRDHUP : 0) | (events & FL_FD_OUT ? POLLOUT : 0);
	return fl__fd_wait(fd, (short)bits, deadline, cancel);
}

ssize_t fl_fd_read_some_until(int fd, void *buffer, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	if (size == 0 || size > PTRDIFF_MAX)
		return -EINVAL;
	return FL__CALL_OR_WAIT(fl__try_read(fd, buffer, size), fl__fd_wait(fd, POLLIN | POLLRDHUP, deadline, cancel));
}

ssize_t fl_fd_write_some_until(int fd, const void *data, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	const struct iovec part = {(void *)(uintptr_t)data, size};
	if (size > PTRDIFF_MAX)
		return -EINVAL;
	return FL__CALL_OR_WAIT(fl__try_write(fd, &part, 1), fl__fd_wait(fd, POLLOUT, deadline, cancel));
}
